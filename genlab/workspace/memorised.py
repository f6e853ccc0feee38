"""Memorised or invented: each sample of a run beside the training image that it is nearest to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genlab.figures.images import Images
from genlab.nn.inference import samples
from genlab.workspace.analyse import Analyse, held_out, some_of
from genlab.workspace.codes import read, split_indices
from genlab.workspace.inputs import pixels_for


@dataclass(frozen=True)
class Memorised:
    """Samples, the most suspicious first, each with its `nearest` training image and that one's number in the set (`indices`).

    `relative` (N,) is the distance to it over the mean distance to the 50 next; below `threshold`, where 5 % of held-out images
    are, lies the `share` of the samples. `usual` is the median of held-out images.
    """

    samples: Images
    nearest: Images
    indices: np.ndarray
    relative: np.ndarray
    threshold: float
    share: float
    usual: float


class Remembers(Analyse):
    """Mix-in of `Run`: what its samples have from the training images."""

    def memorised(self, count: int = 300, *, limit: int = 1000, seed: int = 0) -> Memorised:
        """`count` samples beside their nearest training images, the relatively nearest first, and what held-out images have.

        See the metric `memorisation` for the distance. Raises `BadInputError` where the model does not sample.
        """
        from genlab.metrics.memorisation import copying

        self._need("draw new images", "samples")
        model, images = self.model(), self.images
        drawn = samples(model, count, seed)
        others = pixels_for(model, read(images, some_of(held_out(images), limit, seed)), self.title)
        found = copying(drawn, others, self._library())
        order = np.argsort(found.samples.relative, kind="stable")
        indices = split_indices(images, "train")[found.samples.indices[order]]
        return Memorised(
            Images(drawn[order], f"{count} samples from {self.title}, seed {seed}, nearest to a training image first"),
            Images(read(images, indices), "The nearest training image of each"),
            indices,
            found.samples.relative[order],
            found.threshold,
            found.share,
            float(np.median(found.held_out.relative)),
        )
