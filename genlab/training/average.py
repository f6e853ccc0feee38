"""A moving average of all weights, which is what a run shows, measures and keeps while its players move their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Puts w̄ ← w̄ + (1 − δ_t)(w − w̄) in the place of the weights w between steps, and w back for each step.

    δ_t = min(δ, (1 + t) / (10 + t)) after step t = 1, 2, …, and w̄ is w after step 0, as in `genlab.nn.ema`. The two only
    change places, nothing is copied. Buffers, such as batch statistics and codebooks, are those of training.

    >>> weight = nn.Parameter(torch.zeros(1))
    >>> average = WeightAverage([weight], decay=0.5)
    >>> for value in (0.0, 8.0):
    ...     average.lend()
    ...     _ = weight.data.fill_(value)
    ...     average.take_back()
    >>> round(weight.item(), 3), average.others[0].item()
    (6.545, 8.0)
    """

    def __init__(self, weights: Iterable[nn.Parameter], decay: float) -> None:
        self.weights = list(weights)
        self.decay = decay
        self.steps = 0
        self.others: list[Tensor] = []  # the weights themselves; the averages while a step is taken

    def lend(self) -> None:
        """Before a step: the weights themselves take their place."""
        if self.steps:
            self._exchange()

    @torch.no_grad()
    def take_back(self) -> None:
        """After a step: their average does, which has moved towards them."""
        if self.steps:
            share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self.others, [weight.data for weight in self.weights], share)
        else:
            self.others = [weight.data.clone() for weight in self.weights]
        self.steps += 1
        self._exchange()

    def _exchange(self) -> None:
        for place, weight in enumerate(self.weights):
            weight.data, self.others[place] = self.others[place], weight.data

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the model, which holds the averages."""
        return {"steps": self.steps, "weights": list(self.others)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; from one without averages they begin at its weights."""
        self.steps = state.get("steps", 0)
        pairs = zip(self.weights, state.get("weights", ()), strict=bool(self.steps))
        self.others = [kept.to(weight) for weight, kept in pairs]
