"""Fidelity and diversity: closed forms, slow loops and three libraries; features that stay the same."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from exploring import Replay

import genlab
from genlab.metrics import METRICS, Subject, evaluate
from genlab.metrics.features import CLASSIFIER, PCA, classifier_features, pca_features
from genlab.metrics.fidelity import coverage, density, frechet_distance, kernel_distance, precision, recall, spread

rng = np.random.default_rng(5)
REAL, FAKE = rng.normal(size=(40, 6)), 0.4 + 1.3 * rng.normal(size=(30, 6)) @ np.triu(np.ones((6, 6)))
NAMES = ["frechet", "kernel_distance", "precision", "recall", "density", "coverage", "feature_diversity"]


# --- distances -------------------------------------------------------------------------------------------------


def with_moments(mean: np.ndarray, covariance: np.ndarray, count: int = 60) -> np.ndarray:
    """Rows that have exactly this mean and unbiased covariance."""
    rows = rng.normal(size=(count, len(mean)))
    rows -= rows.mean(0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_commuting_normals_is_the_closed_form() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.25])
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    mean = np.array([0.5, -1.0, 2.0])
    first = with_moments(np.zeros(3), rotation @ np.diag(a) @ rotation.T)
    second = with_moments(mean, rotation @ np.diag(b) @ rotation.T)
    expected = (mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_equals_the_matrix_root_of_scipy() -> None:
    from scipy.linalg import sqrtm

    root = sqrtm(np.cov(REAL.T) @ np.cov(FAKE.T)).real
    means = ((REAL.mean(0) - FAKE.mean(0)) ** 2).sum()
    expected = means + np.trace(np.cov(REAL.T) + np.cov(FAKE.T) - 2 * root)
    assert frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(REAL, FAKE) == pytest.approx(frechet_distance(FAKE, REAL), rel=1e-9)
    assert frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_takes_samples_without_variance() -> None:
    same = np.repeat(REAL[:1], 30, axis=0)
    expected = ((REAL.mean(0) - REAL[0]) ** 2).sum() + np.trace(np.cov(REAL.T))
    assert frechet_distance(REAL, same) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(REAL[:1], REAL[1:2]) == pytest.approx(((REAL[0] - REAL[1]) ** 2).sum(), rel=1e-9)


def test_frechet_and_kernel_distance_equal_torch_fidelity() -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = (torch.from_numpy(rows) for rows in (REAL, FAKE))
    statistics = [fid.fid_features_to_statistics(rows) for rows in (a, b)]
    expected = fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-6)
    same = REAL[:30]
    found = kid.kernel_mmd(same, FAKE, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, verbose=False)  # fmt: skip
    assert kernel_distance(same, FAKE) == pytest.approx(found, rel=1e-9)


def kernel_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (sum(p * q for p, q in zip(x.tolist(), y.tolist(), strict=True)) / len(x) + 1) ** 3

    within = [
        sum(k(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j) / (len(rows) * (len(rows) - 1))
        for rows in (a, b)
    ]
    return sum(within) - 2 * sum(k(x, y) for x in a for y in b) / (len(a) * len(b))


def test_kernel_distance_equals_loops_and_has_no_bias() -> None:
    assert kernel_distance(REAL[:9], FAKE[:7]) == pytest.approx(kernel_by_loops(REAL[:9], FAKE[:7]), rel=1e-10)
    draws = np.array([kernel_distance(rng.normal(size=(20, 3)), rng.normal(size=(20, 3))) for _ in range(400)])
    error = draws.std() / math.sqrt(400)
    assert abs(draws.mean()) < 4 * error
    assert draws.min() < 0 < draws.max()


# --- neighbourhoods --------------------------------------------------------------------------------------------


def balls(rows: np.ndarray, k: int) -> list[float]:
    return [
        sorted(math.dist(row, other) for j, other in enumerate(rows) if j != i)[k - 1] for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize(("real", "fake"), [(REAL, FAKE), (REAL, REAL[:20] + 0.3), (FAKE, REAL)])
def test_neighbourhood_metrics_equal_loops(real: np.ndarray, fake: np.ndarray) -> None:
    of_real, of_fake, wide = balls(real, 3), balls(fake, 3), balls(real, 5)
    covered = [any(math.dist(r, f) <= reach for r, reach in zip(real, of_real, strict=True)) for f in fake]
    assert precision(real, fake) == pytest.approx(np.mean(covered))
    recalled = [any(math.dist(r, f) <= reach for f, reach in zip(fake, of_fake, strict=True)) for r in real]
    assert recall(real, fake) == pytest.approx(np.mean(recalled))
    held = [[math.dist(r, f) <= reach for f in fake] for r, reach in zip(real, wide, strict=True)]
    assert density(real, fake) == pytest.approx(np.sum(held) / (5 * len(fake)))
    assert coverage(real, fake) == pytest.approx(np.mean([any(row) for row in held]))
    assert 0 < precision(real, fake) < 1 or 0 < recall(real, fake) < 1


def test_neighbourhood_metrics_equal_the_authors_package() -> None:
    prdc = pytest.importorskip("prdc")
    theirs = prdc.compute_prdc(REAL, FAKE, nearest_k=5)
    assert density(REAL, FAKE) == pytest.approx(theirs["density"])
    assert coverage(REAL, FAKE) == pytest.approx(theirs["coverage"])
    theirs = prdc.compute_prdc(REAL, FAKE, nearest_k=3)
    assert precision(REAL, FAKE) == pytest.approx(theirs["precision"])
    assert recall(REAL, FAKE) == pytest.approx(theirs["recall"])


def test_one_good_image_repeated_is_precise_and_covers_nothing() -> None:
    centre = REAL[((REAL - REAL.mean(0)) ** 2).sum(1).argmin()]
    repeated = np.repeat(centre[None], 40, axis=0)
    assert precision(REAL, repeated) == 1
    assert recall(REAL, repeated) <= 1 / 40
    assert coverage(REAL, repeated) < 0.6
    assert spread(REAL, repeated) == pytest.approx(0, abs=1e-6)


def test_spread_is_the_mean_over_pairs() -> None:
    pairs = [math.dist(a, b) for a, b in itertools.combinations(FAKE, 2)]
    assert spread(REAL, FAKE) == pytest.approx(np.mean(pairs), rel=1e-9)
    assert spread(REAL, FAKE[:1]) == 0


# --- features --------------------------------------------------------------------------------------------------


def digits(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images[:count].reshape(-1, 1, 8, 8) * 255 / 16).astype(np.uint8), labels[:count]


def test_principal_features_equal_scikit_learns_up_to_sign() -> None:
    from sklearn.decomposition import PCA as Reference

    images = digits()[0] / 255
    found = pca_features(images[:300]).of(images[300:])
    expected = (
        Reference(50, svd_solver="full").fit(images[:300].reshape(300, -1)).transform(images[300:].reshape(100, -1))
    )
    assert found.shape == (100, 50)
    learned = pca_features(images[:300]).of(images[:300])
    assert np.square(learned).mean() == pytest.approx(1, rel=1e-9)
    scale = np.abs(expected).sum() / np.abs(found).sum()
    assert np.allclose(scale * np.abs(found), np.abs(expected), atol=1e-6)


def test_the_classifier_is_trained_once_and_kept(tmp_path: Any) -> None:
    images, labels = digits()
    asked = []

    def read() -> tuple[np.ndarray, np.ndarray]:
        asked.append(1)
        return images[:300], labels[:300]

    first = classifier_features(read, 1, 10, tmp_path / "hash")
    state = torch.get_rng_state()
    again = classifier_features(read, 1, 10, tmp_path / "hash")
    other = classifier_features(read, 1, 10)
    assert torch.equal(state, torch.get_rng_state())  # nobody else's noise is touched
    assert len(asked) == 2
    pixels = images[300:] / 255
    assert np.array_equal(first.of(pixels), again.of(pixels))
    assert np.array_equal(first.of(pixels), other.of(pixels))  # one seed, one network
    assert [file.suffix for file in (tmp_path / "hash").iterdir()] == [".safetensors"]
    features = first.of(pixels)
    near = np.linalg.norm(first.of(pixels)[:, None] - first.of(images[:300] / 255), axis=2).argmin(1)
    assert features.shape == (100, 64)
    assert np.square(first.of(images[:300] / 255)).mean() == pytest.approx(1, rel=1e-5)
    assert (labels[:300][near] == labels[300:]).mean() > 0.85  # neighbours in feature space share their digit


# --- as metrics ------------------------------------------------------------------------------------------------


def subject_of(samples: np.ndarray, **more: Any) -> Subject:
    images, _ = digits(900)
    pixels = (images / 255).astype(np.float32)
    return Subject(Replay(samples), pixels[:300], training=pixels[300:600], **more)


def test_real_images_beat_worse_ones_in_both_spaces() -> None:
    images, labels = digits(900)
    pixels = (images / 255).astype(np.float32)
    blurred = 0.5 * pixels[600:] + 0.5 * pixels[600:].mean(0)
    for classifier in (None, lambda: classifier_features(lambda: (images, labels), 1, 10)):
        good, bad = (evaluate(subject_of(rows, classifier=classifier), NAMES) for rows in (pixels[600:], blurred))
        for name in ("frechet", "kernel_distance"):
            assert good[name].value < bad[name].value < good[name].baselines["noise"]
            assert good[name].value < 0.5 * good[name].baselines["mean_image"]
        for name in ("recall", "coverage"):
            assert good[name].value > bad[name].value
            assert good[name].value > good[name].baselines["noise"]
        assert good["feature_diversity"].value > bad["feature_diversity"].value
        ratio = good["frechet"].value / good["frechet"].baselines["real_images"]
        assert 0.5 < ratio < 2  # real images are as good as real images
        space = PCA if classifier is None else CLASSIFIER
        assert good["frechet"].details["features"] == space
        assert (f"on {PCA}" in good["frechet"].details) == (classifier is not None)
        assert space in good["frechet"].remark
        assert "FID" not in " ".join(METRICS[name].title + METRICS[name].definition for name in NAMES)


def test_the_baseline_of_real_images_does_not_depend_on_their_order() -> None:
    images, labels = digits(900)
    pixels = (images / 255).astype(np.float32)
    by_class = np.argsort(labels[300:], kind="stable")
    found = [
        evaluate(Subject(Replay(pixels[:300]), pixels[:300], training=training), ["frechet", "coverage"])
        for training in (pixels[300:], pixels[300:][by_class])
    ]
    shuffled, sorted_ = ({name: each.baselines["real_images"] for name, each in one.items()} for one in found)
    assert sorted_["frechet"] == pytest.approx(
        shuffled["frechet"], rel=0.3
    )  # of the first classes alone it is twice that
    assert sorted_["coverage"] > 0.9 * shuffled["coverage"]


def test_each_value_is_that_of_the_features() -> None:
    images, _ = digits(900)
    pixels = (images / 255).astype(np.float32)
    found = evaluate(subject_of(pixels[600:]), NAMES)
    space = pca_features(pixels[300:600])
    real, fake, training = (space.of(pixels[i : i + 300]) for i in (0, 600, 300))
    compare = [frechet_distance, kernel_distance, precision, recall, density, coverage, spread]
    for name, function in zip(NAMES, compare, strict=True):
        assert found[name].value == pytest.approx(function(real, fake), rel=1e-9)
        assert found[name].baselines["real_images"] == pytest.approx(function(real, training), rel=1e-9)
        assert found[name].n == 300
        low, high = METRICS[name].range
        assert (-math.inf if low is None else low) <= found[name].value <= (math.inf if high is None else high)
    assert found["frechet"].warning
    assert not found["kernel_distance"].warning


def test_without_other_real_images_there_is_no_floor() -> None:
    torch.manual_seed(0)
    model = genlab.create("vae", (1, 8, 8), latent_dim=2, hidden=8).eval()
    pixels = (digits(5)[0] / 255).astype(np.float32)
    for count in (1, 2, 5):
        found = evaluate(Subject(model, pixels[:count]), NAMES)
        assert all(np.isfinite(one.value) for one in found.values())
        assert "real_images" not in found["frechet"].baselines


def test_a_run_measures_with_a_classifier_kept_in_its_laboratory(tmp_path: Any, monkeypatch: Any) -> None:
    from genlab.workspace.workspace import Workspace

    lab = Workspace(tmp_path)
    run = lab.train("vae", "digits-8", at_once=True, epochs=1, hidden=8, latent_dim=2).wait()
    found = run.evaluate(["frechet"], limit=50)["frechet"]
    assert found.details["features"] == CLASSIFIER
    kept = list((tmp_path / "features").rglob("*.safetensors"))
    assert [file.parent.name for file in kept] == [run.images.hash]
    monkeypatch.setattr("genlab.nn.classifier.train_classifier", None)
    assert run.evaluate(["frechet"], limit=50)["frechet"].value == found.value
