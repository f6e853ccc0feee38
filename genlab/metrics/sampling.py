"""What new images are like: balanced between likeness and difference, and different from one another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genlab.metrics.balance import affordable, balance_report
from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

MOST = 200  # images among which all pairs are compared
DRAWN = 64  # samples that are compared with the images


def mean_pairwise_distance(images: np.ndarray) -> float:
    """Mean over all pairs of different images of the root mean square difference of their values, in [0, 1].

    >>> mean_pairwise_distance(np.stack([np.zeros((1, 2, 2)), np.ones((1, 2, 2))]))
    1.0
    """
    flat = np.asarray(images, dtype=np.float64).reshape(len(images), -1)
    flat = flat - flat.mean(0)  # distances stay, cancellation shrinks
    lengths = np.square(flat).sum(1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * flat @ flat.T, 0)
    pairs = np.triu_indices(len(flat), 1)
    return float(np.sqrt(squares[pairs] / flat.shape[1]).mean()) if len(flat) > 1 else 0.0


@metric(
    "diversity",
    "Diversity of samples",
    "How far apart new images lie on average, pixel by pixel; read it beside the same number of real images: far below "
    "it the model repeats itself, above it the samples are noisier than the data.",
    r"\tfrac{2}{n(n-1)}\sum_{i<j}\sqrt{\tfrac{1}{CHW}\|x_i-x_j\|^2}",
    direction="neither",
    range=(0, 1),
    needs=("samples",),
    source="Standard definition",
)
def diversity(subject: Subject) -> Found:
    """Mean distance between samples, against that between as many images."""
    count = min(MOST, max(2, len(subject.images)))
    order = np.random.default_rng(subject.seed).permutation(len(subject.images))  # sets are often sorted by class
    baselines: Mapping[str, float] = {"images": mean_pairwise_distance(subject.images[order[:count]])}
    return Found(mean_pairwise_distance(subject.samples(count)), count, baselines)


@metric(
    "bm",
    "Balance Metric",
    "Mean of |d(1 − d)| over samples, images and pixels, d the raw norm of the colour difference; it is largest where "
    "samples are half a unit from the images, so a plain white square may beat any model: read it beside its baselines.",
    r"\mathrm{BM}=\tfrac1N\sum_i\tfrac1{n_i}\sum_j |d_{ij}(1-d_{ij})|,\quad d_{ij}=\|g_j-x_{ij}\|",
    direction="neither",
    range=(0, None),
    needs=("samples",),
    source="Nguyen 2022-2023, (17)",
    enough=30,
)
def balance(subject: Subject) -> Found:
    """BM of samples against the images (raw norm, absolute), with the baselines of simple pictures."""
    generated = subject.samples(affordable(subject.images, DRAWN))
    report = balance_report(generated, subject.images, seed=subject.seed)
    details = {
        "norm": report["norm"],
        "sign": report["sign"],
        "rmse": report["rmse"],
        "fraction_above_one": report["fraction_above_one"],
        "samples": len(generated),
    }
    return Found(report["bm"], len(subject.images), report["baselines"], details)
