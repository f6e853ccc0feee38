"""The search for radii: against triplets sampled one setting at a time, on the page and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from exploring import tiny_run
from visiting import fine, visit

import genlab
from genlab.cli.root import run as command
from genlab.core.errors import BadInputError
from genlab.figures import setting_map
from genlab.latent import TripletSettings, sample_triplet_codes
from genlab.latent.radii import AXES, RadiiSearch, hardness_of, search_radii, semi_hard_shares

rng = np.random.default_rng(0)
CODES = (rng.normal(size=(30, 4)), rng.normal(-1, 1, (30, 4)), rng.normal(size=4) / 3)
WEIGHTS = rng.normal(size=(4, 6))


def embed(codes: np.ndarray) -> np.ndarray:
    """A bent and unit-length view of codes."""
    bent = np.tanh(codes @ WEIGHTS)
    return bent / np.linalg.norm(bent, axis=1, keepdims=True)


def search(**values: Any) -> RadiiSearch:
    given = {"radii": (0.4, 0.1, 0.2), "probabilities": (0.5, 0.9), "seed": 3, "margin": 0.2, **values}
    return search_radii(*CODES, embed, **given)


def test_shares_equal_a_loop_over_triplets() -> None:
    near, far = rng.random((5, 40)), rng.random((7, 40))
    semi_hard, in_order = semi_hard_shares(near, far, 0.2)
    for p in range(5):
        for n in range(7):
            pairs = list(zip(near[p], far[n], strict=True))
            assert semi_hard[p, n] == pytest.approx(sum(a < b < a + 0.2 for a, b in pairs) / 40)
            assert in_order[p, n] == pytest.approx(sum(a < b for a, b in pairs) / 40)


@pytest.mark.parametrize("stochastic", ["off", "per_draw", "per_dimension"])
@pytest.mark.parametrize("step", ["log_var", "sigma"])
def test_every_share_is_that_of_the_triplets_sampled_with_those_settings(stochastic: Any, step: Any) -> None:
    settings = TripletSettings(stochastic_radius=stochastic, step=step)
    found = search(settings=settings)
    assert found.radii == (0.1, 0.2, 0.4)
    anchors, checked = embed(CODES[0]), 0
    for place in np.ndindex(found.semi_hard.shape):
        chosen = found.at(*place)
        if chosen.positive_radius >= chosen.negative_radius:
            assert np.isnan(found.semi_hard[place])
            continue
        codes = sample_triplet_codes(*CODES, generator=np.random.default_rng(3), **chosen.model_dump())
        near, far = (np.linalg.norm(embed(each) - anchors, axis=1) for each in codes)
        assert found.semi_hard[place] == pytest.approx(((near < far) & (far < near + 0.2)).mean())
        assert found.in_order[place] == pytest.approx((near < far).mean())
        assert found.near[place[:2]] == pytest.approx(near.mean())
        assert found.far[place[2:]] == pytest.approx(far.mean())
        checked += 1
    assert checked == 3 * 4
    assert 0 < np.nanmin(found.in_order) < np.nanmax(found.in_order)


def test_the_best_is_a_setting_that_can_be_sampled_with() -> None:
    found = search()
    best = found.best()
    assert found.semi_hard[found.place(best)] == np.nanmax(found.semi_hard)
    assert TripletSettings(**best.model_dump()) == best
    assert found.place(TripletSettings(positive_radius=0.11)) is None
    for place in ((0, 1, 2, 0), (1, 0, 2, 1)):
        assert found.place(found.at(*place)) == place


def test_progress_is_told_before_each_setting_and_may_stop_the_search() -> None:
    seen: list[float] = []
    search(progress=lambda share, text: seen.append(share))
    assert seen == [place / 6 for place in range(6)]

    def stop(share: float, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(progress=stop)


@pytest.mark.parametrize(
    "values", [{"radii": (0.1,)}, {"probabilities": ()}, {"probabilities": (1.2,)}, {"radii": (-1, 1)}]
)
def test_what_cannot_be_searched_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="at least two radii"):
        search(**values)


def test_a_map_leaves_out_what_makes_no_sense_and_names_what_is_marked() -> None:
    found = search()
    figure = setting_map(
        found.semi_hard[:, 0, :, 1], x=found.radii, y=found.radii, titles=("negative", "positive"),
        framed=[(0.4, 0.1)],
    )  # fmt: skip
    drawn = np.array(figure.data[0].z)
    np.testing.assert_array_equal(np.isnan(drawn), np.tri(3, dtype=bool))
    np.testing.assert_array_equal(drawn, found.semi_hard[:, 0, :, 1])
    (frame,) = figure.layout.shapes
    assert (frame.x0 + frame.x1, frame.y0 + frame.y1) == (4, 0)  # around the third column and the first row


# On runs ---------------------------------------------------------------------------------------------------------


def test_a_run_is_searched_around_its_held_out_images_by_the_distance_of_their_pixels(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    found = run.radii(radii=(0.2, 0.8), probabilities=(0.5, 0.9), settings=TripletSettings(step="sigma"), seed=2)
    anchors = run.images.images[run.images.splits["validation"]] / np.float32(255)
    assert (found.count, found.margin, found.by) == (len(anchors), 0.6, "their pixels")
    chosen = found.at(0, 1, 1, 0)
    drawn = run.triplets(anchors, chosen, seed=2)
    rebuilt, near, far = (
        images.array.reshape(len(anchors), -1) for images in (drawn.reconstructions, drawn.positives, drawn.negatives)
    )
    distances = [
        np.array([np.sqrt(2 - 2 * np.corrcoef(a, b)[0, 1]) for a, b in zip(rebuilt, other, strict=True)]) for other in (near, far)
    ]  # fmt: skip
    assert found.near[0, 1] == pytest.approx(distances[0].mean(), rel=1e-4)
    assert found.far[1, 0] == pytest.approx(distances[1].mean(), rel=1e-4)
    assert found.in_order[0, 1, 1, 0] == pytest.approx((distances[0] < distances[1]).mean())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with an autoencoder that samples and a network that recognises."""
    lab = genlab.Workspace(tmp_path_factory.mktemp("radii"))
    tiny.train(tiny.prepared(lab, epochs=1, name="sampler"))
    small = {"width": 4, "embedding_dim": 3, "epochs": 1, "batch_size": 12, "margin": 0.4}
    tiny.train(tiny.prepared(lab, "recognition", name="eyes", **small))
    return lab.root


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    return genlab.Workspace(home)


def test_the_command_lists_settings_the_best_first(lab: genlab.Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["radii", "sampler", "--recognition", "eyes", "--step", "sigma", "-n", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["by"], document["margin"], document["axes"]) == ("eyes", 0.4, list(AXES))
    assert document["count"] == min(5, len(lab.runs["sampler"].images.splits["validation"]))
    shares = [row["semi_hard"] for row in document["settings"]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 8 * 7 // 2 * 16
    assert all(row["positive_radius"] < row["negative_radius"] for row in document["settings"])
    assert command(["radii", "eyes"]) == 2
    assert "such as a VAE" in capsys.readouterr().err
    assert command(["radii", "sampler", "--recognition", "eyes", "-n", "2"]) == 0
    assert "margin 0.4, distances by eyes" in capsys.readouterr().out


def test_hardness_is_that_of_a_loop_over_triplets() -> None:
    near, far = rng.random(200), rng.random(200)
    near[:3], far[:3] = 0.25, (0.25, 0.5, 0.375)  # as far; just far enough; between
    counts = {"easy": 0, "semi_hard": 0, "hard": 0}
    for a, b in zip(near, far, strict=True):
        counts["hard" if b <= a else "easy" if b >= a + 0.25 else "semi_hard"] += 1
    found = hardness_of(near, far, 0.25, "eyes")
    assert {name: getattr(found, name) for name in counts} == pytest.approx(
        {name: n / 200 for name, n in counts.items()}
    )
    assert (found.count, found.margin, found.by) == (200, 0.25, "eyes")


@pytest.mark.parametrize("by", [None, "eyes"])
def test_a_run_asks_a_network_how_hard_its_triplets_are(lab: genlab.Workspace, by: str | None) -> None:
    run, half = lab.runs["sampler"], {"positive_toward_mean": 0.5, "negative_toward_mean": 0.5}
    settings = TripletSettings(
        step="sigma", positive_radius=0.6, negative_radius=0.7, stochastic_radius="per_dimension", **half
    )
    anchors = run.images.tensor([1, 4]).numpy()
    drawn = run.triplets(anchors, settings, seed=2, draws=30)
    near, far = [], []
    for draw in range(60):
        seen = [drawn.reconstructions.array[[draw // 30]], drawn.positives.array[[draw]], drawn.negatives.array[[draw]]]
        if by:
            vectors = [lab.runs[by].embed(image)[0] for image in seen]
            apart = [np.linalg.norm(vectors[0] - other) for other in vectors[1:]]
        else:
            apart = [np.sqrt(2 - 2 * np.corrcoef(seen[0].ravel(), other.ravel())[0, 1]) for other in seen[1:]]
        near.append(apart[0])
        far.append(apart[1])
    triplets = list(zip(near, far, strict=True))
    margin = float(np.median([b - a for a, b in triplets if b > a]))
    found = run.hardness(anchors, settings, by, draws=30, seed=2, margin=margin)
    assert found.semi_hard == pytest.approx(sum(a < b < a + margin for a, b in triplets) / 60)
    assert found.hard == pytest.approx(sum(b <= a for a, b in triplets) / 60)
    assert found.easy == pytest.approx(sum(b >= a + margin for a, b in triplets) / 60)
    assert min(found.easy, found.semi_hard, found.hard) > 0
    usual = run.hardness(anchors, settings, by, draws=30)
    assert (usual.count, usual.margin, usual.by) == (60, 0.4 if by else 0.6, by or "their pixels")


def test_the_page_searches_when_asked_and_sets_the_sliders_to_the_best(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["sampler"].id, step="sigma")
    assert app.selectbox("radii-by").value == lab.runs["eyes"].id
    assert not any("semi-hard and" in text.value for text in app.markdown)
    fine(app.button("radii-search").click().run())
    best = lab.runs["sampler"].radii("eyes", settings=TripletSettings(step="sigma"), count=50).best()
    (told,) = [text.value for text in app.markdown if "semi-hard and" in text.value]
    assert (
        f"positive radius {best.positive_radius:g}, probability of the positive {best.positive_toward_mean:g}" in told
    )
    captions = " ".join(caption.value for caption in app.caption)
    assert "Semi-hard triplets by both radii" in captions
    assert "margin 0.4, by the distances of eyes" in captions
    fine(app.button("radii-take").click().run())
    assert [app.slider(axis).value for axis in AXES] == [getattr(best, axis) for axis in AXES]
    app.selectbox("radii-by").set_value("the pixels").run()
    fine(app.button("radii-search").click().run())
    assert any("margin 0.6, by the distances of their pixels" in caption.value for caption in app.caption)


def test_the_page_says_what_share_is_semi_hard_for_a_chosen_network(lab: genlab.Workspace) -> None:
    sampler = lab.runs["sampler"]
    app = visit("triplets", run=sampler.id, step="sigma", anchors="3,4", draws="5", seed="7")
    anchors = sampler.images.tensor([3, 4]).numpy()
    found = sampler.hardness(anchors, TripletSettings(step="sigma"), "eyes", draws=16, seed=7)
    assert app.selectbox("hard-for").value == lab.runs["eyes"].id
    (told,) = [text.value for text in app.markdown if "semi-hard for" in text.value]
    assert told.startswith(f"**{found.semi_hard:.1%}** of 32 draws are semi-hard for “eyes”")
    assert f"(easy {found.easy:.1%}, hard {found.hard:.1%}; margin 0.4)" in told
    fine(app.slider("negative_radius").set_value(0.9).run())
    wider = TripletSettings(step="sigma", negative_radius=0.9)
    share = sampler.hardness(anchors, wider, "eyes", draws=16, seed=7).semi_hard
    assert any(text.value.startswith(f"**{share:.1%}** of 32 draws") for text in app.markdown)


def test_without_a_recognition_run_the_page_says_how_to_get_one(
    lab: genlab.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = lab.runs["sampler"]
    monkeypatch.setattr(genlab.workspace.Runs, "__iter__", lambda self: iter([sampler]))
    app = visit("triplets", run=sampler.id)
    (told,) = [info.value for info in app.info if "semi-hard" in info.value]
    assert "there is none yet for images of 8x8" in told
    assert any(link.proto.page == "train" for link in app.get("page_link"))
