"""A run at each of its checkpoints: the models it was on the way, and how its codes moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.align import turn
from genlab.latent.project import among
from genlab.runs.checkpoints import checkpoints
from genlab.workspace.codes import encode_indices
from genlab.workspace.results import History, Projection

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet


class Travels:
    """Mix-in of `Run`: its checkpoints, and the same images' codes through them."""

    if TYPE_CHECKING:
        directory: Path

        def at(self, step: int) -> Any:
            """The run as it was at a step."""
            ...

        @property
        def title(self) -> str:
            """What captions call the run."""
            ...

        @property
        def images(self) -> ImageSet:
            """What the run was trained on."""
            ...

    def steps(self) -> dict[int, int]:
        """The epoch of each checkpoint that is there, by its step, oldest first."""
        return {found.step: found.epoch for found in checkpoints(Path(self.directory) / "checkpoints")}

    def history(self, projection: Projection, *, progress: Callable[[float, str], object] | None = None) -> History:
        """Where the images of a PCA projection lay at each checkpoint, on the axes of the last.

        The codes of a checkpoint are turned, mirrored and shifted as a whole to lie as near as can be to those of the
        next one (Procrustes), as a latent space may turn while it learns without anything changing.
        Raises `BadInputError` for other projections, which have no axes to keep.
        """
        if projection.pca is None:
            raise BadInputError(f"Only a PCA has axes that stay from checkpoint to checkpoint; {self.title} is laid out by {projection.method}.")  # fmt: skip
        steps = self.steps()
        after, size = projection.codes, projection.codes.shape[1]
        places, ways = [projection.points], [_way(projection, np.eye(size), np.zeros(size))]
        for done, step in enumerate(reversed(list(steps)[:-1]), start=1):
            if progress:
                progress(done / len(steps), f"Encoding with the checkpoint of epoch {steps[step]} …")
            codes = encode_indices(self.at(step).model(), self.images, projection.indices).mean.astype(np.float64)
            rotation, shift = turn(codes, after)
            after = codes @ rotation + shift
            places.append(among(projection.layout, projection.codes, after))
            ways.append(_way(projection, rotation, shift))
        epochs = np.array(list(steps.values()))
        return History(np.stack(places[::-1]), np.array(list(steps)), epochs, np.stack(ways[::-1]))

    def places_through(self, history: History, images: Any) -> np.ndarray:
        """Where further images (M, C, H, W) lay at each checkpoint of a history: (K, M, 2 or 3)."""
        codes = [self.at(step).encode(images).mean for step in history.steps.tolist()]
        return np.stack([one @ way[:-1] + way[-1] for one, way in zip(codes, history.ways, strict=True)])


def _way(projection: Projection, rotation: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """What takes codes that are first turned and shifted to their places on a map (D + 1, 2 or 3), which PCA makes linear."""
    origin = among(projection.layout, projection.codes, shift[None])
    return np.concatenate([among(projection.layout, projection.codes, rotation + shift) - origin, origin])
