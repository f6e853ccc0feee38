"""CycleGAN: every loss added up by hand, one step against a loop written out, the memory of past images counted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError
from genlab.core.seeding import seed_everything
from genlab.core.shapes import Shape
from genlab.models.cyclegan import CycleGAN
from genlab.nn.translation import PastImages, PatchCritic, ResidualTranslator
from genlab.training.players import Minimiser


def tiny(**values: Any) -> CycleGAN:
    seed_everything(0)
    model = genlab.create("cyclegan", (1, 8, 8), **{"width": 4, "blocks": 1, "critic_width": 4, **values})
    assert isinstance(model, CycleGAN)
    return model


def both(count: int = 5) -> tuple[Tensor, Tensor]:
    """Images of two sets in [−1, 1]."""
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, count, 1, 8, 8, generator=generator) * 2 - 1
    return first, second


def mean(values: Tensor) -> float:
    """An average as a sum over every number, one by one."""
    listed = values.detach().flatten().tolist()
    return sum(listed) / len(listed)


def apart(one: Tensor, other: Tensor) -> float:
    return mean((one - other).abs())


def log_sigmoid(logits: Tensor) -> Tensor:
    return torch.log(torch.sigmoid(logits.double()))


@pytest.mark.parametrize("kind", ["least_squares", "non_saturating"])
def test_the_generators_objective_is_equation_3_and_the_identity_loss(kind: str) -> None:
    model, (x, y) = tiny(loss=kind, cycle=7.0, identity=0.3), both()
    g, f = model.to_second, model.to_first
    scores = [model.critic_second(g(x)), model.critic_first(f(y))]
    fooled = [mean((s - 1) ** 2) if kind == "least_squares" else -mean(log_sigmoid(s)) for s in scores]
    cycle = apart(f(g(x)), x) + apart(g(f(y)), y)
    identity = apart(g(y), y) + apart(f(x), x)
    judged = model.judge(x, y)
    assert judged.loss.item() == pytest.approx(sum(fooled) + 7 * cycle + 0.3 * 7 * identity, rel=1e-5)
    terms = {"adversarial": sum(fooled), "cycle": cycle, "identity": identity}
    assert {name: value.item() for name, value in judged.terms.items()} == pytest.approx(terms, rel=1e-5)
    torch.testing.assert_close(judged.as_second, g(x))
    torch.testing.assert_close(judged.as_first, f(y))


@pytest.mark.parametrize("kind", ["least_squares", "non_saturating"])
def test_a_critic_minimises_half_its_objective(kind: str) -> None:
    model, (x, y) = tiny(loss=kind), both()
    losses, _ = model.critic_losses(x, y, -x, -y)
    for name, critic, real, fake in (
        ("critic_first", model.critic_first, x, -x),
        ("critic_second", model.critic_second, y, -y),
    ):
        on_real, on_fake = critic(real), critic(fake)
        if kind == "least_squares":
            whole = mean((on_real - 1) ** 2) + mean(on_fake**2)
        else:
            whole = -mean(log_sigmoid(on_real)) - mean(log_sigmoid(-on_fake))
        assert losses[name].item() == pytest.approx(whole / 2, rel=1e-5)
    assert losses.keys() == {"critic_first", "critic_second"}


def test_generators_that_change_nothing_lose_nothing_there_and_back() -> None:
    model, (x, y) = tiny(), both()
    model.to_first, model.to_second = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    judged = model.judge(x, y)
    assert judged.terms["cycle"].item() == judged.terms["identity"].item() == 0
    scores = [model.critic_second(x), model.critic_first(y)]
    assert judged.loss.item() == pytest.approx(sum(mean((s - 1) ** 2) for s in scores), rel=1e-5)
    model.to_second = nn.ReLU()  # type: ignore[assignment]
    assert model.judge(x, y).terms["cycle"].item() == pytest.approx(2 * mean((-x).relu()) / 2 + mean((-y).relu()))


def test_without_identity_loss_there_is_no_such_term() -> None:
    model, (x, y) = tiny(identity=0.0), both()
    judged = model.judge(x, y)
    assert "identity" not in judged.terms
    expected = judged.terms["adversarial"] + 10 * judged.terms["cycle"]
    torch.testing.assert_close(judged.loss.detach(), expected)


def test_one_step_is_the_loop_written_out() -> None:
    model, (x, y) = tiny(buffer=0, momentum=0.5, learning_rate=1e-3, critic_learning_rate=3e-3), both()
    plain = copy.deepcopy(model)
    batch = Batch((x + 1) / 2, None, (y + 1) / 2)
    model.training_step(batch, Step(0, 0, 1), Minimiser(model.players()))

    g, f, d_x, d_y = plain.to_second, plain.to_first, plain.critic_first, plain.critic_second
    generators = torch.optim.Adam([*g.parameters(), *f.parameters()], lr=1e-3, betas=(0.5, 0.999))
    critics = torch.optim.Adam([*d_x.parameters(), *d_y.parameters()], lr=3e-3, betas=(0.5, 0.999))
    as_y, as_x = g(x), f(y)
    fooled = ((d_y(as_y) - 1) ** 2).mean() + ((d_x(as_x) - 1) ** 2).mean()
    cycle = (f(as_y) - x).abs().mean() + (g(as_x) - y).abs().mean()
    identity = (g(y) - y).abs().mean() + (f(x) - x).abs().mean()
    (fooled + 10 * cycle + 5 * identity).backward()
    generators.step()
    critics.zero_grad()
    for critic, real, fake in ((d_x, x, as_x.detach()), (d_y, y, as_y.detach())):
        (0.5 * ((critic(real) - 1) ** 2).mean() + 0.5 * (critic(fake) ** 2).mean()).backward()
    critics.step()
    for (name, moved), expected in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(moved, expected, rtol=1e-4, atol=2e-6, msg=name)


def test_critics_move_in_every_step_and_generators_in_every_second_only() -> None:
    model, (x, y) = tiny(critic_steps=2), both()
    batch, moves = Batch((x + 1) / 2, None, (y + 1) / 2), []
    for step in range(4):
        logged = model.training_step(batch, Step(step, 0, 4), lambda **losses: moves.append(set(losses)))
        terms = logged["adversarial"] + 10 * logged["cycle"] + 5 * logged["identity"]
        torch.testing.assert_close(logged["loss_generators"], terms)
    critics = {"critic_first", "critic_second"}
    assert moves == [critics, {"generators"}, critics, critics, {"generators"}, critics]


def test_the_held_out_loss_is_all_players_losses_added() -> None:
    model, (x, y) = tiny(buffer=4), both()
    told = model.validation_step(Batch((x + 1) / 2, None, (y + 1) / 2))
    judged = model.judge(x, y)
    critics, _ = model.critic_losses(x, y, judged.as_first, judged.as_second)
    assert told["loss"].item() == pytest.approx((judged.loss + sum(critics.values())).item(), rel=1e-5)
    assert int(model.past_first.kept) == 0


def test_translating_is_each_generator_on_its_own_side_image_by_image() -> None:
    model, (x, _) = tiny(), both()
    images = (x + 1) / 2
    torch.testing.assert_close(model.translate(images), (model.to_second(x) + 1) / 2)
    torch.testing.assert_close(model.translate(images, back=True), (model.to_first(x) + 1) / 2)
    torch.testing.assert_close(model.translate(images)[:1], model.translate(images[:1]))


def test_one_set_alone_and_tiny_images_are_refused() -> None:
    model, (x, _) = tiny(), both()
    with pytest.raises(BadInputError, match="two image sets"):
        model.training_step(Batch(x, None), Step(0, 0, 1), Minimiser(model.players()))
    with pytest.raises(BadInputError, match="at least 8x8"):
        genlab.create("cyclegan", (1, 7, 9))


# the networks


@pytest.mark.parametrize(("levels", "patch"), [(1, 8), (2, 18), (3, 38)])
def test_a_critics_logit_sees_a_patch_of_the_stated_size(levels: int, patch: int) -> None:
    critic = PatchCritic(Shape(1, 64, 64), 2, levels)
    for place, layer in enumerate(critic.layers):
        if isinstance(layer, nn.InstanceNorm2d):  # it looks at the whole map
            critic.layers[place] = nn.Identity()
        if isinstance(layer, nn.Conv2d):
            nn.init.uniform_(layer.weight, 0.1, 1)
    images = torch.ones(1, 1, 64, 64, requires_grad=True)
    logits = critic(images)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert images.grad is not None
    seen = images.grad[0, 0].ne(0)
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (patch, patch)


@pytest.mark.parametrize(("size", "halved"), [((28, 28), 1), ((8, 8), 1), ((48, 48), 2), ((64, 100), 2), ((33, 47), 1)])
def test_a_translator_halves_its_maps_as_the_card_says(size: tuple[int, int], halved: int) -> None:
    translator = ResidualTranslator(Shape(3, *size), 4, blocks=2)
    images = torch.rand(2, 3, *size) * 2 - 1
    translated = translator(images)
    assert translated.shape == images.shape
    assert translated.abs().max() <= 1
    assert sum(isinstance(layer, nn.Upsample) for layer in translator.layers) == halved
    strides = [layer.stride for layer in translator.modules() if isinstance(layer, nn.Conv2d)]
    assert strides.count((2, 2)) == halved


# past images


def numbered(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


def numbers(images: Tensor) -> list[int]:
    return [int(value) for value in images.mean((1, 2, 3)).tolist()]


def test_past_images_are_first_collected_then_exchanged_and_never_lost() -> None:
    torch.manual_seed(0)
    past = PastImages(Shape(1, 2, 2), size=5)
    assert numbers(past.exchange(numbered(0, 1, 2))) == [0, 1, 2]
    stored, swaps = [0, 1, 2], 0
    for start in range(3, 600, 4):
        new = list(range(start, start + 4))
        shown = numbers(past.exchange(numbered(*new)))
        kept = numbers(past.images[: int(past.kept)])
        fits = min(5 - len(stored), 4)
        assert shown[:fits] == new[:fits]
        assert sorted(shown + kept) == sorted(stored + new + new[:fits])
        swaps += sum(number not in new for number in shown)
        stored = kept
    assert len(stored) == 5
    assert 230 < swaps < 365  # half of about 595, give or take five standard deviations


def test_a_batch_larger_than_the_memory_and_a_memory_of_nothing() -> None:
    torch.manual_seed(0)
    past = PastImages(Shape(1, 2, 2), size=3)
    shown = numbers(past.exchange(numbered(*range(10))))
    assert shown[:3] == [0, 1, 2]
    assert sorted(shown + numbers(past.images)) == sorted([*range(10), 0, 1, 2])
    assert numbers(PastImages(Shape(1, 2, 2), size=0).exchange(numbered(4, 5))) == [4, 5]


def test_critics_are_shown_past_translations_once_the_memory_is_full() -> None:
    model, (x, y) = tiny(buffer=5), both()
    torch.manual_seed(0)
    shown = []
    model.critic_losses = lambda first, second, *fakes: shown.append(fakes) or ({}, {})  # type: ignore[assignment, func-returns-value, method-assign]
    batch = Batch((x + 1) / 2, None, (y + 1) / 2)
    for index in range(2):
        model.training_step(batch, Step(index, 0, 2), Minimiser(model.players()))
    (first_x, first_y), (second_x, second_y) = shown
    torch.testing.assert_close(first_x, model.to_first(y), atol=0.2, rtol=0)
    for before, now in ((first_x, second_x), (first_y, second_y)):
        old = [any(torch.equal(image, one) for one in before) for image in now]
        assert 0 < sum(old) < 5
