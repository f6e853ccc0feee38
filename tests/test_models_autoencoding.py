"""Autoencoder and variational autoencoder: every term recomputed by loops, distributions or by hand."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.nn.dense import FEWEST, DenseByOneDNN
from genlab.nn.importance import NormalLatent, importance_nll, iwae_bound
from genlab.nn.likelihoods import bernoulli_log_likelihood, corrupt
from genlab.nn.normal import DiagonalNormal
from genlab.training.players import Minimiser, check_ownership

SHAPE = (1, 4, 4)
FIRST = Step(0, 0, 1)


def build(name: str, shape: tuple[int, int, int] = SHAPE, **values: Any) -> Model:
    torch.manual_seed(0)
    return genlab.create(name, shape, **{"hidden": 12, "latent_dim": 3, **values}).double()


def some_images(count: int = 5, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.rand(count, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def losses_of(model: Model, images: Tensor, step: Step = FIRST, seed: int = 7) -> dict[str, float]:
    """What one training step hands to be minimised, and what it logs, without moving anything."""
    caught: dict[str, Tensor] = {}
    torch.manual_seed(seed)
    logged: Mapping[str, Tensor] = model.training_step(
        Batch(images, None), step, lambda **losses: caught.update(losses)
    )
    (loss,) = caught.values()
    return {"loss": loss.item(), **{key: value.item() for key, value in logged.items()}}


def cross_entropy(images: Tensor, rebuilt: Tensor) -> float:
    total = 0.0
    for x, p in zip(images.flatten().tolist(), rebuilt.flatten().tolist(), strict=True):
        total -= x * math.log(p) + (1 - x) * math.log(1 - p)
    return total


def squared(images: Tensor, rebuilt: Tensor) -> float:
    return sum((x - y) ** 2 for x, y in zip(images.flatten().tolist(), rebuilt.flatten().tolist(), strict=True))


# --- autoencoder -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize(
    "values", [{}, {"tied": True}, {"depth": 0, "tied": True}, {"architecture": "conv", "width": 4}]
)
def test_the_autoencoders_loss_is_a_sum_over_values_and_a_mean_over_images(loss: str, values: dict[str, Any]) -> None:
    shape = (1, 8, 8)
    model = build("autoencoder", shape, loss=loss, **values)
    images = some_images(4, shape)
    rebuilt = model.decode(model.encode(images).mean)
    assert rebuilt.shape == images.shape
    by_hand = {"bce": cross_entropy, "mse": squared}[loss]
    expected = sum(by_hand(x, y) for x, y in zip(images, rebuilt, strict=True)) / 4
    assert losses_of(model, images)["loss"] == pytest.approx(expected, rel=1e-12)
    held_out = model.eval().validation_step(Batch(images, None))
    assert held_out["loss"].item() == pytest.approx(expected, rel=1e-12)


def test_weight_decay_penalises_every_weight_once_and_no_bias() -> None:
    images = some_images()
    for tied, count in ((False, 4), (True, 2)):
        model = build("autoencoder", tied=tied, weight_decay=0.3)
        weights = [p for name, p in model.named_parameters() if p.ndim == 2]
        assert len(weights) == count
        by_hand = 0.3 * sum(w**2 for weight in weights for w in weight.flatten().tolist())
        losses = losses_of(model, images)
        assert losses["loss"] - losses["reconstruction"] == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_tied_weights_are_one_and_stay_transposed(depth: int) -> None:
    model = build("autoencoder", tied=True, depth=depth)
    free = build("autoencoder", tied=False, depth=depth)
    weights = [name for name, p in model.named_parameters() if p.ndim == 2]
    assert len(weights) == depth + 1
    assert len([name for name, p in free.named_parameters() if p.ndim == 2]) == 2 * (depth + 1)
    players = model.players()
    check_ownership(model, players)
    minimise = Minimiser(players)
    for _ in range(3):
        model.training_step(Batch(some_images(), None), Step(0, 0, 1), minimise)
    layers = [model.get_parameter(name) for name in weights]
    x = codes = torch.randn(2, 3, dtype=torch.float64)
    for place, (weight, bias) in enumerate(zip(reversed(layers), model.decoder.biases, strict=True)):
        x = (x.relu() if place else x) @ weight + bias
    torch.testing.assert_close(model.decode(codes).flatten(1), torch.sigmoid(x), rtol=1e-12, atol=1e-12)


def test_a_tied_model_survives_copying_and_loading() -> None:
    model = build("autoencoder", tied=True)
    twin = copy.deepcopy(model)
    other = build("autoencoder", tied=True)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(0.1)
    other.load_state_dict(twin.state_dict())
    codes = torch.ones(1, 3, dtype=torch.float64)
    assert torch.equal(twin.decode(codes), other.decode(codes))
    assert not torch.equal(twin.decode(codes), model.decode(codes))


def test_batch_norm_stands_between_the_layers_and_not_with_tied_weights() -> None:
    model = build("autoencoder", batch_norm=True)
    assert [type(layer).__name__ for layer in model.modules()].count("BatchNorm1d") == 2  # one on each side
    images = some_images(8)
    hidden = model.encoder[0][1][:2](images.flatten(1))  # dense layer, then normalisation
    torch.testing.assert_close(hidden.mean(0), torch.zeros_like(hidden[0]), rtol=0, atol=1e-9)
    with pytest.raises(BadInputError, match="set batch_norm to false, or tied to false"):
        genlab.create("autoencoder", (1, 8, 8), tied=True, batch_norm=True)


def test_tied_convolutions_are_refused() -> None:
    with pytest.raises(BadInputError, match="Tied weights need dense layers; set architecture to mlp"):
        genlab.create("autoencoder", (1, 8, 8), tied=True, architecture="conv")


def test_denoising_rebuilds_clean_images_from_noisy_ones() -> None:
    model = build("autoencoder", corruption="masking", corruption_amount=1.0)
    images = some_images()
    blank = model.decode(model.encode(torch.zeros_like(images)).mean)
    assert losses_of(model, images)["loss"] == pytest.approx(cross_entropy(images, blank) / 5, rel=1e-12)


def test_dropout_acts_in_training_alone() -> None:
    for values in ({"dropout": 0.5}, {"dropout": 0.5, "tied": True}):
        model = build("autoencoder", **values)
        images = some_images()
        assert losses_of(model, images, seed=1) != losses_of(model, images, seed=2)
        model.eval()
        assert losses_of(model, images, seed=1) == losses_of(model, images, seed=2)
        codes = model.encode(images)
        assert torch.equal(codes.mean, model.encode(images).mean)
        assert codes.log_var is None


def test_an_autoencoder_has_no_prior_and_says_so() -> None:
    from genlab.core.registry import find

    entry = find("autoencoder")
    assert capabilities(entry.model) == ("descends", "encodes", "decodes")
    assert "does not sample" in entry.card.summary


def test_an_overcomplete_autoencoder_rebuilds_better_than_an_undercomplete_one() -> None:
    images = some_images(30)
    final = {}
    for latent_dim in (1, 40):
        model = build("autoencoder", latent_dim=latent_dim, loss="mse", learning_rate=0.01)
        minimise = Minimiser(model.players())
        for index in range(150):
            model.training_step(Batch(images, None), Step(index, 0, 1), minimise)
        final[latent_dim] = losses_of(model, images)["loss"]
    assert final[40] < 0.5 * final[1]


# --- corruption ------------------------------------------------------------------------------------------------


def test_each_corruption_does_what_it_says() -> None:
    torch.manual_seed(0)
    images = torch.full((1, 1, 200, 200), 0.4)
    assert corrupt(images, "none", 0.5) is images
    assert corrupt(images, "gaussian", 0.0) is images
    gaussian = corrupt(images, "gaussian", 0.1)
    assert gaussian.std().item() == pytest.approx(0.1, rel=0.03)
    assert corrupt(images, "gaussian", 1.0).min() == 0
    masked = corrupt(images, "masking", 0.3)
    assert (masked == 0).double().mean().item() == pytest.approx(0.3, abs=0.01)
    assert set(masked.unique().tolist()) == set(torch.tensor([0.0, 0.4]).tolist())
    salted = corrupt(images, "salt_and_pepper", 0.3)
    for value in (0, 1):
        assert (salted == value).double().mean().item() == pytest.approx(0.15, abs=0.01)


# --- variational autoencoder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_terms_of_the_bound_equal_loops_over_pixels_and_dimensions(likelihood: str, architecture: str) -> None:
    shape = (2, 8, 8)
    model = build("vae", shape, likelihood=likelihood, sigma=0.3, architecture=architecture, width=4)
    images = some_images(3, shape)
    terms = model.bound_terms(images, torch.Generator().manual_seed(5))
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    posterior = model.encode(images)
    for i in range(3):
        kl, code = 0.0, []
        for j in range(3):
            mean, variance = posterior.mean[i, j].item(), math.exp(posterior.log_var[i, j].item())
            kl += 0.5 * (mean**2 + variance - 1 - math.log(variance))
            code.append(mean + math.sqrt(variance) * noise[i, j].item())
        rebuilt = model.decode(torch.tensor([code], dtype=torch.float64))[0]
        reconstruction = cross_entropy(images[i], rebuilt)
        if likelihood == "gaussian":
            constant = images[i].numel() * (0.5 * math.log(2 * math.pi) + math.log(0.3))
            reconstruction = squared(images[i], rebuilt) / (2 * 0.3**2) + constant
        assert terms["kl"][i].item() == pytest.approx(kl, rel=1e-10)
        assert terms["reconstruction"][i].item() == pytest.approx(reconstruction, rel=1e-10)


def test_likelihoods_equal_torch_distributions() -> None:
    model = build("vae", likelihood="gaussian", sigma=0.2)
    images, codes = some_images(), torch.randn(5, 3, dtype=torch.float64)
    expected = -Normal(model.decode(codes), 0.2).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(model.negative_log_likelihood(codes, images), expected)
    model = build("vae")
    binary = (images > 0.5).double()
    expected = -Bernoulli(model.decode(codes)).log_prob(binary).flatten(1).sum(1)
    torch.testing.assert_close(model.negative_log_likelihood(codes, binary), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bernoulli_likelihood_stays_exact_where_a_probability_rounds_to_0_or_1(dtype: torch.dtype) -> None:
    logits = torch.tensor(
        [-1e4, -200.0, -85.0, -75.0, -30.0, -1.0, 0.0, 2.0, 30.0, 75.0, 85.0, 200.0, 1e4], dtype=dtype
    )
    for x in (0.0, 0.25, 1.0):
        given = logits.clone().requires_grad_()
        values = bernoulli_log_likelihood(given[:, None], torch.full_like(logits, x)[:, None])
        exact = [x * at - max(at, 0.0) - math.log1p(math.exp(-abs(at))) for at in logits.tolist()]
        torch.testing.assert_close(values, torch.tensor(exact, dtype=dtype))
        (slope,) = torch.autograd.grad(values.sum(), given)  # x − σ(l)
        torch.testing.assert_close(slope, x - torch.sigmoid(logits))


def test_dense_layers_give_the_same_by_onednn_and_are_left_alone_where_a_gradient_is_wanted() -> None:
    layer = torch.nn.Linear(50, 20)
    rows = torch.randn(FEWEST, 50)
    expected = rows.double() @ layer.weight.double().T + layer.bias.double()
    with torch.no_grad(), DenseByOneDNN():
        torch.testing.assert_close(layer(rows), expected.float(), atol=1e-5, rtol=1e-5)
        assert torch.equal(layer(rows[:3]), torch.nn.functional.linear(rows[:3], layer.weight, layer.bias))
        torch.testing.assert_close(layer.double()(rows.double()), expected)
    layer.float()
    with DenseByOneDNN():
        layer(rows).sum().backward()
    torch.testing.assert_close(layer.weight.grad, rows.sum(0).expand(20, -1), atol=1e-4, rtol=1e-5)


def test_kl_equals_torch_distributions_and_monte_carlo() -> None:
    model = build("vae")
    with torch.no_grad():
        model.encoder[-1].weight.mul_(5)
        posterior = model.encode(some_images())
        q, p = Normal(posterior.mean, (0.5 * posterior.log_var).exp()), Normal(0.0, 1.0)
        torch.testing.assert_close(posterior.kl(), kl_divergence(q, p))
        torch.manual_seed(0)
        codes = q.sample((20_000,))
        log_ratio = (q.log_prob(codes) - p.log_prob(codes)).sum(2)
        torch.testing.assert_close(posterior.log_prob(codes), q.log_prob(codes).sum(2))
        error = log_ratio.std(0) / math.sqrt(20_000)
        assert ((log_ratio.mean(0) - posterior.kl().sum(1)).abs() < 5 * error).all()
        assert (posterior.kl().sum(1) > 20 * error).all()


def test_the_reparameterised_gradient_is_the_gradient() -> None:
    from genlab.nn.normal import DiagonalNormal

    mean = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    log_var = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def drawn(mean: Tensor, log_var: Tensor) -> Tensor:
        return DiagonalNormal(mean, log_var).sample(torch.Generator().manual_seed(3))

    assert torch.autograd.gradcheck(drawn, (mean, log_var))
    assert torch.autograd.gradcheck(lambda m, v: DiagonalNormal(m, v).kl(), (mean, log_var))


@pytest.mark.parametrize(
    ("index", "weights"), [(0, (0.0, 0.0)), (5, (0.25, 0.5 * 4)), (10, (0.5, 4)), (20, (1, 4)), (999, (1, 4))]
)
def test_annealing_and_warm_up_grow_from_nothing_to_everything(index: int, weights: tuple[float, float]) -> None:
    model = build("vae", beta=4, annealing=2, kl_warmup=1)  # epochs of ten steps
    step = Step(index, index // 10, 10)
    assert model.weights(step) == pytest.approx(weights, abs=1e-12)
    losses = losses_of(model, some_images(), step)
    by_hand = weights[0] * losses["reconstruction"] + weights[1] * losses["kl"]
    assert losses["loss"] == pytest.approx(by_hand, rel=1e-12)


def test_without_annealing_the_weights_are_one_and_beta() -> None:
    assert build("vae", beta=3).weights(Step(0, 0, 10)) == (1, 3)


@pytest.mark.parametrize("free_bits", [0.001, 0.02, 5.0])
def test_free_bits_leave_small_dimensions_alone(free_bits: float) -> None:
    model, images = build("vae", free_bits=free_bits), some_images()
    losses = losses_of(model, images)
    dimensions = model.encode(images).kl().mean(0).tolist()
    by_hand = losses["reconstruction"] + sum(max(free_bits, kl) for kl in dimensions)
    assert losses["loss"] == pytest.approx(by_hand, rel=1e-12)
    assert losses["kl"] == pytest.approx(sum(dimensions), rel=1e-12)  # what is logged is the KL itself


def test_denoising_encodes_the_noisy_and_scores_the_clean_image() -> None:
    model = build("vae", corruption="masking", corruption_amount=1.0)
    images = some_images()
    losses = losses_of(model, images)
    blank = model.encode(torch.zeros_like(images))
    assert losses["kl"] == pytest.approx(blank.kl().sum(1).mean().item(), rel=1e-12)
    torch.manual_seed(7)
    torch.rand_like(images)  # the noise on the input comes first
    by_hand = model.negative_log_likelihood(blank.sample(), images).mean().item()
    assert losses["reconstruction"] == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_batch_norm_and_dropout_rest_in_evaluation(architecture: str) -> None:
    shape = (1, 8, 8)
    model = build("vae", shape, architecture=architecture, width=4, batch_norm=True, dropout=0.4)
    assert any("running_mean" in name for name, _ in model.named_buffers())
    images = some_images(6, shape)
    minimise = Minimiser(model.players())
    for index in range(3):
        model.training_step(Batch(images, None), Step(index, 0, 1), minimise)
    model.eval()
    together = model.encode(images)
    alone = model.encode(images[:1])
    torch.testing.assert_close(together.mean[:1], alone.mean, rtol=1e-10, atol=1e-12)  # not of its batch
    codes = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(model.decode(codes)[:1], model.decode(codes[:1]), rtol=1e-10, atol=1e-12)
    before = copy.deepcopy(model.state_dict())
    model.sample(3)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.train()
    assert not torch.equal(model.encode(images).mean, together.mean)


def test_temperature_scales_the_prior() -> None:
    model = build("vae")
    warm = model.sample_prior(500, temperature=2.0, generator=torch.Generator().manual_seed(0))
    plain = model.sample_prior(500, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warm, 2 * plain)
    assert plain.std().item() == pytest.approx(1, abs=0.06)
    assert model.sample_prior(3, temperature=0).eq(0).all()


# --- importance sampling ---------------------------------------------------------------------------------------


class LinearGaussian(NormalLatent):
    """x = Wz + b + σε: the marginal is N(b, WWᵀ + σ²I), and with orthogonal columns the posterior is diagonal."""

    def __init__(self, off: float) -> None:
        generator = torch.Generator().manual_seed(2)
        basis = torch.linalg.qr(torch.randn(16, 2, generator=generator, dtype=torch.float64)).Q
        self.scale = torch.tensor([1.5, 0.4], dtype=torch.float64)
        self.weight, self.bias, self.sigma = basis * self.scale, 0.3, 0.25
        self.off = off

    def encode(self, images: Tensor) -> DiagonalNormal:
        variance = 1 / (1 + self.scale**2 / self.sigma**2)
        mean = (images.flatten(1) - self.bias) @ self.weight / self.sigma**2 * variance
        return DiagonalNormal(mean + self.off, (variance.log() + self.off).expand_as(mean))

    def decode(self, codes: Tensor) -> Tensor:
        return (codes @ self.weight.T + self.bias).view(-1, *SHAPE)

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        return -Normal(codes @ self.weight.T + self.bias, self.sigma).log_prob(images.flatten(1)).sum(1)

    def exact(self, images: Tensor) -> Tensor:
        covariance = self.weight @ self.weight.T + self.sigma**2 * torch.eye(16, dtype=torch.float64)
        mean = torch.full((16,), self.bias, dtype=torch.float64)
        return -torch.distributions.MultivariateNormal(mean, covariance).log_prob(images.flatten(1))


def test_with_the_true_posterior_one_sample_gives_the_exact_likelihood() -> None:
    model, images = LinearGaussian(off=0.0), some_images(4)
    torch.testing.assert_close(importance_nll(model, images, 1), model.exact(images), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(importance_nll(model, images, 9), model.exact(images), rtol=1e-10, atol=1e-10)


def test_a_linear_gaussian_vae_has_the_likelihood_of_probabilistic_pca() -> None:
    from sklearn.decomposition import PCA

    data = np.random.default_rng(3).normal(size=(200, 16)) @ np.random.default_rng(4).normal(size=(16, 16))
    pca = PCA(2).fit(data)
    images = torch.from_numpy(data[:6]).view(6, *SHAPE)
    expected = -torch.from_numpy(pca.score_samples(data[:6]))
    for off in (0.0, 0.3):
        model = LinearGaussian(off)
        model.sigma = math.sqrt(pca.noise_variance_)
        model.scale = torch.from_numpy(np.sqrt(pca.explained_variance_ - pca.noise_variance_))
        model.weight, model.bias = torch.from_numpy(pca.components_.T) * model.scale, torch.from_numpy(pca.mean_)
        bounds = torch.stack([sum(model.bound_terms(images).values()) for _ in range(2000)]).mean(0)
        if off:
            assert (bounds > expected + 0.05).all()
            torch.testing.assert_close(importance_nll(model, images, 50_000), expected, rtol=0, atol=0.05)
        else:
            torch.testing.assert_close(importance_nll(model, images, 3), expected, rtol=1e-9, atol=1e-9)


def test_with_a_wrong_posterior_more_samples_come_closer_from_above() -> None:
    model, images = LinearGaussian(off=0.4), some_images(4)
    exact = model.exact(images)
    few = torch.stack([importance_nll(model, images, 1) for _ in range(300)]).mean(0)
    some = torch.stack([importance_nll(model, images, 10) for _ in range(300)]).mean(0)
    torch.manual_seed(0)
    many = importance_nll(model, images, 50_000)
    assert (few > some + 0.3).all()
    assert (some > exact).all()
    torch.testing.assert_close(many, exact, rtol=0, atol=0.05)


@pytest.mark.parametrize("at_once", [1, 2, 7, 14, 10_000])
def test_weights_do_not_depend_on_how_they_are_blocked(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is dealt out block by block: a loop over draws and images with that noise gives the same weights."""
    import genlab.nn.importance as importance

    model, images = LinearGaussian(off=0.2), some_images(3)
    dealt: list[tuple[Tensor, Tensor]] = []
    draw = DiagonalNormal.sample

    def spy(posterior: DiagonalNormal, generator: torch.Generator | None = None) -> Tensor:
        dealt.append((posterior.mean, draw(posterior, generator)))
        return dealt[-1][1]

    monkeypatch.setattr(importance, "AT_ONCE", at_once * 16)
    monkeypatch.setattr(DiagonalNormal, "sample", spy)
    found = model.log_weights(images, 7, torch.Generator().manual_seed(0))
    assert found.shape == (7, 3)
    assert max(codes.shape[0] * codes.shape[1] for _, codes in dealt) <= max(1, at_once)
    posterior = model.encode(images)
    for i, image in enumerate(images):
        mine = [codes[:, (means[0] - posterior.mean[i]).abs().amax(1) < 1e-9] for means, codes in dealt]
        weights = []
        for code in torch.cat([codes.flatten(0, 1) for codes in mine]):
            q = Normal(posterior.mean[i], (0.5 * posterior.log_var[i]).exp())
            log_prior, log_q = Normal(0.0, 1.0).log_prob(code).sum(), q.log_prob(code).sum()
            weights.append(log_prior - log_q - model.negative_log_likelihood(code[None], image[None])[0])
        torch.testing.assert_close(found[:, i], torch.stack(weights), rtol=1e-10, atol=1e-10)


def test_the_importance_weighted_bound_tightens_with_k_and_starts_at_the_elbo() -> None:
    model, images = LinearGaussian(off=0.4), some_images(4)
    weights = model.log_weights(images, 6000, torch.Generator().manual_seed(3))
    bounds = {k: weights.view(-1, k, 4).logsumexp(1).sub(math.log(k)).mean(0) for k in (1, 2, 5, 50, 6000)}
    for less, more in itertools.pairwise(bounds):  # the same draws in groups of k: Jensen, without luck
        assert (bounds[more] > bounds[less]).all()
    exact = -model.exact(images)
    assert (bounds[50] < exact).all()
    torch.testing.assert_close(bounds[6000], exact, rtol=0, atol=0.2)
    torch.testing.assert_close(
        iwae_bound(model, images, 6000, torch.Generator().manual_seed(3)), bounds[6000], rtol=1e-10, atol=1e-10
    )
    terms = torch.stack([sum(model.bound_terms(images).values()) for _ in range(2000)])
    error = (terms.std(0) ** 2 / 2000 + weights.std(0) ** 2 / 6000).sqrt()
    assert ((-terms.mean(0) - bounds[1]).abs() < 5 * error).all()
    assert (exact - bounds[1] > 0.5).all()


def test_the_vaes_likelihood_is_above_its_bound() -> None:
    model, images = build("vae"), some_images(5)
    with torch.no_grad():
        model.encoder[-1].weight.mul_(5)
        torch.manual_seed(0)
        bounds = torch.stack([sum(model.bound_terms(images).values()) for _ in range(500)]).mean(0)
    nll = importance_nll(model, images, 500)
    assert (nll < bounds - 0.05).all()
    assert (nll > bounds - 5).all()
    one = importance_nll(model, images, 1, torch.Generator().manual_seed(4))
    posterior = model.encode(images)
    codes = posterior.sample(torch.Generator().manual_seed(4))
    log_prior = Normal(0.0, 1.0).log_prob(codes).sum(1)
    by_hand = model.negative_log_likelihood(codes, images) - log_prior + posterior.log_prob(codes)
    torch.testing.assert_close(one, by_hand.detach())


def test_it_works_in_the_precision_of_its_images() -> None:
    for name in ("vae", "autoencoder"):
        model = genlab.create(name, (1, 8, 8), hidden=8, latent_dim=2)
        assert model.encode(torch.rand(2, 1, 8, 8)).mean.dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert model.encode(torch.rand(2, 1, 8, 8)).mean.dtype == torch.float32
        assert model.double().encode(torch.rand(2, 1, 8, 8).double()).mean.dtype == torch.float64
    assert np.float64(model.decode(torch.zeros(1, 2).double()).detach()).shape == (1, 1, 8, 8)
