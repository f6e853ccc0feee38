"""Batches of triplets that a trained model samples around real images, drawn anew in every epoch.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3 and 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

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


class TripletBatches:
    """Batches of anchors, positives and negatives that `sampler` decodes around the images of `real`.

    Anchor and positive share the anchor's label; each negative has a label of its own, below 0. Codes are drawn by (seed,
    epoch, step) alone. With `mixed`, half of a batch are real images and a third of them are its anchors. Held-out
    images stay real: they say whether what is learned from samples holds. Raises `BadInputError` for a model that
    cannot encode and decode images of this shape.
    """

    def __init__(self, real: Batches, sampler: Model, settings: TripletSettings, *, mixed: bool = False) -> None:
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

    def count(self, split: str = "train") -> int:
        """Real images in a split; those of "train" are each an anchor (with `mixed` every third) once an epoch."""
        return self.real.count(split)

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch of the real images."""
        return self.real.steps(self._real_ones(batch_size))

    def epoch(self, seed: int, epoch: int, batch_size: int, device: torch.device, skip: int = 0) -> Iterator[Batch]:
        """The training batches of one epoch: anchors, then positives, then negatives; with `mixed` real images first."""
        self.sampler.to(device)
        for step, batch in enumerate(self.real.epoch(seed, epoch, self._real_ones(batch_size), device, skip), skip):
            draws = np.random.default_rng(derived_seed(seed, epoch, step))
            yield self.around(batch, draws)

    def in_order(self, split: str, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """A split of the real images."""
        return self.real.in_order(split, batch_size, device)

    def spread(self, split: str, count: int, device: torch.device) -> Batch:
        """Real images at even distances over a split."""
        return self.real.spread(split, count, device)

    def all(self, split: str, device: torch.device) -> Batch:
        """A whole split of the real images."""
        return self.real.all(split, device)

    @torch.no_grad()
    def around(self, batch: Batch, draws: np.random.Generator) -> Batch:
        """Triplets around the images of a batch; with `mixed` around every third, after the batch itself."""
        labels = torch.arange(len(batch.images), device=batch.images.device) if batch.labels is None else batch.labels
        anchors = slice(None, None, 3) if self.mixed else slice(None)
        codes = self.sampler.encode(batch.images[anchors])
        mean, log_var = codes.mean.double(), codes.log_var.double()
        middle = self.global_mean.to(mean)
        values = self.settings.model_dump()
        positive, negative = sample_triplet_codes(mean, log_var, middle, generator=draws, **values)
        decoded = self.sampler.decode(torch.cat([mean, positive, negative]).to(codes.mean.dtype))
        own = labels[anchors]
        fresh = -1 - torch.arange(len(own), device=own.device)
        images, shown = decoded, torch.cat([own, own, fresh])
        if self.mixed:
            images, shown = torch.cat([batch.images, decoded]), torch.cat([labels, shown])
        return Batch(images, shown)

    def _real_ones(self, batch_size: int) -> int:
        """Real images behind a batch: a third of it, with `mixed` a half."""
        return max(2, batch_size // (2 if self.mixed else 3))

    @cached_property
    def global_mean(self) -> Tensor:
        """The mean code (D,) of the training images."""
        size = images_at_once(self.sampler)
        with torch.no_grad():
            batches = self.real.in_order("train", size, self.sampler.device)
            return torch.cat([self.sampler.encode(batch.images).mean.double() for batch in batches]).mean(0)
