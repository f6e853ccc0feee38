"""StyleGAN: modulated convolutions against a loop over images, styles, noise, mixing and truncation one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exploring import FakeRun, pictures, tiny_run
from torch import Tensor
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.seeding import seed_everything
from genlab.nn.adversarial import discriminator_loss
from genlab.nn.game import Turn
from genlab.nn.styles import EqualLinear, Mapping, ModulatedConv, StyledLayer, crossed
from genlab.training.players import Minimiser

TINY = {"width": 4, "latent_dim": 6, "depth": 2}


def tiny(shape: tuple[int, int, int] = (1, 16, 16), **values: Any) -> Any:
    seed_everything(0)
    return genlab.create("stylegan", shape, **{**TINY, **values})


def trained(count: int = 12, **values: Any) -> Any:
    """A model whose noise and styles have some strength."""
    model = tiny(**{"learning_rate": 0.02, "mixing": 0.5, **values})
    minimise = Minimiser(model.players())
    for index in range(count):
        images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(index))
        model.training_step(Batch(images, None), Step(index, 0, count), minimise)
    return model.eval()


def styles(model: Any, count: int, seed: int = 1) -> Tensor:
    return model.sample_prior(count, generator=torch.Generator().manual_seed(seed))


# -- modulated convolutions


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_a_modulated_convolution_is_a_loop_over_images_with_weights_of_their_own(size: int, demodulate: bool) -> None:
    seed_everything(1)
    layer = ModulatedConv(5, 3, size, 4, demodulate=demodulate).double()
    maps, style = torch.randn(6, 5, 7, 9).double(), torch.randn(6, 4).double()
    together = layer(maps, style)
    for i in range(6):
        s = layer.style.weight @ style[i] / 2 + layer.style.bias  # 1/√4
        weight = layer.weight / (5 * size * size) ** 0.5 * s[None, :, None, None]  # [2] (1)
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # [2] (3)
        alone = F.conv2d(maps[i : i + 1], weight, padding=size // 2)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-6, atol=1e-9)


def test_a_modulated_convolution_is_one_grouped_convolution() -> None:
    seed_everything(1)
    layer = ModulatedConv(5, 3, 3, 4).double()
    maps, style = torch.randn(6, 5, 7, 9).double(), torch.randn(6, 4).double()
    weight = layer.weight[None] * layer.scale * layer.style(style)[:, None, :, None, None]
    weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    grouped = F.conv2d(maps.reshape(1, 30, 7, 9), weight.reshape(18, 5, 3, 3), padding=1, groups=6).view(6, 3, 7, 9)
    torch.testing.assert_close(layer(maps, style), grouped, rtol=1e-6, atol=1e-9)


def test_demodulation_gives_unit_variance_whatever_the_style() -> None:
    seed_everything(2)
    layer, plain = ModulatedConv(8, 4, 3, 5), ModulatedConv(8, 4, 3, 5, demodulate=False)
    maps, style = torch.randn(3, 8, 80, 80), torch.randn(3, 5) * torch.tensor([[0.2], [1.0], [9.0]])
    inside = layer(maps, style)[:, :, 1:-1, 1:-1]  # the border sees padding
    torch.testing.assert_close(inside.var((2, 3)), torch.ones(3, 4), rtol=0, atol=0.15)
    loud = plain(maps, style).var((1, 2, 3))
    assert loud[2] > 5 * loud[1]


def test_equalised_weights_are_scaled_when_used() -> None:
    seed_everything(0)
    layer = EqualLinear(400, 300, bias=1.0, rate=0.01)
    x = torch.randn(2, 400)
    expected = x @ (layer.weight * 0.01 / 20).t() + 0.01 * layer.bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert layer(torch.randn(200, 400)).std().item() == pytest.approx(1, rel=0.1)
    torch.testing.assert_close(layer(torch.zeros(1, 400)), torch.ones(1, 300))


def test_mapping_forgets_the_length_of_its_noise() -> None:
    mapping = Mapping(6, 3)
    z = torch.randn(4, 6)
    torch.testing.assert_close(mapping(z), mapping(7 * z), rtol=1e-4, atol=1e-5)
    w = 6**0.5 * F.normalize(z)
    for layer in mapping.layers:
        w = 2**0.5 * F.leaky_relu(F.linear(w, layer.weight * 0.01 / 6**0.5, layer.bias * 0.01), 0.2)
    torch.testing.assert_close(mapping(z), w, rtol=1e-4, atol=1e-5)


# -- noise


def test_noise_is_new_while_training_and_stays_afterwards() -> None:
    layer = StyledLayer(3, 4, 5, (6, 7), noisy=True)
    maps, style = torch.randn(2, 3, 6, 7), torch.randn(2, 5)
    assert torch.equal(layer(maps, style), layer(maps, style))  # it starts without strength
    layer.strength.data.fill_(0.7)
    assert not torch.equal(layer(maps, style), layer(maps, style))
    layer.eval()
    assert torch.equal(layer(maps, style), layer(maps, style))
    clean = layer.convolution(maps, style)
    expected = 2**0.5 * F.leaky_relu(clean + 0.7 * layer.noise + layer.bias.view(4, 1, 1), 0.2)
    torch.testing.assert_close(layer(maps, style), expected)


def test_without_noise_training_is_repeatable_too() -> None:
    model = tiny(noise=False, mixing=0.0).train()
    z = torch.randn(3, 6)
    assert torch.equal(model.generator(z), model.generator(z))
    assert not any("strength" in key or key.endswith(".noise") for key in model.state_dict())


def test_after_training_a_style_always_gives_the_same_image() -> None:
    model = trained()
    assert any(layer.strength.abs() > 1e-4 for layer in model.painter.synthesis.layers)
    w = styles(model, 3)
    assert torch.equal(model.decode(w), model.decode(w))
    torch.testing.assert_close(model.decode(w)[1:2], model.decode(w[1:2]), rtol=1e-4, atol=1e-5)


# -- sizes and levels


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((1, 8, 8), 3), ((1, 28, 28), 5), ((3, 32, 32), 7), ((3, 33, 47), 7), ((3, 64, 100), 9)],
)
def test_any_size_is_met_exactly(shape: tuple[int, int, int], levels: int) -> None:
    model = tiny(shape).eval()
    assert model.style_levels == levels
    images = model.sample(2)
    assert images.shape == (2, *shape)
    assert 0 <= images.min() < images.max() <= 1


def test_small_images_are_refused_in_words() -> None:
    with pytest.raises(BadInputError, match="at least 8x8"):
        tiny((1, 20, 7))


def test_synthesis_is_its_figure_written_out() -> None:
    model = trained()
    net = model.painter.synthesis
    w = styles(model, 4).view(4, 1, 6).expand(4, 5, 6) * torch.linspace(0.5, 1.5, 5).view(1, 5, 1)  # one style a level
    x = net.layers[0](net.constant.repeat(4, 1, 1, 1), w[:, 0])
    rgb = net.images[0](x, w[:, 0])
    for block in (1, 2):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = net.layers[2 * block - 1](x, w[:, 2 * block - 1])
        x = net.layers[2 * block](x, w[:, 2 * block])
        rgb = F.interpolate(rgb, scale_factor=2, mode="bilinear", align_corners=False)
        rgb = rgb + net.images[block](x, w[:, 2 * block])
    torch.testing.assert_close(net(w), torch.sigmoid(rgb + net.bias), rtol=1e-4, atol=1e-5)


# -- mixing


def test_crossing_takes_the_first_style_below_its_level() -> None:
    first, second = torch.zeros(3, 2), torch.ones(3, 2)
    mixed = crossed(first, second, torch.tensor([0, 2, 4]), 4)
    assert mixed[..., 0].tolist() == [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_mixing_at_the_ends_is_no_mixing_and_between_is_neither() -> None:
    model = trained()
    coarse, fine = styles(model, 3, seed=1), styles(model, 3, seed=2)
    torch.testing.assert_close(model.mix_styles(coarse, fine, 0), model.decode(fine), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.mix_styles(coarse, fine, 5), model.decode(coarse), rtol=1e-5, atol=1e-6)
    seen = [model.mix_styles(coarse, fine, level) for level in range(model.style_levels + 1)]
    for one in range(len(seen)):
        for other in range(one):
            assert not torch.allclose(seen[one], seen[other], atol=1e-5)


def test_training_mixes_the_styles_of_two_noises() -> None:
    model = tiny(mixing=1.0, noise=False).train()
    seen: list[Tensor] = []
    model.generator.synthesis.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    z = torch.randn(300, 6)
    model.generator(z)
    own = model.generator.mapping(z)
    same = (seen[0] == own[:, None]).all(2)  # (300, levels): whether a level has the noise's own style
    crossing = same.sum(1)
    assert crossing.unique().tolist() == [1, 2, 3, 4]  # never all of either
    assert torch.equal(same, torch.arange(5) < crossing[:, None])
    others = seen[0][:, -1]
    assert len(others.unique(dim=0)) == 300
    model.generator.mixing = 0.25
    model.generator(z)
    share = (~(seen[1] == own[:, None]).all(2).all(1)).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.08)


# -- truncation


def test_truncation_pulls_towards_the_mean_style() -> None:
    model = trained()
    mean = model.painter.mean_style()
    many = model.painter.mapping(torch.randn(50_000, 6, generator=torch.Generator().manual_seed(3)))
    torch.testing.assert_close(mean, many.mean(0, keepdim=True), rtol=0, atol=6 * float(many.std(0).max()) / 4096**0.5)
    none = model.sample(3, temperature=0.0)
    torch.testing.assert_close(none, model.decode(mean.expand(3, -1)), rtol=1e-4, atol=1e-6)
    full, half = [
        model.sample_prior(5, temperature=psi, generator=torch.Generator().manual_seed(1)) for psi in (1, 0.5)
    ]
    torch.testing.assert_close(half, mean + 0.5 * (full - mean), rtol=1e-4, atol=1e-5)
    z = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(full, model.painter.mapping(z))


# -- the game


def test_what_it_can_do_and_who_samples() -> None:
    model = trained(average=0.9)
    assert capabilities(type(model)) == ("descends", "samples", "decodes", "has_prior", "mixes_styles")
    assert model.painter is model.averaged.network
    w = styles(model, 2)
    assert not torch.allclose(model.decode(w), model.generator.draw(w))


def test_r1_is_paid_on_every_kth_turn_for_those_between() -> None:
    model = tiny(r1=3.0, r1_every=2, average=0.0)
    images = torch.rand(4, 1, 16, 16)
    fake = model.generator(torch.randn(4, 6)).detach()
    slopes = []
    for image in images:
        point = image[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(model.critic(point)[0], point)
        slopes.append(slope.square().sum())
    game = discriminator_loss("non_saturating", model.critic(images), model.critic(fake))
    for number, weight in ((0, 3.0), (1, 0.0), (2, 3.0)):
        loss, logged = model.discriminator_objective(Turn(number, images, None, fake, fake))
        torch.testing.assert_close(loss, game + weight * torch.stack(slopes).mean(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            logged["r1"], (2 if weight else 0) * torch.stack(slopes).mean(), rtol=1e-4, atol=1e-9
        )


def test_a_run_mixes_every_row_with_every_column(tmp_path: Path) -> None:
    model = trained()
    run = FakeRun(model, pictures(), tmp_path)
    codes = run.codes(np.concatenate([run.codes(seed) for seed in (3, 4, 5)]))
    table = run.mix_styles([3, 4], codes[2:], 2)
    assert len(table) == 2
    with torch.no_grad():
        expected = model.mix_styles(*(torch.from_numpy(codes[place]).float() for place in ([0, 1], [2, 2])), 2)
    assert np.allclose(table.array, expected.numpy(), atol=1e-5)
    assert "level 2" in table.caption
    with pytest.raises(BadInputError, match="style levels 0 to 5, and 6 was asked for"):
        run.mix_styles([0], [1], 6)
    with pytest.raises(BadInputError, match="cannot mix styles; pick a model that decodes level by level"):
        tiny_run(tmp_path / "other").mix_styles([0], [1], 1)
