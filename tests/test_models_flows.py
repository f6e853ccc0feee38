"""NICE, RealNVP and GLOW: determinants against autograd's Jacobian, densities that integrate to one, other libraries."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, SigmoidTransform, TransformedDistribution, Uniform

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.metrics.likelihood import bits_per_dimension
from genlab.nn.couplings import (
    HalfCoupling,
    MaskedCoupling,
    channel_halves,
    checkerboard,
    conv_conditioner,
    dense_conditioner,
)
from genlab.nn.flow_layers import ActNorm, Chain, EvenOdd, InvertibleConv, Logit, MultiScale, Squeeze, Transform
from genlab.nn.flow_model import FlowModel, dequantise, own_noise, start_from_data
from genlab.training.loop import Training

NAMES = ["nice", "realnvp", "glow"]
SMALL: dict[str, dict[str, Any]] = {
    "nice": {"hidden": 8},
    "realnvp": {"width": 4},
    "glow": {"width": 4, "steps": 2},
}


def stirred(module: nn.Module, amount: float = 0.3) -> Any:
    """In float64, with every parameter moved away from its start, so that no layer is the identity."""
    torch.manual_seed(3)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(amount * torch.randn_like(parameter))
    return module


def build(name: str, shape: tuple[int, int, int], amount: float = 0.3, **values: Any) -> FlowModel:
    torch.manual_seed(0)
    model: FlowModel = stirred(genlab.create(name, shape, **{**SMALL[name], **values}), amount)
    return model


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def log_determinants(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log |det| of autograd's whole Jacobian, for each row of x."""
    found = []
    for row in x:
        jacobian = torch.autograd.functional.jacobian(lambda one: function(one[None]).flatten(), row)
        found.append(torch.linalg.slogdet(jacobian.reshape(row.numel(), row.numel())).logabsdet)
    return torch.stack(found)


def layers() -> dict[str, tuple[Transform, Tensor]]:
    """Every kind of layer with a batch for it."""
    shape = Shape(1, 4, 4)
    x, wide = noise(3, 1, 4, 4), noise(3, 4, 2, 3)
    scales = [Chain(Squeeze(), ActNorm(4, 1, 1)), Chain(Squeeze(), InvertibleConv(8))]
    leaving = [HalfCoupling(conv_conditioner(Shape(2, 2, 2), 4, 5), 2, bound=2)]
    return {
        "logit": (Logit(0.05), torch.sigmoid(x)),
        "no logit": (Logit(0.0), torch.sigmoid(x)),
        "even and odd": (EvenOdd(Shape(1, 3, 3)), noise(3, 1, 3, 3)),
        "squeeze": (Squeeze(), x),
        "actnorm": (ActNorm(4, 1, 1), wide),
        "actnorm of every value": (ActNorm(4, 2, 3), wide),
        "actnorm of rows": (ActNorm(5), noise(3, 5)),
        "1x1 convolution": (InvertibleConv(4), wide),
        "additive": (HalfCoupling(dense_conditioner(3, 2, 6, 2), 3, bound=0), noise(3, 5)),
        "additive, swapped": (HalfCoupling(dense_conditioner(2, 3, 6, 1), 2, bound=0, swap=True), noise(3, 5)),
        "affine": (HalfCoupling(conv_conditioner(Shape(2, 2, 3), 4, 6), 2, bound=2), wide),
        "affine, swapped": (HalfCoupling(conv_conditioner(Shape(1, 2, 3), 6, 6), 1, bound=0.5, swap=True), wide),
        "checkerboard": (MaskedCoupling(conv_conditioner(shape, 2, 6), checkerboard(shape), bound=2), x),
        "other checkerboard": (
            MaskedCoupling(conv_conditioner(shape, 2, 6), checkerboard(shape, odd=True), bound=2),
            x,
        ),
        "channel mask": (
            MaskedCoupling(conv_conditioner(Shape(4, 2, 3), 8, 6), channel_halves(4, last=True), bound=2),
            wide,
        ),
        "scales": (MultiScale(shape, scales, leaving), x),
    }


@pytest.mark.parametrize("name", list(layers()))
def test_the_determinant_of_a_layer_is_that_of_its_jacobian_and_it_can_be_undone(name: str) -> None:
    torch.manual_seed(0)
    layer, x = layers()[name]
    stirred(layer)
    z, log_det = layer(x)
    assert log_det.shape == (3,)
    torch.testing.assert_close(log_det, log_determinants(lambda one: layer(one)[0], x), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(layer.inverse(z), x, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(layer(layer.inverse(z))[0], z, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_likelihood_of_a_model_is_its_prior_and_its_jacobian(name: str, shape: tuple[int, int, int]) -> None:
    model = build(name, shape)
    pixels = torch.rand(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    codes, _ = model.flow(pixels)
    assert codes.shape == (3, model.latent_dim)
    uniform = Uniform(codes.new_zeros(()), codes.new_ones(()))
    logistic = TransformedDistribution(uniform, [SigmoidTransform().inv])
    prior = logistic if name == "nice" else Normal(0.0, 1.0)
    expected = prior.log_prob(codes).sum(1) + log_determinants(lambda one: model.flow(one)[0], pixels)
    torch.testing.assert_close(model.log_density(pixels), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.flow.inverse(codes), pixels, rtol=1e-8, atol=1e-10)


def integral(model: FlowModel, places: Tensor, alpha: float) -> float:
    """The mean of p(y) / (1 − 2α)^D over places v in (0, 1)^D: everything that the inverse of the logit can reach."""
    pixels = ((places - alpha) / (1 - 2 * alpha)).view(-1, *model.shape)
    with torch.no_grad():
        densities = torch.cat([model.log_density(part).exp() for part in pixels.split(2**14)])
    return densities.mean().item() / (1 - 2 * alpha) ** model.shape.values


@pytest.mark.parametrize("alpha", [1e-5, 0.05])
@pytest.mark.parametrize("prior", ["logistic", "normal"])
def test_the_density_of_two_pixels_integrates_to_one_on_a_grid(alpha: float, prior: str) -> None:
    model = build("nice", (1, 1, 2), alpha=alpha, prior=prior)
    steps = (torch.arange(700, dtype=torch.float64) + 0.5) / 700
    assert integral(model, torch.cartesian_prod(steps, steps), alpha) == pytest.approx(1, abs=2e-3)


def test_two_pixels_under_a_checkerboard_integrate_to_one_on_a_grid() -> None:
    shape = Shape(1, 1, 2)
    masks = [checkerboard(shape, odd=odd) for odd in (False, True)]
    couplings = [MaskedCoupling(conv_conditioner(shape, 2, 6), mask, bound=2) for mask in masks]
    model = build("nice", shape, prior="normal")
    model.flow = stirred(Chain(Logit(0.05), *couplings, EvenOdd(shape)))
    steps = (torch.arange(700, dtype=torch.float64) + 0.5) / 700
    assert integral(model, torch.cartesian_prod(steps, steps), 0.05) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["realnvp", "glow"])
def test_the_density_of_four_pixels_integrates_to_one_on_a_sobol_sequence(name: str) -> None:
    model = build(name, (1, 2, 2), 0.2, alpha=0.05)
    places = torch.quasirandom.SobolEngine(4, scramble=True, seed=0).draw(2**16).double()
    assert integral(model, places.clamp(1e-9, 1 - 1e-9), 0.05) == pytest.approx(1, abs=0.02)


def test_a_single_row_stays_at_one_scale_and_its_density_integrates_to_one() -> None:
    model = build("realnvp", (1, 1, 2), 0.2, alpha=0.05)
    assert len(model.flow.transforms[-1].levels) == 1
    steps = (torch.arange(700, dtype=torch.float64) + 0.5) / 700
    assert integral(model, torch.cartesian_prod(steps, steps), 0.05) == pytest.approx(1, abs=2e-3)


def test_glows_prior_of_what_leaves_is_a_normal_given_what_stays() -> None:
    model = build("glow", (1, 4, 4), levels=2)
    pixels = torch.rand(3, 1, 4, 4, dtype=torch.float64)
    logit, scales = model.flow.transforms
    x, total = logit(pixels)
    h, log_det = scales.levels[0](x)
    stays, leaves = h.chunk(2, 1)
    raw, mean = scales.leaving[0].network(stays).chunk(2, 1)  # ε = z exp(s) + t: σ = exp(−s), μ = −t σ
    sigma = torch.exp(-2.0 * torch.tanh(raw / 2.0))
    total = total + log_det + Normal(-mean * sigma, sigma).log_prob(leaves).flatten(1).sum(1)
    last, log_det = scales.levels[1](stays)
    total = total + log_det + Normal(0.0, 1.0).log_prob(last).flatten(1).sum(1)
    torch.testing.assert_close(model.log_density(pixels), total, rtol=1e-10, atol=1e-10)


def test_additive_couplings_leave_the_volume_alone() -> None:
    model = build("nice", (1, 4, 4), alpha=0.0)
    scaling = model.flow.transforms[-1]
    _, log_det = model.flow(torch.rand(2, 1, 4, 4, dtype=torch.float64))
    expected = scaling.log_scale.sum() + 16 * math.log(2)
    torch.testing.assert_close(log_det, expected.expand(2))
    assert not any(layer.bound for layer in build("glow", (1, 4, 4), levels=1, coupling="additive").modules() if isinstance(layer, HalfCoupling))  # fmt: skip


def test_no_coupling_scales_beyond_its_bound() -> None:
    x = noise(4, 2, 4, 4)
    for layer in (
        HalfCoupling(conv_conditioner(Shape(1, 4, 4), 2, 6), 1, bound=1.5),
        MaskedCoupling(conv_conditioner(Shape(2, 4, 4), 4, 6), channel_halves(2), bound=1.5),
    ):
        stirred(layer, 1000.0)
        z, log_det = layer(x)
        moved = log_det.abs() / 16
        assert moved.max() <= 1.5 + 1e-12
        assert moved.max() > 0.5  # the networks do push
        assert torch.isfinite(z).all()
        assert torch.isfinite(layer.inverse(x)).all()


def test_squeeze_makes_channels_of_blocks() -> None:
    x = noise(2, 3, 4, 6)
    z, _ = Squeeze()(x)
    for c in range(3):
        for row in range(2):
            for column in range(2):
                expected = x[:, c, row::2, column::2]
                assert torch.equal(z[:, 4 * c + 2 * row + column], expected)


# --- where training starts -----------------------------------------------------------------------------------------


def test_actnorm_starts_with_mean_zero_and_variance_one_in_each_channel() -> None:
    layer = ActNorm(3, 1, 1).double()
    x = noise(8, 3, 5, 5) * torch.tensor([0.01, 1.0, 300.0]).view(3, 1, 1) + torch.tensor([5.0, 0, -9]).view(3, 1, 1)
    layer.start(x)
    z, _ = layer(x)
    variance, mean = torch.var_mean(z, (0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3).double(), rtol=0, atol=1e-10)
    torch.testing.assert_close(variance, torch.ones(3).double(), rtol=1e-10, atol=0)


def test_a_constant_channel_is_centred_and_not_scaled() -> None:
    layer = ActNorm(2, 1, 1).double()
    x = noise(8, 2, 5, 5)
    x[:, 1] = 0.7
    layer.start(x)
    z, _ = layer(x)
    assert z[:, 1].abs().max() < 1e-12
    assert layer.log_scale[1].item() == 0
    assert layer.log_scale[0].item() != 0
    assert torch.isfinite(layer.inverse(noise(2, 2, 5, 5))).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_first_batch_alone_starts_a_model(name: str) -> None:
    torch.manual_seed(0)
    model: Any = genlab.create(name, (1, 8, 8), **SMALL[name])
    seen: list[tuple[ActNorm, Tensor]] = []
    images = digits(64)
    torch.manual_seed(5)
    pixels = dequantise(images, torch.rand_like(images))
    layers = [layer for layer in model.modules() if isinstance(layer, ActNorm)]
    for layer in layers:
        layer.register_forward_hook(lambda layer, _, output: seen.append((layer, output[0].detach())))
    torch.manual_seed(5)
    model.training_step(Batch(images, None), Step(0, 0, 1), lambda **losses: None)
    started = seen[len(layers) :]  # the second pass is that of the loss
    assert len(started) == len(layers) > 0
    for layer, output in started:
        axes = [0, *(place + 1 for place, size in enumerate(layer.log_scale.shape) if size == 1)]
        variance, mean = torch.var_mean(output, axes, correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-3)
        torch.testing.assert_close(variance, torch.ones_like(variance), rtol=1e-3, atol=1e-3)
    before = copy.deepcopy(model.state_dict())
    for step in (Step(0, 0, 1), Step(1, 0, 1)):
        model.training_step(Batch(images.flip(0)[:8], None), step, lambda **losses: None)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.started
    start_from_data(model.flow, pixels[:8])  # the same weights, another batch
    assert not all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("interrupted", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_resuming_goes_on_to_the_bit(name: str, interrupted: int) -> None:
    data = batches(60)

    def training() -> Training:
        torch.manual_seed(0)
        model = genlab.create(name, (1, 8, 8), **SMALL[name])
        return Training(model, data, TrainingSettings(epochs=2, batch_size=20, device="cpu"))

    def until(training: Training, step: int) -> None:
        for _ in training.events():
            if training.step == step:
                return

    whole = training()
    until(whole, 6)
    first = training()
    until(first, interrupted)
    weights, state = copy.deepcopy(first.model).state_dict(), copy.deepcopy(first.state())
    second = training()
    second.model.load_state_dict(weights)
    second.load_state(state)
    until(second, 6)
    expected, got = whole.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(value, got[key]) for key, value in expected.items())


def test_images_of_one_colour_can_be_learned() -> None:
    images = np.full((40, 1, 8, 8), 7, dtype=np.uint8)
    for name in NAMES:
        torch.manual_seed(0)
        model = genlab.create(name, (1, 8, 8), **SMALL[name])
        data = ArrayBatches(images, None, {"train": np.arange(40)})
        training = Training(model, data, TrainingSettings(epochs=4, batch_size=20, device="cpu"))
        assert list(training.events())
        drawn = model.eval().sample(50, generator=torch.Generator().manual_seed(0))
        assert torch.isfinite(drawn).all()
        assert (drawn * 255 - 7).abs().median() < 2


# --- after training ------------------------------------------------------------------------------------------------


def digits(count: int) -> Tensor:
    """8x8 digits of 17 levels, as 8-bit images."""
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().images[:count, None] * 255 / 16).round().float() / 255


def batches(count: int) -> ArrayBatches:
    images = (digits(count) * 255).round().byte().numpy()
    return ArrayBatches(images, None, {"train": np.arange(count)})


@cache
def trained(name: str) -> FlowModel:
    torch.manual_seed(0)
    model: Any = genlab.create(name, (1, 8, 8), learning_rate=5e-3, **SMALL[name])
    settings = TrainingSettings(epochs=8, batch_size=50, device="cpu")
    for _ in Training(model, batches(1000), settings).events():
        pass
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_after_training_every_sample_is_finite_and_every_image_comes_back(name: str) -> None:
    model, images = trained(name), digits(1300)[1000:]
    with torch.inference_mode():
        for temperature in (0.0, 0.7, 1.0, 1.5):
            codes = model.sample_prior(1000, temperature=temperature, generator=torch.Generator().manual_seed(0))
            assert torch.isfinite(model.flow.inverse(codes)).all()
        assert model.sample(20, temperature=0.0).unique(dim=0).shape[0] == 1
        codes = model.encode(images).mean
        assert (model.decode(codes) - images).abs().max() < 1e-5
        pixels = dequantise(images, own_noise(images))
        assert (model.flow.inverse(model.flow(pixels)[0]) - pixels).abs().max() < 1e-5
        assert torch.equal(codes[:3], model.encode(images).mean[:3])
        between = torch.lerp(codes[:1], codes[1:2], torch.linspace(0, 1, 9)[:, None])
        walk = model.decode(between)
        assert torch.isfinite(walk).all()
        torch.testing.assert_close(walk[[0, 8]], images[:2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_training_teaches_what_images_look_like(name: str) -> None:
    model, images = trained(name), digits(1300)[1000:]
    shuffled = images.flatten(1)[:, torch.randperm(64, generator=torch.Generator().manual_seed(0))].view_as(images)
    with torch.no_grad():
        own, other = model.log_likelihood(images).mean(), model.log_likelihood(shuffled).mean()
        logged = model.validation_step(Batch(images, None))
    assert own > other + 20
    assert logged["bits_per_dimension"].item() < 6
    by_metric = bits_per_dimension(model.log_likelihood(images).detach().numpy(), 64)
    assert logged["bits_per_dimension"].item() == pytest.approx(by_metric, abs=1e-5)
    assert logged["loss"].item() == pytest.approx(-own.item(), rel=1e-6)


def test_scores_are_repeatable_unbiased_and_of_the_image_alone() -> None:
    model, images = trained("glow"), digits(1700)[1000:]
    with torch.no_grad():
        scores = model.log_likelihood(images)
        assert torch.equal(scores, model.log_likelihood(images))
        torch.testing.assert_close(scores[5:9], model.log_likelihood(images[5:9]), rtol=1e-5, atol=1e-3)
        torch.manual_seed(0)
        fresh = torch.stack([model.log_density(dequantise(images, torch.rand_like(images))) for _ in range(8)])
        difference = scores - fresh.mean(0)
        assert difference.mean().abs() < 4 * difference.std() / math.sqrt(len(images))


def test_an_images_own_noise_is_uniform_and_differs_between_images() -> None:
    images = digits(1000)
    drawn = own_noise(images)
    assert torch.equal(drawn[10:20], own_noise(images[10:20]))
    assert drawn.double().sub(own_noise(images.double())).abs().max() == 0
    assert 0 <= drawn.min() <= drawn.max() < 1
    counts = torch.histc(drawn, 16, 0, 1)
    assert ((counts - 4000).abs() < 5 * math.sqrt(4000)).all()
    flat = drawn.flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.75  # 64 values a row, half a million pairs
    assert torch.corrcoef(flat.T).fill_diagonal_(0).abs().max() < 0.2  # 1,000 rows
    changed = images[:1].clone()
    changed[0, 0, 0, 0] = 1 / 255
    assert (own_noise(changed) != drawn[:1]).double().mean() > 0.9


def test_a_cell_of_a_level_is_one_256th_wide() -> None:
    levels = torch.arange(256).view(256, 1, 1, 1) / 255
    low, high = (dequantise(levels, torch.full_like(levels, u)).flatten() * 256 for u in (0.0, 1.0))
    torch.testing.assert_close(low, torch.arange(256.0), rtol=0, atol=1e-4)
    torch.testing.assert_close(high, torch.arange(1, 257.0), rtol=0, atol=1e-4)


def test_nices_codes_are_logistic() -> None:
    model: Any = genlab.create("nice", (1, 8, 8), hidden=8)
    codes = model.sample_prior(4000, generator=torch.Generator().manual_seed(0)).double()
    assert codes.var().item() == pytest.approx(math.pi**2 / 3, rel=0.02)
    uniform = torch.sigmoid(codes).flatten()
    assert torch.histc(uniform, 10, 0, 1).div(len(uniform)).sub(0.1).abs().max() < 0.002
    warm = model.sample_prior(50, temperature=2.0, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warm.double(), 2 * codes[:50], rtol=1e-6, atol=1e-6)
    normal: Any = genlab.create("nice", (1, 8, 8), hidden=8, prior="normal")
    assert normal.sample_prior(4000).var().item() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("name", ["realnvp", "glow"])
def test_odd_sizes_are_refused_with_the_nearest_even_one(name: str) -> None:
    with pytest.raises(BadInputError, match="multiples of 2, and the images are 27x28 grey; import them at 28x28"):
        genlab.create(name, (1, 27, 28))


@pytest.mark.parametrize(("shape", "levels"), [((1, 28, 28), 2), ((3, 64, 100), 2), ((1, 32, 32), 3), ((1, 6, 8), 1)])
def test_sides_are_halved_as_often_as_they_are_even(shape: tuple[int, int, int], levels: int) -> None:
    model: Any = genlab.create("glow", shape, width=2, steps=1)
    assert len(model.flow.transforms[1].levels) == levels
    model = genlab.create("realnvp", shape, width=2)
    assert len(model.flow.transforms[-1].levels) == min(levels + 1, 3)


def test_mixed_precision_stays_inside_the_couplings_networks() -> None:
    images = digits(20)
    for name in NAMES:
        model = trained(name)
        with torch.no_grad():
            exact, _ = model.flow(dequantise(images, own_noise(images)))
            with torch.autocast("cpu", torch.bfloat16):
                codes, log_det = model.flow(dequantise(images, own_noise(images)))
        assert codes.dtype == log_det.dtype == torch.float32
        assert not torch.equal(codes, exact)  # the networks did run in bfloat16
        assert (codes - exact).abs().median() < 0.05
    convolution, x = InvertibleConv(4), noise(2, 4, 3, 3).float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, _ = convolution(x)
    assert torch.equal(rounded, convolution(x)[0].detach())


# --- other libraries -----------------------------------------------------------------------------------------------


def test_actnorm_and_the_1x1_convolution_equal_normflows() -> None:
    flows = pytest.importorskip("normflows").flows
    x = noise(6, 4, 5, 3).float()
    ours, theirs = ActNorm(4, 1, 1), flows.ActNorm((4, 1, 1))
    expected, log_det = theirs(x)
    ours.start(x)
    z, ours_det = ours(x)
    correction = math.sqrt(90 / 89)  # they divide by n − 1, and add 1e-6 to the deviation
    torch.testing.assert_close(z, expected * correction, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours_det, (log_det + 60 * math.log(correction)).expand(6), rtol=1e-4, atol=1e-3)
    torch.manual_seed(0)
    convolution, reference = InvertibleConv(4), flows.Invertible1x1Conv(4, use_lu=True)
    pairs = {"permutation": "P", "sign": "sign_S", "log_scale": "log_S", "lower": "L", "upper": "U"}
    convolution.load_state_dict({mine: reference.state_dict()[theirs] for mine, theirs in pairs.items()})
    with torch.no_grad():
        reference.log_S.add_(torch.tensor([0.3, -0.2, 0.5, 0.1]))
        convolution.log_scale.copy_(reference.log_S)
    expected, log_det = reference.inverse(x)  # their inverse is the direction of the data
    z, ours_det = convolution(x)
    torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours_det, log_det.expand(6), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(convolution.inverse(z), reference(z)[0], rtol=1e-5, atol=1e-5)


class Interleaved(nn.Module):
    """Our network's output as normflows reads it: shift and bounded scale in turns."""

    def __init__(self, network: nn.Module, bound: float) -> None:
        super().__init__()
        self.network, self.bound = network, bound

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.network(x).chunk(2, 1)
        return torch.stack([shift, self.bound * torch.tanh(scale / self.bound)], 2).flatten(1, 2)


def test_couplings_equal_normflows() -> None:
    flows = pytest.importorskip("normflows").flows
    x = noise(5, 4, 6, 6).float()
    layer = stirred(HalfCoupling(conv_conditioner(Shape(2, 6, 6), 4, 8), 2, bound=2.0), 0.2).float()
    theirs = flows.AffineCoupling(Interleaved(layer.network, 2.0))
    (kept, moved), log_det = theirs([x[:, :2], x[:, 2:]])
    z, ours_det = layer(x)
    torch.testing.assert_close(z, torch.cat([kept, moved], 1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours_det, log_det, rtol=1e-5, atol=1e-4)
    mask = checkerboard(Shape(4, 6, 6)).expand(4, 6, 6)
    masked = stirred(MaskedCoupling(conv_conditioner(Shape(4, 6, 6), 8, 8), mask, bound=2.0), 0.2).float()
    half = Interleaved(masked.network, 2.0)

    class Part(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

        def forward(self, x: Tensor) -> Tensor:
            return half(x)[:, self.place :: 2]

    reference = flows.MaskedAffineFlow(mask, t=Part(0), s=Part(1))
    expected, log_det = reference(x)
    z, ours_det = masked(x)
    torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours_det, log_det, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(masked.inverse(z), reference.inverse(z)[0], rtol=1e-5, atol=1e-5)


def test_couplings_equal_zuko() -> None:
    transforms = pytest.importorskip("zuko.transforms")
    x = noise(5, 7).float()
    for layer in (
        stirred(HalfCoupling(dense_conditioner(4, 6, 8, 1), 4, bound=2.0)).float(),
        stirred(HalfCoupling(dense_conditioner(4, 3, 8, 1), 4, bound=0)).float(),
    ):

        def move(kept: Tensor, layer: HalfCoupling = layer) -> Any:
            raw = layer.network(kept)
            if not layer.bound:
                return transforms.AdditiveTransform(raw)
            scale, shift = raw.chunk(2, -1)
            scale = 2.0 * torch.tanh(scale / 2.0)
            softened = scale / (1 - scale.abs() / -math.log(1e-3))  # they bound log s another way: undone here
            return transforms.MonotonicAffineTransform(shift, softened, slope=1e-3)

        theirs = transforms.CouplingTransform(move, torch.arange(7) < 4)
        expected, log_det = theirs.call_and_ladj(x)
        z, ours_det = layer(x)
        torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours_det, log_det.sum(1), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(layer.inverse(z), theirs.inv(z), rtol=1e-5, atol=1e-5)
