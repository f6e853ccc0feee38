"""Searching a run's latent space for radii whose triplets a recognition network would learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genlab.latent.radii import PROBABILITIES, RADII, RadiiSearch, search_radii
from genlab.nn.inference import through
from genlab.nn.triplet_settings import TripletSettings
from genlab.workspace.analyse import Analyse, Progress, held_out, some_of
from genlab.workspace.codes import encode_indices

MARGIN = 0.6


class SearchesRadii(Analyse):
    """Mix-in of `Run`: the share of semi-hard triplets over radii and probabilities."""

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
        if isinstance(recogniser, str):
            recogniser = self.lab.runs[recogniser]
        model: Any = self.model()
        codes = encode_indices(model, self.images, some_of(held_out(self.images), count, seed))
        assert codes.log_var is not None  # its codes have a variance
        own = MARGIN if recogniser is None else recogniser.config.parameters.get("margin", MARGIN)

        def embed(points: np.ndarray) -> np.ndarray:
            images = through(model, model.decode, points)
            vectors = correlating(images) if recogniser is None else recogniser.embed(images)
            return np.asarray(vectors, dtype=np.float64)

        return search_radii(
            codes.mean.astype(np.float64), codes.log_var.astype(np.float64), self.latent_statistics().mean, embed, radii=radii,
            probabilities=probabilities, settings=settings, margin=own if margin is None else margin, seed=seed,
            by="their pixels" if recogniser is None else recogniser.title, progress=progress,
        )  # fmt: skip


def correlating(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as unit vectors (N, C·H·W) whose inner product is the correlation of their pixels; flat ones as 0.

    >>> points = correlating(np.array([[[[0.0, 1.0]]], [[[0.2, 0.4]]], [[[1.0, 0.0]]]]))
    >>> np.linalg.norm(points - points[0], axis=1).round(6).tolist()
    [0.0, 0.0, 2.0]
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
