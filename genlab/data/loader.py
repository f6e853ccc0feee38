"""Deals images out in batches whose order is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from genlab.core.batch import Batch
from genlab.core.errors import BadInputError
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
        order = shuffled(self.count("train"), self.count("train"), derived_seed(seed, epoch))
        for step in range(skip, self.steps(batch_size)):
            yield self.take("train", order[step * batch_size : (step + 1) * batch_size], device)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split from first to last."""
        for start in range(0, self.count(split), batch_size):
            yield self.take(split, slice(start, start + batch_size), device)

    def spread(self, split: str, count: int, device: torch.device) -> Batch:
        """At most `count` images at even distances over a split, the first one among them."""
        return self.take(split, evenly(self.count(split), count), device)

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split as one batch."""
        return self.take(split, slice(None), device)

    def take(self, split: str, places: np.ndarray | slice, device: torch.device) -> Batch:
        """The images at some places of a split."""
        indices = self._splits[split][places]
        images = torch.from_numpy(np.ascontiguousarray(self._images[indices])).to(device)
        labels = None
        if self._labels is not None:
            labels = torch.from_numpy(self._labels[indices].astype(np.int64)).to(device)
        return Batch(images.to(torch.float32).div_(255), labels)


class PairedBatches:
    """Batches of one set, each with as many images of a second set; nothing says which would belong together.

    An epoch goes once through the larger set. The smaller one is shuffled again whenever it is used up.

    >>> larger, smaller = (np.zeros((count, 1, 8, 8), dtype=np.uint8) for count in (6, 2))
    >>> data = PairedBatches(*(ArrayBatches(images, None, {"train": np.arange(len(images))}) for images in (larger, smaller)))
    >>> [len(batch.second) for batch in data.epoch(0, 0, 4, torch.device("cpu"))]
    [4, 2]
    """

    def __init__(self, first: ArrayBatches, second: ArrayBatches) -> None:
        if first.shape != second.shape:
            raise BadInputError(f"Two sets are learned from side by side, but one has images of {first.shape}, the other of {second.shape}.")  # fmt: skip
        self._sets = (first, second)
        self.shape = first.shape
        self.classes = first.classes

    def count(self, split: str = "train") -> int:
        """Images of the first set in a split, as far as the second set has as many."""
        return min(data.count(split) for data in self._sets)

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch of the larger set."""
        return max(data.steps(batch_size) for data in self._sets)

    def epoch(self, seed: int, epoch: int, batch_size: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
        """Training batches of both sets, each set in an order of its own that follows from (seed, epoch)."""
        counts = [data.count("train") for data in self._sets]
        seeds = (derived_seed(seed, epoch), derived_seed(seed, epoch, 1))
        orders = [shuffled(count, max(counts), own) for count, own in zip(counts, seeds, strict=True)]
        for step in range(skip, self.steps(batch_size)):
            part = slice(step * batch_size, (step + 1) * batch_size)
            yield self._pair("train", [order[part] for order in orders], device)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split from first to last, as far as both sets reach."""
        for start in range(0, self.count(split), batch_size):
            part = slice(start, min(start + batch_size, self.count(split)))
            yield self._pair(split, [part, part], device)

    def spread(self, split: str, count: int, device: torch.device) -> Batch:
        """At most `count` images of each set at even distances over a split."""
        return self._pair(split, [evenly(data.count(split), count) for data in self._sets], device)

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split of both sets, which need not be of one size."""
        return self._pair(split, [slice(None), slice(None)], device)

    def _pair(self, split: str, places: Sequence[np.ndarray | slice], device: torch.device) -> Batch:
        first, second = (data.take(split, at, device) for data, at in zip(self._sets, places, strict=True))
        return first._replace(second=second.images)


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` places below `count`, at even distances from 0 on.

    >>> evenly(10, 4).tolist(), evenly(2, 4).tolist()
    ([0, 2, 5, 7], [0, 1])
    """
    return np.arange(min(count, most)) * count // max(1, min(count, most))


def shuffled(count: int, total: int, seed: int) -> np.ndarray:
    """`total` places below `count`, one whole shuffle after another.

    >>> sorted(shuffled(2, 4, seed=0).tolist())
    [0, 0, 1, 1]
    """
    generator = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(count, generator=generator) for _ in range(max(1, -(-total // max(1, count))))]
    return torch.cat(rounds)[:total].numpy()
