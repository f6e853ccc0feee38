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


# --- Gaussian mixtures -----------------------------------------------------------------------------------------

KINDS = {"full": "full", "diagonal": "diag", "spherical": "spherical", "tied": "tied"}


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
    for name in ("gmm", "gaussian_naive_bayes", "naive_bayes"):
        model = fitted(name, Batch(images, None), 0)
        assert torch.isfinite(model.log_likelihood(images)).all()
        assert torch.isfinite(model.sample(2)).all()


def test_a_mixture_too_large_for_memory_is_refused_with_a_way_out() -> None:
    with pytest.raises(BadInputError, match=r"takes full covariances of at most 1 GiB.*set pca to 50"):
        genlab.create("gmm", (3, 64, 100), 0, pca=0)
    assert genlab.create("gmm", (3, 64, 100), 0, pca=0, covariance="diagonal", components=2).sample(1).shape[-1] == 100
