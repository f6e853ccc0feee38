"""Likelihoods of sets, missing pixels, classes and borders: against loops and scikit-learn, and the page that shows them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_pages_explore import _train, captions, fine, pictures, visit

import genlab
from genlab.core.batch import Batch
from genlab.core.errors import BadInputError
from genlab.data.fitting import fit_arrays
from genlab.figures import confusion_matrix, decision_regions, likelihood_histogram, rows, sigmoid_of_odds
from genlab.figures.likelihood import bin_edges
from genlab.ui.explore_likelihood import confused, confusion_rows, score_rows
from genlab.workspace.likelihood import known_pixels, share_below
from genlab.workspace.results import Confusion

TRAINED = {
    "gaussians": ("gda", {"pca": 12, "covariance": "shared"}),
    "mixed": ("gmm", {"pca": 8, "components": 2, "by_class": False, "epochs": 5}),
    "heart": ("multinomial", {}),
    "pixels": ("gaussian_naive_bayes", {}),
    "codes": ("vae", {"latent_dim": 4, "hidden": 32, "epochs": 1}),
    "game": ("gan", {"epochs": 1}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with a trained run of each kind on the small digits, and one without classes."""
    folder = tmp_path_factory.mktemp("home")
    lab = genlab.Workspace(folder)
    digits = lab.datasets["digits-8"]
    for name, (model, values) in TRAINED.items():
        _train(lab, model, digits, name, **values)
    from genlab.figures.images import Images

    for index in range(30):
        Images(digits.images[index]).save(folder / "plain" / f"{index}.png", scale=2)
    _train(lab, "gda", lab.datasets.add(folder / "plain", name="plain"), "unlabelled", pca=4)
    return folder


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    return genlab.Workspace(home)


# --- in the run's own words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["left", "right", "top", "bottom", "centre", "random"])
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.95])
def test_hidden_pixels_are_where_and_as_many_as_asked(part: str, share: float) -> None:
    known = known_pixels((3, 20, 30), part, share, seed=4)
    assert known.shape == (3, 20, 30)
    assert (known == known[:1]).all()
    hidden = ~known[0]
    assert 0 < hidden.sum() < hidden.size
    assert hidden.mean() == pytest.approx(share, abs=0.06)
    rows_of, columns_of = np.nonzero(hidden)
    if part in ("left", "right", "top", "bottom", "centre"):
        box = hidden[rows_of.min() : rows_of.max() + 1, columns_of.min() : columns_of.max() + 1]
        assert box.all()  # one rectangle
    middle = (columns_of.mean() + 0.5) / 30, (rows_of.mean() + 0.5) / 20
    expected = {"left": (share / 2, 0.5), "right": (1 - share / 2, 0.5), "top": (0.5, share / 2), "bottom": (0.5, 1 - share / 2)}  # fmt: skip
    assert middle == pytest.approx(expected.get(part, (0.5, 0.5)), abs=0.15 if part == "random" else 0.03)
    other = known_pixels((3, 20, 30), part, share, seed=5)
    assert np.array_equal(known, other) == (part != "random")


def test_what_cannot_be_hidden_is_refused(lab: genlab.Workspace) -> None:
    with pytest.raises(BadInputError, match="part to hide is one of left, right"):
        known_pixels((1, 8, 8), "up")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="share to hide lies between 0 and 1"):
        known_pixels((1, 8, 8), "left", 1.0)
    assert known_pixels((1, 1, 1), "centre").sum() == 0
    with pytest.raises(BadInputError, match="cannot fill in missing pixels; pick"):
        lab.runs["codes"].complete(lab.runs["codes"].images.images[:1])
    with pytest.raises(BadInputError, match="cannot say what class"):
        lab.runs["codes"].confusion()
    with pytest.raises(BadInputError, match=r"known pixels .* have the shape \(1, 8, 8\)"):
        lab.runs["pixels"].impute(lab.runs["pixels"].images.images[:2], np.ones((8, 8), bool))
    with pytest.raises(BadInputError, match="cannot score images"):
        lab.runs["game"].likelihood_sets()


def test_the_share_below_counts_what_is_lower() -> None:
    draw = np.random.default_rng(0)
    reference = draw.integers(0, 8, 50).astype(float)
    values = draw.integers(-2, 10, 20).astype(float)
    expected = [sum(r < v for r in reference) / 50 for v in values]
    assert share_below(values, reference).tolist() == pytest.approx(expected)


def test_sets_are_scored_by_the_model_itself(lab: genlab.Workspace) -> None:
    run = lab.runs["gaussians"]
    found = run.likelihood_sets("sprites", limit=60, seed=2)
    assert (found.kind, found.measure) == ("exact", "density")
    sprites = lab.datasets["sprites"]
    assert list(found.values) == ["training", "held out", sprites.title]
    own = run.images
    for name, split in (("training", "train"), ("held out", "validation")):
        assert len(set(found.indices[name])) == 60
        assert set(found.indices[name]) <= set(own.splits[split])
        expected = run.model().log_likelihood(own.tensor(found.indices[name]))
        np.testing.assert_allclose(found.values[name], expected.numpy(), rtol=1e-5)
    shrunk = fit_arrays(np.asarray(sprites.images[found.indices[sprites.title]]), (1, 8, 8))
    np.testing.assert_allclose(found.values[sprites.title], run.likelihoods(shrunk).values)
    scored = score_rows(found)
    assert len(scored) == 180
    assert scored[70] == {"set": "held out", "image": found.indices["held out"][10], "log_likelihood": found.values["held out"][10]}  # fmt: skip
    bound = lab.runs["codes"].likelihood_sets(limit=20)
    assert bound.kind == "bound"
    assert "lower_bound" in score_rows(bound)[0]


def test_noise_is_an_anomaly_and_a_usual_image_is_not(lab: genlab.Workspace) -> None:
    run = lab.runs["gaussians"]
    noise = np.random.default_rng(1).random((5, 1, 8, 8), dtype=np.float32)
    assert (run.typicality(noise) == 0).all()
    scores = run.likelihood_sets(limit=100, seed=3)
    middle = scores.indices["held out"][np.argsort(scores.values["held out"])[50]]
    assert run.typicality(run.images.images[[middle]], limit=100, seed=3).tolist() == [0.5]


@pytest.mark.parametrize("name", ["gaussians", "mixed", "heart", "pixels", "unlabelled"])
def test_what_is_hidden_is_filled_in_and_measured(lab: genlab.Workspace, name: str) -> None:
    run = lab.runs[name]
    images = run.images.tensor(np.arange(6)).numpy()
    found = run.complete(run.images.images[:6], "top", share=0.4)
    assert np.array_equal(found.filled.array[:, found.known], images[:, found.known])
    assert (found.masked.array[:, ~found.known] == 0.5).all()
    expected = run.model().impute(torch.from_numpy(images), torch.from_numpy(found.known)).numpy()
    np.testing.assert_allclose(found.filled.array, expected, atol=1e-6)
    mean = run.images.tensor(np.sort(run.images.splits["train"])[:5000]).numpy().mean(0)
    for row in range(6):
        away = [found.filled.array[row][place] - images[row][place] for place in np.argwhere(~found.known).tolist() for place in [tuple(place)]]  # fmt: skip
        assert found.errors[row] == pytest.approx(math.sqrt(np.square(away).mean()), rel=1e-4)
    assert found.baseline.mean() == pytest.approx(
        np.sqrt(np.square(images - mean)[:, ~found.known].mean(1)).mean(), rel=0.1
    )
    if name == "gaussians":
        assert found.errors.mean() < 0.8 * found.baseline.mean()


def test_confusions_equal_scikit_learn(lab: genlab.Workspace) -> None:
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import confusion_matrix as oracle

    run = lab.runs["gaussians"]
    found, own = run.confusion(), run.images
    held_out, train = np.sort(own.splits["validation"]), own.splits["train"]
    labels = np.asarray(own.labels)
    given = run.classify(own.images[held_out])
    np.testing.assert_allclose(given.sum(1), 1, rtol=1e-5)
    assert np.array_equal(found.counts, oracle(labels[held_out], given.argmax(1), labels=range(10)))
    assert found.accuracy == np.trace(found.counts) / len(held_out)
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(train), 1)), labels[train])
    assert found.majority == dummy.score(np.zeros((len(held_out), 1)), labels[held_out])
    assert confusion_rows(found)[3] == {"class": "3", **{str(c): found.counts[3, c] for c in range(10)}}


def test_the_most_confused_pair_is_the_one_to_look_at() -> None:
    counts = np.array([[9, 1, 0], [0, 8, 1], [0, 1, 7]])
    assert confused(Confusion(counts, ("a", "b", "c"), 0.0, 0.0)) == (1, 2)
    assert confused(Confusion(np.diag([3, 3, 3]), ("a", "b", "c"), 1.0, 0.3)) == (0, 1)


@pytest.mark.parametrize("covariance", ["shared", "per_class"])
def test_the_border_is_of_the_model_refitted_in_the_plane(
    lab: genlab.Workspace, covariance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    run = lab.runs["gaussians"]
    monkeypatch.setitem(run.config.parameters, "covariance", covariance)
    found, own = run.boundary(limit=100, steps=30), run.images
    train, labels = np.sort(own.splits["train"]), np.asarray(own.labels)
    x = own.tensor(train)
    model = genlab.create("gda", (1, 8, 8), 10, covariance=covariance, pca=2)
    list(model.fit(Batch(x, torch.from_numpy(labels[train])), iterations=1))
    shown = own.tensor(found.indices)
    posterior = model.classify(shown)
    torch.testing.assert_close(torch.from_numpy(found.log_joint).log_softmax(1), posterior, rtol=1e-5, atol=1e-5)
    assert found.accuracy == (posterior.argmax(1).numpy() == labels[found.indices]).mean()
    there = model.space.restore(torch.tensor([[found.x[7], found.y[21]]])).view(1, 1, 8, 8)
    expected = model.classify(there)[0]
    torch.testing.assert_close(torch.from_numpy(found.grid[21, 7]).log_softmax(0), expected, rtol=1e-6, atol=1e-6)
    assert found.x[0] < found.points[:, 0].min() < found.points[:, 0].max() < found.x[-1]
    if covariance == "shared":
        pca = PCA(2, svd_solver="full").fit(x.flatten(1).double().numpy())
        place = [pca.transform(images.flatten(1).double().numpy()) for images in (x, shown)]
        oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(place[0], labels[train])
        given = torch.from_numpy(oracle.predict_proba(place[1]))
        torch.testing.assert_close(posterior.exp(), given, rtol=0, atol=1e-5)


def test_borders_need_classes_and_principal_components(lab: genlab.Workspace) -> None:
    assert lab.runs["gaussians"].has_boundary()
    for name in ("pixels", "mixed", "unlabelled", "codes"):
        assert not lab.runs[name].has_boundary()
    with pytest.raises(BadInputError, match="works on no principal components"):
        lab.runs["pixels"].boundary()


def test_other_sets_are_brought_to_the_shape() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 12, 20), dtype=np.uint8)
    assert fit_arrays(images, (3, 12, 20)) is images
    grey = fit_arrays(images, (1, 12, 20)).astype(float)
    luma = np.tensordot([0.299, 0.587, 0.114], images.astype(float), (0, 1))
    assert np.abs(grey[:, 0] - luma).max() <= 1
    flat = fit_arrays(np.full((1, 1, 8, 8), 7, np.uint8), (3, 5, 9))
    assert flat.shape == (1, 3, 5, 9)
    assert (flat == 7).all()


# --- figures ---------------------------------------------------------------------------------------------------


def test_histograms_hold_every_image_and_mark_single_ones() -> None:
    draw = np.random.default_rng(3)
    values = {
        "training": draw.normal(0, 1, 900),
        "held out": draw.normal(0.5, 1, 300),
        "other": draw.normal(-90, 5, 50),
    }
    figure = likelihood_histogram(values, title="nats", span_of=("training", "held out"), marked={"mine": -500.0})
    edges = bin_edges([values["training"], values["held out"]])
    for trace, (name, numbers) in zip(figure.data, values.items(), strict=False):
        assert trace.name == name
        assert sum(trace.y) == pytest.approx(1)
        inner = [np.sum((numbers >= a) & (numbers < b)) / len(numbers) for a, b in itertools.pairwise(edges[1:-1])]  # fmt: skip
        np.testing.assert_allclose(trace.y[1:-1], inner, atol=1e-12)
    assert figure.data[2].y[0] == 1  # all of them beyond the first bin
    assert set(figure.data[3].x) == {edges[0]}
    assert {row["series"] for row in rows(figure)} == {*values, "mine"}
    wide = likelihood_histogram(values, title="nats")
    assert wide.data[0].x[0] < -90


def test_confusions_are_coloured_by_row_and_numbered() -> None:
    counts = np.array([[6, 2], [0, 4]])
    figure = confusion_matrix(counts, ("cat", "dog"))
    np.testing.assert_allclose(figure.data[0].z, [[0.75, 0.25], [0, 1]])
    numbers = {(x, y): t for trace in figure.data[1:] for x, y, t in zip(trace.x, trace.y, trace.text, strict=True)}
    assert numbers == {("cat", "cat"): "6", ("dog", "cat"): "2", ("dog", "dog"): "4"}


def test_regions_and_sigmoid_follow_the_log_joint() -> None:
    x, y = np.linspace(-2, 2, 5), np.linspace(-1, 1, 3)
    grid = np.stack(np.broadcast_arrays(x[None], -x[None], 0 * y[:, None] - 9), -1)
    points, labels = np.array([[1.0, 0], [-1, 0.5], [0, 0]]), np.array([0, 1, 2])
    every = decision_regions(points, labels, grid, x=x, y=y, names=("a", "b", "c"))
    assert np.array_equal(every.data[0].z, np.tile([1, 1, 0, 0, 0], (3, 1)))
    assert [trace.name for trace in every.data[1:]] == ["a", "b", "c"]
    pair = decision_regions(points, labels, grid, x=x, y=y, names=("a", "b", "c"), pair=(1, 0))
    np.testing.assert_allclose(pair.data[1].z[0], 1 / (1 + np.exp(2 * x)))
    assert [trace.name for trace in pair.data[2:]] == ["b", "a"]
    odds = np.array([-800.0, -1.0, 0.5, 3.0])
    curve = sigmoid_of_odds(odds, odds > 0, ("a", "b"))
    np.testing.assert_allclose(curve.data[0].y, 1 / (1 + np.exp(-curve.data[0].x)))
    np.testing.assert_allclose(curve.data[1].y, 1 / (1 + np.exp(-odds[2:])))
    assert curve.data[2].x[0] == -12
    assert curve.data[2].y[0] == 0


# --- the page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["How probable", "Fill in", "Which class"])
@pytest.mark.parametrize("name", ["gaussians", "heart", "pixels"])
def test_every_question_is_answered_and_names_the_run(lab: genlab.Workspace, name: str, ask: str) -> None:
    app = visit("likelihood", run=lab.runs[name].id, ask=ask, scored=100)
    assert f"“{name}”" in captions(app)
    if ask != "Which class":
        assert pictures(app)
    else:
        found = lab.runs[name].confusion(limit=1000)
        assert [metric.value for metric in app.metric] == [f"{found.accuracy:.1%}", f"{found.majority:.1%}"]


def test_a_bound_is_called_a_bound(lab: genlab.Workspace) -> None:
    app = visit("likelihood", run=lab.runs["codes"].id, scored=100)
    assert "gives no exact likelihood" in captions(app)
    assert app.button_group(key="ask").options == ["How probable"]


def test_another_set_stands_beside_and_galleries_are_ordered(lab: genlab.Workspace) -> None:
    run = lab.runs["gaussians"]
    app = visit("likelihood", run=run.id, scored=100)
    fine(app.selectbox(key="against").select("sprites").run())
    title = lab.datasets["sprites"].title
    assert f"100 {title}" in captions(app)
    scored = run.likelihood_sets("sprites", limit=100)
    best = scored.indices["held out"][scored.values["held out"].argmax()]
    worst = scored.indices["held out"][scored.values["held out"].argmin()]
    most, least = pictures(app)[:2]
    assert most.index(f"image {best} ") < most.index("</figcaption>")
    assert least.index(f"image {worst} ") < least.index("</figcaption>")
    before = app.get("plotly_chart")[0].proto.spec
    fine(app.toggle(key="whole").set_value(False).run())
    assert app.get("plotly_chart")[0].proto.spec != before
    share = run.typicality(run.images.images[[7]], limit=100)[0]
    fine(app.text_input(key="asked").set_value("7").run())
    assert f"{share:.1%} lie below" in pictures(app)[-1]


def test_other_pixels_can_be_hidden(lab: genlab.Workspace) -> None:
    app = visit("likelihood", run=lab.runs["gaussians"].id, ask="Fill in")
    before = pictures(app)
    fine(app.selectbox(key="part").select("random").run())
    drawn = pictures(app)
    fine(app.button(key="seed-next").click().run())
    assert before != drawn != pictures(app)
    found = lab.runs["gaussians"].complete(lab.runs["gaussians"].images.images[[3, 5]], "random", seed=1)
    fine(app.text_input(key="filled").set_value("3, 5").run())
    assert f"{found.errors.mean():.4f}" in captions(app)
    assert app.dataframe[0].value["error"].tolist() == pytest.approx(found.errors.tolist())


def test_the_border_shows_two_classes_or_all(lab: genlab.Workspace) -> None:
    app = visit("likelihood", run=lab.runs["gaussians"].id, ask="Which class")
    assert "fitted anew on the first two principal axes" in captions(app)
    fine(app.selectbox(key="first").select("3").run())
    fine(app.selectbox(key="second").select("5").run())
    assert "3 against 5 alone" in captions(app)
    fine(app.button_group(key="plane").set_value("All classes").run())
    assert "most probable class at each place" in captions(app)
    assert "Where 3 and 5 are all there is" in captions(app)
    assert "fitted anew" not in captions(visit("likelihood", run=lab.runs["pixels"].id, ask="Which class"))


def test_runs_that_cannot_and_runs_without_classes_are_explained(lab: genlab.Workspace) -> None:
    assert "“game” cannot say how probable an image is" in visit("likelihood", run=lab.runs["game"].id).info[0].value
    for name in ("unlabelled", "mixed"):
        app = visit("likelihood", run=lab.runs[name].id, ask="Which class")
        assert any("No classes" in text.value for text in app.markdown)
    assert "3 held out" in captions(visit("likelihood", run=lab.runs["unlabelled"].id))


def test_without_any_run_the_page_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    app = visit("likelihood")
    assert any("No run" in text.value for text in app.markdown)


def test_the_card_of_the_multinomial_counts_tennis(lab: genlab.Workspace) -> None:
    tables = [frame.value for frame in visit("models").dataframe]
    (cells,) = [table for table in tables if "printed" in table]
    assert cells["printed"].sum() == pytest.approx(50 / 15)
    assert cells["smoothed"].sum() == pytest.approx(1)
