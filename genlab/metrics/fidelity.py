"""Whether samples look like held-out images, and whether they are as varied, in named feature spaces.

The features are those of the project's small classifier where the image set has labels, and else principal components of its
pixels; every measurement names them and gives the value in the other space beside it. None of these numbers is comparable with a
published one, which rests on another network.

References:
    [1] Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017 (Fréchet distance of features).
    [2] Bińkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018 (kernel distance).
    [3] Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019.
    [4] Naeem, Oh, Uh, Choi & Yoo, Reliable Fidelity and Diversity Metrics for Generative Models, 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

PRECISION_NEIGHBOURS = 3  # [3]
DENSITY_NEIGHBOURS = 5  # [4]
Compare = Callable[[np.ndarray, np.ndarray], float]


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2(Σ_a Σ_b)^½) of features (N, F) and (M, F) ([1] (6)): of the normals with their moments.

    >>> line = np.arange(5.0)[:, None]
    >>> frechet_distance(line, line + 2)
    4.0
    """
    covariance_a, covariance_b = covariance(a), covariance(b)
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # Σ_a Σ_b and the symmetric Σ_a^½ Σ_b Σ_a^½ have the same eigenvalues
    product = np.linalg.eigvalsh(root @ covariance_b @ root)
    between = np.sqrt(np.maximum(product, 0)).sum()
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, means + np.trace(covariance_a) + np.trace(covariance_b) - 2 * between))


def covariance(rows: np.ndarray) -> np.ndarray:
    """The unbiased covariance (F, F) of rows (N, F); zero of a single row."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / max(1, len(rows) - 1)


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate of MMD² between features (N, F) and (M, F) with the kernel (x·y / F + 1)³ ([2] (4)).

    Its mean is 0 for two draws of the same images, so that it may be below 0.
    """

    def mean(x: np.ndarray, y: np.ndarray, *, itself: bool) -> float:
        kernel = (x @ y.T / x.shape[1] + 1) ** 3
        same = np.trace(kernel) if itself else 0.0
        return float((kernel.sum() - same) / max(1, kernel.size - (len(x) if itself else 0)))

    return mean(a, a, itself=True) + mean(b, b, itself=True) - 2 * mean(a, b, itself=False)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M) between rows."""
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def radii(rows: np.ndarray, neighbours: int) -> np.ndarray:
    """The distance of each row to its k-th nearest other row (N,)."""
    apart = distances(rows, rows)
    np.fill_diagonal(apart, 0)
    nearest = min(neighbours, len(rows) - 1)  # a row is its own nearest, at place 0
    return np.partition(apart, nearest, axis=1)[:, nearest]


def precision(real: np.ndarray, fake: np.ndarray) -> float:
    """The part of `fake` that lies in the ball of some row of `real`, which reaches to its 3rd nearest other row ([3] (1), (2))."""
    return float((distances(real, fake) <= radii(real, PRECISION_NEIGHBOURS)[:, None]).any(0).mean())


def recall(real: np.ndarray, fake: np.ndarray) -> float:
    """The part of `real` that lies in the ball of some row of `fake` ([3] (2))."""
    return precision(fake, real)


def density(real: np.ndarray, fake: np.ndarray) -> float:
    """In how many balls of `real` a row of `fake` lies on average, over the k = 5 of a ball's own rows ([4] (4))."""
    inside = distances(real, fake) <= radii(real, DENSITY_NEIGHBOURS)[:, None]
    return float(inside.sum(0).mean() / min(DENSITY_NEIGHBOURS, max(1, len(real) - 1)))


def coverage(real: np.ndarray, fake: np.ndarray) -> float:
    """The part of the balls of `real` that hold a row of `fake` ([4] (5))."""
    return float((distances(real, fake) <= radii(real, DENSITY_NEIGHBOURS)[:, None]).any(1).mean())


def spread(_: np.ndarray, fake: np.ndarray) -> float:
    """Mean distance between two different rows of `fake`."""
    pairs = np.triu_indices(len(fake), 1)
    return float(distances(fake, fake)[pairs].mean()) if len(fake) > 1 else 0.0


def measured(subject: Subject, compare: Compare) -> Found:
    """A comparison of held-out images with samples, in the first feature space, with baselines and the other space.

    Baselines: every sample the mean training image, uniform noise, and as many training images ("real_images": the value that
    samples as good as data would have, left out where there are no other images than the held-out ones).
    """
    first, *others = subject.views
    baselines = {name: compare(first.real, rows) for name, rows in first.baselines.items()}
    details = {"features": first.name, **{f"on {view.name}": compare(view.real, view.samples) for view in others}}
    return Found(compare(first.real, first.samples), len(first.samples), baselines, details, f"Features: {first.name}.")


@metric(
    "frechet",
    "Fréchet distance of features",
    "How far the mean and the covariance of the samples' features are from those of held-out images. It is never 0: read it "
    "beside the same number of real training images, which falls as more images are compared.",
    r"\|\mu_r-\mu_s\|^2+\mathrm{tr}\big(\Sigma_r+\Sigma_s-2(\Sigma_r\Sigma_s)^{1/2}\big)",
    direction="lower",
    range=(0, None),
    needs=("samples",),
    source="Heusel et al. 2017, (6), on other features",
    enough=500,
)
def frechet(subject: Subject) -> Found:
    """Fréchet distance between samples and as many held-out images."""
    return measured(subject, frechet_distance)


@metric(
    "kernel_distance",
    "Kernel distance of features",
    "Squared maximum mean discrepancy between features of samples and of held-out images, with a cubic kernel; its "
    "estimate has no bias, so 0 is what real images have on average whatever their number.",
    r"\tfrac{1}{n(n-1)}\sum_{i\ne j}[k(r_i,r_j)+k(s_i,s_j)]-\tfrac{2}{n^2}\sum_{i,j}k(r_i,s_j),\quad k(x,y)=(x\cdot y/F+1)^3",
    direction="lower",
    range=(None, None),
    needs=("samples",),
    source="Bińkowski, Sutherland, Arbel & Gretton 2018, (4), on other features",
)
def kernel(subject: Subject) -> Found:
    """Kernel distance between samples and as many held-out images."""
    return measured(subject, kernel_distance)


@metric(
    "precision",
    "Precision of samples",
    "The part of the samples that lie where real images lie: within reach of the third neighbour of one of them. A model that "
    "repeats one good image has precision 1, so read it beside recall.",
    r"\tfrac1n\sum_j 1[\exists i:\ \|s_j-r_i\|\le\mathrm{NN}_3(r_i)]",
    direction="higher",
    range=(0, 1),
    needs=("samples",),
    source="Kynkäänniemi et al. 2019, (2)",
    enough=500,
)
def precision_of_samples(subject: Subject) -> Found:
    """Samples within the balls of held-out images."""
    return measured(subject, precision)


@metric(
    "recall",
    "Recall of samples",
    "The part of the held-out images that lie where samples lie. Scattered samples have wide neighbourhoods, which "
    "raises it: read it beside precision.",
    r"\tfrac1n\sum_i 1[\exists j:\ \|r_i-s_j\|\le\mathrm{NN}_3(s_j)]",
    direction="higher",
    range=(0, 1),
    needs=("samples",),
    source="Kynkäänniemi et al. 2019, (2)",
    enough=500,
)
def recall_of_samples(subject: Subject) -> Found:
    """Held-out images within the balls of samples."""
    return measured(subject, recall)


@metric(
    "density",
    "Density of samples",
    "In how many neighbourhoods of real images a sample lies, over the number that is usual; about 1 for real images, and "
    "above 1 where samples crowd into what is most common.",
    r"\tfrac1{5n}\sum_j\sum_i 1[\|s_j-r_i\|\le\mathrm{NN}_5(r_i)]",
    direction="higher",
    range=(0, None),
    needs=("samples",),
    source="Naeem, Oh, Uh, Choi & Yoo 2020, (4)",
    enough=500,
)
def density_of_samples(subject: Subject) -> Found:
    """Balls of held-out images that hold a sample, over 5."""
    return measured(subject, density)


@metric(
    "coverage",
    "Coverage by samples",
    "The part of the held-out images whose neighbourhood holds a sample; low where the model leaves kinds of images out.",
    r"\tfrac1n\sum_i 1[\exists j:\ \|s_j-r_i\|\le\mathrm{NN}_5(r_i)]",
    direction="higher",
    range=(0, 1),
    needs=("samples",),
    source="Naeem, Oh, Uh, Choi & Yoo 2020, (5)",
    enough=500,
)
def coverage_by_samples(subject: Subject) -> Found:
    """Held-out images with a sample in their ball."""
    return measured(subject, coverage)


@metric(
    "feature_diversity",
    "Diversity of features",
    "How far apart two samples lie on average in feature space; far below the same number of real images the model repeats itself.",
    r"\tfrac{2}{n(n-1)}\sum_{i<j}\|s_i-s_j\|",
    direction="neither",
    range=(0, None),
    needs=("samples",),
    source="Standard definition",
)
def feature_diversity(subject: Subject) -> Found:
    """Mean distance between samples."""
    return measured(subject, spread)
