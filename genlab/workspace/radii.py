"""Searching a run's latent space for radii whose triplets a recognition network would learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from genlab.latent.radii import PROBABILITIES, RADII, Hardness, RadiiSearch, hardness_of, search_radii
from genlab.latent.triplets import sample_triplet_codes
from genlab.nn.inference import posterior, through
from genlab.nn.triplet_settings import TripletSettings
from genlab.workspace.analyse import Analyse, Progress, held_out, some_of
from genlab.workspace.codes import encode_indices
from genlab.workspace.inputs import pixels_for

Role = Literal["positive", "negative"]
ROLES: tuple[Role, Role] = ("positive", "negative")
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
        near, far = (self.apart(role, anchors, settings, recogniser, draws=draws, seed=seed) for role in ROLES)
        return hardness_of(near, far, eyes.margin, eyes.name)

    def apart(
        self,
        role: Role,
        anchors: Any,
        settings: TripletSettings | None = None,
        recogniser: Any = None,
        *,
        draws: int = 64,
        seed: int = 0,
    ) -> np.ndarray:
        """How far the "positive" or "negative" of each of `draws` triplets around each anchor lies from it (A·draws,).

        Those of `hardness`, an anchor's draws together. They depend on the radius and the probability of their own role alone.
        """
        self._need("sample triplets", "encodes_normal", "decodes")
        model: Any = self.model()
        mean, log_var = posterior(model, pixels_for(model, anchors, self.title))
        around, size = (np.repeat(np.float64(part), draws, axis=0) for part in (mean, log_var))  # type: ignore[arg-type]
        values = (settings or TripletSettings()).model_dump()
        both = sample_triplet_codes(
            around, size, self.latent_statistics().mean, generator=np.random.default_rng(seed), **values
        )
        eyes, codes = self._eyes(recogniser, None), np.concatenate([mean, both[ROLES.index(role)]])
        anchor, others = np.split(eyes.vectors(through(model, model.decode, codes)), [len(mean)])
        apart: np.ndarray = np.linalg.norm(others - np.repeat(anchor, draws, axis=0), axis=1)
        return apart

    def _eyes(self, recogniser: Any, margin: float | None) -> _Eyes:
        return _Eyes(self.lab.runs[recogniser] if isinstance(recogniser, str) else recogniser, margin)


def margin_of(recogniser: Any) -> float:
    """The margin that a run which recognises has learned with; 0.6 for None, which compares pixels."""
    return MARGIN if recogniser is None else float(recogniser.config.parameters.get("margin", MARGIN))


class _Eyes:
    """What compares images: a run that recognises, with its own margin unless another is given, or their pixels."""

    def __init__(self, recogniser: Any, margin: float | None) -> None:
        self.recogniser = recogniser
        self.margin = margin_of(recogniser) if margin is None else margin
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
