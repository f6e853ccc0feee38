"""Deals images out in batches whose order is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from genlab.core.batch import Batch
from genlab.core.errors import BadInputError
from genlab.core.seeding import derived_seed
from genlab.core.shapes import Shape

TOGETHER = 4  # images of one identity that are dealt side by side


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
        order = self.shuffle("train", derived_seed(seed, epoch))
        for step in range(skip, self.steps(batch_size)):
            yield self.take("train", order[step * batch_size : (step + 1) * batch_size], device)

    def shuffle(self, split: str, seed: int) -> np.ndarray:
        """The places of a split, each once, in an order that follows from a seed."""
        return shuffled(self.count(split), self.count(split), seed)

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


class IdentityBatches(ArrayBatches):
    """Batches that hold several images of an identity side by side, so that every anchor finds a positive.

    `labels` number identities. An epoch deals each image once, in groups of up to `TOGETHER` images of one identity:
    a batch of B images holds about B / `TOGETHER` identities.

    >>> images, identities = np.zeros((8, 1, 8, 8), dtype=np.uint8), np.array([0, 1] * 4)
    >>> data = IdentityBatches(images, identities, {"train": np.arange(8)})
    >>> [len(set(batch.labels.tolist())) for batch in data.epoch(0, 0, TOGETHER, torch.device("cpu"))]
    [1, 1]
    """

    def shuffle(self, split: str, seed: int) -> np.ndarray:
        """The places of a split, each once: groups of one identity in an order that follows from a seed."""
        assert self._labels is not None
        return together(self._labels[self._splits[split]], TOGETHER, seed)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split in one fixed order of such groups: from first to last a sorted set would show one identity at a time."""
        order = self.shuffle(split, 0) if self.count(split) else np.empty(0, dtype=np.int64)
        for start in range(0, len(order), batch_size):
            yield self.take(split, order[start : start + batch_size], device)


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


def together(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Places of `labels` (N,), each once, so that equal ones stand side by side in groups of up to `size`.

    Who is grouped with whom, and the order of the groups, follow from the seed.

    >>> labels = np.array([7, 3, 7, 3])
    >>> labels[together(labels, 2, seed=0)].tolist() in ([3, 3, 7, 7], [7, 7, 3, 3])
    True
    """
    order = shuffled(len(labels), len(labels), seed)
    order = order[np.argsort(labels[order], kind="stable")]
    rank = np.arange(len(order)) - np.searchsorted(labels[order], labels[order])  # among the images of its identity
    group = np.cumsum(rank % size == 0) - 1
    places = shuffled(group[-1] + 1, group[-1] + 1, derived_seed(seed, 1))
    return order[np.argsort(places[group], kind="stable")]
