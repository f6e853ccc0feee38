"""The loop: who moves whom, what is logged, and resuming to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.errors import BadInputError, GenlabError
from genlab.core.events import EpochFinished, Event, Finished, Progressed, Started, parse
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.seeding import aside, seed_everything
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.nn import optimisers
from genlab.training.device import resolve_device, resolve_precision
from genlab.training.loop import NotFiniteError, Training
from genlab.training.players import Minimiser, check_ownership
from genlab.training.tally import Tally


def digits(count: int = 96, validation: int = 16) -> ArrayBatches:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images[:count].reshape(-1, 1, 8, 8) * 255 / 16).astype(np.uint8)
    splits = {"train": np.arange(count - validation), "validation": np.arange(count - validation, count)}
    return ArrayBatches(images, labels[:count], splits, classes=10)


def tiny_vae(**parameters: object) -> Model:
    seed_everything(0)
    return genlab.create("vae", (1, 8, 8), hidden=16, latent_dim=2, **parameters)


class Pair(Model, Descends):
    """Two scalar players on the bilinear game f(x, y) = x y."""

    Parameters = Parameters

    def __init__(self, mode: str) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.mode = mode
        self.x = nn.Parameter(torch.tensor([1.0]))
        self.y = nn.Parameter(torch.tensor([1.0]))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        return {name: torch.optim.SGD([p], lr=0.5) for name, p in self.named_parameters()}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, torch.Tensor]:
        if self.mode == "simultaneous":
            product = (self.x * self.y).sum()
            minimise(x=product, y=-product)
        elif self.mode == "alternating":
            minimise(x=(self.x * self.y).sum())
            minimise(y=-(self.x * self.y).sum())
        elif self.mode == "stale":
            first, second = (self.x * self.y).sum(), -(self.x * self.y).sum()
            minimise(x=first)
            minimise(y=second)
        return {}


def one_step(model: Pair) -> tuple[float, float]:
    minimise = Minimiser(model.players())
    model.training_step(Batch(torch.zeros(1), None), Step(0, 0, 1), minimise)
    return model.x.item(), model.y.item()


def test_simultaneous_players_see_the_same_weights() -> None:
    assert one_step(Pair("simultaneous")) == (0.5, 1.5)  # both gradients at (1, 1)


def test_alternating_players_see_the_move_before_theirs() -> None:
    assert one_step(Pair("alternating")) == (0.5, 1.25)  # y's gradient at x = 0.5


@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_built_before_another_players_step_is_refused(fused: bool) -> None:
    model = Pair("stale")
    model.players = lambda: {  # type: ignore[method-assign]
        name: torch.optim.Adam([p], lr=0.1, fused=fused) for name, p in model.named_parameters()
    }
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        one_step(model)


def test_a_player_that_its_loss_does_not_reach_is_refused() -> None:
    layers = nn.Linear(2, 2), nn.Linear(2, 2)
    player = torch.optim.SGD([*layers[0].parameters(), *layers[1].parameters()], lr=1.0)
    with pytest.raises(GenlabError, match="does not reach 2 of its 4"):
        Minimiser({"both": player})(both=layers[0](torch.ones(1, 2)).sum())


def test_no_loss_moves_another_players_parameters() -> None:
    torch.manual_seed(0)
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    before = copy.deepcopy(b.state_dict())
    players = {"a": torch.optim.SGD(a.parameters(), lr=1.0), "b": torch.optim.SGD(b.parameters(), lr=1.0)}
    Minimiser(players)(a=b(a(torch.ones(1, 3))).square().sum())
    assert all(torch.equal(before[k], v) for k, v in b.state_dict().items())
    assert all(p.grad is None for p in b.parameters())


def test_gradients_equal_those_of_each_loss_alone() -> None:
    torch.manual_seed(1)
    f, g = nn.Linear(4, 3).double(), nn.Linear(3, 1).double()
    x = torch.randn(5, 4, dtype=torch.float64)

    def losses() -> tuple[torch.Tensor, torch.Tensor]:
        hidden = f(x).tanh()
        return (g(hidden) ** 2).mean() + hidden.square().mean(), -(g(hidden)).mean()

    first, second = losses()
    expected = [*torch.autograd.grad(first, list(f.parameters()), retain_graph=True)]
    expected += torch.autograd.grad(second, list(g.parameters()))
    before = [p.detach().clone() for p in (*f.parameters(), *g.parameters())]
    players = {"f": torch.optim.SGD(f.parameters(), lr=1.0), "g": torch.optim.SGD(g.parameters(), lr=1.0)}
    first, second = losses()
    Minimiser(players)(f=first, g=second)
    moved = [old - new for old, new in zip(before, (*f.parameters(), *g.parameters()), strict=True)]
    for step, gradient in zip(moved, expected, strict=True):
        torch.testing.assert_close(step, gradient, rtol=0, atol=1e-15)


def test_players_given_one_tensor_share_one_backward_pass() -> None:
    torch.manual_seed(1)
    f, g, h = nn.Linear(4, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    x = torch.randn(5, 4)
    hidden = f(x)
    loss, other = g(hidden).square().mean(), h(hidden).square().mean()
    expected = torch.autograd.grad(loss, [*f.parameters(), *g.parameters()], retain_graph=True)
    expected += torch.autograd.grad(other, list(h.parameters()), retain_graph=True)
    before = [p.detach().clone() for net in (f, g, h) for p in net.parameters()]
    passes: list[str] = []
    loss.register_hook(lambda _: passes.append("shared"))
    other.register_hook(lambda _: passes.append("alone"))
    players = {name: torch.optim.SGD(net.parameters(), lr=1.0) for name, net in zip("fgh", (f, g, h), strict=True)}
    minimise = Minimiser(players)
    minimise(f=loss, h=other, g=loss)
    assert passes == ["shared", "alone"]
    assert minimise.take_losses().keys() == players.keys()
    after = [p for net in (f, g, h) for p in net.parameters()]
    for old, new, gradient in zip(before, after, expected, strict=True):
        torch.testing.assert_close(old - new, gradient, rtol=0, atol=1e-6)


def test_clipping_is_per_player() -> None:
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    players = {"a": torch.optim.SGD([a], lr=1.0), "b": torch.optim.SGD([b], lr=1.0)}
    Minimiser(players, gradient_clip=1.0)(a=100 * a.sum(), b=0.25 * b.sum())
    assert a.item() == pytest.approx(-1.0, abs=1e-6)
    assert b.item() == -0.25


def test_a_resting_player_stands_still_and_its_loss_is_noted() -> None:
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    players = {"a": torch.optim.SGD([a], lr=1.0, momentum=0.9), "b": torch.optim.SGD([b], lr=1.0, momentum=0.9)}
    resting = {"a"}
    minimise = Minimiser(players, resting=resting)
    minimise(a=3 * a.sum(), b=0.5 * b.sum())
    assert (a.item(), b.item(), a.grad) == (1.0, 0.5, None)
    assert {name: loss.item() for name, loss in minimise.take_losses().items()} == {"a": 3.0, "b": 0.5}
    resting.clear()
    minimise(a=3 * a.sum())
    assert (a.item(), b.item()) == (-2.0, 0.5)


def test_ownership_names_the_orphan_and_the_shared() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(GenlabError, match=r"bias \(nobody\)"):
        check_ownership(model, {"w": torch.optim.SGD([model.weight], lr=1.0)})
    both = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(GenlabError, match=r"weight \(one and two\)"):
        check_ownership(model, {"one": both, "two": torch.optim.SGD([model.weight], lr=1.0)})


def run(training: Training) -> list[Event]:
    return [event for event in training.events() if event is not None]


def test_the_stream_has_a_beginning_a_middle_and_an_end() -> None:
    events = run(Training(tiny_vae(), digits(), TrainingSettings(epochs=3, batch_size=32)))
    assert isinstance(events[0], Started)
    assert events[0].steps == 9  # 80 images: 32 + 32 + 16
    assert isinstance(events[-1], Finished)
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    assert [event.epoch for event in epochs] == [1, 2, 3]
    assert epochs[-1].scalars["loss"] < epochs[0].scalars["loss"]
    assert set(epochs[0].validation) == {"loss", "reconstruction", "kl"}
    for event in events:
        assert parse(event.model_dump_json()) == event


def test_epoch_means_are_the_means_of_the_steps() -> None:
    events = run(Training(tiny_vae(), digits(), TrainingSettings(epochs=1, batch_size=32)))
    steps = [event.scalars["loss"] for event in events if isinstance(event, Progressed)]
    (epoch,) = [event for event in events if isinstance(event, EpochFinished)]
    assert len(steps) == 3
    assert epoch.scalars["loss"] == pytest.approx(sum(steps) / 3, rel=1e-6)


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_resume_is_exact_to_the_bit(stop_at: int) -> None:
    settings = TrainingSettings(epochs=3, batch_size=32)

    def losses(events: list[Event]) -> list[tuple[int, float]]:
        return [(e.step, e.scalars["loss"]) for e in events if isinstance(e, Progressed | EpochFinished)]

    whole = losses(run(Training(tiny_vae(corruption="gaussian"), digits(), settings)))
    first = Training(tiny_vae(corruption="gaussian"), digits(), settings)
    seen: list[Event] = []
    for event in first.events():
        seen += [event] if event is not None else []
        if first.step == stop_at:
            break
    state, weights = copy.deepcopy(first.state()), copy.deepcopy(first.model.state_dict())
    torch.randn(100)  # whatever happens between
    second = Training(tiny_vae(corruption="gaussian"), digits(), settings)
    second.model.load_state_dict(weights)
    second.load_state(state)
    assert losses(seen) + losses(run(second)) == whole


def test_what_a_listener_does_does_not_touch_the_training_noise() -> None:
    def losses(*, disturb: bool) -> list[float]:
        training = Training(tiny_vae(), digits(), TrainingSettings(epochs=1, batch_size=16))
        collected = []
        for event in training.events():
            if disturb:
                with aside(7):
                    torch.randn(10)
            if isinstance(event, Progressed):
                collected.append(event.scalars["loss"])
        return collected

    assert losses(disturb=True) == losses(disturb=False)


def test_a_loss_that_is_not_finite_is_named() -> None:
    training = Training(tiny_vae(learning_rate=1.0), digits(), TrainingSettings(epochs=200, batch_size=8))
    with torch.no_grad():
        next(training.model.parameters())[0, 0] = float("nan")
    with pytest.raises(NotFiniteError) as caught:
        run(training)
    assert caught.value.term == "reconstruction"
    assert training.step == 1


def test_bfloat16_trains_close_to_float32() -> None:
    final = {}
    for precision in ("float32", "bfloat16"):
        events = run(Training(tiny_vae(), digits(), TrainingSettings(epochs=4, batch_size=16, precision=precision)))
        assert isinstance(events[0], Started)
        assert events[0].precision == precision
        final[precision] = next(e for e in reversed(events) if isinstance(e, EpochFinished)).scalars["loss"]
    assert final["bfloat16"] == pytest.approx(final["float32"], rel=0.05)
    assert final["bfloat16"] != final["float32"]


def test_devices_are_chosen_and_refused() -> None:
    assert resolve_device("cpu").type == "cpu"
    assert resolve_precision("auto", torch.device("cpu")) == "float32"
    if not torch.cuda.is_available():
        with pytest.raises(BadInputError, match="no cuda device; choose 'auto' or 'cpu'"):
            resolve_device("cuda")


def test_tally_weighs_by_images() -> None:
    tally = Tally()
    tally.add({"a": torch.tensor(1.0)}, weight=3)
    tally.add({"a": torch.tensor(5.0)}, weight=1)
    assert tally.means() == {"a": 2.0}


def test_order_depends_on_seed_and_epoch_alone() -> None:
    data, device = digits(), torch.device("cpu")

    def order(seed: int, epoch: int, skip: int = 0) -> torch.Tensor:
        return torch.cat([batch.images.flatten(1).sum(1) for batch in data.epoch(seed, epoch, 16, device, skip)])

    assert torch.equal(order(0, 0), order(0, 0))
    assert not torch.equal(order(0, 0), order(0, 1))
    assert not torch.equal(order(0, 0), order(1, 0))
    assert torch.equal(order(0, 0)[32:], order(0, 0, skip=2))


@pytest.mark.parametrize(("name", "values"), [("AdamW", {"lr": 0.1, "weight_decay": 0.1, "fused": True}), ("RMSprop", {"lr": 0.1}), ("SGD", {"lr": 0.1})])  # fmt: skip
def test_optimisers_move_as_those_of_pytorch(name: str, values: dict[str, float]) -> None:
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2)]
    players = [getattr(module, name)([weight], **values) for module, weight in zip((optimisers, torch.optim), weights, strict=True)]  # fmt: skip
    hooked: list[str] = []
    players[0].register_step_post_hook(lambda player, *_: hooked.append(type(player).__name__))
    for _ in range(3):
        for weight, player in zip(weights, players, strict=True):
            player.zero_grad()
            weight.pow(4).sum().backward()
            player.step()
    assert torch.equal(*weights)
    assert weights[0].requires_grad
    assert hooked == [name] * 3
    assert players[0].state_dict()["state"].keys() == players[1].state_dict()["state"].keys()
