"""Learning rates over time, weight decay, and names that no model may take from the settings."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.errors import BadInputError
from genlab.core.events import Progressed
from genlab.core.model import Model
from genlab.core.parameters import Parameters, describe
from genlab.core.registry import models
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.nn.optimisers import RMSprop, adam
from genlab.training.loop import Training
from genlab.training.players import decay_weights
from genlab.training.schedule import rate_factor

PER_EPOCH = 4


class Slope(Model, Descends):
    """Two weights on a constant slope, each moved by its own plain descent: every move is the learning rate."""

    Parameters = Parameters

    def __init__(self, rates: tuple[float, float] = (0.5, 0.25)) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.chosen = rates
        self.left, self.right = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.moves: list[tuple[float, float]] = []

    def players(self) -> dict[str, torch.optim.Optimizer]:
        weights = {"left": self.left, "right": self.right}
        return {
            name: torch.optim.SGD([weights[name]], lr=rate) for name, rate in zip(weights, self.chosen, strict=True)
        }

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, Tensor]:
        before = self.left.item(), self.right.item()
        minimise(left=self.left.sum(), right=self.right.sum())
        self.moves.append((before[0] - self.left.item(), before[1] - self.right.item()))
        return {}


def data() -> ArrayBatches:
    return ArrayBatches(np.zeros((8, 1, 8, 8), dtype=np.uint8), None, {"train": np.arange(8)})


def moves(**settings: Any) -> np.ndarray:
    model = Slope()
    for _ in Training(model, data(), TrainingSettings(batch_size=2, device="cpu", **settings)).events():
        pass
    return np.array(model.moves)


def test_a_constant_rate_is_the_chosen_one_and_is_not_logged() -> None:
    np.testing.assert_allclose(moves(epochs=2), [[0.5, 0.25]] * 8, rtol=0, atol=1e-6)
    events = Training(Slope(), data(), TrainingSettings(epochs=1, batch_size=2)).events()
    assert all(event.learning_rates == {} for event in events if isinstance(event, Progressed))


def test_warm_up_begins_above_zero_and_ends_at_the_full_rate() -> None:
    moved = moves(epochs=3, rate_warmup=1.5)[:, 0] / 0.5
    np.testing.assert_allclose(moved, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, *[1] * 7], rtol=0, atol=1e-6)


def test_a_cosine_falls_from_the_full_rate_to_almost_nothing() -> None:
    """Recomputed as SGDR's (5) with its own names: η = η_max/2 (1 + cos(T_cur/T_i π))."""
    moved = moves(epochs=5, schedule="cosine")[:, 1] / 0.25
    total = 5 * PER_EPOCH
    expected = [(1 + math.cos(current / total * math.pi)) / 2 for current in range(total)]
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-5)
    assert moved[0] == 1
    assert 0 < moved[-1] < 0.01


def test_a_cosine_after_a_warm_up_meets_it_at_the_full_rate() -> None:
    settings = TrainingSettings(epochs=6, schedule="cosine", rate_warmup=2)
    factors = [rate_factor(step, PER_EPOCH, settings) for step in range(6 * PER_EPOCH)]
    assert factors[:8] == [pytest.approx((step + 1) / 8) for step in range(8)]
    assert factors[7] == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[7:]))
    assert factors[7 + 17 // 2] > 0.5 > factors[7 + 17 // 2 + 1]  # half way between the 8th and what follows the last
    assert 0 < factors[-1] < 0.01


def test_steps_fall_at_the_ends_of_epochs() -> None:
    moved = moves(epochs=5, schedule="step", step_epochs=2, step_factor=0.1)[:, 0] / 0.5
    np.testing.assert_allclose(moved, [*[1] * 8, *[0.1] * 8, *[0.01] * 4], rtol=0, atol=1e-6)


def test_a_warm_up_longer_than_the_run_only_grows() -> None:
    moved = moves(epochs=1, schedule="cosine", rate_warmup=100)[:, 0]
    assert (np.diff(moved) > 0).all()
    assert 0 < moved[-1] < 0.5 * 0.02


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_a_rate_changed_on_resume_is_scaled_from_there(schedule: str) -> None:
    settings = TrainingSettings(epochs=4, batch_size=2, schedule=schedule, step_epochs=1, rate_warmup=1)
    first = Training(Slope(), data(), settings)
    for _ in first.events():
        if first.step == 7:
            break
    state = copy.deepcopy(first.state())

    def rest(rates: tuple[float, float]) -> list[tuple[float, float]]:
        model = Slope(rates)
        model.load_state_dict(first.model.state_dict())
        training = Training(model, data(), settings)
        training.load_state(state)
        for _ in training.events():
            pass
        return model.moves

    factors = [rate_factor(step, PER_EPOCH, settings) for step in range(7, 16)]
    assert min(factors) < 0.5
    for rates in ((0.5, 0.25), (0.05, 0.25)):
        expected = [[factor * rate for rate in rates] for factor in factors]
        np.testing.assert_allclose(rest(rates), expected, rtol=0, atol=1e-5)


def test_rates_that_change_are_logged_for_each_player() -> None:
    settings = TrainingSettings(epochs=2, batch_size=2, schedule="cosine")
    logged = [event for event in Training(Slope(), data(), settings).events() if isinstance(event, Progressed)]
    for event in logged:
        factor = rate_factor(event.step - 1, PER_EPOCH, settings)  # of the last step that was taken
        assert event.learning_rates == pytest.approx({"left": 0.5 * factor, "right": 0.25 * factor})


def test_weight_decay_is_adamws_on_every_player() -> None:
    """θ₁ = θ₀ − γ(λθ₀ + m̂/(√v̂ + ε)); after one step Adam's direction is the sign of the gradient."""
    weights = [nn.Parameter(torch.tensor([2.0, -4.0], dtype=torch.float64)) for _ in range(2)]
    players = {"one": adam([weights[0]], 0.1), "two": torch.optim.Adam([weights[1]], lr=0.1)}
    decay_weights(players, 0.5)
    for weight, player in zip(weights, players.values(), strict=True):
        weight.grad = torch.tensor([3.0, 5.0], dtype=torch.float64)
        player.step()
        expected = torch.tensor([2.0 - 0.1 * (0.5 * 2.0 + 1), -4.0 - 0.1 * (0.5 * -4.0 + 1)], dtype=torch.float64)
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-8)


def test_weight_decay_of_rmsprop_is_decoupled_too() -> None:
    """θ ← (1 − γλ)θ − γ g/(√v + ε) with v ← 0.99 v + 0.01 g², in which g is the loss's alone."""
    weight, idle = (nn.Parameter(torch.tensor([2.0, -4.0], dtype=torch.float64)) for _ in range(2))
    player = RMSprop([weight, idle], lr=0.1)
    decay_weights({"one": player}, 0.5)
    theta, v = [2.0, -4.0], [0.0, 0.0]
    for gradient in ([3.0, 5.0], [-1.0, 0.5], [2.0, 2.0]):
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        player.step()
        v = [0.99 * v_i + 0.01 * g**2 for v_i, g in zip(v, gradient, strict=True)]
        theta = [
            (1 - 0.1 * 0.5) * t - 0.1 * g / (math.sqrt(v_i) + 1e-8)
            for t, v_i, g in zip(theta, v, gradient, strict=True)
        ]
    assert weight.tolist() == pytest.approx(theta, rel=1e-12)
    assert idle.tolist() == [2.0, -4.0]  # no gradient, no decay
    assert player.param_groups[0]["weight_decay"] == 0.5


def test_a_clipped_critic_takes_weight_decay() -> None:
    """All presets of the Wasserstein GAN are moved by RMSprop."""

    def norm(decay: float) -> float:
        seed_everything(0)
        model = genlab.create("wgan", (1, 8, 8), width=4, optimiser="rmsprop")
        settings = TrainingSettings(epochs=2, batch_size=2, decoupled_weight_decay=decay)
        list(Training(model, data(), settings).events())
        return sum(weight.square().sum().item() for weight in model.generator.parameters())

    assert norm(10.0) < 0.99 * norm(0.0)


def test_weight_decay_of_plain_descent_is_a_penalty_and_other_optimisers_refuse_it() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    plain = torch.optim.SGD([weight], lr=0.1)
    decay_weights({"one": plain}, 0.5)
    weight.grad = torch.tensor([1.0])
    plain.step()
    assert weight.item() == pytest.approx(2 - 0.1 * (1 + 0.5 * 2))
    for other in (torch.optim.RMSprop([weight]), torch.optim.SGD([weight], lr=0.1, momentum=0.9)):
        decay_weights({"one": other}, 0.0)
        with pytest.raises(BadInputError, match=r"needs Adam, and player 'one' is moved by (RMSprop|SGD)"):
            decay_weights({"one": other}, 0.5)


def test_no_model_calls_a_parameter_like_a_setting() -> None:
    shared = set(TrainingSettings.model_fields)
    clashes = {name: shared & set(describe(entry.model.Parameters)) for name, entry in models().items()}
    assert {name: both for name, both in clashes.items() if both} == {}
