"""GANs: the losses against hand counts, the turns against a loop written out, the architecture against its guidelines."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.nn.adversarial import clip_weights, discriminator_loss, generator_loss, gradient_penalty, judged, r1_penalty
from genlab.nn.ema import MovingAverage
from genlab.nn.game import Turn
from genlab.training.loop import Training
from genlab.training.players import Minimiser

REAL = torch.tensor([1.3, 2.9, 8.4, 6.3])
FAKE = torch.tensor([4.8, 1.2, -3.5, 5.9])
LOSSES = ["minimax", "non_saturating", "least_squares", "wasserstein", "hinge"]
TINY: dict[str, dict[str, Any]] = {
    "gan": {"hidden": 8, "critic_hidden": 8, "latent_dim": 3, "dropout": 0.0},
    "dcgan": {"width": 4, "latent_dim": 3},
}


def tiny(name: str, **values: Any) -> Any:
    seed_everything(0)
    return genlab.create(name, (1, 8, 8), **TINY[name], **values)


def images(count: int = 6, seed: int = 1) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def steps(model: Any, count: int, start: int = 0) -> list[dict[str, Tensor]]:
    minimise = Minimiser(model.players())
    model.train()
    told = []
    for index in range(start, start + count):
        told.append(model.training_step(Batch(images(seed=index), None), Step(index, 0, 100), minimise))
        minimise.take_losses()
    return told


# -- losses


@pytest.mark.parametrize(
    ("kind", "generator", "discriminator"),
    [
        ("wasserstein", -2.1, -2.625),
        ("least_squares", 7.3425, 19.76125),
        ("non_saturating", 0.9509911, 3.1251488),
        ("minimax", -3.3642528 + 0.3132617, 3.1251488),
        ("hinge", -2.1, (0 + 5.8 + 2.2 + 0 + 6.9) / 4),
    ],
)
def test_losses_equal_their_hand_counts(kind: Any, generator: float, discriminator: float) -> None:
    assert generator_loss(kind, FAKE).item() == pytest.approx(generator, abs=2e-6)
    assert discriminator_loss(kind, REAL, FAKE).item() == pytest.approx(discriminator, abs=2e-6)


def test_log_losses_are_those_of_the_probabilities_and_stay_finite_where_logarithms_do_not() -> None:
    d_real, d_fake = torch.sigmoid(REAL.double()), torch.sigmoid(FAKE.double())
    expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
    torch.testing.assert_close(discriminator_loss("minimax", REAL.double(), FAKE.double()), expected)
    torch.testing.assert_close(generator_loss("minimax", FAKE.double()), (1 - d_fake).log().mean())
    torch.testing.assert_close(generator_loss("non_saturating", FAKE.double()), -d_fake.log().mean())
    certain = torch.tensor([1e4])
    assert discriminator_loss("minimax", -certain, certain).item() == pytest.approx(2e4)
    assert generator_loss("minimax", certain).item() == pytest.approx(-1e4)


def test_least_squares_uses_its_three_targets() -> None:
    a, b, c = -1.0, 2.0, 0.5
    discriminator = discriminator_loss("least_squares", REAL, FAKE, (a, b, c)).item()
    by_hand = sum((r - b) ** 2 for r in REAL.tolist()) / 8 + sum((f - a) ** 2 for f in FAKE.tolist()) / 8
    assert discriminator == pytest.approx(by_hand, rel=1e-6)
    generator = sum((f - c) ** 2 for f in FAKE.tolist()) / 8
    assert generator_loss("least_squares", FAKE, (a, b, c)).item() == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize(("p", "q"), [(0.75, 0.25), (0.5, 0.5), (0.25, 0.5)])
def test_the_optimal_discriminator_is_p_over_p_plus_q_and_its_value_is_minus_log_4_plus_twice_the_jsd(
    p: float, q: float
) -> None:
    """Images of two kinds, A with probability p among the real and q among the generated ones."""
    optimal = torch.tensor([p / (p + q), (1 - p) / (2 - p - q)], dtype=torch.double)
    logits = torch.logit(optimal).requires_grad_()
    real, fake = (
        logits[[0] * round(4 * p) + [1] * round(4 - 4 * p)],
        logits[[0] * round(4 * q) + [1] * round(4 - 4 * q)],
    )
    loss = discriminator_loss("minimax", real, fake)
    (slope,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-12)
    middle = [(p + q) / 2, 1 - (p + q) / 2]
    jsd = sum(
        0.5 * share * math.log(share / m)
        for pair in ((p, 1 - p), (q, 1 - q))
        for share, m in zip(pair, middle, strict=True)
    )
    assert -loss.item() == pytest.approx(-math.log(4) + 2 * jsd, abs=1e-12)


def test_what_is_logged_of_d_is_a_probability_only_where_d_is_one() -> None:
    assert judged("minimax", torch.zeros(3, requires_grad=True)).item() == 0.5
    assert not judged("minimax", torch.zeros(3, requires_grad=True)).requires_grad
    assert judged("wasserstein", FAKE).item() == pytest.approx(2.1)


# -- the Lipschitz constraint


def test_the_gradient_penalty_takes_one_norm_for_each_image() -> None:
    x = torch.tensor([[0.0, 3.0], [4.0, 0.0], [0.6, 0.8]], dtype=torch.double)
    half_square = lambda points: 0.5 * points.square().sum(1)  # its gradient at x is x  # noqa: E731
    penalty = gradient_penalty(half_square, x, x)
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + (4 - 1) ** 2 + 0) / 3, rel=1e-6)


def test_the_gradient_penalty_is_a_loop_over_images_and_not_one_norm_of_the_batch() -> None:
    seed_everything(3)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Softplus(), nn.Linear(5, 1)).double()
    real, fake = torch.rand(4, 1, 8, 8).double(), torch.rand(4, 1, 8, 8).double()
    seed_everything(5)
    shares = torch.rand(4, 1, 1, 1, dtype=torch.double)
    slopes = []
    for x, y, share in zip(real, fake, shares, strict=True):
        point = (share * x + (1 - share) * y)[None].requires_grad_()
        slopes.append(torch.autograd.grad(critic(point)[0, 0], point)[0].flatten())
    by_image = torch.stack([(slope.norm() - 1) ** 2 for slope in slopes]).mean()
    of_batch = (torch.cat(slopes).norm() - 1) ** 2
    seed_everything(5)
    penalty = gradient_penalty(lambda images: critic(images)[:, 0], real, fake)
    torch.testing.assert_close(penalty, by_image, rtol=1e-5, atol=1e-8)
    assert abs(penalty.item() - of_batch.item()) > 0.01


def test_r1_is_the_squared_slope_at_each_real_image() -> None:
    seed_everything(3)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Softplus(), nn.Linear(5, 1)).double()
    real = torch.rand(4, 1, 8, 8).double()
    numeric = torch.zeros(4, 64).double()
    for place in range(64):
        shift = torch.zeros(64).double()
        shift[place] = 1e-5
        up, down = (critic(real + sign * shift.view(1, 8, 8))[:, 0].detach() for sign in (1, -1))
        numeric[:, place] = (up - down) / 2e-5
    penalty = r1_penalty(lambda images: critic(images)[:, 0], real)
    torch.testing.assert_close(penalty, numeric.square().sum(1).mean(), rtol=1e-5, atol=1e-9)
    assert penalty.requires_grad


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_r1_joins_the_loss_of_the_discriminator_at_half_its_weight(name: str) -> None:
    model, plain = tiny(name, r1=4.0, spectral_norm=True), tiny(name, spectral_norm=True)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.critic.modules())
    model.eval(), plain.eval()
    fake = images(6, seed=2)
    loss, logged = model.discriminator_objective(Turn(0, images(), None, fake, fake))
    without, _ = plain.discriminator_objective(Turn(0, images(), None, fake, fake))
    expected = r1_penalty(plain.critic, images())
    torch.testing.assert_close(loss, without + 2 * expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(logged["r1"], expected, rtol=1e-4, atol=1e-6)


def test_the_gradient_penalty_looks_between_real_and_fake_and_differentiates_the_critic_alone() -> None:
    seed_everything(3)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Softplus(), nn.Linear(5, 1)).double()
    real, fake = torch.ones(4, 1, 8, 8).double(), torch.zeros(4, 1, 8, 8, requires_grad=True).double()
    points: list[Tensor] = []

    def watched(mixed: Tensor) -> Tensor:
        points.append(mixed.detach())
        return critic(mixed)

    seed_everything(5)
    penalty = gradient_penalty(watched, real, fake)
    shares = points[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))  # one ε an image
    assert len(shares[:, 0].unique()) == 4
    assert 0 <= shares.min() <= shares.max() <= 1

    weight = critic[1].weight
    slope, to_fake = torch.autograd.grad(penalty, [weight, fake], allow_unused=True)
    assert to_fake is None
    numeric, small = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            weight[2, 7] += sign * small
        seed_everything(5)
        numeric.append(gradient_penalty(critic, real, fake).item())
        with torch.no_grad():
            weight[2, 7] -= sign * small
    assert slope[2, 7].item() == pytest.approx((numeric[0] - numeric[1]) / (2 * small), rel=1e-4, abs=1e-9)


def test_clipping_bounds_the_critic_and_nothing_else() -> None:
    network = nn.Linear(3, 3)
    clip_weights(network, 0.1)
    assert all(weight.abs().max() <= 0.1 for weight in network.parameters())
    model = tiny("dcgan", loss="wasserstein", lipschitz="clipping", clip=0.005)
    steps(model, 2)
    assert max(weight.abs().max().item() for weight in model.critic.parameters()) == pytest.approx(0.005)
    assert max(weight.abs().max().item() for weight in model.generator.parameters()) > 0.5


# -- the turns


def played_by_hand(model: Any, count: int) -> None:
    """Algorithm 1 as a textbook writes it: detached fakes, `backward` of everything, one player's step."""
    p, targets = model.p, (model.p.a, model.p.b, model.p.c)
    rates = {"generator": p.learning_rate, "critic": p.critic_learning_rate}
    optimisers = {
        part: torch.optim.Adam(getattr(model, part).parameters(), lr=rate, betas=(p.momentum, 0.999))
        for part, rate in rates.items()
    }
    for index in range(count):
        x = images(seed=index)
        fake = model.generator(torch.randn(len(x), p.latent_dim))
        optimisers["critic"].zero_grad()
        loss = discriminator_loss(p.loss, model.critic(x), model.critic(fake.detach()), targets)
        if p.penalised:
            loss = loss + p.penalty * gradient_penalty(model.critic, x, fake.detach())
        loss.backward()
        optimisers["critic"].step()
        if p.loss == "wasserstein" and not p.penalised:
            for weight in model.critic.parameters():
                weight.data.clamp_(-p.clip, p.clip)
        if (index + 1) % p.critic_steps == 0:
            if p.fresh_noise:
                fake = model.generator(torch.randn(len(x), p.latent_dim))
            optimisers["generator"].zero_grad()
            generator_loss(p.loss, model.critic(fake), targets).backward()
            optimisers["generator"].step()


@pytest.mark.parametrize(
    "values",
    [
        {"loss": "minimax"},
        {"loss": "non_saturating", "fresh_noise": False},
        {"loss": "least_squares", "a": -1.0, "b": 1.0, "c": 0.0, "fresh_noise": True},
        {"loss": "hinge", "critic_steps": 2, "fresh_noise": False},
        {"loss": "wasserstein", "critic_steps": 2, "momentum": 0.0, "critic_learning_rate": 1e-4},
        {"loss": "wasserstein", "lipschitz": "clipping", "critic_steps": 3},
    ],
    ids=lambda values: values["loss"],
)
@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_training_is_the_textbook_loop(name: str, values: dict[str, Any]) -> None:
    model = tiny(name, **values)
    expected = copy.deepcopy(model).train()
    seed_everything(7)
    played_by_hand(expected, 4)
    seed_everything(7)
    steps(model, 4)
    own = {key: value for key, value in model.state_dict().items() if not key.startswith("averaged")}
    for key, value in own.items():
        torch.testing.assert_close(value, expected.state_dict()[key], rtol=1e-4, atol=2e-6, msg=key)


def test_the_generator_moves_on_every_kth_step_also_after_a_pause() -> None:
    model = tiny("gan", critic_steps=3)
    moved = []
    for index in range(4, 10):  # goes on from step 4
        before = copy.deepcopy(model.state_dict())
        steps(model, 1, start=index)
        changed = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
        assert any(key.startswith("critic") for key in changed)
        moved.append(any(key.startswith("generator") for key in changed))
    assert moved == [False, True, False, False, True, False]


def test_scalars_keep_their_names_on_steps_without_a_move_of_the_generator() -> None:
    pixels = (images(24) * 255).byte().numpy()
    data = ArrayBatches(np.ascontiguousarray(pixels), None, {"train": np.arange(24)})
    model = tiny("gan", critic_steps=2)
    events = Training(model, data, TrainingSettings(epochs=1, batch_size=6)).events()
    scalars = next(event for event in events if isinstance(event, EpochFinished)).scalars
    assert scalars["loss"] == pytest.approx(scalars["loss_discriminator"] + scalars["loss_generator"], rel=1e-5)
    assert scalars["loss_discriminator"] == pytest.approx(1.39, abs=0.25)
    assert scalars["loss_generator"] == pytest.approx(0.69, abs=0.25)
    assert scalars["d_real"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_generator_learns_the_one_image_there_is(loss: str) -> None:
    target = images(1).round().expand(16, -1, -1, -1)
    model = tiny("gan", loss=loss, learning_rate=5e-3, critic_learning_rate=5e-3, batch_norm=False)
    minimise = Minimiser(model.players())

    def distance() -> float:
        return (model.sample(32, generator=torch.Generator().manual_seed(0)) - target[0]).square().mean().item()

    before = distance()
    for index in range(150):
        model.training_step(Batch(target, None), Step(index, 0, 150), minimise)
    assert distance() < 0.5 * before


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_every_loss_trains_in_mixed_precision(name: str, loss: str) -> None:
    pixels = (images(24) * 255).byte().numpy()
    data = ArrayBatches(np.ascontiguousarray(pixels), None, {"train": np.arange(24)})
    settings = TrainingSettings(epochs=2, batch_size=6, device="cpu", precision="bfloat16")
    events = Training(tiny(name, loss=loss), data, settings).events()
    finished = [event for event in events if isinstance(event, EpochFinished)]
    assert np.isfinite(list(finished[-1].scalars.values())).all()


def test_what_it_can_do_and_temperature() -> None:
    model = tiny("gan").eval()
    assert capabilities(type(model)) == ("descends", "samples", "decodes", "has_prior")
    cold = model.sample(3, temperature=0.0)
    assert torch.equal(cold[0], cold[1])
    torch.testing.assert_close(cold[:1], model.decode(torch.zeros(1, 3)))
    draw = [model.sample(3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    codes = [model.sample_prior(3, temperature=t, generator=torch.Generator().manual_seed(1)) for t in (1.0, 0.5)]
    torch.testing.assert_close(codes[1], 0.5 * codes[0])


# -- DCGAN under losses of its own name


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("lsgan", {"loss": "least_squares"}),
        ("wgan", {"loss": "wasserstein", "lipschitz": "clipping"}),
        ("wgan_gp", {"loss": "wasserstein", "lipschitz": "gradient_penalty"}),
    ],
)
def test_lsgan_wgan_and_wgan_gp_are_dcgan_with_a_loss_of_their_own(name: str, fixed: dict[str, Any]) -> None:
    seed_everything(0)
    model = genlab.create(name, (1, 8, 8), **TINY["dcgan"])
    expected = tiny("dcgan", **fixed)
    for played in (model, expected):
        seed_everything(7)
        steps(played, 3)
    assert model.state_dict().keys() == expected.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key]), key
    with pytest.raises(BadInputError, match="what makes"):
        genlab.create(name, (1, 8, 8), loss="hinge")
    assert "loss" not in genlab.core.registry.find(name).parameters


def test_clipping_with_rmsprop_is_algorithm_1_of_the_wasserstein_paper() -> None:
    seed_everything(0)
    values = {"optimiser": "rmsprop", "critic_steps": 2, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
    model = genlab.create("wgan", (1, 8, 8), **TINY["dcgan"], **values, average=0.0)
    expected = copy.deepcopy(model).train()
    squares = {key: torch.zeros_like(weight) for key, weight in expected.named_parameters()}

    def rmsprop(part: str, loss: Tensor) -> None:
        owned = {key: weight for key, weight in expected.named_parameters() if key.startswith(part)}
        for (key, weight), slope in zip(owned.items(), torch.autograd.grad(loss, list(owned.values())), strict=True):
            squares[key] = 0.99 * squares[key] + 0.01 * slope**2
            weight.data -= 1e-3 * slope / (squares[key].sqrt() + 1e-8)
            if part == "critic":
                weight.data.clamp_(-0.01, 0.01)

    seed_everything(7)
    for index in range(4):
        fake = expected.generator(torch.randn(6, 3))
        rmsprop("critic", expected.critic(fake.detach()).mean() - expected.critic(images(seed=index)).mean())
        if index % 2:
            rmsprop("generator", -expected.critic(fake).mean())
    seed_everything(7)
    logged = steps(model, 4)
    for key, value in model.named_parameters():
        torch.testing.assert_close(value, dict(expected.named_parameters())[key], rtol=1e-3, atol=2e-5, msg=key)
    assert logged[0]["distance"].item() == pytest.approx(-logged[0]["loss_discriminator"].item(), abs=1e-7)


# -- DCGAN


def layers_of(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if not list(layer.children())]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 33, 47), (3, 64, 100)])
def test_dcgan_keeps_the_five_guidelines_at_any_size(shape: tuple[int, int, int]) -> None:
    model = genlab.create("dcgan", shape, width=4, latent_dim=5)
    generator, critic = layers_of(model.generator), layers_of(model.critic)
    kinds = [{type(layer) for layer in layers} for layers in (generator, critic)]
    assert kinds[0] == {nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.ConvTranspose2d, nn.BatchNorm2d} - (
        {nn.BatchNorm2d} if shape[1] == 8 else set()
    )
    assert kinds[1] <= {nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.Linear}
    assert all(
        layer.stride == (2, 2) for layer in generator + critic if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d)
    )
    assert isinstance(generator[-1], nn.ConvTranspose2d)  # no batch norm at the output
    assert [type(layer) for layer in critic[:2]] == [nn.Conv2d, nn.LeakyReLU]  # none at the input
    assert sum(isinstance(layer, nn.Linear) for layer in critic) == 1  # only the output
    images = model.generator(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert model.critic(images).shape == (3,)
    codes = torch.randn(2, 5)
    torch.testing.assert_close(model.generator.eval()(codes), (torch.tanh(model.generator.layers(codes)) + 1) / 2)


def test_dcgan_starts_from_narrow_normal_weights() -> None:
    seed_everything(0)
    model = genlab.create("dcgan", (1, 32, 32), width=16)
    convolutions = [layer for layer in layers_of(model) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    for layer in convolutions[:-1]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
    assert next(x for x in layers_of(model) if isinstance(x, nn.BatchNorm2d)).weight.mean().item() == pytest.approx(
        1, abs=0.03
    )


@pytest.mark.parametrize("values", [{"loss": "wasserstein"}, {"spectral_norm": True}], ids=str)
def test_a_constrained_critic_judges_each_image_by_itself(values: dict[str, Any]) -> None:
    model = tiny("dcgan", **values)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.critic.modules())
    model.eval()
    together = model.critic(images(5))
    torch.testing.assert_close(together[2:3], model.critic(images(5)[2:3]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_spectral_norm_holds_every_layer_at_one(name: str) -> None:
    model = tiny(name, spectral_norm=True, loss="hinge")
    steps(model, 20)
    for layer in model.critic.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.05)


def test_dcgan_says_which_sizes_it_takes() -> None:
    with pytest.raises(BadInputError, match="at least 8x8"):
        genlab.create("dcgan", (1, 7, 20))


# -- the moving average


def test_the_average_is_its_recurrence_and_buffers_are_copied() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(network, decay=0.3)
    expected = network[0].weight.detach().clone()
    for t in range(5):
        with torch.no_grad():
            network[0].weight.normal_()
            network[1].running_mean.normal_()
            network[1].num_batches_tracked += 1
        average.update(network)
        decay = min(0.3, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * network[0].weight.detach()
        torch.testing.assert_close(average.network[0].weight, expected)
        assert torch.equal(average.network[1].running_mean, network[1].running_mean)
        assert torch.equal(average.network[1].num_batches_tracked, network[1].num_batches_tracked)
    assert not any(weight.requires_grad for weight in average.parameters())


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_samples_come_from_the_average_which_is_saved_with_the_model(name: str) -> None:
    model = tiny(name, average=0.9)
    steps(model, 3)
    assert model.averaged.updates.item() == 3
    model.eval()
    codes = torch.randn(4, 3)
    assert torch.equal(model.decode(codes), model.averaged.network(codes))
    assert not torch.equal(model.decode(codes), model.generator(codes))
    again = tiny(name, average=0.9).eval()
    assert not torch.equal(again.decode(codes), model.decode(codes))
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.decode(codes), model.decode(codes))
    without = tiny(name, average=0.0).eval()
    assert torch.equal(without.decode(codes), without.generator(codes))
    assert not any(key.startswith("averaged") for key in without.state_dict())


def test_the_average_rests_while_the_generator_rests() -> None:
    model = tiny("dcgan", critic_steps=3)
    steps(model, 5)
    assert model.averaged.updates.item() == 1


def test_the_generator_is_judged_in_a_scale_where_tanh_is_at_home() -> None:
    model = tiny("dcgan")
    x = images(3)
    expected = F.linear(model.critic.layers(2 * x - 1), model.critic.last.weight, model.critic.last.bias)[:, 0]
    torch.testing.assert_close(model.critic(x), expected)
