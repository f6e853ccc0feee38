"""Whether each dimension of a code stands for one known cause of the images, and each cause for one dimension.

Codes are posterior means. Causes ("factors") are known for generated images alone; numbers are cut into bins of equally
many images, so that categories, lengths and angles are treated alike. Every score is given beside what the same codes
score when the factors are shuffled among the images.

References:
    [1] Chen, Li, Grosse & Duvenaud, Isolating Sources of Disentanglement in VAEs, 2018 (MIG).
    [2] Eastwood & Williams, A Framework for the Quantitative Evaluation of Disentangled Representations, 2018 (DCI).
    [3] Kim & Mnih, Disentangling by Factorising, 2018 (FactorVAE score).
    [4] Locatello et al., Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations, 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject
from genlab.nn.usage import ACTIVE

CODE_BINS = 20  # of a dimension, as in [4]
FACTOR_BINS = 10  # of a factor that is a number
VOTES = 800  # half of them teach the vote, half of them test it
GROUP = 64  # images that share a factor, for one vote
TREES = 50


class Factor(NamedTuple):
    """One cause in whole numbers 0, 1, …: of each image (N,), and how many values there are."""

    values: np.ndarray
    levels: int


def binned(values: np.ndarray, bins: int) -> np.ndarray:
    """Numbers (N,) as numbers of bins that hold equally many of them; few distinct values stay as they are.

    >>> binned(np.array([0.1, 5.0, 0.2, 9.0]), 2).tolist()
    [0, 1, 0, 1]
    """
    distinct, numbered = np.unique(values, return_inverse=True)
    if len(distinct) <= bins:
        return numbered
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")


def factors_of(subject: Subject) -> dict[str, Factor]:
    """The factors that vary, in bins."""
    found = {name: binned(np.asarray(values), FACTOR_BINS) for name, values in subject.factors.items()}
    return {name: Factor(values, int(values.max()) + 1) for name, values in found.items() if values.max() > 0}


def mutual_information(codes: np.ndarray, factor: Factor) -> np.ndarray:
    """I(z_j; v) in nats for each dimension j, (D,), of the counts in bins: `codes` (N, D) are numbers of bins."""
    rows = np.arange(codes.shape[1]) * CODE_BINS
    joint = np.zeros((codes.shape[1] * CODE_BINS, factor.levels))
    np.add.at(joint, ((codes + rows).ravel(), np.repeat(factor.values, codes.shape[1])), 1 / len(codes))
    joint = joint.reshape(-1, CODE_BINS, factor.levels)
    independent = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    return (joint * np.log(ratio)).sum((1, 2))


def entropy(shares: np.ndarray) -> np.ndarray:
    """−Σ p log p along the last axis, in nats."""
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(-1)


def mutual_information_gap(codes: np.ndarray, factors: Mapping[str, Factor]) -> dict[str, float]:
    """For each factor, (I of its best dimension − I of the second best) / H(v). [1] (6)."""
    cut = np.column_stack([binned(column, CODE_BINS) for column in codes.T])
    gaps = {}
    for name, factor in factors.items():
        best = np.sort(np.append(mutual_information(cut, factor), 0.0))[::-1]
        gaps[name] = float((best[0] - best[1]) / entropy(np.bincount(factor.values) / len(codes)))
    return gaps


def importances(codes: np.ndarray, factors: Mapping[str, Factor], seed: int) -> tuple[np.ndarray, float]:
    """How much a random forest leans on each dimension to tell each factor (D, K), and its mean accuracy on a third
    of the images that it was not grown on.
    """
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(seed).permutation(len(codes))
    test, train = random[: len(codes) // 3], random[len(codes) // 3 :]
    columns, right = [], []
    for factor in factors.values():
        forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed)
        forest.fit(codes[train], factor.values[train])
        columns.append(forest.feature_importances_)
        right.append(forest.score(codes[test], factor.values[test]))
    return np.column_stack(columns), float(np.mean(right))


def disentanglement(table: np.ndarray) -> float:
    """Σ_j ρ_j (1 − H_K(P_j)): whether dimensions serve one factor each, of importances (D, K); 0 if none serves. [2] 2."""
    if not table.any():
        return 0.0
    if table.shape[1] == 1:
        return 1.0
    total = table.sum(1)
    return float((total / total.sum() * (1 - entropy(shares(table)) / np.log(table.shape[1]))).sum())


def completeness(table: np.ndarray) -> float:
    """Σ_k of 1 − H_D(P_k), a mean over factors: whether factors are served by one dimension each. [2] 2."""
    if not table.any():
        return 0.0
    if len(table) == 1:
        return 1.0
    return float((1 - entropy(shares(table.T)) / np.log(len(table))).mean())


def shares(rows: np.ndarray) -> np.ndarray:
    """Rows (R, C) that sum to one; a row of zeros, which points nowhere, becomes even.

    >>> shares(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    total = rows.sum(1, keepdims=True)
    return np.divide(rows, total, out=np.full_like(rows, 1 / rows.shape[1]), where=total > 0)


def vote_table(codes: np.ndarray, factors: Mapping[str, Factor], votes: int, seed: int) -> np.ndarray:
    """Counts (D, K): how often dimension j varied least, relative to all images, among images that share factor k. [3] 4."""
    random = np.random.default_rng(seed)
    spread = codes.var(0)
    table = np.zeros((codes.shape[1], len(factors)), dtype=np.int64)
    for k, factor in enumerate(factors.values()):
        order = np.argsort(factor.values, kind="stable")
        counts = np.bincount(factor.values, minlength=factor.levels)
        starts = np.cumsum(counts) - counts
        chosen = random.choice(np.flatnonzero(counts), votes // len(factors))
        places = starts[chosen, None] + (random.random((len(chosen), GROUP)) * counts[chosen, None]).astype(np.int64)
        relative = codes[order[places]].var(1) / spread
        np.add.at(table, (relative.argmin(1), k), 1)
    return table


def factor_score(codes: np.ndarray, factors: Mapping[str, Factor], seed: int) -> float:
    """Accuracy of naming the shared factor by a majority vote over the least varying dimension. [3] 4.

    Dimensions that do not vary (variance at most 0.01) take no part; where none does, all votes go to one factor.
    """
    active = codes[:, codes.var(0) > ACTIVE]
    if not active.shape[1]:
        return 1 / len(factors)
    taught = vote_table(active, factors, VOTES // 2, seed).argmax(1)
    tested = vote_table(active, factors, VOTES // 2, seed + 1)
    return float(tested[np.arange(len(taught)), taught].sum() / tested.sum())


def _measured(
    subject: Subject, score: Callable[[np.ndarray, dict[str, Factor]], tuple[float, dict[str, Any]]]
) -> Found:
    """A score of the codes, and as its baseline that with shuffled factors."""
    codes, factors = subject.codes[0].astype(np.float64), factors_of(subject)
    order = np.random.default_rng(subject.seed).permutation(len(codes))
    shuffled = {name: Factor(factor.values[order], factor.levels) for name, factor in factors.items()}
    value, details = score(codes, factors)
    remark = f"Factors: {', '.join(factors)}; numbers in {FACTOR_BINS} bins."
    return Found(value, len(codes), {"shuffled_factors": score(codes, shuffled)[0]}, details, remark)


@metric(
    "mig",
    "Mutual information gap",
    "How much more the best dimension of the code tells about a known factor than the second best, as a share of the factor's entropy; a mean over factors.",
    r"\tfrac1K\sum_k\frac{I(z_{j_1};v_k)-I(z_{j_2};v_k)}{H(v_k)}",
    direction="higher",
    range=(0, 1),
    needs=("encodes",),
    source="Chen, Li, Grosse & Duvenaud 2018, (6)",
    needs_factors=True,
    enough=1000,
)
def mig(subject: Subject) -> Found:
    """Mean gap, and that of each factor."""

    def score(codes: np.ndarray, factors: dict[str, Factor]) -> tuple[float, dict[str, Any]]:
        gaps = mutual_information_gap(codes, factors)
        return float(np.mean(list(gaps.values()))), {"per_factor": gaps}

    return _measured(subject, score)


@metric(
    "dci",
    "DCI disentanglement",
    "Whether each dimension of the code is needed for one known factor alone, by how much random forests lean on it; completeness and accuracy are among the details.",
    r"\sum_j\rho_j\Big(1+\sum_k P_{jk}\log_K P_{jk}\Big)",
    direction="higher",
    range=(0, 1),
    needs=("encodes",),
    source="Eastwood & Williams 2018, section 2",
    needs_factors=True,
    enough=500,
)
def dci(subject: Subject) -> Found:
    """Disentanglement, completeness and informativeness of one table of importances."""

    def score(codes: np.ndarray, factors: dict[str, Factor]) -> tuple[float, dict[str, Any]]:
        table, accuracy = importances(codes, factors, subject.seed)
        details = {"completeness": completeness(table), "accuracy": accuracy, "importances": table.tolist()}
        return disentanglement(table), details

    return _measured(subject, score)


@metric(
    "factor_vae",
    "FactorVAE score",
    "How often the dimension that varies least among images that share one factor tells which factor they share.",
    r"\tfrac1B\sum_b[\,V(\arg\min_j \operatorname{Var}_b(z_j)/\operatorname{Var}(z_j))=k_b]",
    direction="higher",
    range=(0, 1),
    needs=("encodes",),
    source="Kim & Mnih 2018, section 4",
    needs_factors=True,
    enough=500,
)
def factor_vae(subject: Subject) -> Found:
    """Accuracy of the majority vote."""
    return _measured(subject, lambda codes, factors: (factor_score(codes, factors, subject.seed), {}))
