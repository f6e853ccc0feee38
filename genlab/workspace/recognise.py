"""Recognising: which known images show what a query shows, and how far a threshold of the distance can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.nn.inference import through
from genlab.workspace.analyse import Analyse, held_out, some_of
from genlab.workspace.codes import encode_indices
from genlab.workspace.inputs import pixels_for
from genlab.workspace.results import Recognised

if TYPE_CHECKING:
    from genlab.metrics.recognition import Verification


class Recognises(Analyse):
    """Mix-in of `Run`: embeddings, look-ups in a gallery, and verification."""

    def embed(self, images: Any) -> np.ndarray:
        """Unit vectors (N, D) of images, near one another where two show the same."""
        self._need("recognise what images show", "embeds")
        model: Any = self.model()
        return through(model, model.embed, pixels_for(model, images, self.title))

    def recognise(
        self,
        images: Any,
        *,
        count: int = 8,
        split: str = "validation",
        numbers: Sequence[int] | np.ndarray | None = None,
    ) -> Recognised:
        """The `count` images of a gallery that lie nearest to each image, nearest first.

        The gallery is a split of the run's set: "train", "validation" or "all". `numbers` say which images of that set the
        queries are; none is then compared with itself, nor with those of its own station where there are two (factor
        "station"). "Same" is what lies within the threshold of `verification`. Raises `BadInputError` for an empty gallery.
        """
        queries = self.embed(images).astype(np.float64)
        indices, codes = self.encoded(split)
        distances = np.sqrt(np.maximum(2 - 2 * queries @ codes.mean.astype(np.float64).T, 0))
        if numbers is not None:
            distances[self._not_to_compare(np.asarray(numbers), indices)] = np.inf
        found = min(count, int(np.isfinite(distances).sum(1).min(initial=len(indices))))
        if not found:
            raise BadInputError(
                "There is no image in this gallery to compare the query with; take all images as the gallery."
            )
        near = np.argsort(distances, axis=1, kind="stable")[:, :found]
        nearest, threshold = np.take_along_axis(distances, near, 1), self.verification().threshold
        return Recognised(indices[near], nearest, nearest <= threshold, threshold, len(indices))

    def verification(self, *, limit: int = 1000, seed: int = 0) -> Verification:
        """Distances of pairs of held-out images of the same thing and of others, and the threshold of equal errors.

        Raises `BadInputError` where nothing says what images show.
        """
        from genlab.metrics.recognition import compared, verification

        self._need("recognise what images show", "embeds")
        images, chosen = self.images, some_of(held_out(self.images), limit, seed)
        if images.identities is None:
            raise BadInputError(f"Nothing says which images of {images.title} show the same; import them with labels.")
        stations = images.factors.get("station")
        embeddings = encode_indices(self.model(), images, chosen).mean
        return verification(
            compared(embeddings, images.identities[chosen], None if stations is None else stations[chosen])
        )

    def _not_to_compare(self, numbers: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Where a query (row) is the gallery's image (column) itself, or was taken at the same station."""
        stations = self.images.factors.get("station")
        if stations is not None:
            return stations[numbers][:, None] == stations[indices]
        return numbers[:, None] == indices
