"""Naive Bayes, Gaussian naive Bayes and Gaussian mixtures against scikit-learn, loops and sums over all images."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import genlab
from genlab.core.batch import Batch
from genlab.core.errors import BadInputError
from genlab.core.model import Model


@pytest.fixture(scope="module")
def digits() -> Batch:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    return Batch(pixels, torch.tensor(labels, dtype=torch.long))


def fitted(name: str, batch: Batch, classes: int = 10, iterations: int = 1, **values: object) -> Model:
    torch.manual_seed(0)
    model = genlab.create(name, tuple(batch.images.shape[1:]), classes, **values)
    for _ in model.fit(batch, iterations=iterations):
        pass
    return model


# --- naive Bayes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [1e-3, 1.0, 7.5])
def test_bernoulli_naive_bayes_equals_scikit_learn(digits: Batch, smoothing: float) -> None:
    from sklearn.naive_bayes import BernoulliNB

    flat = (digits.images.flatten(1) >= 0.5).double().numpy()
    oracle = BernoulliNB(alpha=smoothing, binarize=None).fit(flat, digits.labels.numpy())
    model = fitted("naive_bayes", digits, smoothing=smoothing)
    joint = torch.from_numpy(oracle.predict_joint_log_proba(flat))
    torch.testing.assert_close(model.log_joint(digits.images), joint, rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(model.log_likelihood(digits.images), joint.logsumexp(1), rtol=1e-10, atol=1e-8)
    posterior = torch.from_numpy(oracle.predict_log_proba(flat))
    torch.testing.assert_close(model.classify(digits.images), posterior, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("levels", [3, 5, 17])
def test_categorical_naive_bayes_equals_scikit_learn(digits: Batch, levels: int) -> None:
    from sklearn.naive_bayes import CategoricalNB

    model = fitted("naive_bayes", digits, levels=levels, smoothing=0.5)
    index, known = model.quantise(digits.images)
    assert known.all()
    assert index.unique().tolist() == list(range(levels))
    oracle = CategoricalNB(alpha=0.5, min_categories=levels).fit(index.numpy(), digits.labels.numpy())
    joint = torch.from_numpy(oracle.predict_joint_log_proba(index.numpy()))
    spread = 64 * math.log(levels)  # each level's mass over a width of 1 / levels
    torch.testing.assert_close(model.log_joint(digits.images), joint + spread, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("classes", [0, 3])
def test_naive_bayes_is_a_distribution(classes: int) -> None:
    torch.manual_seed(1)
    batch = Batch(torch.rand(20, 1, 2, 2), torch.arange(20) % 3)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).view(-1, 1, 2, 2)
    model = fitted("naive_bayes", batch, classes)
    assert model.pixel_measure == "binary"
    assert model.log_likelihood(every).exp().sum().item() == pytest.approx(1, abs=1e-12)
    thirds = torch.tensor(list(itertools.product([1 / 6, 3 / 6, 5 / 6], repeat=4))).view(-1, 1, 2, 2)
    model = fitted("naive_bayes", batch, classes, levels=3)
    assert model.pixel_measure == "density"
    volume = (1 / 3) ** 4
    assert model.log_likelihood(thirds).exp().sum().item() * volume == pytest.approx(1, abs=1e-12)


def test_naive_bayes_leaves_missing_values_out() -> None:
    torch.manual_seed(2)
    images = torch.rand(30, 1, 2, 3)
    images[torch.rand(images.shape) < 0.3] = math.nan
    labels = torch.arange(30) % 2
    model = fitted("naive_bayes", Batch(images, labels), 2, levels=4, smoothing=0.7)
    flat = images.flatten(1).numpy()
    theta = np.zeros((2, 6, 4))
    for c, k, level in itertools.product(range(2), range(6), range(4)):
        seen = [row[k] for row, label in zip(flat, labels, strict=True) if label == c and not np.isnan(row[k])]
        n = sum(min(int(value * 4), 3) == level for value in seen)
        theta[c, k, level] = (n + 0.7) / (len(seen) + 0.7 * 4)
    np.testing.assert_allclose(model.log_theta.exp().numpy(), theta, atol=1e-12)
    expected = np.zeros((30, 2))
    for i, c in itertools.product(range(30), range(2)):
        known = [k for k in range(6) if not np.isnan(flat[i, k])]
        expected[i, c] = math.log(0.5) + sum(math.log(4 * theta[c, k, min(int(flat[i, k] * 4), 3)]) for k in known)
    np.testing.assert_allclose(model.log_joint(images).numpy(), expected, atol=1e-10)


def test_naive_bayes_imputes_the_posterior_expectation() -> None:
    torch.manual_seed(3)
    batch = Batch((torch.rand(40, 1, 2, 2) < 0.4).float(), torch.arange(40) % 3)
    model = fitted("naive_bayes", batch, 3)
    known = torch.tensor([True, False, True, False]).view(1, 1, 2, 2)
    image = torch.tensor([1.0, 0.25, 0.0, 0.75]).view(1, 1, 2, 2)
    mean = torch.zeros(4, dtype=torch.float64)
    total = 0.0
    for b, d in itertools.product([0.0, 1.0], repeat=2):  # average over every completion, weighed by its mass
        whole = torch.tensor([1.0, b, 0.0, d]).view(1, 1, 2, 2)
        mass = model.log_likelihood(whole).exp().item()
        mean += mass * whole.flatten().double()
        total += mass
    filled = model.impute(image, known)
    torch.testing.assert_close(filled.flatten().double(), mean / total, rtol=0, atol=1e-7)
    torch.testing.assert_close(model.impute(torch.where(known, image, math.nan), known | True), filled)
    assert filled.flatten()[0] == 1
    assert filled.flatten()[2] == 0


@pytest.mark.parametrize("levels", [2, 4])
def test_naive_bayes_samples_have_the_fitted_frequencies(digits: Batch, levels: int) -> None:
    model = fitted("naive_bayes", digits, levels=levels)
    draw = model.sample_labels(torch.full((4000,), 3), generator=torch.Generator().manual_seed(0))
    greys = torch.arange(levels) / (levels - 1)
    assert draw.unique().tolist() == greys.tolist()
    frequencies = torch.stack([(draw == grey).double().mean(0) for grey in greys], -1)
    theta = model.log_theta[3].exp().view(1, 8, 8, levels)
    assert (frequencies - theta).abs().max() < 5 * math.sqrt(0.25 / 4000)
    cold = model.sample_labels(torch.tensor([3]), temperature=0)
    assert torch.equal(cold.view(8, 8), theta.argmax(-1).view(8, 8) / (levels - 1))


def test_samples_follow_the_class_prior(digits: Batch) -> None:
    few = Batch(digits.images[digits.labels < 3], digits.labels[digits.labels < 3])
    few = Batch(few.images[60:], few.labels[60:])
    model = fitted("naive_bayes", few, 10)
    guessed = model.classify(model.sample(600, generator=torch.Generator().manual_seed(1))).argmax(1)
    assert set(guessed.unique().tolist()) == {0, 1, 2}


def test_without_labels_there_is_one_class_and_a_sentence(digits: Batch) -> None:
    model = fitted("naive_bayes", Batch(digits.images, None), 0)
    assert model.log_joint(digits.images).shape == (1797, 1)
    with pytest.raises(BadInputError, match="fitted without labels"):
        model.classify(digits.images)
    with pytest.raises(BadInputError, match="fitted without labels"):
        model.sample_labels(torch.tensor([0]))
    assert model.sample(3).shape == (3, 1, 8, 8)


def test_a_class_without_images_is_named(digits: Batch) -> None:
    model = fitted("naive_bayes", digits, 12)
    assert model.classify(digits.images).shape == (1797, 12)
    assert model.classify(digits.images)[:, 10:].isneginf().all()
    with pytest.raises(BadInputError, match="Class 11 had no training images"):
        model.sample_labels(torch.tensor([0, 11]))
    with pytest.raises(BadInputError, match="from 0 to 11"):
        model.sample_labels(torch.tensor([12]))


def test_naive_bayes_fits_once_and_reports(digits: Batch) -> None:
    model = genlab.create("naive_bayes", (1, 8, 8), 10)
    (scalars,) = model.fit(digits, iterations=10)
    assert scalars["loss"] == pytest.approx(-model.log_likelihood(digits.images).mean().item(), abs=1e-12)
    correct = (model.classify(digits.images).argmax(1) == digits.labels).double().mean().item()
    assert scalars["accuracy"] == correct
    assert 0.8 < correct < 0.95
    before = model.log_theta.clone()
    assert list(model.fit(digits, iterations=10, start=1)) == []
    assert torch.equal(before, model.log_theta)


# --- Gaussian naive Bayes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [1e-9, 0.1])
def test_gaussian_naive_bayes_equals_scikit_learn(digits: Batch, smoothing: float) -> None:
    from sklearn.naive_bayes import GaussianNB

    flat = digits.images.flatten(1).double().numpy()
    oracle = GaussianNB(var_smoothing=smoothing).fit(flat, digits.labels.numpy())
    model = fitted("gaussian_naive_bayes", digits, var_smoothing=smoothing)
    np.testing.assert_allclose(model.means.numpy(), oracle.theta_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.variances.numpy(), oracle.var_, rtol=1e-9)
    joint = torch.from_numpy(oracle.predict_joint_log_proba(flat))
    torch.testing.assert_close(model.log_joint(digits.images), joint, rtol=1e-9, atol=1e-8)
    torch.testing.assert_close(model.log_likelihood(digits.images), joint.logsumexp(1), rtol=1e-9, atol=1e-8)
    assert model.pixel_measure == "density"


def test_a_shared_variance_pools_the_classes_and_makes_borders_planes(digits: Batch) -> None:
    model = fitted("gaussian_naive_bayes", digits, variance="shared", var_smoothing=0.01)
    flat, labels = digits.images.flatten(1).double().numpy(), digits.labels.numpy()
    pooled = sum(((flat[labels == c] - flat[labels == c].mean(0)) ** 2).sum(0) for c in range(10)) / len(flat)
    expected = pooled + 0.01 * flat.var(0).max()
    np.testing.assert_allclose(model.variances.numpy(), np.tile(expected, (10, 1)), rtol=1e-10)
    a, b = digits.images[:1], digits.images[1:2]
    line = torch.cat([a, (a + b) / 2, b])
    odds = model.log_joint(line)[:, 4] - model.log_joint(line)[:, 7]
    assert odds[1].item() == pytest.approx((odds[0] + odds[2]).item() / 2, rel=1e-6)  # linear along a line
    bent = fitted("gaussian_naive_bayes", digits, var_smoothing=0.01).log_joint(line)
    assert abs((bent[1] - (bent[0] + bent[2]) / 2)[4] - (bent[1] - (bent[0] + bent[2]) / 2)[7]) > 0.1


def test_gaussian_naive_bayes_samples_have_the_fitted_moments(digits: Batch) -> None:
    shrunk = Batch(0.4 + 0.2 * digits.images, digits.labels)  # far from 0 and 1, where samples are cut off
    model = fitted("gaussian_naive_bayes", shrunk)
    draw = model.sample_labels(torch.full((4000,), 7), generator=torch.Generator().manual_seed(0)).flatten(1)
    deviation = model.variances[7].sqrt()
    assert ((draw.mean(0) - model.means[7]).abs() / deviation).max() < 5 / math.sqrt(4000)
    assert (draw.std(0) / deviation - 1).abs().max() < 5 / math.sqrt(8000)
    cold = model.sample_labels(torch.tensor([7]), temperature=0).flatten()
    torch.testing.assert_close(cold.double(), model.means[7], rtol=0, atol=1e-7)


def test_gaussian_naive_bayes_gives_an_empty_class_the_moments_of_all(digits: Batch) -> None:
    model = fitted("gaussian_naive_bayes", digits, 11)
    assert torch.isfinite(model.log_likelihood(digits.images)).all()
    flat = digits.images.flatten(1).double()
    torch.testing.assert_close(model.means[10], flat.mean(0))
    with pytest.raises(BadInputError, match="Class 10 had no training images"):
        model.sample_labels(torch.tensor([10]))
