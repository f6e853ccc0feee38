"""Means of scalars, kept on the device so that logging does not make the processor wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Tally:
    """Adds up named scalars and gives their means.

    >>> tally = Tally()
    >>> tally.add({"loss": torch.tensor(1.0)}); tally.add({"loss": torch.tensor(3.0)})
    >>> tally.means()
    {'loss': 2.0}
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None
        self.count = 0

    def add(self, scalars: Mapping[str, Tensor], weight: int = 1) -> None:
        """Add one observation of every scalar, counted `weight` times."""
        self.names = self.names or tuple(scalars)
        self._include(_row(scalars, self.names) * weight, weight)

    def add_all(self, steps: Steps) -> None:
        """Add every step that was noted."""
        if steps.rows:
            self.names = self.names or steps.names
            sums = torch.stack(steps.rows).sum(0)
            if steps.names != self.names:  # players that rest change the order
                sums = sums[[steps.names.index(name) for name in self.names]]
            self._include(sums, len(steps.rows))

    def _include(self, sums: Tensor, count: int) -> None:
        self.sums = sums if self.sums is None else self.sums + sums
        self.count += count

    def means(self) -> dict[str, float]:
        """The means so far; waits for the device."""
        if self.sums is None:
            return {}
        return dict(zip(self.names, (self.sums / self.count).tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"names": list(self.names), "sums": self.sums, "count": self.count}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a checkpoint, on the device where training goes on."""
        self.names, self.count = tuple(state["names"]), int(state["count"])
        self.sums = None if state["sums"] is None else state["sums"].to(device)


class Steps:
    """The scalars of the last few steps, one by one, so that the step that spoilt them can be told.

    >>> steps = Steps()
    >>> for value in (1.0, math.nan): steps.add({"loss": torch.tensor(value)})
    >>> steps.first_not_finite()
    (1, 'loss')
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.rows: list[Tensor] = []

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Note one step: a single copy on the device, and nothing is waited for."""
        self.names = self.names or tuple(scalars)
        self.rows.append(_row(scalars, self.names))

    def first_not_finite(self) -> tuple[int, str]:
        """The first step with a scalar that is NaN or infinite, counted from 0, and its name, or (-1, "").

        Of several in that step a part of a loss is named before the loss, and a player's loss before their sum.
        """
        for index, row in enumerate(torch.stack(self.rows).tolist() if self.rows else ()):
            term = first_not_finite(dict(zip(self.names, row, strict=True)))
            if term:
                return index, term
        return -1, ""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"names": list(self.names), "rows": torch.stack(self.rows) if self.rows else None}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a checkpoint, on the device where training goes on."""
        rows = state.get("rows")
        self.names = tuple(state["names"])
        self.rows = [] if rows is None else list(rows.to(device))


def _row(scalars: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """The scalars as one vector, by name: their order may change from step to step."""
    return torch.stack([scalars[name].float() for name in names])


def first_not_finite(scalars: Mapping[str, float]) -> str:
    """The name of a scalar that is NaN or infinite, or an empty string; parts before sums.

    >>> first_not_finite({"loss": math.inf, "reconstruction": 2.0, "kl": math.inf})
    'kl'
    """
    spoilt = [name for name, value in scalars.items() if not math.isfinite(value)]
    return min(spoilt, key=lambda name: (name.startswith("loss"), name == "loss"), default="")
