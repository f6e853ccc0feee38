"""What exploring a run returns: arrays and images side by side, frozen, with the words for their caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genlab.figures.images import Images
from genlab.latent.planes import Frame
from genlab.latent.project import PCA, Layout


class Encoded(NamedTuple):
    """Codes of images: `mean` (N, D), and `log_var` (N, D) or None when codes are points."""

    mean: np.ndarray
    log_var: np.ndarray | None


@dataclass(frozen=True)
class Traversal:
    """One code moved along one dimension at a time, the dimensions ordered by their mean KL.

    `images` has one row for each of `dimensions` (R,) and one column for each of `values` (R, steps);
    `kl` (R,) is each dimension's mean KL in nats, or None where codes have no variance.
    """

    images: Images
    dimensions: np.ndarray
    values: np.ndarray
    kl: np.ndarray | None


@dataclass(frozen=True)
class Triplets:
    """Anchors with their reconstructions and `draws` sampled positives and negatives each.

    Row a * draws + k of `positives`, `negatives` and of every array belongs to anchor a, draw k.
    Codes are (N, D) and (N * draws, D). `distances` has for "code", "pixel" the Euclidean distances
    (N * draws,) of "positive" and "negative" from the anchor: in latent space, and between the decoded
    anchor and the decoded sample as root mean squares over pixel values.
    """

    anchors: Images
    reconstructions: Images
    positives: Images
    negatives: Images
    anchor_codes: np.ndarray
    positive_codes: np.ndarray
    negative_codes: np.ndarray
    distances: Mapping[str, Mapping[str, np.ndarray]]
    global_mean: np.ndarray
    draws: int = 1

    def rows(self) -> Images:
        """One row an anchor: the anchor, its reconstruction, its positives, its negatives (2 + 2 draws columns)."""
        shape = self.anchors.array.shape[1:]
        parts = (self.anchors, self.reconstructions, self.positives, self.negatives)
        columns = [part.array.reshape(len(self.anchors), -1, *shape) for part in parts]
        caption = (
            f"Anchor, reconstruction, {self.draws} positives, {self.draws} negatives a row; {self.positives.caption}"
        )
        return Images(np.concatenate(columns, axis=1).reshape(-1, *shape), caption)


@dataclass(frozen=True)
class Projection:
    """Codes laid out in 2 or 3 dimensions: `points` (N, 2 or 3) of the images `indices` (N,).

    `labels` (N,) or None; `scalars` are numbers to colour by (N,): code norm, brightness, KL, generative factors;
    `axes` names the coordinates; `codes` (N, D) are what was laid out; `layout` places
    further codes (`Run.place`), by PCA's axes (`pca`) or otherwise.
    """

    points: np.ndarray
    indices: np.ndarray
    labels: np.ndarray | None
    scalars: Mapping[str, np.ndarray]
    axes: tuple[str, ...]
    method: str
    codes: np.ndarray
    layout: Layout

    @property
    def pca(self) -> PCA | None:
        """The principal axes of a PCA."""
        return self.layout.pca


@dataclass(frozen=True)
class LatentPlane:
    """A plane, what of it is worth showing, and where codes lie.

    `places` (N, 3) are x, y and the distance from the plane of the codes of images `indices` (N,), or of draws from the
    prior where that is None; `corners` (C, 2) are those it was laid through. Codes have a neighbour within `usual`
    19 times of 20; `width` is that of a kernel over them; `extent` is left, right, bottom, top.
    """

    frame: Frame
    extent: tuple[float, float, float, float]
    corners: np.ndarray
    places: np.ndarray
    indices: np.ndarray | None
    labels: np.ndarray | None
    width: float
    usual: float


@dataclass(frozen=True)
class History:
    """The points of a projection at each of K checkpoints: `frames` (K, N, 2 or 3), and their `steps` and `epochs` (K,).

    A code of a checkpoint with a 1 behind it, times its matrix of `ways` (K, D + 1, 2 or 3), is its place.
    """

    frames: np.ndarray
    steps: np.ndarray
    epochs: np.ndarray
    ways: np.ndarray


@dataclass(frozen=True)
class LatentStatistics:
    """How codes lie, over `count` images: `mean` (D,) and `variance` (D,) of the posterior means,
    `kl` (D,) mean KL of each dimension in nats or None, `active` (D,) where the variance exceeds 0.01.
    """

    mean: np.ndarray
    variance: np.ndarray
    kl: np.ndarray | None
    active: np.ndarray
    count: int


@dataclass(frozen=True)
class Neighbours:
    """The nearest images of the run's set: `indices` (N, k) and `distances` (N, k) in code space."""

    indices: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class Recognised:
    """The images of a gallery nearest to each of N queries: `indices` and `distances` (N, k), nearest first.

    `same` (N, k) says which lie within `threshold`; the gallery has `gallery` images.
    """

    indices: np.ndarray
    distances: np.ndarray
    same: np.ndarray
    threshold: float
    gallery: int


@dataclass(frozen=True)
class Likelihoods:
    """log p(x) of each image in nats (N,): `kind` is "exact" or "bound" (a lower one), `measure` how the model reads a pixel:
    "density", "binary" or "bernoulli".
    """

    values: np.ndarray
    kind: str
    measure: str


@dataclass(frozen=True)
class ScoredSets:
    """log p(x) in nats of images of several sets: `values` and `indices` by "training", "held out" and, where asked for,
    the title of another set.

    `kind` and `measure` are those of `Likelihoods`.
    """

    values: Mapping[str, np.ndarray]
    indices: Mapping[str, np.ndarray]
    kind: str
    measure: str


@dataclass(frozen=True)
class Anomaly:
    """How strange images are to a run: `share` (N,) of its held-out images that are less strange, from 0 to 1.

    `by` is what strange is measured by: "likelihood", "bound" (the evidence lower bound) or "error" (of reconstruction).
    """

    share: np.ndarray
    by: str


@dataclass(frozen=True)
class Completion:
    """Images with a part hidden, and what a model expects there.

    `known` (C, H, W) is False where pixels were hidden. `errors` (N,) are root mean square differences of the hidden
    pixels, `baseline` (N,) those of the training images' mean.
    """

    original: Images
    masked: Images
    filled: Images
    known: np.ndarray
    errors: np.ndarray
    baseline: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """Held-out images by their class (rows) and the class a model gives them (columns): `counts` (classes, classes).

    `accuracy` is the share on the diagonal, `majority` that of always naming the most frequent class in training.
    """

    counts: np.ndarray
    names: tuple[str, ...]
    accuracy: float
    majority: float


@dataclass(frozen=True)
class Boundary:
    """A classifier fitted anew in the plane of the first two principal axes of the training images.

    `points` (N, 2) are held-out images `indices` of classes `labels`, with the log joint `log_joint` (N, classes) of the
    refitted model; `grid` (steps, steps, classes) is that over the places `x` (steps,) and `y` (steps,), rows along y.
    `accuracy` is that of the refitted model on the points.
    """

    points: np.ndarray
    indices: np.ndarray
    labels: np.ndarray
    log_joint: np.ndarray
    x: np.ndarray
    y: np.ndarray
    grid: np.ndarray
    accuracy: float
