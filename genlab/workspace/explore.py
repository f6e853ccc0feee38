"""The exploring half of a run: sample, encode, decode, walk, traverse, sample triplets, project and evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.figures.images import Images
from genlab.workspace.results import (
    Encoded,
    LatentStatistics,
    Likelihoods,
    Neighbours,
    Projection,
    Traversal,
    Triplets,
)

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.data.imageset import ImageSet
    from genlab.latent.triplets import TripletSettings
    from genlab.metrics import Measurement

Progress = Callable[[float, str], None]


class Explore:
    """Mix-in of `Run`: it needs `model()`, `images`, `config`, `title`, `directory`, `shipped` and `can()` from there.

    Images go in as `Images`, arrays or tensors (N, C, H, W) or (C, H, W) in [0, 1]; codes as (N, D) or (D,).
    What a run cannot do raises `BadInputError` with a sentence that says what it lacks and what to pick instead.
    """

    if TYPE_CHECKING:
        directory: Path
        title: str

        def model(self, step: int | None = None) -> Model: ...
        def can(self, *capabilities: str) -> bool: ...
        @property
        def images(self) -> ImageSet: ...
        @property
        def shipped(self) -> bool: ...

    def sample(
        self,
        count: int = 64,
        *,
        labels: int | str | Sequence[int | str] | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Images:
        """New images; with `labels` (class numbers or names) of those classes.

        One label gives `count` images of it, a sequence one image for each of its entries. `temperature`
        scales the spread of the noise.
        """
        raise NotImplementedError

    def encode(self, images: Any) -> Encoded:
        """Codes of images: posterior means (and log-variances), the same every time."""
        raise NotImplementedError

    def decode(self, codes: Any) -> Images:
        """Images of codes (N, D) or (D,)."""
        raise NotImplementedError

    def reconstruct(self, images: Any) -> Images:
        """Each image through encoder (its posterior mean) and decoder."""
        raise NotImplementedError

    def interpolate(self, a: Any = 0, b: Any = 1, *, steps: int = 10, kind: str = "slerp") -> Images:
        """A walk of `steps` images from `a` to `b`, both ends included; N pairs give N rows.

        `a` and `b` are images, codes, or whole numbers: the prior's draw with that seed, which is how a
        model without an encoder interpolates. `kind` is "lerp" or "slerp".
        """
        raise NotImplementedError

    def walk(self, points: Any, *, steps: int = 10, kind: str = "slerp", closed: bool = False) -> Images:
        """A path through two or more images or codes, `steps` images from each to the next."""
        raise NotImplementedError

    def attribute(self, with_it: Any, without_it: Any) -> np.ndarray:
        """The direction (D,) of an attribute: mean code of images with it minus that of images without."""
        raise NotImplementedError

    def edit(self, images: Any, direction: Any, strengths: Sequence[float] = (-1, 0, 1)) -> Images:
        """Each image (or code) moved along a direction by each strength: one row an image."""
        raise NotImplementedError

    def traverse(
        self, code: Any = None, *, dimensions: Sequence[int] | None = None, steps: int = 9, span: float = 3.0
    ) -> Traversal:
        """One code (or image; default: the mean code) moved along each dimension from -span to +span.

        Dimensions come in the order of their mean KL, the most used first, unless `dimensions` names them.
        """
        raise NotImplementedError

    def plane(self, *, steps: int = 15, span: float = 3.0) -> Images:
        """The decoded plane of a two-dimensional latent space: steps x steps images, first row at the top (z2 = span)."""
        raise NotImplementedError

    def triplets(
        self, anchors: Any, settings: TripletSettings | None = None, *, seed: int = 0, draws: int = 1
    ) -> Triplets:
        """Positives and negatives sampled around each anchor (Algorithm 3 of the thesis), decoded."""
        raise NotImplementedError

    def encoded(self, split: str = "train") -> tuple[np.ndarray, Encoded]:
        """Indices and codes of a whole split ("train", "validation" or "all"), computed once per process."""
        raise NotImplementedError

    def project(
        self,
        method: str = "pca",
        *,
        dimensions: int = 2,
        limit: int = 2000,
        split: str = "train",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Projection:
        """Posterior means of up to `limit` images laid out by "pca", "tsne" or "umap" in 2 or 3 dimensions."""
        raise NotImplementedError

    def place(self, projection: Projection, codes: Any) -> np.ndarray:
        """Where other codes (N, D) lie in a PCA projection; nearest shown neighbour's place for t-SNE and UMAP."""
        raise NotImplementedError

    def neighbours(self, points: Any, *, count: int = 8, split: str = "train") -> Neighbours:
        """The images of the run's set whose codes lie nearest to images or codes."""
        raise NotImplementedError

    def latent_statistics(self, split: str = "train") -> LatentStatistics:
        """Mean, variance, KL per dimension and active units over a split."""
        raise NotImplementedError

    def likelihoods(self, images: Any = None, *, limit: int = 1000, seed: int = 0) -> Likelihoods:
        """log p(x) of images (default: validation images): exact, or the evidence lower bound."""
        raise NotImplementedError

    def evaluate(
        self, metrics: Sequence[str] | None = None, *, against: Any = None, limit: int = 1000
    ) -> dict[str, Measurement]:
        """Metrics by name (default: all that apply), on the validation images or on `against`."""
        raise NotImplementedError
