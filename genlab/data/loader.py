"""Deals images out in batches whose order is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from genlab.core.batch import Batch
from genlab.core.seeding import derived_seed
from genlab.core.shapes import Shape


class ArrayBatches:
    """Batches over one array of 8-bit images (N, C, H, W), in memory or memory-mapped.

    `splits` maps "train" and "validation" to indices into the array.

    >>> images = np.zeros((6, 1, 8, 8), dtype=np.uint8)
    >>> data = ArrayBatches(images, None, {"train": np.arange(6)})
    >>> [len(batch.images) for batch in data.epoch(0, 0, 4, torch.device("cpu"))]
    [4, 2]
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        splits: Mapping[str, np.ndarray],
        classes: int = 0,
    ) -> None:
        self._images = images
        self._labels = labels
        self._splits = splits
        self.shape = Shape(*images.shape[1:])
        self.classes = classes

    def count(self, split: str = "train") -> int:
        """Images in a split; 0 for a split that is not there."""
        return len(self._splits.get(split, ()))

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch; a last batch of a single image is left out, as batch norm cannot use it."""
        whole, rest = divmod(self.count("train"), batch_size)
        return max(1, whole + (rest > 1))

    def epoch(self, seed: int, epoch: int, batch_size: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
        """Shuffled training batches of one epoch, the last one possibly smaller."""
        generator = torch.Generator().manual_seed(derived_seed(seed, epoch))
        order = torch.randperm(self.count("train"), generator=generator).numpy()
        indices = self._splits["train"][order]
        for step in range(skip, self.steps(batch_size)):
            yield self._take(indices[step * batch_size : (step + 1) * batch_size], device)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split from first to last."""
        indices = self._splits.get(split, np.empty(0, dtype=np.int64))
        for start in range(0, len(indices), batch_size):
            yield self._take(indices[start : start + batch_size], device)

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split as one batch."""
        return self._take(self._splits[split], device)

    def _take(self, indices: np.ndarray, device: torch.device) -> Batch:
        images = torch.from_numpy(np.ascontiguousarray(self._images[indices])).to(device)
        labels = None
        if self._labels is not None:
            labels = torch.from_numpy(self._labels[indices].astype(np.int64)).to(device)
        return Batch(images.to(torch.float32).div_(255), labels)
