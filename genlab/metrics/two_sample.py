"""Whether anybody could tell samples from real images: a classifier that does no better than guessing says no.

The classifier is the nearest neighbour, which has nothing to train: every image is named by its nearest other image.

References:
    [1] Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017.
    [2] Xu et al., An empirical study on evaluation metrics of generative adversarial networks, 2018 (accuracy by kind).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

MOST = 1000  # images of each kind
SHUFFLES = 1000
TIE = 1e-9  # of the mean squared length: squared distances that differ by less are one


class TwoSample(NamedTuple):
    """How often the nearest other image is of the same kind: in all, of the first and of the second kind; and how often
    shuffled kinds reach that (`p_value`).
    """

    accuracy: float
    first: float
    second: float
    p_value: float


def two_sample_test(first: np.ndarray, second: np.ndarray, seed: int) -> TwoSample:
    """Leave-one-out accuracy of the nearest neighbour on features (N, F) and (M, F), and its permutation test ([1] 3).

    Where several images are equally near, each counts as its part of one.

    >>> line = np.arange(6.0)[:, None]
    >>> two_sample_test(line, line + 10, 0).accuracy
    1.0
    """
    rows = np.concatenate([first, second])
    kinds = np.repeat([1.0, -1.0], [len(first), len(second)])
    votes = _votes(rows - rows.mean(0))
    right = (1 + kinds * (votes @ kinds)) / 2
    shuffled = np.random.default_rng(seed).permuted(np.tile(kinds, (SHUFFLES, 1)), axis=1)
    by_chance = (1 + (shuffled * (shuffled @ votes.T)).mean(1)) / 2
    reached = float((1 + (by_chance >= right.mean() - 1e-12).sum()) / (1 + SHUFFLES))
    return TwoSample(float(right.mean()), float(right[kinds > 0].mean()), float(right[kinds < 0].mean()), reached)


def _votes(rows: np.ndarray) -> np.ndarray:
    """(R, R): the part that each other row has in naming a row; rows sum to one."""
    lengths = np.square(rows).sum(1)
    squares = lengths[:, None] + lengths - 2 * rows @ rows.T
    np.fill_diagonal(squares, np.inf)
    nearest = (squares <= squares.min(1, keepdims=True) + TIE * max(lengths.mean(), 1e-300)).astype(np.float64)
    return nearest / nearest.sum(1, keepdims=True)


@metric(
    "two_sample",
    "Told apart from real images",
    "How often the nearest neighbour of an image, among as many samples and held-out images, is of its own kind: 1 where samples "
    "are told at sight, about one half where they are not. Real images are not quite at one half either: read it beside them.",
    r"\tfrac{1}{2n}\sum_i 1[\,\mathrm{kind}(\mathrm{NN}(x_i))=\mathrm{kind}(x_i)]",
    direction="lower",
    range=(0, 1),
    needs=("samples",),
    source="Lopez-Paz & Oquab 2017, section 3",
    enough=200,
)
def two_sample(subject: Subject) -> Found:
    """Accuracy in the first feature space, with that of training images against held-out ones as the floor."""
    first, *others = subject.views
    order = np.random.default_rng(subject.seed).permutation(len(first.real))[:MOST]  # sets are sorted by class

    def tell(real: np.ndarray, fake: np.ndarray) -> TwoSample:
        chosen = order[order < len(fake)]
        return two_sample_test(real[chosen], fake[chosen], subject.seed)

    found = tell(first.real, first.samples)
    order_of_baselines = ("real_images", "mean_image", "noise")
    known = [name for name in order_of_baselines if name in first.baselines]
    baselines = {name: tell(first.real, first.baselines[name]).accuracy for name in known}
    details = {
        "features": first.name,
        "p_value": found.p_value,
        "real_named_real": found.first,
        "samples_named_samples": found.second,
        **{f"on {view.name}": tell(view.real, view.samples).accuracy for view in others},
    }
    remark = (
        f"Features: {first.name}. Shuffled kinds reach this with p = {found.p_value:.2g}; {found.first:.0%} of the real images and "
        f"{found.second:.0%} of the samples are named right{_reading(found)}."
    )  # fmt: skip
    return Found(found.accuracy, len(order), baselines, details, remark)


def _reading(found: TwoSample) -> str:
    """What it means where one kind is named right far more often than the other ([2] 3.5)."""
    if found.second > found.first + 0.3:
        return ": samples crowd together, each nearest to another sample"
    return ": samples lie between real images and apart from one another" if found.first > found.second + 0.3 else ""
