"""A plane through a run's latent space, with the codes that lie on it and beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.planes import Frame, extent_of, frame_through, kernel_width, usual_distance
from genlab.nn.inference import drawn
from genlab.workspace.analyse import Analyse
from genlab.workspace.results import LatentPlane

if TYPE_CHECKING:
    import torch

CLOSE = 1e-5  # codes this near to a corner are the corner
REACH = 3.0  # standard deviations of a normal prior that a plane of two dimensions shows at least


class Planes(Analyse):
    """Mix-in of `Run`: planes through its latent space."""

    def latent_plane(self, corners: Any = None, *, limit: int = 2000, seed: int = 0) -> LatentPlane:
        """The plane through three images or codes; without any, the whole of two latent dimensions.

        Up to `limit` training images (without an encoder: draws from the prior) say where codes lie, but for the three.
        """
        self._need("show a plane of its latent space", "decodes")
        model: Any = self.model()
        if corners is None and model.latent_dim != 2:
            raise BadInputError(
                f"{self.title} has {model.latent_dim} latent dimensions; choose three images or codes to lay a plane through."
            )
        codes, indices = self._known_codes(limit, seed)
        placed = np.empty((0, 2))
        if corners is None:
            frame = Frame(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
            low, high = np.quantile(codes, [0.005, 0.995], axis=0)
            extent = extent_of(np.stack([low, high]), least=REACH)
        else:
            given = self.codes(corners)
            if len(given) != 3:
                raise BadInputError(f"A plane goes through three codes, and {len(given)} were given.")
            frame = frame_through(given)
            others = (np.abs(codes[:, None] - given).max(2) > CLOSE).all(
                1
            )  # a corner would be a dense place of its own
            codes, indices = codes[others], None if indices is None else indices[others]
            placed = frame.places(given)[:, :2]
            extent = extent_of(placed)
        labels = None
        if indices is not None and self.images.labels is not None:
            labels = np.asarray(self.images.labels[indices])
        return LatentPlane(
            frame, extent, placed, frame.places(codes), indices, labels, kernel_width(codes), usual_distance(codes)
        )

    def _known_codes(self, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Codes that show where there are any: of training images with their indices, else draws from the prior."""
        if self.can("encodes"):
            indices, encoded = self.encoded()
            chosen = np.arange(len(indices))
            if len(chosen) > limit:
                chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), limit, replace=False))
            return encoded.mean[chosen].astype(np.float64), indices[chosen]
        self._need("draw codes from a prior", "has_prior")
        model: Any = self.model()

        def draw(rows: Any, generator: torch.Generator) -> torch.Tensor:
            return model.sample_prior(len(rows), generator=generator)

        return drawn(model, draw, range(limit), seed).astype(np.float64), None
