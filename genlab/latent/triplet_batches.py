"""Batches of triplets that a trained model samples around real images, drawn once or anew in every epoch.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3 and 8.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import Batch, Batches
from genlab.core.capabilities import Decodes, EncodesNormal
from genlab.core.errors import BadInputError
from genlab.core.seeding import derived_seed
from genlab.latent.triplets import sample_triplet_codes
from genlab.nn.inference import batch_size as images_at_once
from genlab.nn.triplet_settings import TripletSettings

if TYPE_CHECKING:
    from genlab.core.model import Model


ROOM = 2**29  # bytes of decoded pictures that are kept, for anchors and for triplets


class Anchors(NamedTuple):
    """Codes (N, D) of the training images, which triplets are sampled around, and their labels (N,) if any.

    `pictures` (N, C, H, W) are the decoded codes as bytes; None where there is no room for them.
    """

    mean: Tensor
    log_var: Tensor
    labels: Tensor | None
    pictures: Tensor | None


class TripletBatches:
    """Batches of anchors, positives and negatives that `sampler` decodes around the training images of `real`.

    Each training image is an anchor once an epoch, with codes drawn by (seed, epoch, step) alone; or `drawn_once` triplets
    are drawn by the seed alone, around one image after another, and come again in every epoch. What comes again is decoded once,
    to 8 bits a value, as far as there is room. Labels number anchors:
    anchor and positive share one, each negative has its own below 0, and nothing says which images show the same. With
    `mixed`, half of a batch are real images, and then anchors have the labels of theirs. Held-out images stay real: they
    say whether what is learned from samples holds. Raises `BadInputError` for a model that cannot encode and decode images
    of this shape.
    """

    def __init__(
        self, real: Batches, sampler: Model, settings: TripletSettings, *, mixed: bool = False, drawn_once: int = 0
    ) -> None:
        if not isinstance(sampler, EncodesNormal) or not isinstance(sampler, Decodes):
            raise BadInputError(
                "Triplets are sampled by a model whose codes have a variance and can be decoded, such as a VAE."
            )
        if sampler.shape != real.shape:
            raise BadInputError(
                f"The run that samples triplets makes images of {sampler.shape}, and these are {real.shape}; choose one that fits."
            )
        self.real, self.settings, self.mixed = real, settings, mixed
        self.sampler: Any = sampler
        self.shape, self.classes = real.shape, real.classes
        self.drawn_once = drawn_once
        self._drawn: dict[int, tuple[list[Tensor], Tensor | None]] = {}

    def count(self, split: str = "train") -> int:
        """Real images in a split."""
        return self.real.count(split)

    @property
    def triplets(self) -> int:
        """Sampled triplets of an epoch; with `mixed` not all of them come in each."""
        return self.drawn_once or self.count("train")

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch: of the triplets, or with `mixed` of the real images."""
        if self.mixed:
            return self.real.steps(_real_ones(batch_size))
        return max(1, -(-self.triplets // _anchors(batch_size)))

    def epoch(self, seed: int, epoch: int, batch_size: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
        """The training batches of one epoch: anchors, then positives, then negatives; with `mixed` real images first."""
        self.sampler.to(device)
        steps, count = range(skip, self.steps(batch_size)), _anchors(batch_size) // (2 if self.mixed else 1)
        real: Iterator[Batch | None] = itertools.repeat(None)
        if self.mixed:
            real = self.real.epoch(seed, epoch, _real_ones(batch_size), device, skip)
        order = np.random.default_rng(derived_seed(seed, epoch)).permutation(self.triplets)
        fixed = self._fixed(seed) if self.drawn_once else None
        for step, beside in zip(steps, real, strict=False):
            places = np.arange(step * count, (step + 1) * count)
            rows = order[places % len(order) if self.mixed else places[places < len(order)]]
            yield self._batch(rows, self._sampled(rows, fixed, derived_seed(seed, epoch, step)), beside)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split of the real images."""
        return self.real.in_order(split, batch_size, device)

    def spread(self, split: str, count: int, device: torch.device) -> Batch:
        """Real images at even distances over a split."""
        return self.real.spread(split, count, device)

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split of the real images."""
        return self.real.all(split, device)

    def _codes(self, rows: np.ndarray, seed: int) -> list[Tensor]:
        """Codes (B, D) of the positives of some triplets, and of their negatives."""
        place = rows % len(self.anchors.mean)
        mean, log_var = self.anchors.mean[place].double(), self.anchors.log_var[place].double()
        middle, draws = self.anchors.mean.double().mean(0), np.random.default_rng(seed)
        return list(sample_triplet_codes(mean, log_var, middle, generator=draws, **self.settings.model_dump()))

    def _fixed(self, seed: int) -> tuple[list[Tensor], Tensor | None]:
        """The codes of all triplets that are drawn once, and their pictures: positives, then negatives."""
        if seed not in self._drawn:
            codes = self._codes(np.arange(self.drawn_once), derived_seed(seed))
            self._drawn = {seed: (codes, self._pictures(torch.cat(codes)))}
        return self._drawn[seed]

    def _sampled(self, rows: np.ndarray, fixed: tuple[list[Tensor], Tensor | None] | None, seed: int) -> Tensor:
        """Positives and negatives (2B, C, H, W) of some triplets: those drawn once, or new ones by the seed."""
        if fixed is None:
            return self._decode(torch.cat(self._codes(rows, seed)))
        codes, pictures = fixed
        if pictures is None:
            return self._decode(torch.cat([part[rows] for part in codes]))
        return pictures[np.concatenate([rows, rows + self.drawn_once])].float() / 255

    def _batch(self, rows: np.ndarray, sampled: Tensor, beside: Batch | None) -> Batch:
        """Some triplets as a batch, behind real images where there are any."""
        place, kept = rows % len(self.anchors.mean), self.anchors.pictures
        anchors = self._decode(self.anchors.mean[place]) if kept is None else kept[place].float() / 255
        images = torch.cat([anchors, sampled])
        own = torch.from_numpy(place).to(images.device)
        if beside is not None and self.anchors.labels is not None:
            own = self.anchors.labels[own]
        shown = torch.cat([own, own, -1 - torch.arange(len(own), device=own.device)])
        if beside is None or beside.labels is None:
            return Batch(images, shown)
        return Batch(torch.cat([beside.images, images]), torch.cat([beside.labels, shown]))

    @cached_property
    def anchors(self) -> Anchors:
        """The codes of the training images, computed once."""
        device = self.sampler.device
        with torch.no_grad():
            batches = list(self.real.in_order("train", images_at_once(self.sampler), device))
            codes = [self.sampler.encode(batch.images) for batch in batches]
        labels = [batch.labels for batch in batches if batch.labels is not None]
        mean, log_var = (torch.cat([getattr(each, name) for each in codes]) for name in ("mean", "log_var"))
        return Anchors(mean, log_var, torch.cat(labels) if labels else None, self._pictures(mean))

    def _pictures(self, codes: Tensor) -> Tensor | None:
        """Decoded codes (N, C, H, W) as bytes, in blocks that do not depend on batches; None for more than there is room for."""
        if len(codes) * self.shape.values > ROOM:
            return None
        blocks = codes.split(images_at_once(self.sampler))
        return torch.cat([self._decode(block).clamp(0, 1).mul(255).round().to(torch.uint8) for block in blocks])

    @torch.no_grad()
    def _decode(self, codes: Tensor) -> Tensor:
        images: Tensor = self.sampler.decode(codes.float())
        return images


def _anchors(batch_size: int) -> int:
    """Triplets in a batch of so many images."""
    return max(2, batch_size // 3)


def _real_ones(batch_size: int) -> int:
    """Real images in a mixed batch."""
    return max(2, batch_size // 2)
