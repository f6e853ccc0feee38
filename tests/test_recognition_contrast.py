"""Where one recognition run helped and another hurt: first choices, the tests of them, and the page that shows them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
from visiting import visit

import genlab
from genlab.core.errors import BadInputError
from genlab.metrics.paired import answers, contrast, sign_test
from genlab.metrics.recognition import compared
from genlab.ui.explore_contrast import answer_rows, contrast_rows, source_of

SMALL = {"width": 4, "embedding_dim": 3, "epochs": 1, "batch_size": 12}


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 0), (7, 2), (2, 7), (4, 4), (12, 5)])
def test_the_sign_test_counts_coin_tosses(one: int, other: int) -> None:
    total, uneven = one + other, abs(one - other)
    as_uneven = sum(math.comb(total, heads) for heads in range(total + 1) if abs(2 * heads - total) >= uneven)
    assert sign_test(one, other) == pytest.approx(as_uneven / 2**total)


def test_a_contrast_counts_queries_and_identities() -> None:
    random = np.random.default_rng(0)
    first, second, shown = random.random(60) < 0.7, random.random(60) < 0.4, np.repeat(np.arange(15) * 3, 4)
    found = contrast(first, second, shown)
    pairs = list(zip(first, second, strict=True))
    assert (found.both, found.first, found.second, found.neither) == tuple(
        pairs.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))
    )
    leads = [int(first[shown == each].sum()) - int(second[shown == each].sum()) for each in np.unique(shown)]
    assert found.p == sign_test(found.first, found.second)
    assert found.p_identities == sign_test(sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads))
    mirrored = contrast(second, first, shown)
    assert (mirrored.first, mirrored.second, mirrored.p) == (found.second, found.first, found.p)
    assert 0 < found.p < 1
    assert found.p != found.p_identities


@pytest.mark.parametrize("stations", [False, True])
def test_first_choices_equal_a_search_by_hand(stations: bool) -> None:
    random = np.random.default_rng(1)
    identities, station = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3]), np.array([0, 1, 1, 0, 1, 0, 0, 1, 1])
    points = random.normal(size=(2, 9, 2))
    found = answers([compared(each, identities, station if stations else None) for each in points])
    allowed = {
        query: [i for i in range(9) if (station[i] != station[query] if stations else i != query)] for query in range(9)
    }
    queries = [q for q in range(9) if any(identities[i] == identities[q] for i in allowed[q])]
    assert found.queries.tolist() == queries == list(range(8))  # the last is alone
    assert found.candidates == 4
    for model, (row, query) in itertools.product(range(2), enumerate(queries)):
        distance = {i: float(np.linalg.norm(points[model, i] - points[model, query])) for i in allowed[query]}
        assert found.chosen[model, row] == min(distance, key=distance.__getitem__)
        nearest = {
            who: min(d for i, d in distance.items() if identities[i] == who)
            for who in {identities[i] for i in distance}
        }
        place = sum(d <= nearest[identities[query]] for d in nearest.values())
        assert found.places[model, row] == place
        assert found.right[model, row] == (identities[found.chosen[model, row]] == identities[query])
    with pytest.raises(BadInputError, match="nothing to recognise"):
        answers([compared(points[0], np.arange(9))])


# In the laboratory -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recognition from real triplets, from sampled ones and from both, and one on other images."""
    lab = genlab.Workspace(tmp_path_factory.mktemp("contrast"))
    tiny.train(tiny.prepared(lab, epochs=1, name="sampler"))
    tiny.train(tiny.prepared(lab, "recognition", name="real", **SMALL))
    sampled = {**SMALL, "triplets_from": "sampler"}
    tiny.train(tiny.prepared(lab, "recognition", name="once", source="sampled", drawn_once=30, **sampled))
    tiny.train(tiny.prepared(lab, "recognition", name="anew", source="sampled", mining="batch_all", **sampled))
    stochastic = {"stochastic_radius": "per_draw", "positive_radius": 0.2, "negative_radius": 0.5}
    tiny.train(tiny.prepared(lab, "recognition", name="mixed", source="mixed", **sampled, **stochastic))
    elsewhere = lab.prepare("recognition", tiny.images(lab, 50, "others"), name="elsewhere", device="cpu", **SMALL)
    tiny.train(elsewhere)
    return lab.root


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    return genlab.Workspace(home)


def test_every_source_of_triplets_trains_and_logs_its_active_share(lab: genlab.Workspace) -> None:
    for name in ("real", "once", "anew", "mixed"):
        run = lab.runs[name]
        assert run.status == "finished"
        assert all(0 <= row["active"] <= 1 and 0 <= row["semi_hard"] <= row["active"] for row in run.scalars())
    assert source_of(lab.runs["real"]) == "real triplets"
    assert source_of(lab.runs["once"]) == "sampled, 30 drawn once by sampler"
    assert source_of(lab.runs["anew"]) == "sampled, drawn anew by sampler"
    assert source_of(lab.runs["mixed"]) == "mixed, drawn anew by sampler"


def test_answers_agree_with_the_metric_and_are_numbered_as_in_the_set(lab: genlab.Workspace) -> None:
    run = lab.runs["real"]
    found = run.answers("once", lab.runs["mixed"])
    held_out = run.images.splits["validation"]
    assert set(found.queries) <= set(held_out)
    assert set(found.chosen.ravel()) <= set(held_out)
    assert np.array_equal(found.identities, run.images.identities[found.queries])
    for place, name in enumerate(("real", "once", "mixed")):
        measured = lab.runs[name].evaluate(["identification_top1"])["identification_top1"]
        assert found.right[place].mean() == pytest.approx(measured.value)
        assert measured.details["candidates"] == found.candidates
        near = lab.runs[name].recognise(run.images.tensor(found.queries), count=1, numbers=found.queries)
        assert np.array_equal(found.chosen[place], near.indices[:, 0])
    with pytest.raises(BadInputError, match="learned from other images"):
        run.answers("elsewhere")
    with pytest.raises(BadInputError, match="such as recognition"):
        run.answers("sampler")


@pytest.mark.parametrize("source", ["real", "sampled", "mixed"])
@pytest.mark.parametrize("drawn_once", [0, 300])
def test_an_estimate_counts_the_steps_that_a_source_of_triplets_takes(
    lab: genlab.Workspace, source: str, drawn_once: int
) -> None:
    sampled = {} if source == "real" else {"source": source, "triplets_from": "sampler", "drawn_once": drawn_once}
    images = tiny.images(lab)
    train = len(images.splits["train"])
    found = lab.estimate("recognition", images, device="cpu", **{**SMALL, **sampled, "epochs": 3})
    an_epoch = {"real": train / 12, "mixed": train / 6, "sampled": (drawn_once or train) / 4}[source]
    assert found.steps == pytest.approx(3 * an_epoch, abs=3)
    assert found.seconds > 0


def test_the_page_shows_who_is_right_where(lab: genlab.Workspace) -> None:
    run, others = lab.runs["real"], [lab.runs[name] for name in ("once", "mixed")]
    app = visit("recognise", run=run.id, way="Helped or hurt", against=[other.id for other in others])
    found = run.answers(*others)
    rows = contrast_rows([run, *others], found)
    table = app.dataframe[0].value
    assert table["run"].tolist() == ["real", "once", "mixed"]
    assert table["right"].tolist() == [row["right"] for row in rows]
    test = found.contrast(1, 0)
    assert (table["helped"][1], table["hurt"][1]) == (str(test.first), str(test.second))
    headings = " ".join(text.value for text in app.markdown)
    assert f"Helped: right in “once” alone ({test.first})" in headings
    assert f"Hurt: right in “real” alone ({test.second})" in headings
    assert any("by chance 50.0% are right" in caption.value for caption in app.caption)
    listed = answer_rows([run, *others], found)
    assert len(listed) == len(found.queries)
    assert listed[0]["mixed: place of the right one"] == found.places[2, 0]


def test_alone_the_page_says_what_to_train(lab: genlab.Workspace) -> None:
    app = visit("recognise", run=lab.runs["elsewhere"].id, way="Helped or hurt")
    assert any("Nothing to compare with" in text.value for text in app.markdown)
