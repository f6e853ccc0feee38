"""Learning rates over time, as a pure function of the step: a run that is resumed goes on at the same rate.

References:
    [1] Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017 (half a cosine).
    [2] Goyal et al., Accurate, Large Minibatch SGD, 2017 (gradual warm-up).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from genlab.core.settings import TrainingSettings


def rate_factor(step: int, per_epoch: int, settings: TrainingSettings) -> float:
    """What the chosen learning rates are multiplied by in step `step`, counted from 0; `per_epoch` steps make an epoch.

    Warm-up over W steps: (step + 1) / W, so that the W-th step has the full rate ([2] 2.2). Then, with T steps in all,
    "cosine": ½(1 + cos(π (step − W + 1) / (T − W + 1))) ([1] (5) with a lowest rate of 0), which is 1 at the end of the
    warm-up and still above 0 in the last step; "step": `step_factor` to the power of the falls so far, which are
    counted from the first epoch; "constant": 1.

    >>> rate_factor(0, 10, TrainingSettings(rate_warmup=0.5)), rate_factor(4, 10, TrainingSettings(rate_warmup=0.5))
    (0.2, 1.0)
    """
    warm = max(1, round(settings.rate_warmup * per_epoch))
    if step < warm - 1:
        return (step + 1) / warm
    if settings.schedule == "cosine":
        left = settings.epochs * per_epoch - warm + 1
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm + 1) / max(1, left))))
    if settings.schedule == "step":
        return float(settings.step_factor ** (step // (settings.step_epochs * per_epoch)))
    return 1.0


class Schedule:
    """Sets the players' learning rates, each the one it was made with times `rate_factor`.

    >>> player = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    >>> Schedule({"one": player}, TrainingSettings(rate_warmup=1), per_epoch=4).apply(0)
    >>> player.param_groups[0]["lr"]
    0.025
    """

    def __init__(
        self, players: Mapping[str, torch.optim.Optimizer], settings: TrainingSettings, per_epoch: int
    ) -> None:
        self.settings = settings
        self.per_epoch = per_epoch
        self.players = players
        self.chosen = {name: [group["lr"] for group in player.param_groups] for name, player in players.items()}

    @property
    def changes(self) -> bool:
        """Whether any step has another rate than the chosen one."""
        return self.settings.schedule != "constant" or self.settings.rate_warmup > 0

    def apply(self, step: int) -> None:
        """Set the rates of one step."""
        factor = rate_factor(step, self.per_epoch, self.settings)
        for name, player in self.players.items():
            for group, rate in zip(player.param_groups, self.chosen[name], strict=True):
                group["lr"] = factor * rate

    def rates(self) -> dict[str, float]:
        """The present rate of each player (of its first group of parameters); empty when they never change."""
        if not self.changes:
            return {}
        return {name: float(player.param_groups[0]["lr"]) for name, player in self.players.items()}
