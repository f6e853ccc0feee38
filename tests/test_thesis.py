"""The thesis's pair of autoencoders against its Keras code, its printed sizes and slow recomputations."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError
from genlab.nn.subnetworks import OneByOne, SubNetworks
from genlab.nn.thesis import ThesisVAE, psnr_of
from genlab.nn.thesis_layers import MirroredEncoder, QuadConv
from genlab.training.players import Minimiser

NAMES = ("vanilla_vae", "variant_vae")


def model_of(name: str, size: int = 32, **parameters: object) -> ThesisVAE:
    torch.manual_seed(0)
    values = {"latent_dim": 8, "width": 2, **parameters}
    model = genlab.create(name, (3, size, size), **values)
    assert isinstance(model, ThesisVAE)
    return model


@pytest.mark.parametrize(
    ("name", "counts"),
    [("vanilla_vae", (20_651_203, 37_822_403, 72_951_235)), ("variant_vae", (21_057_731, 39_421_891, 79_295_939))],
)
def test_sizes_are_those_of_table_5_4(name: str, counts: tuple[int, ...]) -> None:
    with torch.device("meta"):
        models = [genlab.create(name, (3, 256, 256), latent_dim=dim) for dim in (256, 512, 1024)]
    assert tuple(sum(p.numel() for p in model.parameters()) for model in models) == counts


# Against the thesis's Keras code ---------------------------------------------------------------------------------


def hashed(place: int, count: int, limit: float) -> np.ndarray:
    """Tensor number `place` of the reference: an integer hash of each index, scaled to ±limit."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(count, dtype=np.uint64) + np.uint64((0x9E3779B9 * (place + 1)) & 0xFFFFFFFF)) & mask
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h ^= h >> np.uint64(shift)
        h = (h * np.uint64(factor)) & mask
    h ^= h >> np.uint64(16)
    return ((h / 2.0**32 * 2 - 1) * limit).astype(np.float32)


def reference_shapes(names: list[str], size: int, dim: int) -> dict[str, tuple[int, ...]]:
    enc, dec = [3, 32, 64, 128, 256, 512], [128, 512, 256, 128, 64, 3]
    shapes: dict[str, tuple[int, ...]] = {}
    for k in range(5):
        shapes |= {f"enc{k}.weight": (enc[k + 1], enc[k], 3, 3), f"enc{k}.bias": (enc[k + 1],)}
        shapes |= {f"dec{k}.weight": (dec[k], dec[k + 1], 3, 3), f"dec{k}.bias": (dec[k + 1],)}
    flat = (size // 32) ** 2 * 512
    shapes |= {"d1.weight": (dim, flat), "d1.bias": (dim,), "d2.weight": (flat, dim), "d2.bias": (flat,)}
    shapes |= {"mean.weight": (dim, dim), "mean.bias": (dim,), "logvar.weight": (dim, dim), "logvar.bias": (dim,)}
    shapes |= {
        "sub1.weight": (8 * dim, dim),
        "sub1.bias": (8 * dim,),
        "sub2.weight": (dim, 8, 4),
        "sub2.bias": (dim, 4),
    }
    shapes |= {"sub3.weight": (dim, 4, 2), "sub3.bias": (dim, 2)}
    return {name: shapes[name] for name in names}


def reference_weights(golden: np.lib.npyio.NpzFile, size: int) -> dict[str, Tensor]:
    names = [str(name) for name in golden[f"s{size}_names"]]
    weights = {}
    for place, (name, shape) in enumerate(reference_shapes(names, size, 8).items()):
        values = hashed(place, math.prod(shape), golden[f"s{size}_limits"][place])
        if name == "dec4.bias":
            values += np.float32(0.3)
        np.testing.assert_array_equal(values[:3], golden[f"s{size}_weight_first3"][place][: len(values)])
        np.testing.assert_allclose(values.sum(dtype=np.float64), golden[f"s{size}_weight_sum"][place], atol=1e-9)
        weights[name] = torch.from_numpy(values).view(shape)
    return weights


def load_reference(model: ThesisVAE, weights: dict[str, Tensor], size: int) -> None:
    """Kernels mirrored, and the dense layers' rows and columns reordered as their maps are."""
    deep, wide = size // 32, size // 16
    own: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        flipped = (lambda w: w.flip(2, 3)) if kind == "weight" else (lambda w: w)
        for k in range(5):
            own[f"encoder.layers.{k}.{kind}"] = flipped(weights[f"enc{k}.{kind}"])
        for k in range(4):
            own[f"decoder.layers.{k}.{kind}"] = flipped(weights[f"dec{k}.{kind}"])
    own["decoder.last.weight"], own["decoder.last.bias"] = weights["dec4.weight"].transpose(0, 1), weights["dec4.bias"]
    own["dense.weight"] = weights["d1.weight"].view(8, deep, deep, 512).flip(1, 2).flatten(1)
    own["dense.bias"] = weights["d1.bias"]
    own["decoder.dense.weight"] = weights["d2.weight"].view(wide, wide, 128, 8).flip(0, 1).reshape(-1, 8)
    own["decoder.dense.bias"] = weights["d2.bias"].view(wide, wide, 128).flip(0, 1).reshape(-1)
    heads = {
        "mean": "mean", "log_var": "logvar",
        "subnetworks.first": "sub1", "subnetworks.second": "sub2", "subnetworks.last": "sub3",
    }  # fmt: skip
    for here, there in heads.items():
        for kind in ("weight", "bias"):
            if f"{there}.{kind}" in weights:
                separator = "_" if here.endswith(("second", "last")) else "."
                own[f"{here}{separator}{kind}"] = weights[f"{there}.{kind}"]
    model.load_state_dict(own)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", NAMES)
def test_it_computes_what_the_thesis_code_computes(name: str, size: int, shared: Path) -> None:
    golden = np.load(shared / "golden" / f"golden_{name.removesuffix('_vae')}.npz")
    read = {key: golden[f"s{size}_{key}"] for key in golden_keys(golden, size)}
    model = model_of(name, size, width=32, output="relu", objective="thesis", beta=1.0)
    load_reference(model, reference_weights(golden, size), size)
    images = torch.from_numpy(read["x"]).permute(0, 3, 1, 2)

    def close(ours: Tensor, key: str) -> None:
        np.testing.assert_allclose(ours.detach().numpy(), read[key], atol=2e-6, rtol=1e-5, err_msg=key)

    deep = size // 32
    close(model.encoder(images).view(2, deep, deep, 512).flip(1, 2).flatten(1), "enc_flat")
    posterior = model.encode(images)
    close(posterior.mean, "z_mean")
    close(posterior.log_var, "z_log_var")
    codes = posterior.mean + torch.exp(0.5 * posterior.log_var) * torch.from_numpy(read["eps"])
    reconstruction = model.render(codes)
    close(reconstruction.permute(0, 2, 3, 1), "recon")
    close(model.render(posterior.mean).permute(0, 2, 3, 1), "recon_from_mean")
    errors, kl = (images - reconstruction).square(), posterior.kl().sum(1)
    np.testing.assert_allclose(errors.double().sum((1, 2, 3)).detach().numpy(), read["sse_per_image"], rtol=1e-5)
    np.testing.assert_allclose(kl.detach().numpy(), read["kl_per_image"], rtol=1e-5)

    # the model's own objective, with the reference's noise in place of its draw
    class Fixed(type(posterior)):
        def sample(self, generator: torch.Generator | None = None) -> Tensor:
            return self.mean + torch.exp(0.5 * self.log_var) * torch.from_numpy(read["eps"])

    encode = model.encode
    model.encode = lambda images: Fixed(*encode(images))  # type: ignore[method-assign]
    terms = model.loss_terms(images)
    np.testing.assert_allclose(terms["loss"].item(), float(read["elbo"]), rtol=1e-5)
    np.testing.assert_allclose(terms["reconstruction"].item() * 2, float(read["sse"]), rtol=1e-5)
    np.testing.assert_allclose(terms["kl"].item(), float(read["kl"]), rtol=1e-5)
    terms["loss"].backward()
    first, last = model.encoder.layers[0].weight.grad, model.decoder.last.weight.grad
    for ours, key in ((first.flip(2, 3), "grad_enc0.weight"), (last.transpose(0, 1), "grad_dec4.weight")):
        scale = np.abs(read[key]).max()
        np.testing.assert_allclose(ours.numpy() / scale, read[key] / scale, atol=1e-5, err_msg=key)


def golden_keys(golden: np.lib.npyio.NpzFile, size: int) -> list[str]:
    return [key.removeprefix(f"s{size}_") for key in golden.files if key.startswith(f"s{size}_")]


# Against slow recomputations -------------------------------------------------------------------------------------


def test_subnetworks_equal_a_loop_over_dimensions_and_so_do_their_gradients() -> None:
    torch.manual_seed(0)
    batched = SubNetworks(features=7, count=5).double()
    for parameter in batched.parameters():
        nn.init.normal_(parameter)
    features = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    means, log_vars = [], []
    for d in range(5):
        hidden = F.relu(features @ batched.first.weight[8 * d : 8 * d + 8].T + batched.first.bias[8 * d : 8 * d + 8])
        hidden = F.relu(hidden @ batched.second_weight[d] + batched.second_bias[d])
        out = hidden @ batched.last_weight[d] + batched.last_bias[d]
        means.append(out[:, 0])
        log_vars.append(out[:, 1])
    expected = torch.stack([torch.stack(means, 1), torch.stack(log_vars, 1)])
    got = torch.stack(batched(features))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    seed = torch.randn_like(got)
    inputs = [features, *batched.parameters()]
    for ours, slow in zip(
        torch.autograd.grad(got, inputs, seed), torch.autograd.grad(expected, inputs, seed), strict=True
    ):
        torch.testing.assert_close(ours, slow, rtol=1e-12, atol=1e-12)


def test_one_network_after_the_other_computes_what_all_at_once_do() -> None:
    torch.manual_seed(2)
    batched, loop = SubNetworks(features=6, count=4).double(), OneByOne(features=6, count=4).double()
    with torch.no_grad():
        for d, trunk in enumerate(loop.trunks):
            first, second = trunk[0], trunk[2]
            first.weight.copy_(batched.first.weight[8 * d : 8 * d + 8])
            first.bias.copy_(batched.first.bias[8 * d : 8 * d + 8])
            second.weight.copy_(batched.second_weight[d].T)
            second.bias.copy_(batched.second_bias[d])
            for place, layer in enumerate((loop.means[d], loop.log_vars[d])):
                layer.weight.copy_(batched.last_weight[d, :, place : place + 1].T)
                layer.bias.copy_(batched.last_bias[d, place : place + 1])
    features = torch.randn(5, 6, dtype=torch.float64)
    for ours, theirs in zip(batched(features), loop(features), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_means_and_log_variances_lie_row_by_row() -> None:
    """Columns would make the decoder's dense layer differentiate through a product that takes forty times as long."""
    assert all(part.is_contiguous() for part in SubNetworks(features=6, count=4)(torch.rand(3, 6)))


def test_a_dimension_depends_on_its_own_subnetwork_alone() -> None:
    net = SubNetworks(features=6, count=4)
    features = torch.rand(2, 6)
    before = torch.stack(net(features))
    with torch.no_grad():
        net.last_bias[2] += 1
    torch.testing.assert_close((torch.stack(net(features)) - before)[0, 0], torch.tensor([0.0, 0.0, 1.0, 0.0]))


def test_subnetworks_start_by_the_fans_of_one_and_not_of_all() -> None:
    torch.manual_seed(0)
    net = SubNetworks(features=64, count=200)
    for weight, fan_in, fan_out in ((net.first.weight, 64, 8), (net.second_weight, 8, 4), (net.last_weight, 4, 1)):
        limit = math.sqrt(6 / (fan_in + fan_out))
        assert 0.98 * limit < weight.abs().max() <= limit
        assert weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.03)


def test_encoder_pads_at_the_end_as_tensorflow_does() -> None:
    torch.manual_seed(0)
    encoder = MirroredEncoder(genlab.core.Shape(3, 64, 32), width=2)
    images = torch.rand(2, 3, 64, 32)
    maps = images
    for layer in encoder.layers:
        maps = F.relu(F.conv2d(F.pad(maps, (0, 1, 0, 1)), layer.weight.flip(2, 3), layer.bias, stride=2))
    expected = maps.flip(2, 3).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(encoder(images), expected, rtol=1e-5, atol=1e-6)
    assert encoder.features == expected.shape[1] == 2 * 1 * 32


def test_decoder_crops_at_the_end_as_tensorflow_does() -> None:
    decoder = model_of("vanilla_vae", 64).decoder
    codes = torch.randn(3, 8)
    maps = F.relu(decoder.dense(codes)).view(3, 4, 4, 8).permute(0, 3, 1, 2).flip(2, 3)
    for layer in decoder.layers:
        grown = F.conv_transpose2d(maps, layer.weight.flip(2, 3), layer.bias, stride=2)
        maps = F.relu(grown[:, :, :-1, :-1])
    expected = F.conv2d(maps, decoder.last.weight.flip(2, 3), decoder.last.bias, padding=1)
    torch.testing.assert_close(decoder(codes), expected, rtol=1e-5, atol=1e-6)


def test_quad_convolution_has_the_gradients_of_a_plain_one() -> None:
    torch.manual_seed(0)
    layer = QuadConv(4, 3, 3, padding=1).double()
    maps = torch.randn(2, 4, 6, 8, dtype=torch.float64, requires_grad=True)
    inputs, seed = [maps, layer.weight, layer.bias], torch.randn(2, 3, 6, 8, dtype=torch.float64)
    ours = torch.autograd.grad(layer(maps), inputs, seed)
    plain = torch.autograd.grad(F.conv2d(maps, layer.weight, layer.bias, padding=1), inputs, seed)
    for left, right in zip(ours, plain, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("objective", ["mean", "thesis"])
def test_the_objective_is_what_its_equations_say(name: str, objective: str) -> None:
    model = model_of(name, objective=objective, beta=2.5)
    with torch.no_grad():  # codes that matter, so that rounding does not
        for layer in model.modules():
            if isinstance(layer, nn.Linear | SubNetworks):
                for weight in layer.parameters():
                    weight.mul_(3).add_(0.05)
    images = torch.rand(4, 3, 32, 32)
    torch.manual_seed(5)
    with torch.no_grad():
        terms = model.loss_terms(images)
        torch.manual_seed(5)
        q = model.encode(images)
        made = model.render(q.mean + q.log_var.mul(0.5).exp() * torch.randn_like(q.mean))
    errors = [float(((images[i] - made[i]) ** 2).sum()) for i in range(4)]
    kl = sum(
        float(-0.5 * (1 + v - m**2 - math.exp(v))) for m, v in zip(q.mean.flatten(), q.log_var.flatten(), strict=True)
    )
    reconstruction = sum(errors) if objective == "thesis" else sum(errors) / 4
    assert terms["loss"].item() == pytest.approx(reconstruction + 2.5 * kl / 4, rel=1e-4)
    assert terms["reconstruction"].item() == pytest.approx(sum(errors) / 4, rel=1e-5)
    assert terms["kl"].item() == pytest.approx(kl / 4, rel=1e-4)
    assert terms["psnr"].item() == pytest.approx(sum(10 * math.log10(3072 / e) for e in errors) / 4, rel=1e-5)


def test_psnr_of_a_known_table_value() -> None:
    assert psnr_of(torch.tensor(9372.83 / 32 / (3 * 256**2))).item() == pytest.approx(28.27, abs=0.01)


def test_bound_is_the_normal_likelihood_that_the_squared_error_stands_for() -> None:
    model = model_of("variant_vae")
    images = torch.rand(3, 3, 32, 32)
    terms = model.bound_terms(images, torch.Generator().manual_seed(1))
    made = model.render(model.encode(images).sample(torch.Generator().manual_seed(1)))
    normal = torch.distributions.Normal(made, math.sqrt(0.5))
    torch.testing.assert_close(terms["reconstruction"], -normal.log_prob(images).sum((1, 2, 3)))
    torch.testing.assert_close(terms["kl"], torch.distributions.kl_divergence(
        torch.distributions.Normal(model.encode(images).mean, model.encode(images).log_var.mul(0.5).exp()),
        torch.distributions.Normal(0.0, 1.0)).sum(1))  # fmt: skip


# What a person meets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_any_multiple_of_32_in_grey_or_colour_and_nothing_else(name: str) -> None:
    model = genlab.create(name, (1, 96, 64), latent_dim=3, width=1)
    assert model.sample(2).shape == (2, 1, 96, 64)
    with pytest.raises(BadInputError, match="multiples of 32, and the images are 64x100 colour; import them at 64x96"):
        genlab.create(name, (3, 64, 100))


@pytest.mark.parametrize("output", ["sigmoid", "relu"])
def test_decoded_images_stay_in_range(output: str) -> None:
    model = model_of("vanilla_vae", output=output)
    with torch.no_grad():
        model.decoder.last.bias.copy_(torch.tensor([5.0, 0.0, -5.0]))
        images = model.decode(torch.randn(4, 8))
        raw = model.render(torch.randn(4, 8))
    assert 0 <= images.min() <= images.max() <= 1
    assert (raw.max() > 1) == (output == "relu")


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_copy_agrees_and_leaves_the_model_alone(name: str) -> None:
    model = model_of(name, width=8)
    images = torch.rand(2, 3, 32, 32)
    half = model.for_inference("bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in half.parameters())
    assert model.training
    with torch.no_grad():
        full, got = model.encode(images), half.encode(images)
        assert got.mean.dtype == got.log_var.dtype == half.decode(got.mean).dtype == torch.float32
        torch.testing.assert_close(got.mean, full.mean, rtol=0.05, atol=0.03)
        torch.testing.assert_close(half.decode(full.mean), model.decode(full.mean), rtol=0, atol=0.01)
    same = model.for_inference("float32")
    assert torch.equal(same.encode(images).mean, full.mean)


@pytest.mark.parametrize("name", NAMES)
def test_steps_on_real_patterns_lower_the_loss(name: str) -> None:
    model = model_of(name, width=4, learning_rate=2e-3)
    ramp = torch.linspace(0, 1, 32)
    images = torch.stack(
        [ramp.expand(3, 32, 32), ramp[:, None].expand(3, 32, 32), torch.rand(3, 1, 1).expand(3, 32, 32)]
    )
    minimise = Minimiser(model.players())
    logged = [model.training_step(Batch(images, None), Step(i, 0, 120), minimise) for i in range(120)]
    assert logged[-1]["reconstruction"] < 0.5 * logged[0]["reconstruction"]
    assert logged[-1]["psnr"] > logged[0]["psnr"]
