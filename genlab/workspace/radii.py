"""Searching a run's latent space for radii whose triplets a recognition network would learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.latent.radii import PROBABILITIES, RADII, Hardness, RadiiSearch, hardness_of, search_radii
from genlab.nn.inference import through
from genlab.nn.triplet_settings import TripletSettings
from genlab.workspace.analyse import Analyse, Progress, held_out, some_of
from genlab.workspace.codes import encode_indices

if TYPE_CHECKING:
    from genlab.workspace.results import Triplets

MARGIN = 0.6


class SearchesRadii(Analyse):
    """Mix-in of `Run`: the share of semi-hard triplets over radii and probabilities."""

    if TYPE_CHECKING:

        def triplets(
            self, anchors: Any, settings: TripletSettings | None = None, *, seed: int = 0, draws: int = 1
        ) -> Triplets:
            """Positives and negatives sampled around each anchor."""
            ...

    def radii(
        self,
        recogniser: Any = None,
        *,
        radii: Sequence[float] = RADII,
        probabilities: Sequence[float] = PROBABILITIES,
        settings: TripletSettings | None = None,
        margin: float | None = None,
        count: int = 100,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> RadiiSearch:
        """How many triplets sampled around `count` held-out images are semi-hard, for each pair of radii and of probabilities.

        Distances are those of a run that recognises (or its name), with its own margin unless another is given; without
        one, those of the pixels: √(2 − 2ρ) for two images whose pixels correlate by ρ. `settings` give the step and the
        stochastic radius.

        >>> import genlab
        >>> found = genlab.Workspace().runs["log-ends-vanilla"].radii(radii=(0.1, 0.3), probabilities=(0.9,), count=4)
        >>> found.semi_hard.shape
        (2, 1, 2, 1)
        """
        self._need("sample triplets", "encodes_normal", "decodes")
        eyes = self._eyes(recogniser, margin)
        model: Any = self.model()
        codes = encode_indices(model, self.images, some_of(held_out(self.images), count, seed))
        assert codes.log_var is not None  # its codes have a variance

        def embed(points: np.ndarray) -> np.ndarray:
            return eyes.vectors(through(model, model.decode, points))

        return search_radii(
            codes.mean.astype(np.float64), codes.log_var.astype(np.float64), self.latent_statistics().mean, embed, radii=radii,
            probabilities=probabilities, settings=settings, margin=eyes.margin, seed=seed, by=eyes.name, progress=progress,
        )  # fmt: skip

    def hardness(
        self,
        anchors: Any,
        settings: TripletSettings | None = None,
        recogniser: Any = None,
        *,
        draws: int = 64,
        margin: float | None = None,
        seed: int = 0,
    ) -> Hardness:
        """How many of `draws` triplets around each anchor are easy, semi-hard and hard for a run that recognises (or its name).

        An anchor is seen as this run rebuilds it, as its positives and negatives are. Distances and margin are as in `radii`.

        >>> import genlab
        >>> run = genlab.Workspace().runs["log-ends-vanilla"]
        >>> found = run.hardness(run.images.tensor([0]), recogniser="log-ends-recognition", draws=4)
        >>> found.count, round(found.easy + found.semi_hard + found.hard, 6)
        (4, 1.0)
        """
        eyes = self._eyes(recogniser, margin)
        found = self.triplets(anchors, settings, seed=seed, draws=draws)
        seen = (found.reconstructions, found.positives, found.negatives)
        anchor, *others = (eyes.vectors(images.array) for images in seen)
        near, far = (np.linalg.norm(each - np.repeat(anchor, draws, axis=0), axis=1) for each in others)
        return hardness_of(near, far, eyes.margin, eyes.name)

    def _eyes(self, recogniser: Any, margin: float | None) -> _Eyes:
        return _Eyes(self.lab.runs[recogniser] if isinstance(recogniser, str) else recogniser, margin)


class _Eyes:
    """What compares images: a run that recognises, with its own margin unless another is given, or their pixels."""

    def __init__(self, recogniser: Any, margin: float | None) -> None:
        self.recogniser = recogniser
        own = MARGIN if recogniser is None else recogniser.config.parameters.get("margin", MARGIN)
        self.margin: float = own if margin is None else margin
        self.name: str = "their pixels" if recogniser is None else recogniser.title

    def vectors(self, images: np.ndarray) -> np.ndarray:
        """Unit vectors (N, E) of images (N, C, H, W)."""
        vectors = correlating(images) if self.recogniser is None else self.recogniser.embed(images)
        return np.asarray(vectors, dtype=np.float64)


def correlating(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as unit vectors (N, C·H·W) whose inner product is the correlation of their pixels; flat ones as 0.

    >>> points = correlating(np.array([[[[0.0, 1.0]]], [[[0.2, 0.4]]], [[[1.0, 0.0]]]]))
    >>> np.linalg.norm(points - points[0], axis=1).round(6).tolist()
    [0.0, 0.0, 2.0]
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
