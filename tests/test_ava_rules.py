"""AVA's hand-written rules: every error and every weight recomputed by naive loops over neurons."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.metrics.balance import balance_metric
from genlab.nn.ava_authors import VARIANTS, ChannelNet, Passed, learn, networks, train_many
from genlab.nn.importance import NormalLatent
from genlab.training.loop import Training
from genlab.training.players import Minimiser

AVAS = ["ava1", "ava2", "ava3", "ava4", "ava5"]
D, SIDE = 3, 4


def model_of(name: str, rule: str, channels: int = 1, **values: Any) -> Any:
    seed_everything(0)
    sizes = {"hidden": 6, "critic_hidden": 5, "latent_dim": D, **values}
    return genlab.create(name, (channels, SIDE, SIDE), rule=rule, **sizes).double()


def pictures(count: int = 2, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.double)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


class Dense:
    """Layers of neurons with a leaky ReLU between them, in loops; gradients of several passes add up."""

    def __init__(self, module: nn.Module, leak: float) -> None:
        self.linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        self.w = [layer.weight.detach().numpy().copy() for layer in self.linear]
        self.b = [layer.bias.detach().numpy().copy() for layer in self.linear]
        self.leak = leak
        self.dw, self.db = [np.zeros_like(w) for w in self.w], [np.zeros_like(b) for b in self.b]

    def forward(self, x: list[float]) -> list[list[float]]:
        """What each layer gives, the input first; the last layer has no activation."""
        passed = [list(x)]
        for layer, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            out = []
            for j in range(len(b)):
                total = b[j]
                for i in range(len(passed[-1])):
                    total += w[j, i] * passed[-1][i]
                hidden = layer < len(self.w) - 1
                out.append(total * self.leak if hidden and total < 0 else total)
            passed.append(out)
        return passed

    def backward(self, passed: list[list[float]], error: list[float], share: float) -> None:
        """Add `share` of the gradients of one pass, given the derivative of a loss by each output."""
        for layer in reversed(range(len(self.w))):
            before = [0.0] * len(passed[layer])
            for j in range(len(error)):
                self.db[layer][j] += share * error[j]
                for i in range(len(passed[layer])):
                    self.dw[layer][j, i] += share * error[j] * passed[layer][i]
                    before[i] += error[j] * self.w[layer][j, i]
            error = [e * (self.leak if v < 0 else float(v > 0)) for e, v in zip(before, passed[layer], strict=True)]

    def assert_moved(self, rate: float) -> None:
        for layer, w, b, dw, db in zip(self.linear, self.w, self.b, self.dw, self.db, strict=True):
            np.testing.assert_allclose(layer.weight.detach().numpy(), w - rate * dw, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(layer.bias.detach().numpy(), b - rate * db, rtol=1e-9, atol=1e-12)
            assert np.abs(dw).max() > 1e-6


def printed_by_hand(name: str, model: Any, x: torch.Tensor, noise: torch.Tensor) -> list[Dense]:
    """Gradients of equations (5)-(7), (10), (13), (14) and (16), neuron by neuron, averaged over the images."""
    encoder, decoder = Dense(model.encoder, 0), Dense(model.decoder, 0)
    critics = {key: Dense(module, 0.2) for key, module in model.critics.items()}
    share = 1 / len(x)
    for image, r in zip(x.flatten(1).tolist(), noise.tolist(), strict=True):
        encoding = encoder.forward(image)
        mu, variance = encoding[-1][:D], [math.exp(v) for v in encoding[-1][D:]]
        decoding = decoder.forward([mu[j] + variance[j] ** 0.5 * r[j] for j in range(D)])
        fake = [sigmoid(v) for v in decoding[-1]]
        of_mu, d_term = list(mu), 0.0
        if "discriminator" in critics:
            d = critics["discriminator"]
            on_real, on_fake = d.forward(image), d.forward(fake)
            real_d, fake_d = sigmoid(on_real[-1][0]), sigmoid(on_fake[-1][0])
            slope_real, slope_fake = real_d * (1 - real_d), fake_d * (1 - fake_d)
            d_term = slope_fake / (1 - fake_d)
            up = -slope_fake / (1 - fake_d)
            if name in ("ava2", "ava5"):
                up += slope_fake * sum((image[i] - fake[i]) * fake[i] * (1 - fake[i]) for i in range(len(fake)))
            d.backward(on_real, [-slope_real / real_d], share)
            d.backward(on_fake, [-up], share)
        if "encoding_discriminator" in critics:
            judge, again = critics["encoding_discriminator"], encoder.forward(fake)[-1][:D]
            on_real, on_fake = judge.forward(mu), judge.forward(again)
            real_d, fake_d = sigmoid(on_real[-1][0]), sigmoid(on_fake[-1][0])
            slope_real, slope_fake = real_d * (1 - real_d), fake_d * (1 - fake_d)
            of_mu = [m - slope_fake / (1 - fake_d) for m in mu]
            up = -slope_fake / (1 - fake_d)
            if name in ("ava4", "ava5"):
                up += slope_fake * sum(mu[j] - again[j] for j in range(D))
            judge.backward(on_real, [-slope_real / real_d], share)
            judge.backward(on_fake, [-up], share)
        of_variance = [0.5 * (1 - 1 / v) * v for v in variance]
        encoder.backward(encoding, [*of_mu, *of_variance], share)
        error = [-((image[i] - fake[i]) + d_term) * fake[i] * (1 - fake[i]) for i in range(len(fake))]
        decoder.backward(decoding, error, share)
    return [encoder, decoder, *critics.values()]


@pytest.mark.parametrize("name", AVAS)
def test_printed_moves_every_weight_as_the_equations_by_hand_say(name: str) -> None:
    model = model_of(name, "printed", rate=0.3)
    seed_everything(7)
    noise = torch.randn(2, D, dtype=torch.double)
    by_hand = printed_by_hand(name, model, pictures(), noise)
    seed_everything(7)
    model.training_step(Batch(pictures(), None), Step(0, 0, 1), Minimiser(model.players()))
    for net in by_hand:
        net.assert_moved(rate=0.3)


@pytest.mark.parametrize(("plain", "leaning"), [("ava1", "ava2"), ("ava3", "ava4")])
def test_printed_leaning_terms_move_the_discriminator_alone_at_first(plain: str, leaning: str) -> None:
    moved = []
    for name in (plain, leaning):
        model = model_of(name, "printed", rate=0.3)
        seed_everything(7)
        model.training_step(Batch(pictures(), None), Step(0, 0, 1), Minimiser(model.players()))
        moved.append(model.state_dict())
    for key, value in moved[0].items():
        assert torch.equal(value, moved[1][key]) == ("critics" not in key), key


@pytest.mark.parametrize("name", AVAS)
def test_printed_logs_the_objectives_and_not_its_surrogates(name: str) -> None:
    logged = []
    for values in ({"rule": "printed"}, {"rule": "autograd", "mode": "paper"}):
        model = model_of(name, **values)
        minimise = Minimiser(model.players())
        seed_everything(7)
        scalars = model.training_step(Batch(pictures(), None), Step(0, 0, 1), minimise)
        logged.append({**{f"loss_{key}": loss for key, loss in minimise.take_losses().items()}, **scalars})
    assert logged[0].keys() == logged[1].keys()
    for key, value in logged[0].items():
        torch.testing.assert_close(value, logged[1][key])


class Program:
    """One network of the authors' program, neuron by neuron: weights move before the error passes, twice without target."""

    def __init__(self, inputs: int, hidden: int, outputs: int, weights: Any = None) -> None:
        zero = [np.zeros((inputs, hidden)), np.zeros(hidden), np.zeros((hidden, outputs)), np.zeros(outputs)]
        self.w1, self.b1, self.w2, self.b2 = [w.copy() for w in weights] if weights else zero

    def evaluate(self, x: Any) -> list[float]:
        self.x = [float(v) for v in x]
        self.h, self.out = [], []
        for j in range(len(self.b1)):
            total = self.b1[j] + sum(self.x[i] * self.w1[i, j] for i in range(len(self.x)))
            self.h.append(sigmoid(0.5 * (total - 0.5)))
        for k in range(len(self.b2)):
            total = self.b2[k] + sum(self.h[j] * self.w2[j, k] for j in range(len(self.h)))
            self.out.append(sigmoid(0.5 * (total - 0.5)))
        return self.out

    def move(self, error: list[float], rate: float, times: int) -> None:
        for _ in range(times):
            for k in range(len(error)):
                self.b2[k] += rate * error[k]
                for j in range(len(self.h)):
                    self.w2[j, k] += rate * error[k] * self.h[j]
            for j in range(len(self.h)):
                back = sum(error[k] * self.w2[j, k] for k in range(len(error)))
                back *= 0.5 * self.h[j] * (1 - self.h[j])
                self.b1[j] += rate * back
                for i in range(len(self.x)):
                    self.w1[i, j] += rate * back * self.x[i]


def program_by_hand(
    name: str, images: np.ndarray, noise: np.ndarray, rate: float, hidden: int, critic_hidden: int
) -> tuple[dict[str, Program], list[float]]:
    """One channel: images (N, pixels) one after the other, noise (N, D). Returns the networks and the last (μ, Σ)."""
    pixels = images.shape[1]
    nets = {"encoder": Program(pixels, hidden, 2 * D), "decoder": Program(D, hidden, pixels)}
    judges_images, judges_codes = name in ("ava1", "ava2", "ava5", "gan"), name in ("ava3", "ava4", "ava5")
    nets |= {"discriminator": Program(pixels, critic_hidden, 1)} if judges_images else {}
    nets |= {"encoding_discriminator": Program(D, critic_hidden, 1)} if judges_codes else {}
    if name == "gan":
        del nets["encoder"]
    last = [0.0] * D + [1.0] * D
    for x, r in zip(images, noise, strict=True):
        code, encoder_error = list(r), []
        if name != "gan":
            out = last = list(nets["encoder"].evaluate(x))
            for v in out[:D]:
                slope = 0.5 * v * (1 - v)
                encoder_error.append(-v * slope + (slope / (1 - v) * slope if judges_codes else 0))
            encoder_error += [0.5 / v * 0.5 * v * (1 - v) for v in out[D:]]
            nets["encoder"].move(encoder_error, rate, 2)
            code = [out[j] + math.sqrt(out[D + j]) * r[j] for j in range(D)]
        decoded, decoder_error = nets["decoder"].evaluate(code), []
        for i in range(pixels):
            slope = 0.5 * decoded[i] * (1 - decoded[i])
            decoder_error.append(
                (x[i] - decoded[i]) * slope + (slope / (1 - decoded[i]) * slope if judges_images else 0)
            )
        nets["decoder"].move(decoder_error, rate, 1)
        generated = nets["decoder"].evaluate(code) if judges_images or judges_codes else []
        if judges_images:
            judge(nets["discriminator"], x, generated, decoder_error if name in ("ava2", "ava5") else [], rate)
        if judges_codes:
            again = list(nets["encoder"].evaluate(generated))
            lean = encoder_error if name in ("ava4", "ava5") else []
            judge(nets["encoding_discriminator"], last[:D], again[:D], lean, rate)
            last = again
    return nets, last


def judge(critic: Program, real: Any, fake: Any, lean: list[float], rate: float) -> None:
    """Both terms of a discriminator's error, with the leaning one where there is any."""
    on_real = critic.evaluate(real)[0]
    on_fake = critic.evaluate(fake)[0]
    slope_real, slope_fake = 0.5 * on_real * (1 - on_real), 0.5 * on_fake * (1 - on_fake)
    critic.move([slope_real / on_real - slope_fake / (1 - on_fake) + slope_fake * sum(lean)], rate, 2)


def assert_same(net: ChannelNet, channel: Any, program: Program) -> None:
    for got, expected in ((net.w1, program.w1), (net.b1[..., 0, :], program.b1), (net.w2, program.w2), (net.b2[..., 0, :], program.b2)):  # fmt: skip
        np.testing.assert_allclose(got[channel].detach().numpy(), expected, rtol=1e-9, atol=1e-13)
        assert np.abs(expected).max() > 0


@pytest.mark.parametrize("name", AVAS)
def test_authors_rule_moves_every_weight_as_the_program_does(name: str) -> None:
    rate, channels = 0.7, 2
    model = model_of(name, "authors", channels, rate=rate)
    x, minimise, noise = pictures(4, channels), Minimiser(model.players()), []
    for index in range(4):
        seed_everything(index)
        torch.randn(1, channels * D, dtype=torch.double)  # what logging draws
        noise.append(torch.randn(1, 1, D, dtype=torch.double).flatten())
        seed_everything(index)
        logged = model.training_step(Batch(x[index : index + 1], None), Step(index, 0, 4), minimise)
    for channel in range(channels):
        flat = x[:, channel].flatten(1).numpy()
        nets, last = program_by_hand(name, flat, torch.stack(noise).numpy(), rate, 6, 5)
        assert nets.keys() == model.nets.keys()
        for key, program in nets.items():
            assert_same(model.nets[key], channel, program)
        own = slice(channel * D, (channel + 1) * D)
        np.testing.assert_allclose(model.last[0, own].numpy(), last[:D], rtol=1e-9)
        np.testing.assert_allclose(model.last[1, own].exp().numpy(), last[D:], rtol=1e-9)
    assert all(torch.isfinite(value) for value in {**logged, **minimise.take_losses()}.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_many_runs_at_once_are_the_program_run_by_run(name: str) -> None:
    """Hidden units that stay equal are computed as one, and runs of different rates side by side."""
    rates, x = [1.0, 0.05], pictures(5, 2)
    runs = train_many(name, x, rates, seed=3, latent_dim=D, hidden=7)
    draw = torch.Generator().manual_seed(3)
    noise = torch.stack([torch.randn(2, 1, 1, D, generator=draw, dtype=torch.double).view(2, D) for _ in range(5)], 1)
    for run, rate in enumerate(rates):
        for channel in range(2):
            nets, last = program_by_hand(name, x[:, channel].flatten(1).numpy(), noise[run].numpy(), rate, 7, 7)
            decoder = nets["decoder"]
            assert np.ptp(decoder.w2, axis=0).max() == 0  # equal for ever
            np.testing.assert_allclose(runs.decoder.w2[run, channel, 0].numpy(), decoder.w2[0], rtol=1e-9)
            np.testing.assert_allclose(runs.decoder.w1[run, channel, :, 0].numpy(), decoder.w1[:, 0], rtol=1e-9)
            np.testing.assert_allclose(runs.mean[run, channel, 0].numpy(), last[:D], rtol=1e-9)
            np.testing.assert_allclose(runs.variance[run, channel, 0].numpy(), last[D:], rtol=1e-9)
    drawn = runs.generate(4, torch.Generator().manual_seed(0))
    z = torch.randn(2, 1, 4, D, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    code = runs.mean[1, 0, 0] + runs.variance[1, 0, 0].sqrt() * z[1, 0, 2]
    nets, _ = program_by_hand(name, x[:, 0].flatten(1).numpy(), noise[1].numpy(), rates[1], 7, 7)
    np.testing.assert_allclose(drawn[1, 2, 0].flatten().numpy(), nets["decoder"].evaluate(code.tolist()), rtol=1e-9)


@pytest.mark.parametrize("times", [1, 2])
def test_the_surrogate_s_descent_is_the_update_by_hand(times: int) -> None:
    """With unequal hidden units, by gradient descent and by hand."""
    random = np.random.default_rng(0)
    weights = [random.normal(size=size) for size in ((5, 4), (4,), (4, 3), (3,))]
    x, error, rate = random.random(5), random.normal(size=3), 0.4
    program = Program(5, 4, 3, weights)
    program.evaluate(x)
    program.move(error.tolist(), rate, times)
    for by_hand in (False, True):
        net = ChannelNet((1,), 5, 4, 3).double()
        with torch.no_grad():
            for weight, value in zip(net.parameters(), (weights[0], weights[1], weights[2], weights[3]), strict=True):
                weight.copy_(torch.tensor(value).view(weight.shape))
        passed, errors = net(torch.tensor(x).view(1, 1, 5)), torch.tensor(error).view(1, 1, 3)
        if by_hand:
            net.move(passed, errors, torch.full((1, 1, 1), rate, dtype=torch.double), times)
        else:
            minimise = Minimiser({"net": torch.optim.SGD(net.parameters(), lr=rate)})
            minimise(net=net.surrogate(passed, errors, rate, times))
        assert_same(net, 0, program)


def test_the_discriminators_never_reach_an_image() -> None:
    """The decoder of AVA1 and AVA2, and all of AVA3 but its discriminator, move the same whatever the discriminators are."""
    x, moved = pictures(3, 1).flatten(2), {}
    for name in ("ava1", "ava2", "ava3", "ava4"):
        for start in (0.0, 1.0):
            nets = {key: net.double() for key, net in networks(name, (1,), SIDE * SIDE, D, 4, 4).items()}
            nets[next(key for key in nets if "discriminator" in key)].b2.data.fill_(start)

            def move(key: str, passed: Passed, error: torch.Tensor, times: int, nets: Any = nets) -> None:
                nets[key].move(passed, error, 0.5, times)

            for image in x:
                learn(name, nets, image[None], torch.ones(1, 1, D, dtype=torch.double), move)
            moved[name, start] = nets["decoder"].w2
    for name, other in (("ava1", "ava2"), ("ava3", "ava4")):
        assert torch.equal(moved[name, 0.0], moved[name, 1.0])
        assert torch.equal(moved[name, 0.0], moved[other, 1.0])
    assert not torch.equal(moved["ava1", 0.0], moved["ava3", 0.0])


def test_the_paper_s_figures_come_back(shared: Path) -> None:
    """Balance Metric on the paper's images, against an independent implementation of the program (3 seeds) and the print."""
    files = sorted((shared / "data" / "orbit-100x64").glob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    x = torch.tensor(pixels).permute(0, 3, 1, 2) / 255
    for name, rate, reference, printed in (
        ("vae", 0.05, 0.1801, 0.1805),
        ("gan", 0.5, 0.2315, 0.2311),
        ("ava1", 0.05, 0.1625, 0.1664),
        ("ava3", 0.1, 0.1198, 0.1230),
        ("ava5", 0.05, 0.1643, 0.1621),
        ("ava5", 0.01, 0.2145, 0.2146),
    ):
        runs = train_many(name, x, [rate] * 3)
        drawn = runs.generate(4, torch.Generator().manual_seed(0))
        found = np.mean([balance_metric(images, x) for images in drawn])
        assert found == pytest.approx(reference, abs=0.005), name
        assert found == pytest.approx(printed, abs=0.006), name


def digits(count: int = 60) -> ArrayBatches:
    from sklearn.datasets import load_digits

    images = (load_digits().images[:count, None] * 255 / 16).astype(np.uint8)
    return ArrayBatches(images, None, {"train": np.arange(count - 10), "validation": np.arange(count - 10, count)})


@pytest.mark.parametrize(("rule", "batch_size"), [("printed", 10), ("authors", 1), ("authors", 10)])
@pytest.mark.parametrize("name", AVAS)
def test_it_trains_through_the_loop_and_comes_back_from_its_weights(name: str, rule: str, batch_size: int) -> None:
    seed_everything(0)
    values = {"rule": rule, "rate": 0.02 if rule == "printed" else 0.5, "hidden": 16, "critic_hidden": 8}
    model = genlab.create(name, (1, 8, 8), latent_dim=4, **values)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    training = Training(model, digits(), TrainingSettings(epochs=4, batch_size=batch_size))
    epochs = [event for event in training.events() if isinstance(event, EpochFinished)]
    for epoch in epochs:
        assert np.isfinite(list({**epoch.scalars, **epoch.validation}.values())).all()
    if name in ("ava3", "ava4"):  # the others pay their decoder for something else than the image
        assert epochs[-1].scalars["reconstruction"] < epochs[0].scalars["reconstruction"]
    assert all(not torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = genlab.create(name, (1, 8, 8), latent_dim=4, **values)
    again.load_state_dict(model.state_dict())
    draws = [net.sample(3, generator=torch.Generator().manual_seed(0)) for net in (model, again)]
    assert torch.equal(draws[0], draws[1])
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(again.decode(again.encode(x).mean), model.decode(model.encode(x).mean))


def test_authors_codes_are_drawn_around_the_last_encoded_image() -> None:
    model = genlab.create("ava3", (3, 8, 8), rule="authors", latent_dim=4, hidden=8, critic_hidden=8)
    assert model.latent_dim == 12
    model.last.copy_(torch.stack([torch.linspace(0, 1, 12), torch.full((12,), math.log(0.04))]))
    codes = model.sample_prior(20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(codes.mean(0), torch.linspace(0, 1, 12), atol=0.01, rtol=0)
    torch.testing.assert_close(codes.std(0), torch.full((12,), 0.2), atol=0.01, rtol=0)
    noise = codes - torch.linspace(0, 1, 12)
    torch.testing.assert_close(noise[:, :4], noise[:, 8:], atol=1e-6, rtol=0)  # channels share it
    cold = model.sample_prior(2, temperature=0.0)
    torch.testing.assert_close(cold, model.last[0].expand(2, -1))


def test_authors_has_no_convolutions() -> None:
    with pytest.raises(BadInputError, match="choose architecture 'mlp'"):
        genlab.create("ava1", (1, 8, 8), rule="authors", architecture="conv")


@pytest.mark.parametrize("rule", ["autograd", "printed", "authors"])
def test_the_likelihood_is_a_normal_of_variance_one(rule: str) -> None:
    model = model_of("ava5", rule)
    assert isinstance(model, NormalLatent)
    x, codes = pictures(), torch.randn(2, model.latent_dim, dtype=torch.double)
    normal = torch.distributions.Normal(model.decode(codes), 1.0)
    expected = -normal.log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(model.negative_log_likelihood(codes, x), expected)
    terms = model.bound_terms(x, torch.Generator().manual_seed(0))
    weights = model.log_weights(x, 400, torch.Generator().manual_seed(0))
    assert weights.shape == (400, 2)
    likelihood = weights.logsumexp(0) - math.log(400)
    assert (likelihood > -(terms["reconstruction"] + terms["kl"]) - 1.0).all()
