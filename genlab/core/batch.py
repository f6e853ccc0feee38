"""What flows from data to models: batches of images, and the contract of whatever deals them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genlab.core.shapes import Shape


class Batch(NamedTuple):
    """Images (B, C, H, W) float32 in [0, 1] and, where the set has them, labels (B,) int64.

    `second` holds images of a second, unpaired set (B, C, H, W), for models that learn from two.
    """

    images: Tensor
    labels: Tensor | None
    second: Tensor | None = None


class Step(NamedTuple):
    """Where training stands: `index` counts all steps from 0, `per_epoch` is how many make an epoch."""

    index: int  # type: ignore[assignment]  # tuples have a method of this name, which nobody needs here
    epoch: int
    per_epoch: int

    @property
    def epochs_done(self) -> float:
        """Progress in epochs, with its fraction: what annealing schedules are written in."""
        return self.index / self.per_epoch


class Batches(Protocol):
    """Deals out a training and a validation split; the order is a function of (seed, epoch) alone."""

    shape: Shape
    classes: int

    def count(self, split: str = "train") -> int:
        """Images in a split, "train" or "validation"."""

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch, at least one."""

    def epoch(self, seed: int, epoch: int, batch_size: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
        """The training batches of one epoch, shuffled by (seed, epoch), without the first `skip` ones."""

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split from its first image to its last, unshuffled."""

    def spread(self, split: str, count: int, device: torch.device) -> Batch:
        """At most `count` images at even distances over a split, so that a set sorted by class shows all of them."""

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split as one batch, for models that fit in closed form."""
