"""What a run would take, measured on a few real steps rather than guessed."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from genlab.data import ImageSet

PATIENCE = 2.0  # seconds spent on measuring


class Estimate(NamedTuple):
    """Size and cost of a run that has not begun."""

    parameters: int
    steps: int
    seconds: float
    memory_bytes: int
    device: str


def estimate(model: str, images: ImageSet, parameters: dict[str, Any], settings: dict[str, Any]) -> Estimate:
    """Build the model and time a few of its steps; noise and order of other work are left as they were."""
    import torch

    from genlab.core.capabilities import Fits
    from genlab.core.registry import find
    from genlab.core.settings import TrainingSettings
    from genlab.training.loop import Training

    with torch.random.fork_rng():
        network = find(model).create(images.shape, len(images.class_names), **parameters)
        training = Training(network, images.batches(), TrainingSettings(**settings))
        count = sum(p.numel() for p in network.parameters() if p.requires_grad)
        rate = 1 if isinstance(network, Fits) else _seconds_per_step(training)
    steps = training.settings.epochs * training.steps_per_epoch
    values = images.shape.values * (images.count if isinstance(network, Fits) else training.settings.batch_size)
    state = sum(p.numel() * 4 for p in itertools.chain(network.parameters(), network.buffers()))
    # weights, gradients and two moments of Adam; activations come to some thirty copies of a batch
    memory = 4 * state + 30 * 4 * values
    return Estimate(count, steps, steps * rate, memory, str(training.device))


def _seconds_per_step(training: Any) -> float:
    events = training.events()
    next(events)  # Started
    began = time.perf_counter()
    for _ in range(2):  # the first steps also allocate
        next(events)
    warm, after = time.perf_counter(), training.step
    while time.perf_counter() - warm < PATIENCE - (warm - began) and training.step < 40:
        if next(events, None) is None and training.step == training.steps_per_epoch * training.settings.epochs:
            break
    done = training.step - after
    return (time.perf_counter() - warm) / done if done else (warm - began) / 2
