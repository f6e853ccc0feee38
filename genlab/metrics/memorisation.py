"""Memorised or invented: whether samples lie nearer to a training image than new images do.

A plain distance misleads: blurred images lie near to everything, and a simple image nearer to its like than an intricate one.
So the distance to the nearest training image is taken relative to that to the next ones [1], which is what an image that was
copied cannot hide, and the same number of held-out images says what is usual.

References:
    [1] Carlini et al., Extracting Training Data from Diffusion Models, 2023, 5.1 (distance relative to the next neighbours).
    [2] Meehan, Chaudhuri & Dasgupta, A Non-Parametric Test to Detect Data-Copying in Generative Models, 2020 (against held-out).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

NEXT = 50  # further neighbours that tell how near is near
QUANTILE = 0.05  # of held-out images, below which a sample counts as memorised
FEW = 16  # values of pixels, at most, for images to be called coarse
SIDE = 32  # pixels to about which larger images are averaged before they are compared


class NearestImages(NamedTuple):
    """The nearest training image of each query: its number in the order of the chunks, its root mean square difference, and
    that over the mean of the next ones' (`relative`, from 0 for a copy to 1 for an image like no other), all (N,).
    """

    indices: np.ndarray
    distances: np.ndarray
    relative: np.ndarray


def nearest_images(queries: np.ndarray, chunks: Iterable[np.ndarray], neighbours: int = NEXT) -> NearestImages:
    """Look through images (N, C, H, W) that come in chunks; larger ones than about 32 pixels are averaged first.

    >>> images = np.stack([np.zeros((1, 2, 2)), np.ones((1, 2, 2)), np.full((1, 2, 2), 0.8)])
    >>> found = nearest_images(np.full((1, 1, 2, 2), 0.1), [images[:2], images[2:]])
    >>> found.indices.tolist(), found.distances.round(3).tolist(), found.relative.round(3).tolist()
    ([0], [0.1], [0.125])
    """
    rows = _shrunk(queries)
    lengths = np.square(rows).sum(1)[:, None]
    squares: np.ndarray = np.empty((len(rows), 0))
    indices: np.ndarray = np.empty((len(rows), 0), dtype=np.int64)
    seen = 0
    for chunk in chunks:
        others = _shrunk(chunk)
        found = np.maximum(lengths + np.square(others).sum(1) - 2 * rows @ others.T, 0)
        squares = np.concatenate([squares, found], axis=1)
        indices = np.concatenate([indices, np.broadcast_to(seen + np.arange(len(others)), found.shape)], axis=1)
        seen += len(others)
        if squares.shape[1] > neighbours + 1:
            near = np.argpartition(squares, neighbours, axis=1)[:, : neighbours + 1]
            squares, indices = (np.take_along_axis(array, near, 1) for array in (squares, indices))
    order = np.lexsort((indices, squares), axis=1)
    squares, indices = (np.take_along_axis(array, order, 1) for array in (squares, indices))
    distances = np.sqrt(squares / rows.shape[1])
    further = distances[:, 1:].mean(1) if seen > 1 else np.ones(len(rows))
    relative = np.divide(distances[:, 0], further, out=np.zeros(len(rows)), where=further > 0)
    return NearestImages(indices[:, 0], distances[:, 0], np.minimum(relative, 1))


def _shrunk(images: np.ndarray) -> np.ndarray:
    """Images as rows (N, F) of float64, averaged over blocks where their longer side is well above 32 pixels."""
    import torch
    from torch.nn.functional import avg_pool2d

    block = max(1, round(max(images.shape[2:]) / SIDE))
    if block > 1:
        images = avg_pool2d(torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)), block).numpy()
    return np.asarray(images, dtype=np.float64).reshape(len(images), -1)


class Copying(NamedTuple):
    """Samples and held-out images with their nearest training images, and the `threshold` of `relative` that says copied."""

    samples: NearestImages
    held_out: NearestImages
    threshold: float

    @property
    def share(self) -> float:
        """The part of the samples below the threshold."""
        return float((self.samples.relative < self.threshold).mean())


def copying(samples: np.ndarray, held_out: np.ndarray, chunks: Iterable[np.ndarray]) -> Copying:
    """Compare samples and held-out images, (N, C, H, W) and (M, C, H, W), with all training images in chunks.

    Where samples have few values of pixels, as those of a model of black and white, all images are first rounded to these.
    """
    values = np.unique(samples)
    if len(values) <= FEW:
        between = (values[1:] + values[:-1]) / 2
        held_out = values[np.searchsorted(between, held_out)]
        chunks = (values[np.searchsorted(between, chunk)] for chunk in chunks)
    found = nearest_images(np.concatenate([samples, held_out]), chunks)
    ours, usual = (NearestImages(*(array[part] for array in found)) for part in (slice(len(samples)), slice(len(samples), None)))  # fmt: skip
    return Copying(ours, usual, float(np.quantile(usual.relative, QUANTILE)))


@metric(
    "memorisation",
    "Memorised samples",
    "The part of the samples that lie nearer to a training image than all but 5 % of held-out images do, for how near they lie "
    "to the 50 next training images: a copy is at 0, and a blurred image is near to all alike. Samples as new as held-out images "
    "have 5 %, a model that copies its training images 100 %.",
    r"\tfrac1n\sum_j 1[r(s_j)<Q_{0.05}(r(h))],\quad r(x)=\frac{\|x-\mathrm{NN}_1(x)\|}{\frac1{50}\sum_{k=2}^{51}\|x-\mathrm{NN}_k(x)\|}",
    direction="lower",
    range=(0, 1),
    needs=("samples",),
    source="After Carlini et al. 2023, 5.1, and Meehan, Chaudhuri & Dasgupta 2020",
    enough=300,
)
def memorisation(subject: Subject) -> Found:
    """Share of samples that lie suspiciously near to a training image, among as many held-out images."""
    found = copying(subject.samples(len(subject.images)), subject.images, subject.library())
    usual = float((found.held_out.relative < found.threshold).mean())
    plain = float(np.median(found.samples.distances) / max(np.median(found.held_out.distances), 1e-12))
    details = {
        "threshold": found.threshold,
        "median_relative_distance": float(np.median(found.samples.relative)),
        "median_relative_distance_of_held_out": float(np.median(found.held_out.relative)),
        "median_ratio": plain,
    }
    remark = (
        f"A sample's nearest training image is {plain:.2f} times as far as a held-out image's (medians)."
        if found.held_out.distances.any()
        else "The images to compare with are training images themselves: this says nothing without held-out ones."
    )
    return Found(found.share, len(subject.images), {"held_out_images": usual}, details, remark)
