"""Recognising: which known images show what a query shows, and how far a threshold of the distance can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.nn.inference import through
from genlab.workspace.analyse import Analyse, held_out, some_of
from genlab.workspace.codes import encode_indices
from genlab.workspace.inputs import pixels_for
from genlab.workspace.results import Recognised

if TYPE_CHECKING:
    from genlab.metrics.paired import Answers
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
        shown = self._identities()[chosen]
        stations = images.factors.get("station")
        embeddings = encode_indices(self.model(), images, chosen).mean
        return verification(compared(embeddings, shown, None if stations is None else stations[chosen]))

    def answers(self, *others: Any, limit: int = 1000, seed: int = 0) -> Answers:
        """First choices of this run and of others (or their names) for the same held-out images of its set.

        Raises `BadInputError` for a run that learned from another image set, since its held-out images may differ.
        """
        from genlab.metrics.paired import answers
        from genlab.metrics.recognition import compared

        runs = [self, *(self.lab.runs[other] if isinstance(other, str) else other for other in others)]
        for run in runs:
            run._need("recognise what images show", "embeds")
            if run.config.data.hash != self.config.data.hash:
                raise BadInputError(
                    f"{run.title} learned from other images than {self.title}; compare runs on one image set."
                )
        images, chosen = self.images, some_of(held_out(self.images), limit, seed)
        shown = self._identities()[chosen]
        stations = images.factors.get("station")
        apart = None if stations is None else stations[chosen]
        found = answers([compared(encode_indices(run.model(), images, chosen).mean, shown, apart) for run in runs])
        return replace(found, queries=chosen[found.queries], chosen=chosen[found.chosen])

    def _identities(self) -> np.ndarray:
        """What each image shows; refuses a set that does not say."""
        if self.images.identities is None:
            raise BadInputError(
                f"Nothing says which images of {self.images.title} show the same; import them with labels."
            )
        return self.images.identities

    def _not_to_compare(self, numbers: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Where a query (row) is the gallery's image (column) itself, or was taken at the same station."""
        stations = self.images.factors.get("station")
        if stations is not None:
            return stations[numbers][:, None] == stations[indices]
        return numbers[:, None] == indices
