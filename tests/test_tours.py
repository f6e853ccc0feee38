"""The guided tours: every stop opens its page with the shipped runs as it says, and nothing goes wrong there."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_pages_explore import fine, visit

import genlab
from genlab.core.registry import models
from genlab.ui.navigation import SECTIONS
from genlab.ui.tours import TOURS, standing

STOPS = [(tour, place) for tour in TOURS for place in range(len(tour.stops))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _one_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All stops are visited in one laboratory: what one of them had computed of a shipped run is there for the next."""
    monkeypatch.setenv("GENLAB_HOME", str(home))


def test_tours_walk_on_pages_and_runs_that_there_are() -> None:
    pages = {leaf.name for leaves in SECTIONS.values() for leaf in leaves}
    shipped = {run.id: run for run in genlab.Workspace().runs}
    for tour in TOURS:
        assert 4 <= len(tour.stops) <= 6
        for stop in tour.stops:
            assert stop.page in pages
            named = [stop.query.get("run"), *stop.query.get("runs", "").split(",")]
            assert {name for name in named if name} <= set(shipped)
            assert stop.query.get("model", "vae") in models()


@pytest.mark.parametrize(("tour", "place"), STOPS, ids=[f"{tour.name}.{place}" for tour, place in STOPS])
def test_a_stop_shows_what_it_speaks_of(tour, place: int) -> None:
    stop = tour.stops[place]
    query = {name: value.split(",") if name == "runs" else str(value) for name, value in stop.query.items()}
    app = visit(stop.page, **query, tour=f"{tour.name}.{place}")
    said = " ".join(text.value for text in app.markdown)
    assert f"{place + 1} of {len(tour.stops)}" in said
    assert stop.text in said
    assert not [warning.value for warning in app.warning]
    assert not [info.value for info in app.info if "cannot" in info.value or "no run" in info.value]
    asked = dict(stop.query)
    for name in ("run", "model", "data", "study"):
        if name in asked:
            assert app.session_state[f"chosen-{name}"] == asked.pop(name)
    asked.pop("pictures", None)  # told to the map itself
    if "runs" in asked:
        assert ",".join(app.session_state["compared"]) == asked.pop("runs")
    for name, value in asked.items():
        assert app.session_state[name] == value


def test_stops_on_one_page_say_the_same_things() -> None:
    for tour in TOURS:
        for page in {stop.page for stop in tour.stops}:
            told = [set(stop.query) - {"pictures"} for stop in tour.stops if stop.page == page]
            assert all(names == told[0] for names in told), (tour.name, page)


def test_a_tour_is_left_when_one_wants_to() -> None:
    app = visit("data", tour="kl.1")
    fine(app.button(key="tour-leave").click().run())
    assert "Dimensions that say nothing" not in " ".join(text.value for text in app.markdown)
    assert "tour" not in app.query_params


def test_what_names_no_stop_is_no_tour() -> None:
    for text in ("", "kl", "kl.", "kl.-1", "kl.x", "kl.77", "nobody.0", ".0"):
        assert standing(text) == (None, 0)
    assert all(standing(f"{tour.name}.{place}") == (tour, place) for tour, place in STOPS)
