"""Means of scalars, kept on the device so that logging does not make the processor wait."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
        values = torch.stack([scalars[name].float() for name in self.names])  # by name: their order may change
        if weight != 1:
            values *= weight
        if self.sums is None:
            self.sums = values
        else:
            self.sums += values
        self.count += weight

    def means(self) -> dict[str, float]:
        """The means so far; waits for the device."""
        if self.sums is None:
            return {}
        return dict(zip(self.names, (self.sums / self.count).tolist(), strict=True))

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"names": list(self.names), "sums": self.sums, "count": self.count}

    def load(self, state: dict[str, object], device: torch.device) -> None:
        """Go on from a checkpoint, on the device where training goes on."""
        self.names = tuple(state["names"])  # type: ignore[arg-type]
        sums = state["sums"]
        self.sums = sums.to(device) if isinstance(sums, Tensor) else None
        self.count = int(state["count"])  # type: ignore[call-overload]


def first_not_finite(scalars: Mapping[str, float]) -> str:
    """The name of the first scalar that is NaN or infinite, or an empty string."""
    return next((name for name, value in scalars.items() if not math.isfinite(value)), "")
