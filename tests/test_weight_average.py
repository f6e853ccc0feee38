"""The moving average of weights: by hand, beside a training that it does not disturb, and resumed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import genlab
from genlab.core.events import EpochFinished
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.training.average import WeightAverage
from genlab.training.loop import Training

IMAGES = (load_digits().images[:400, None] * 255 / 16).astype(np.uint8)
SMALL: dict[str, dict[str, Any]] = {
    "vae": {"hidden": 32, "latent_dim": 4},
    "vae_gan": {"latent_dim": 4, "critic_hidden": 16},
    "dcgan": {"width": 4, "average": 0.9},
    "nice": {"hidden": 16},
    "glow": {"width": 8},
    "vq_vae": {"halvings": 2, "codes": 16, "width": 4, "hidden": 8},
}


def training(name: str, decay: float) -> Training:
    seed_everything(0)
    splits = {"train": np.arange(300), "validation": np.arange(300, 400)}
    settings = TrainingSettings(epochs=3, batch_size=50, device="cpu", weight_average=decay)
    model = genlab.create(name, (1, 8, 8), **SMALL[name])
    return Training(model, ArrayBatches(IMAGES, None, splits), settings)


def epochs(run: Training) -> list[EpochFinished]:
    return [event for event in run.events() if isinstance(event, EpochFinished)]


def test_the_average_is_the_recursion_written_out() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 5.0], dtype=torch.float64))
    player = torch.optim.SGD([weight], lr=0.1)
    average = WeightAverage([weight], decay=0.3)
    own, mean = np.array([1.0, 5.0]), None
    for step in range(8):
        average.lend()
        np.testing.assert_allclose(weight.detach(), own)
        player.zero_grad()
        weight.square().sum().backward()
        player.step()
        average.take_back()
        own = own - 0.1 * 2 * own
        mean = own if mean is None else mean + (1 - min(0.3, (1 + step) / (10 + step))) * (own - mean)
        np.testing.assert_allclose(weight.detach(), mean, rtol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_players_move_as_they_would_without_it(name: str) -> None:
    plain = training(name, 0.0)
    without = epochs(plain)
    averaged = training(name, 0.95)
    beside = epochs(averaged)
    assert [event.scalars for event in without] == [event.scalars for event in beside]
    assert averaged.average is not None
    moved = [weight for weight in plain.model.parameters() if weight.requires_grad]
    assert all(torch.equal(weight, own) for weight, own in zip(moved, averaged.average.others, strict=True))
    assert not any(torch.equal(mean, own) for mean, own in zip(averaged.average.weights, moved, strict=True) if own.abs().sum() > 0)  # fmt: skip


@pytest.mark.parametrize("stop_at", [4, 11])
def test_it_is_resumed_to_the_bit(stop_at: int) -> None:
    whole = training("vae", 0.9)
    expected = epochs(whole)
    first = training("vae", 0.9)
    done = []
    for event in first.events():
        done += [event] if isinstance(event, EpochFinished) else []
        if first.step == stop_at:
            break
    weights, state = copy.deepcopy((first.model.state_dict(), first.state()))
    second = training("vae", 0.9)
    second.model.load_state_dict(weights)
    second.load_state(state)
    done += epochs(second)
    assert [(event.scalars, event.validation) for event in done] == [
        (event.scalars, event.validation) for event in expected
    ]
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name


def test_a_checkpoint_without_averages_begins_them_at_its_weights() -> None:
    first = training("vae", 0.0)
    epochs(first)
    second = training("vae", 0.9)
    second.model.load_state_dict(first.model.state_dict())
    second.load_state({**first.state(), "epoch": 0, "step": 0})
    epochs(second)
    assert second.average is not None
    assert second.average.steps == 18
