"""Games with labels and with readable codes: against games written out, closed forms and other libraries' densities."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.nn.adversarial import discriminator_loss, generator_loss, gradient_penalty
from genlab.nn.latent_codes import LEAST_VARIANCE, draw_codes, guess_of, information
from genlab.training.loop import Training
from genlab.training.players import Minimiser

CONDITIONAL = ["cgan", "cdcgan"]
TINY: dict[str, dict[str, Any]] = {
    "cgan": {"hidden": 8, "critic_hidden": 8, "latent_dim": 3, "label_dim": 2, "dropout": 0.0},
    "cdcgan": {"width": 4, "latent_dim": 3, "label_dim": 2},
    "info_gan": {"width": 4, "latent_dim": 3, "categories": 4, "continuous": 2, "recogniser_hidden": 8},
}


def tiny(name: str, classes: int = 3, **values: Any) -> Any:
    seed_everything(0)
    return genlab.create(name, (1, 8, 8), classes, **{**TINY[name], **values})


def batch(count: int = 6, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    return Batch(torch.rand(count, 1, 8, 8, generator=generator), labels)


def steps(model: Any, count: int) -> list[dict[str, Tensor]]:
    minimise = Minimiser(model.players())
    model.train()
    return [model.training_step(batch(seed=index), Step(index, 0, 100), minimise) for index in range(count)]


# -- labels


def played_by_hand(model: Any, count: int) -> None:
    """The conditional game as a textbook writes it: the generated images have the labels of the real ones."""
    p = model.p
    rates = {"generator": p.learning_rate, "critic": p.critic_learning_rate}
    optimisers = {
        part: torch.optim.Adam(getattr(model, part).parameters(), lr=rate, betas=(p.momentum, 0.999))
        for part, rate in rates.items()
    }
    for index in range(count):
        x, y = batch(seed=index)[:2]
        z = torch.randn(len(x), p.latent_dim)
        fake = model.generator.network(torch.cat([z, model.generator.labels.weight[y]], dim=1))
        optimisers["critic"].zero_grad()
        loss = discriminator_loss(p.loss, model.critic(x, y), model.critic(fake.detach(), y))
        if p.penalised:
            loss = loss + p.penalty * gradient_penalty(lambda mixed, y=y: model.critic(mixed, y), x, fake.detach())
        loss.backward()
        optimisers["critic"].step()
        if p.fresh_noise:
            z = torch.randn(len(x), p.latent_dim)
            fake = model.generator.network(torch.cat([z, model.generator.labels.weight[y]], dim=1))
        optimisers["generator"].zero_grad()
        generator_loss(p.loss, model.critic(fake, y)).backward()
        optimisers["generator"].step()


@pytest.mark.parametrize("values", [{}, {"loss": "wasserstein", "fresh_noise": True}], ids=str)
@pytest.mark.parametrize("name", CONDITIONAL)
def test_training_is_the_conditional_game_written_out(name: str, values: dict[str, Any]) -> None:
    model = tiny(name, average=0.0, **values)
    expected = copy.deepcopy(model).train()
    seed_everything(7)
    played_by_hand(expected, 4)
    seed_everything(7)
    steps(model, 4)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[key], rtol=1e-4, atol=2e-6, msg=key)


def test_the_dense_discriminator_sees_pixels_and_label_side_by_side() -> None:
    model = tiny("cgan").eval()
    x, y = batch()[:2]
    beside = torch.stack([torch.cat([x[i].flatten(), model.critic.labels.weight[y[i]]]) for i in range(len(x))])
    torch.testing.assert_close(model.critic(x, y), model.critic.layers(beside)[:, 0])


def test_the_projection_is_that_of_its_equation_image_by_image() -> None:
    model = tiny("cdcgan").eval()
    critic = model.critic
    x, y = batch()[:2]
    for i in range(len(x)):
        features = critic.layers(2 * x[i : i + 1] - 1)[0]
        expected = critic.last.weight[0] @ features + critic.last.bias[0] + critic.labels.weight[y[i]] @ features
        torch.testing.assert_close(critic(x, y)[i], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_codes_are_noise_beside_the_label_and_labels_are_drawn_evenly(name: str) -> None:
    model = tiny(name, average=0.5)
    steps(model, 2)
    model.eval()
    words = model.drawing.labels.weight
    assert not torch.equal(words, model.generator.labels.weight)  # what samples is the average, labels included
    codes = model.sample_prior(3000, generator=torch.Generator().manual_seed(0))
    assert codes.shape == (3000, model.latent_dim) == (3000, 5)
    drawn = torch.cdist(codes[:, 3:], words).argmin(1)
    torch.testing.assert_close(codes[:, 3:], words[drawn])
    assert (drawn.bincount() / 3000 - 1 / 3).abs().max() < 0.03
    assert codes[:, :3].std().item() == pytest.approx(1, abs=0.05)
    cold = model.sample_prior(50, temperature=0.0, generator=torch.Generator().manual_seed(0))
    assert cold[:, :3].abs().max() == 0
    assert len(cold[:, 3:].unique(dim=0)) == 3


@pytest.mark.parametrize("name", CONDITIONAL)
def test_new_labels_are_small_beside_the_noise(name: str) -> None:
    words = tiny(name, classes=100, label_dim=32).generator.labels.weight
    assert words.std().item() == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_images_of_labels_are_decoded_from_their_vectors(name: str) -> None:
    model = tiny(name).eval()
    assert capabilities(type(model)) == ("descends", "samples", "samples_by_label", "decodes", "has_prior")
    labels = torch.tensor([2, 0, 2])
    images = model.sample_labels(labels, generator=torch.Generator().manual_seed(4))
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(4))
    expected = model.decode(torch.cat([noise, model.drawing.labels.weight[labels]], dim=1))
    torch.testing.assert_close(images, expected)
    halfway = model.drawing.labels.weight[:2].mean(0)  # between two labels is a code like any other
    between = model.decode(torch.cat([noise[:1], halfway[None]], dim=1))
    assert 0 <= between.min() <= between.max() <= 1


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_generator_learns_which_image_belongs_to_which_label(name: str) -> None:
    model = tiny(name, average=0.0, learning_rate=5e-3, critic_learning_rate=2e-3, momentum=0.5)
    targets = batch(3, seed=9).images.round()
    labels = torch.arange(24) % 3
    minimise = Minimiser(model.players())
    for index in range(250):
        model.training_step(Batch(targets[labels], labels), Step(index, 0, 250), minimise)
    model.eval()
    drawn = model.sample_labels(labels, generator=torch.Generator().manual_seed(0))
    nearest = torch.cdist(drawn.flatten(1), targets.flatten(1)).argmin(1)
    assert (nearest == labels).float().mean() > 0.9


@pytest.mark.parametrize("name", CONDITIONAL)
def test_without_labels_there_is_one_class(name: str) -> None:
    model = tiny(name, classes=0)
    before = copy.deepcopy(model.state_dict())
    minimise = Minimiser(model.players())
    model.training_step(Batch(batch().images, None), Step(0, 0, 1), minimise)
    assert model.generator.labels.weight.shape[0] == model.critic.labels.weight.shape[0] == 1
    assert not torch.equal(before["generator.labels.weight"], model.generator.labels.weight)
    assert model.eval().sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("name", ["cdcgan", "info_gan"])
def test_small_images_are_refused_in_words(name: str) -> None:
    with pytest.raises(BadInputError, match="takes images of at least 8x8"):
        genlab.create(name, (1, 7, 20))


@pytest.mark.parametrize("loss", ["minimax", "least_squares", "wasserstein"])
@pytest.mark.parametrize("name", [*CONDITIONAL, "info_gan"])
def test_losses_train_in_mixed_precision_too(name: str, loss: str) -> None:
    pixels = (batch(24).images * 255).byte().numpy()
    data = ArrayBatches(np.ascontiguousarray(pixels), np.arange(24) % 3, {"train": np.arange(24)}, classes=3)
    settings = TrainingSettings(epochs=2, batch_size=6, device="cpu", precision="bfloat16")
    events = Training(tiny(name, loss=loss), data, settings).events()
    finished = [event for event in events if isinstance(event, EpochFinished)]
    assert np.isfinite(list(finished[-1].scalars.values())).all()


# -- readable codes


def test_the_bound_is_recomputed_number_by_number() -> None:
    seed_everything(2)
    codes = draw_codes(7, 3, 2, like=torch.zeros(()))
    outputs = torch.randn(7, 3 + 4)
    of_category, of_numbers = information(codes, guess_of(outputs, 3))
    category = numbers = 0.0
    for code, output in zip(codes, outputs, strict=True):
        chosen = int(code[:3].argmax())
        category += torch.distributions.Categorical(logits=output[:3]).log_prob(torch.tensor(chosen)).item() / 7
        for place in range(2):
            spread = math.sqrt(math.exp(output[5 + place]) + LEAST_VARIANCE)
            normal = torch.distributions.Normal(output[3 + place], spread)
            numbers += normal.log_prob(code[3 + place]).item() / 7
    assert of_category.item() == pytest.approx(category + math.log(3), abs=1e-5)
    assert of_numbers.item() == pytest.approx(numbers + 2 * math.log(2), abs=1e-5)


def test_the_bound_is_below_the_information_and_reaches_it_where_q_is_the_posterior() -> None:
    """A channel from 3 categories to 4 images with known probabilities; every case weighed by its probability."""
    joint = torch.tensor([[6.0, 1, 1, 0], [1, 5, 1, 1], [0, 2, 2, 4]], dtype=torch.double)
    joint /= 3 * joint.sum(1, keepdim=True)
    true = (joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).clamp_min(1e-300).log()).sum().item()
    codes = torch.cat([torch.eye(3)[:, None].expand(3, 4, 3), torch.zeros(3, 4, 1)], dim=2).double()

    def bound(posterior: Tensor) -> float:
        outputs = torch.cat([posterior.clamp_min(1e-30).log().t(), torch.zeros(4, 2)], dim=1)
        each = [
            [information(codes[c, x : x + 1], guess_of(outputs[x : x + 1], 3))[0].item() for x in range(4)]
            for c in range(3)
        ]
        return sum((joint[c, x] * each[c][x]).item() for c in range(3) for x in range(4) if joint[c, x])

    posterior = joint / joint.sum(0)
    assert bound(posterior) == pytest.approx(true, abs=1e-5)
    assert bound(0.7 * posterior + 0.1) < true - 1e-3
    assert bound(torch.full((3, 4), 1 / 3)) == pytest.approx(0, abs=1e-6)


def test_codes_have_an_even_category_and_even_numbers() -> None:
    codes = draw_codes(6000, 4, 2, like=torch.zeros(()), generator=torch.Generator().manual_seed(0))
    assert torch.equal(codes[:, :4].sum(1), torch.ones(6000))
    assert (codes[:, :4].mean(0) - 0.25).abs().max() < 0.02
    assert -1 <= codes[:, 4:].min() < -0.99
    assert 0.99 < codes[:, 4:].max() <= 1
    assert codes[:, 4:].var().item() == pytest.approx(1 / 3, abs=0.02)
    model = tiny("info_gan").eval()
    prior = model.sample_prior(200, temperature=0.5, generator=torch.Generator().manual_seed(1))
    assert prior.shape == (200, 3 + 4 + 2)
    assert prior[:, :3].std().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(prior[:, 3:7].sort(1).values, torch.tensor([0.0, 0, 0, 1]).expand(200, 4))


def test_both_players_are_paid_for_the_information() -> None:
    model = tiny("info_gan", average=0.0, information=0.7, information_continuous=0.3, momentum=0.5)
    other = copy.deepcopy(model).train()
    p = other.p
    readers = [*other.critic.parameters(), *other.recogniser.parameters()]
    moves = {
        "d": torch.optim.Adam(readers, lr=p.critic_learning_rate, betas=(0.5, 0.999)),
        "g": torch.optim.Adam(other.generator.parameters(), lr=p.learning_rate, betas=(0.5, 0.999)),
    }

    def told(images: Tensor, codes: Tensor) -> Tensor:
        outputs = other.recogniser(other.critic.layers(2 * images - 1))
        of_category, of_numbers = information(codes[:, 3:], guess_of(outputs, 4))
        return 0.7 * of_category + 0.3 * of_numbers

    def frozen_statistics() -> None:  # a second look at the same images must not count in the batch statistics
        for layer in other.critic.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 0.0

    frozen_statistics()
    seed_everything(5)
    for index in range(3):
        x = batch(seed=index).images
        codes = other.sample_prior(len(x))
        fake = other.generator(codes)
        moves["d"].zero_grad()
        game = discriminator_loss(p.loss, other.critic(x), other.critic(fake.detach()))
        (game - told(fake.detach(), codes)).backward()
        moves["d"].step()
        moves["g"].zero_grad()
        (generator_loss(p.loss, other.critic(fake)) - told(fake, codes)).backward()
        moves["g"].step()
    seed_everything(5)
    logged = steps(model, 3)
    for key, value in model.named_parameters():
        torch.testing.assert_close(value, dict(other.named_parameters())[key], rtol=1e-4, atol=2e-6, msg=key)
    assert {"information_category", "information_continuous"} <= set(logged[-1])


def test_categories_become_readable() -> None:
    model = tiny("info_gan", average=0.0, learning_rate=5e-3, critic_learning_rate=1e-2, information=4.0)
    told = torch.stack([logged["information_category"] for logged in steps(model, 200)])
    assert told[0] < 0.3
    assert told[-40:].mean() > 0.7 * math.log(4)
    model.eval()
    codes = model.sample_prior(100, generator=torch.Generator().manual_seed(0))
    guessed = model.encode(model.decode(codes)).mean
    assert (guessed[:, 3:7].argmax(1) == codes[:, 3:7].argmax(1)).float().mean() > 0.8
    assert guessed[:, :3].abs().max() == 0
    torch.testing.assert_close(guessed[:, 3:7].sum(1), torch.ones(100))
