"""Density models against scikit-learn, loops, dense algebra and sums over all images."""

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

KINDS = {"full": "full", "diagonal": "diag", "spherical": "spherical", "tied": "tied"}


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


# --- multinomial -----------------------------------------------------------------------------------------------


def every_image(levels: int, values: int = 4) -> torch.Tensor:
    """All images of 2x2 pixels, in the middle of each level."""
    greys = [(level + 0.5) / levels for level in range(levels)]
    return torch.tensor(list(itertools.product(greys, repeat=values))).view(-1, 1, 2, values // 2)


def counted(images: torch.Tensor, levels: int) -> list[tuple[int, ...]]:
    return [tuple(min(int(v * levels), levels - 1) for v in image.flatten().tolist()) for image in images]


@pytest.mark.parametrize("spread", ["each", "together"])
@pytest.mark.parametrize(("levels", "classes"), [(2, 3), (2, 0), (3, 3)])
def test_multinomial_counts_whole_images(levels: int, classes: int, spread: str) -> None:
    torch.manual_seed(1)
    batch = Batch(torch.rand(30, 1, 2, 2), torch.arange(30) % 3)
    model = fitted("multinomial", batch, classes, levels=levels, spread=spread, smoothing=0.7)
    every, kinds = every_image(levels), levels**4
    volume = 1 if levels == 2 else levels**-4
    a = 0.7 if spread == "each" else 0.7 / kinds
    expected = torch.zeros(kinds, max(1, classes), dtype=torch.float64)
    for c in range(max(1, classes)):
        mine = [seen for i, seen in enumerate(counted(batch.images, levels)) if not classes or i % 3 == c]
        for i, image in enumerate(counted(every, levels)):
            expected[i, c] = (mine.count(image) + a) / (len(mine) + a * kinds) / max(1, classes) / volume
    torch.testing.assert_close(model.log_joint(every), expected.log(), rtol=1e-12, atol=1e-12)
    assert model.log_likelihood(every).exp().sum().item() * volume == pytest.approx(1, abs=1e-12)
    assert model.pixel_measure == ("binary" if levels == 2 else "density")


def test_images_never_seen_all_get_the_same_mass(digits: Batch) -> None:
    half = Batch(digits.images[:900], digits.labels[:900])
    (scalars,) = genlab.create("multinomial", (1, 8, 8), 10).fit(half, iterations=1)
    model = fitted("multinomial", half)
    seen, asked = set(counted(half.images, 2)), counted(digits.images, 2)
    scores = model.log_likelihood(digits.images)
    unseen = torch.tensor([image not in seen for image in asked])
    assert 0 < int((~unseen[900:]).sum()) < 900  # a few of the others look the same after rounding
    noise = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    both = torch.cat([scores[unseen], model.log_likelihood(noise)])
    torch.testing.assert_close(both, both[:1].expand_as(both), rtol=0, atol=1e-12)
    assert scores[~unseen].min() > both[0] + 30
    assert scalars["distinct"] == len(seen)
    share = [1 / ((half.labels == c).sum().item() + 1) * (half.labels == c).double().mean().item() for c in range(10)]
    assert scalars["noise"] == pytest.approx(sum(share), rel=1e-9)


def test_numbers_of_images_beyond_all_floats_stay_finite() -> None:
    torch.manual_seed(0)
    images = torch.rand(12, 3, 32, 32)
    for spread, share in (("each", 1), ("together", 1 / 5)):
        model = fitted("multinomial", Batch(images, torch.arange(12) % 3), 3, levels=256, spread=spread)
        assert torch.isfinite(model.log_likelihood(torch.cat([images, torch.rand(3, 3, 32, 32)]))).all()
        assert torch.isfinite(model.impute(images, images > 0.3)).all()
        drawn = {tuple(row) for row in (model.sample(400, generator=torch.Generator().manual_seed(0)).flatten(1) * 255).round().int().tolist()}  # fmt: skip
        memorised = {tuple(row) for row in (images.flatten(1) * 256).floor().int().tolist()}
        assert bool(drawn & memorised) == (spread == "together")
        assert len(drawn - memorised) / 400 == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 3.0])
def test_multinomial_draws_images_as_often_as_it_says(temperature: float) -> None:
    torch.manual_seed(2)
    batch = Batch((torch.rand(24, 1, 2, 2) < 0.3).float(), torch.arange(24) % 2)
    model = fitted("multinomial", batch, 2, spread="each", smoothing=0.5)
    theta = model.log_joint(every_image(2))[:, 1]
    share = (theta / temperature).softmax(0)
    labels = torch.ones(20_000, dtype=torch.long)
    drawn = model.sample_labels(labels, temperature=temperature, generator=torch.Generator().manual_seed(0))
    number = (drawn.flatten(1) @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    frequency = torch.bincount(number, minlength=16) / 20_000
    assert ((frequency - share).abs() < 5 * (share * (1 - share) / 20_000).sqrt() + 1e-9).all()
    cold = model.sample_labels(labels[:3], temperature=0)
    best = every_image(2)[theta.argmax()].round()
    assert torch.equal(cold, best.expand(3, -1, -1, -1))


@pytest.mark.parametrize("spread", ["each", "together"])
def test_multinomial_imputes_the_average_over_all_completions(spread: str) -> None:
    torch.manual_seed(3)
    batch = Batch(torch.rand(40, 1, 2, 2), torch.arange(40) % 3)
    model = fitted("multinomial", batch, 3, levels=3, spread=spread)
    images, known = torch.rand(6, 1, 2, 2), torch.rand(6, 1, 2, 2) < 0.6
    every = every_image(3)
    mass, values = model.log_likelihood(every).exp(), torch.tensor(counted(every, 3)).double() / 2
    for image, seen, filled in zip(images, known, model.impute(images, known), strict=True):
        own = torch.tensor(counted(image[None], 3)).expand(81, -1)
        agrees = ((own == torch.tensor(counted(every, 3))) | ~seen.flatten()).all(1)
        mean = (mass * agrees) @ values / mass[agrees].sum()
        expected = torch.where(seen.flatten(), image.flatten().double(), mean)
        torch.testing.assert_close(filled.flatten().double(), expected, rtol=0, atol=1e-6)


def test_a_checkpoint_brings_as_many_images_as_it_has(digits: Batch) -> None:
    model = fitted("multinomial", digits)
    again = genlab.create("multinomial", (1, 8, 8), 10)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.log_joint(digits.images), model.log_joint(digits.images))
    again.load_state_dict(fitted("multinomial", Batch(digits.images[:7], digits.labels[:7])).state_dict())
    assert len(again.patterns) == 7
    assert genlab.create("multinomial", (1, 8, 8), 10).sample(2).shape == (2, 1, 8, 8)  # nothing but noise yet


def test_too_many_images_to_keep_are_refused(digits: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.models.multinomial.LARGEST", 64 * 1000)
    with pytest.raises(BadInputError, match=r"keeps every distinct image.*fewer or smaller"):
        fitted("multinomial", digits, levels=16)


def test_tennis_is_counted_as_in_the_paper() -> None:
    from genlab.nn.tennis import cells, days

    assert len(days()) == 14
    assert sum(day["play"] == "Yes" for day in days()) == 9
    table = cells()
    assert len(table) == 36
    assert len({tuple(cell[name] for name in ("outlook", "temperature", "humidity", "wind")) for cell in table}) == 36
    assert [cell["n"] for cell in table].count(1) == 14
    assert {cell["printed"] for cell in table} == {1 / 15, 2 / 15}
    assert {cell["smoothed"] for cell in table} == {1 / 50, 2 / 50}
    assert sum(cell["smoothed"] for cell in cells(0.25)) == pytest.approx(1, abs=1e-12)
    card = genlab.core.registry.find("multinomial").card
    assert [len(example.rows) for example in card.examples] == [14, 36]


# --- Gaussian discriminant analysis ----------------------------------------------------------------------------


def agrees_with(oracle: object, model: Model, x: np.ndarray, images: torch.Tensor) -> None:
    np.testing.assert_allclose(model.log_prior.exp().numpy(), oracle.priors_, rtol=1e-12)
    posterior = torch.from_numpy(oracle.predict_log_proba(x))
    torch.testing.assert_close(model.classify(images).exp(), posterior.exp(), rtol=0, atol=1e-8)
    likely = posterior > -30
    torch.testing.assert_close(model.classify(images)[likely], posterior[likely], rtol=1e-7, atol=1e-7)
    assert np.array_equal(model.classify(images).argmax(1).numpy(), oracle.predict(x))


@pytest.mark.parametrize("shrinkage", [0.05, 0.5])
@pytest.mark.parametrize("pca", [0, 12])
def test_a_shared_covariance_equals_scikit_learns_linear_discriminant_analysis(
    digits: Batch, pca: int, shrinkage: float
) -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = fitted("gda", digits, covariance="shared", shrinkage=shrinkage, pca=pca)
    z = model.space.project(digits.images)[0].numpy()
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, store_covariance=True)
    oracle.fit(z, digits.labels.numpy())
    np.testing.assert_allclose(model.covariances[0].numpy(), oracle.covariance_, rtol=1e-9, atol=2e-9)
    model.covariances.copy_(torch.from_numpy(oracle.covariance_))  # without the tiny floor, to compare posteriors
    np.testing.assert_allclose(model.means.numpy(), oracle.means_, rtol=1e-9, atol=1e-12)
    agrees_with(oracle, model, z, digits.images)


def test_a_covariance_for_each_class_equals_scikit_learns_quadratic_discriminant_analysis(digits: Batch) -> None:
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    model = fitted("gda", digits, shrinkage=0.0, pca=15)
    z = model.space.project(digits.images)[0].numpy()
    oracle = QuadraticDiscriminantAnalysis(store_covariance=True).fit(z, digits.labels.numpy())
    for label, own in enumerate(model.covariances.numpy()):
        np.testing.assert_allclose(own, np.cov(z[digits.labels == label].T, bias=True), rtol=1e-9, atol=2e-9)
    model.covariances.copy_(torch.from_numpy(np.stack(oracle.covariance_)))  # whose divisor depends on its version
    agrees_with(oracle, model, z, digits.images)


def test_with_a_shared_covariance_the_posterior_is_the_sigmoid_of_a_line(digits: Batch) -> None:
    pair = digits.labels < 2
    batch = Batch(digits.images[pair], digits.labels[pair])
    model = fitted("gda", batch, 2, covariance="shared", pca=0)
    inverse, (first, second) = model.covariances[0].inverse(), model.means
    weights = inverse @ (second - first)
    offset = 0.5 * (first @ inverse @ first - second @ inverse @ second) + model.log_prior[1] - model.log_prior[0]
    x = batch.images.flatten(1).double() - model.space.centre
    torch.testing.assert_close(model.classify(batch.images)[:, 1].exp(), torch.sigmoid(x @ weights + offset))
    bent = fitted("gda", batch, 2, pca=0)
    line = torch.stack([batch.images[0], (batch.images[0] + batch.images[1]) / 2, batch.images[1]])
    odds = torch.stack([(joint[:, 1] - joint[:, 0]) for joint in (model.log_joint(line), bent.log_joint(line))])
    gaps = odds[:, 1] - (odds[:, 0] + odds[:, 2]) / 2
    assert abs(gaps[0]) < 1e-4 < 1 < abs(gaps[1])


def test_discriminant_analysis_is_a_density_over_pixels_with_the_moments_it_draws(digits: Batch) -> None:
    from torch.distributions import MultivariateNormal

    model = fitted("gda", digits, pca=9)
    expected = torch.stack(
        [log + MultivariateNormal(*moments).log_prob(digits.images.flatten(1).double()) for log, *moments in dense(model)], 1
    )  # fmt: skip
    torch.testing.assert_close(model.log_joint(digits.images), expected, rtol=1e-9, atol=1e-7)
    grey = Batch(0.4 + 0.2 * digits.images, digits.labels)
    model = fitted("gda", grey, pca=9)
    draw = model.sample_labels(torch.full((20_000,), 4), generator=torch.Generator().manual_seed(0)).flatten(1).double()
    torch.testing.assert_close(draw.mean(0), model.space.restore(model.means[4:5])[0], rtol=0, atol=5e-3)
    covariance = model.space.axes.T @ model.covariances[4] @ model.space.axes
    torch.testing.assert_close(draw.T.cov(), covariance, rtol=0.1, atol=5e-4)


def test_a_class_never_seen_leaves_discriminant_analysis_finite(digits: Batch) -> None:
    for covariance in ("shared", "per_class"):
        model = fitted("gda", digits, 11, covariance=covariance)
        assert torch.isfinite(model.log_likelihood(digits.images)).all()
        assert model.classify(digits.images)[:, 10].isneginf().all()
        assert torch.isfinite(model.impute(digits.images[:5], digits.images[:5] > 0.5)).all()
        with pytest.raises(BadInputError, match="Class 10 had no training images"):
            model.sample_labels(torch.tensor([10]))
    with pytest.raises(BadInputError, match="discriminant analysis takes full covariances of at most 1 GiB"):
        genlab.create("gda", (3, 64, 100), 2, pca=0)


# --- missing pixels of all Gaussian models ---------------------------------------------------------------------


def dense(model: Model) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Log-weight, mean and covariance over pixels of every component, written out."""
    if not hasattr(model, "space"):
        return [(w, m, v.diag()) for w, m, v in zip(model.log_prior, model.means, model.variances, strict=True)]
    space, values = model.space, model.shape.values
    axes = space.axes if space.reduced else torch.eye(values).double()
    outside = space.noise * (torch.eye(values).double() - axes.T @ axes)
    parts = []
    for k, (weight, mean) in enumerate(zip(model.log_weights, model.means, strict=True)):
        covariance = model.covariances[0 if len(model.covariances) == 1 else k]
        matrix = covariance if covariance.ndim == 2 else covariance.diag()
        parts.append((weight, space.centre + mean @ axes, axes.T @ matrix @ axes + outside))
    return parts


def conditional_expectation(model: Model, image: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """E[x | known pixels] from dense blocks of every component's covariance."""
    from torch.distributions import MultivariateNormal

    logs, means = [], []
    for weight, mean, covariance in dense(model):
        inside = covariance[known][:, known]
        away = image[known] - mean[known]
        logs.append(weight + (MultivariateNormal(mean[known], inside).log_prob(image[known]) if known.any() else 0))
        means.append(mean + covariance[:, known] @ torch.linalg.solve(inside, away))
    return torch.stack(logs).softmax(0) @ torch.stack(means)


CASES = [("gaussian_naive_bayes", {}), ("gaussian_naive_bayes", {"variance": "shared"})]
CASES += [("gda", {"covariance": kind, "pca": pca}) for kind in ("shared", "per_class") for pca in (0, 6)]
CASES += [("gmm", {"covariance": kind, "pca": pca, "components": 2}) for kind in KINDS for pca in (0, 6)]
CASES += [("gmm", {"components": 3, "pca": 5, "by_class": False})]


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize(("name", "values"), CASES, ids=str)
def test_missing_pixels_are_the_conditional_expectation(
    digits: Batch, name: str, values: dict[str, object], alike: bool
) -> None:
    torch.manual_seed(4)
    grey = 0.4 + 0.2 * digits.images  # far from 0 and 1, where expectations are cut off
    model = fitted(name, Batch(grey, digits.labels), iterations=4, **values)
    images = 0.4 + 0.2 * torch.rand(4, 1, 8, 8)
    images[:2] = grey[:2]
    known = (torch.rand(1 if alike else 4, 1, 8, 8) < 0.6).expand(4, -1, -1, -1).clone()
    if not alike:
        known[1] = True
        known[2] = False  # nothing known: the mean of all
    filled = model.impute(images.masked_fill(~known, math.nan), torch.ones_like(known))
    torch.testing.assert_close(filled, model.impute(images, known), rtol=0, atol=0)
    for image, seen, own in zip(images.double().flatten(1), known.flatten(1), filled.flatten(1), strict=True):
        expected = torch.where(seen, image, conditional_expectation(model, image, seen))
        torch.testing.assert_close(own.double(), expected, rtol=0, atol=2e-6)


def test_few_images_fill_fewer_axes_than_asked_for(digits: Batch) -> None:
    model = fitted("gda", Batch(digits.images[:12], digits.labels[:12] % 2), 2, pca=50)
    assert int(model.space.rank) == 10  # centred, and one direction is left out
    filled = model.impute(digits.images[:3], torch.arange(8) < 4)
    assert torch.equal(filled[..., :4], digits.images[:3, ..., :4])
    assert torch.isfinite(filled).all()


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


# --- Gaussian mixtures -----------------------------------------------------------------------------------------


def as_scikit_learn(kind: str, covariances: torch.Tensor) -> np.ndarray:
    inverse = {"full": lambda c: c.inverse(), "tied": lambda c: c[0].inverse()}
    inverse |= {"diagonal": lambda c: 1 / c, "spherical": lambda c: 1 / c[:, 0]}
    return inverse[kind](covariances).numpy()


def oracle_mixture(kind: str, mixture: object, **values: object) -> object:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(
        len(mixture.means),
        covariance_type=KINDS[kind],
        weights_init=mixture.log_weights.exp().numpy(),
        means_init=mixture.means.numpy(),
        precisions_init=as_scikit_learn(kind, mixture.covariances),
        **values,
    )


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("kind", KINDS)
def test_em_equals_scikit_learn(digits: Batch, kind: str) -> None:
    from genlab.nn.mixture import assign_to_centres, maximise

    torch.manual_seed(0)
    x = digits.images.flatten(1).double()[:600]
    mixture = maximise(x, torch.eye(4).double()[assign_to_centres(x, 4)], kind, 1e-3)
    oracle = oracle_mixture(kind, mixture, max_iter=12, tol=0, reg_covar=1e-3).fit(x.numpy())
    for _ in range(12):
        mixture = maximise(x, mixture.log_components(x).softmax(1), kind, 1e-3)
    np.testing.assert_allclose(mixture.log_weights.exp().numpy(), oracle.weights_, rtol=1e-8)
    np.testing.assert_allclose(mixture.means.numpy(), oracle.means_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(as_scikit_learn(kind, mixture.covariances), oracle.precisions_, rtol=1e-6, atol=1e-6)
    scores = mixture.log_components(x).logsumexp(1).numpy()
    np.testing.assert_allclose(scores, oracle.score_samples(x.numpy()), rtol=1e-9, atol=1e-8)
    shared = mixture.log_components(x).softmax(1).numpy()
    np.testing.assert_allclose(shared, oracle.predict_proba(x.numpy()), rtol=1e-6, atol=1e-9)
    bic = -2 * scores.sum() + mixture.free_parameters(kind) * math.log(600)
    assert bic == pytest.approx(oracle.bic(x.numpy()), rel=1e-10)


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_of_a_mixture_equals_scikit_learn(digits: Batch, kind: str) -> None:
    from sklearn.mixture import GaussianMixture

    flat = digits.images.flatten(1).double().numpy()
    oracle = GaussianMixture(3, covariance_type=KINDS[kind], reg_covar=1e-3, random_state=0, max_iter=20).fit(flat)
    model = genlab.create("gmm", (1, 8, 8), 0, components=3, covariance=kind, pca=0)
    model.log_weights.copy_(torch.from_numpy(oracle.weights_).log())
    model.means.copy_(torch.from_numpy(oracle.means_) - 0.5)  # the unfitted model's centre is mid grey
    covariances = torch.from_numpy(np.asarray(oracle.covariances_))
    model.covariances.copy_(covariances[:, None] if kind == "spherical" else covariances)
    scores = oracle.score_samples(flat)
    np.testing.assert_allclose(model.log_likelihood(digits.images).numpy(), scores, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(model.responsibilities(digits.images), oracle.predict_proba(flat), atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_with_principal_components_it_is_still_a_density_over_pixels(digits: Batch, kind: str) -> None:
    from torch.distributions import MultivariateNormal

    model = fitted("gmm", digits, components=2, covariance=kind, pca=7, iterations=4)
    assert int(model.space.rank) == 7
    axes, outside = model.space.axes, torch.eye(64).double() - model.space.axes.T @ model.space.axes
    torch.testing.assert_close(axes @ axes.T, torch.eye(7).double(), rtol=0, atol=1e-12)
    log_terms = []
    for k, (weight, mean) in enumerate(zip(model.log_weights, model.means, strict=True)):
        covariance = model.covariances[0 if kind == "tied" else k]
        matrix = covariance if covariance.ndim == 2 else covariance.diag()
        normal = MultivariateNormal(
            model.space.centre + mean @ axes, axes.T @ matrix @ axes + model.space.noise * outside
        )
        log_terms.append(weight + normal.log_prob(digits.images.flatten(1).double()))
    expected = torch.stack(log_terms, 1)
    torch.testing.assert_close(model.log_likelihood(digits.images), expected.logsumexp(1), rtol=1e-9, atol=1e-7)
    by_class = expected.view(-1, 10, 2).logsumexp(2)
    torch.testing.assert_close(model.classify(digits.images), by_class.log_softmax(1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rows", [40, 400])
def test_principal_axes_equal_scikit_learn(digits: Batch, rows: int) -> None:
    from sklearn.decomposition import PCA

    from genlab.nn.principal import principal_axes

    x = digits.images[:rows].flatten(1).double()
    x = x - x.mean(0)
    axes, variances, left = principal_axes(x, 6)
    oracle = PCA(6, svd_solver="full").fit(x.numpy())
    np.testing.assert_allclose((axes.numpy() @ oracle.components_.T) ** 2, np.eye(6), atol=1e-9)
    np.testing.assert_allclose(variances.numpy(), oracle.explained_variance_ * (rows - 1) / rows, rtol=1e-10)
    rest = x.square().sum() / rows - variances.sum()
    assert left == pytest.approx(rest.item() / 58, rel=1e-10)


def curve(model: Model, batch: Batch, key: str, iterations: int = 25) -> list[float]:
    torch.manual_seed(1)
    return [scalars[key] for scalars in model.fit(batch, iterations=iterations)]


@pytest.mark.parametrize("start", ["far_apart", "random"])
@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_never_falls(digits: Batch, kind: str, classes: int, start: str) -> None:
    values = {"components": 3, "covariance": kind, "start": start, "regularisation": 1e-9, "tolerance": 0, "pca": 20}
    losses = curve(genlab.create("gmm", (1, 8, 8), classes, **values), digits, "loss")
    assert len(losses) > 5
    assert losses[-1] < losses[0] - 0.01
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(losses))


def test_the_loss_is_the_likelihood_of_the_model_that_is_left(digits: Batch) -> None:
    alone = genlab.create("gmm", (1, 8, 8), 10, components=3, by_class=False)
    losses = curve(alone, digits, "loss", 4)
    assert losses[-1] == pytest.approx(-alone.log_likelihood(digits.images).mean().item(), abs=1e-9)
    model = genlab.create("gmm", (1, 8, 8), 10, components=3)
    torch.manual_seed(1)
    last = list(model.fit(digits, iterations=4))[-1]
    joint = model.log_joint(digits.images)
    assert last["log_likelihood"] == pytest.approx(joint.logsumexp(1).mean().item(), abs=1e-9)
    own = joint[torch.arange(len(joint)), digits.labels].mean().item()
    assert last["loss"] == pytest.approx(-own, abs=1e-9)
    assert last["accuracy"] == (joint.argmax(1) == digits.labels).double().mean().item()
    assert last["components"] == 3


def test_a_mixture_for_each_class_is_one_em_for_each_class(digits: Batch) -> None:
    model = genlab.create("gmm", (1, 8, 8), 10, components=2, tolerance=0, pca=10)
    torch.manual_seed(3)
    steps = model.fit(digits, iterations=6)
    next(steps)
    from genlab.nn.mixture import Mixture, maximise

    before = Mixture(*(part.clone() for part in model.mixture))
    list(steps)
    z = (digits.images.flatten(1).double() - model.space.centre) @ model.space.axes.T
    for c in (0, 6):
        mine = slice(2 * c, 2 * c + 2)
        x = z[digits.labels == c]
        alone = Mixture(before.log_weights[mine].log_softmax(0), before.means[mine], before.covariances[mine])
        for _ in range(5):
            alone = maximise(x, alone.log_components(x).softmax(1), "full", 0.03)
        torch.testing.assert_close(model.means[mine], alone.means, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(model.covariances[mine], alone.covariances, rtol=1e-8, atol=1e-9)
        share = (digits.labels == c).double().mean()
        torch.testing.assert_close(model.log_weights[mine].exp(), alone.log_weights.exp() * share)


@pytest.mark.parametrize("values", [{}, {"covariance": "diagonal", "pca": 0}, {"select_by_bic": True, "pca": 6}])
def test_a_fit_that_stopped_goes_on_to_the_bit(digits: Batch, values: dict[str, object]) -> None:
    few = Batch(digits.images[:300], digits.labels[:300] % 2)
    whole = genlab.create("gmm", (1, 8, 8), 2, components=3, **values)
    torch.manual_seed(4)
    expected = list(whole.fit(few, iterations=60))
    assert 3 < len(expected) < 60  # it converged, and must not go on after that either
    for stop in (2, len(expected)):
        first = genlab.create("gmm", (1, 8, 8), 2, components=3, **values)
        torch.manual_seed(4)
        seen = list(itertools.islice(first.fit(few, iterations=60), stop))
        again = genlab.create("gmm", (1, 8, 8), 2, components=3, **values)
        again.load_state_dict(first.state_dict())
        torch.manual_seed(99)
        assert seen + list(again.fit(few, iterations=60, start=stop)) == expected
        for key, value in whole.state_dict().items():
            assert torch.equal(value, again.state_dict()[key]), key


def test_bic_finds_the_number_of_clusters() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.8, 0.2, 0.8, 0.2], [0.2, 0.8, 0.8, 0.8]])
    x = corners.repeat(80, 1) + 0.05 * torch.randn(240, 4, generator=generator)
    batch = Batch(x.view(-1, 1, 2, 2), None)
    values = {"components": 6, "select_by_bic": True, "pca": 0, "regularisation": 1e-6}
    model = fitted("gmm", batch, 0, iterations=50, **values)
    assert int((~model.log_weights.isneginf()).sum()) == 3
    found = model.means[~model.log_weights.isneginf()] + model.space.centre
    assert torch.cdist(corners.double(), found).min(1).values.max() < 0.03
    assert torch.isfinite(model.sample(50)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_mixture_samples_have_the_fitted_moments(kind: str) -> None:
    torch.manual_seed(5)
    pattern = torch.randn(2, 9)
    x = 0.5 + 0.05 * torch.randn(200, 2) @ pattern + 0.01 * torch.randn(200, 9)
    batch = Batch(x.view(-1, 1, 3, 3), torch.arange(200) % 2)
    model = fitted("gmm", batch, 2, iterations=10, components=2, covariance=kind, pca=0, regularisation=1e-6)
    draw = model.sample_labels(torch.ones(20_000, dtype=torch.long), generator=torch.Generator().manual_seed(0))
    mixture, weights = model.mixture, model.log_weights[2:].softmax(0)
    mean = weights @ mixture.means[2:]
    covariance = -torch.outer(mean, mean)
    for k, weight in enumerate(weights):
        part = mixture.covariances[0 if kind == "tied" else 2 + k]
        part = part if part.ndim == 2 else part.diag()
        covariance += weight * (part + torch.outer(mixture.means[2 + k], mixture.means[2 + k]))
    flat = draw.flatten(1).double()
    torch.testing.assert_close(flat.mean(0), mean + model.space.centre, rtol=0, atol=5e-3)
    torch.testing.assert_close(flat.T.cov(), covariance, rtol=0.05, atol=5e-4)


def test_a_mixture_of_few_large_images_with_duplicates_is_finite() -> None:
    torch.manual_seed(6)
    few = torch.rand(21, 3, 64, 100)
    images = torch.cat([few, few[:15]])
    model = fitted("gmm", Batch(images, None), 0, iterations=10)
    assert 0 < int(model.space.rank) < 21
    assert torch.isfinite(model.log_likelihood(torch.rand(4, 3, 64, 100))).all()
    sample = model.sample(3)
    assert sample.shape == (3, 3, 64, 100)
    assert 0 <= sample.min() <= sample.max() <= 1


@pytest.mark.parametrize("copies", [1, 5])
def test_one_image_is_enough(copies: int) -> None:
    torch.manual_seed(7)
    images = torch.rand(1, 1, 8, 8).expand(copies, -1, -1, -1)
    for name in ("gmm", "gda", "gaussian_naive_bayes", "naive_bayes", "multinomial"):
        model = fitted(name, Batch(images, None), 0)
        assert torch.isfinite(model.log_likelihood(images)).all()
        assert torch.isfinite(model.sample(2)).all()


def test_a_mixture_too_large_for_memory_is_refused_with_a_way_out() -> None:
    with pytest.raises(BadInputError, match=r"takes full covariances of at most 1 GiB.*set pca to 50"):
        genlab.create("gmm", (3, 64, 100), 0, pca=0)
    assert genlab.create("gmm", (3, 64, 100), 0, pca=0, covariance="diagonal", components=2).sample(1).shape[-1] == 100
