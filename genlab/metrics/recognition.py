"""How well embeddings tell what an image shows: triplets in order, the right candidate, and the same or not.

All distances are Euclidean between unit vectors, so from 0 to 2. What an image shows is its factor "identity" where that is
known, else its class. Where images were taken at two stations (factor "station"), an image is only ever compared with
those of the other one, as a log is photographed in the forest and looked for at the sawmill. Ties count against the model.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.4 and 6.3.
    [2] Schroff, Kalenichenko & Philbin, FaceNet, 2015, section 4 (verification by a threshold).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genlab.metrics.registry import METRICS, NUMBERED, Found, Metric, metric
from genlab.metrics.subject import Subject

MARGIN = 0.6  # [1] 5.4.2


class Compared(NamedTuple):
    """Every image beside every other: `distances`, whether both show the `same`, and whether they may be compared (`allowed`), (N, N)."""

    distances: np.ndarray
    same: np.ndarray
    allowed: np.ndarray
    identities: np.ndarray


def compared(embeddings: np.ndarray, identities: np.ndarray, stations: np.ndarray | None = None) -> Compared:
    """Embeddings (N, D) of images that show `identities` (N,); with `stations` (N,) only images of different ones are compared."""
    vectors = embeddings.astype(np.float64)
    gram = vectors @ vectors.T
    norms = np.diag(gram)
    distances = np.sqrt(np.maximum(norms[:, None] + norms - 2 * gram, 0))
    apart = ~np.eye(len(identities), dtype=bool) if stations is None else stations[:, None] != stations
    return Compared(distances, identities[:, None] == identities, apart, identities)


def triplet_accuracy(pairs: Compared, margin: float = 0.0) -> tuple[float, int]:
    """The share of all triplets (a, p, n) with d(a, p) + margin < d(a, n), and how many triplets there are.

    >>> line = compared(np.array([[0.0], [1.0], [1.5]]), np.array([0, 0, 1]))
    >>> triplet_accuracy(line)  # (0, 1, 1.5) is in order, (1, 0, 1.5) is not
    (0.5, 2)
    """
    positive, negative = pairs.same & pairs.allowed, ~pairs.same & pairs.allowed
    keys = np.where(pairs.allowed, pairs.distances + margin * positive, np.inf)
    order = np.lexsort((positive, keys), axis=1)  # by distance; of a tie the negative comes first
    sorted_positive, sorted_negative = (np.take_along_axis(which, order, 1) for which in (positive, negative))
    total = negative.sum(1, keepdims=True)
    right = (total - np.cumsum(sorted_negative, axis=1))[sorted_positive].sum()
    triplets = int((positive.sum(1) * total[:, 0]).sum())
    return float(right / max(1, triplets)), triplets


def ranks(pairs: Compared) -> tuple[np.ndarray, int]:
    """The place of each query's own identity among the candidates, from 1, and how many candidates there are at most.

    A candidate is an identity, at the distance of its nearest image that the query may be compared with. Queries without
    another image of their identity are left out.
    """
    order = np.argsort(pairs.identities, kind="stable")
    names, starts = np.unique(pairs.identities[order], return_index=True)
    reachable = np.where(pairs.allowed, pairs.distances, np.inf)[:, order]
    nearest = np.minimum.reduceat(reachable, starts, axis=1)
    own = nearest[np.arange(len(nearest)), np.searchsorted(names, pairs.identities)]
    asked = np.isfinite(own)
    places = (nearest[asked] <= own[asked, None]).sum(1)
    return places, int(np.isfinite(nearest[asked]).sum(1).max(initial=0))


def recall_at(pairs: Compared, k: int) -> tuple[np.ndarray, float]:
    """Whether one of the k nearest images shows what the query does, for each query with such an image, and the chance of it."""
    positive, reachable = pairs.same & pairs.allowed, np.where(pairs.allowed, pairs.distances, np.inf)
    asked = positive.any(1)
    own = np.where(positive, reachable, np.inf).min(1)
    before = (~positive & (reachable <= own[:, None]) & pairs.allowed).sum(1)  # others that are at least as near
    total, others = pairs.allowed.sum(1)[asked, None], positive.sum(1)[asked, None]
    draws = np.arange(k)
    missed = np.prod(np.maximum(total - others - draws, 0) / np.maximum(total - draws, 1), axis=1)
    return before[asked] < k, float(1 - missed.mean()) if asked.any() else 0.0


class Verification(NamedTuple):
    """Distances of pairs that show the `same` and `other` things, and the threshold at which both errors are about equal."""

    same: np.ndarray
    other: np.ndarray
    auc: float
    eer: float
    threshold: float


def verification(pairs: Compared) -> Verification:
    """Area under the ROC curve of "same if d ≤ t", its equal error rate, and t there; each pair counts once.

    >>> line = compared(np.array([[0.0], [1.0], [3.0]]), np.array([0, 0, 1]))
    >>> verification(line)[2:]
    (1.0, 0.0, 1.0)
    """
    once = np.triu(pairs.allowed, 1)
    same, other = np.sort(pairs.distances[once & pairs.same]), np.sort(pairs.distances[once & ~pairs.same])
    if not len(same) or not len(other):
        return Verification(same, other, 0.5, 0.5, float("nan"))
    nearer, tied_or_nearer = (np.searchsorted(other, same, side) for side in ("left", "right"))
    auc = 1 - float((nearer + tied_or_nearer).mean() / 2 / len(other))
    thresholds = np.unique(np.concatenate([same, other]))
    accepted = np.searchsorted(other, thresholds, "right") / len(other)
    refused = 1 - np.searchsorted(same, thresholds, "right") / len(same)
    at = int(np.abs(accepted - refused).argmin())
    return Verification(same, other, auc, float(accepted[at] + refused[at]) / 2, float(thresholds[at]))


class Roc(NamedTuple):
    """The curve of "same if d ≤ t" over all thresholds: parts (T,) of other pairs that are `accepted` and of same ones that are
    `found`, the `area` under it, and where the threshold of `Verification` lies on it (`at`: accepted, found).
    """

    accepted: np.ndarray
    found: np.ndarray
    area: float
    at: tuple[float, float]


def roc(pairs: Verification) -> Roc:
    """The ROC curve of verified pairs; its diagonal where one kind has none.

    >>> line = compared(np.array([[0.0], [1.0], [3.0]]), np.array([0, 0, 1]))
    >>> roc(verification(line))[2:]
    (1.0, (0.0, 1.0))
    """
    from sklearn.metrics import auc, roc_curve

    if not len(pairs.same) or not len(pairs.other):
        return Roc(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5, (0.5, 0.5))
    same = np.concatenate([np.ones(len(pairs.same)), np.zeros(len(pairs.other))])
    accepted, found, _ = roc_curve(same, -np.concatenate([pairs.same, pairs.other]))
    at = tuple(float((distances <= pairs.threshold).mean()) for distances in (pairs.other, pairs.same))
    return Roc(accepted, found, float(auc(accepted, found)), (at[0], at[1]))


def pairs_of(subject: Subject) -> Compared:
    """The subject's images side by side."""
    return compared(subject.embeddings, subject.identities, subject.factors.get("station"))


def shuffled(subject: Subject) -> Compared:
    """The same with identities dealt out at random: what embeddings score that know nothing of them."""
    mixed = np.random.default_rng(subject.seed).permutation(subject.identities)
    return compared(subject.embeddings, mixed, subject.factors.get("station"))


def remark(subject: Subject) -> str:
    """Who was compared with whom."""
    shown = f"{len(np.unique(subject.identities))} identities in {len(subject.identities)} held-out images"
    return f"{shown}, compared between stations." if "station" in subject.factors else f"{shown}."


@metric(
    "triplet_order_accuracy",
    "Triplets in order",
    "Of all triplets of held-out images, the share whose positive lies nearer to the anchor than the negative.",
    r"\operatorname{mean}_{(a,p,n)}\,[d(a,p)<d(a,n)]",
    direction="higher",
    range=(0, 1),
    needs=("embeds",),
    source="Bruneel 2023, 6.3, one reading of it",
    needs_labels=True,
)
def order_accuracy(subject: Subject) -> Found:
    """Share of triplets in order, against one half by chance."""
    share, triplets = triplet_accuracy(pairs_of(subject))
    return Found(share, len(subject.images), {"chance": 0.5}, {"triplets": triplets}, remark(subject))


@metric(
    "triplet_margin_accuracy",
    "Triplets with a margin",
    "Of all triplets of held-out images, the share whose negative is farther from the anchor than the positive by 0.6 or more; "
    "this fits the accuracy that the thesis prints best.",
    r"\operatorname{mean}_{(a,p,n)}\,[d(a,p)+0.6<d(a,n)]",
    direction="higher",
    range=(0, 1),
    needs=("embeds",),
    source="Bruneel 2023, 6.3, one reading of it",
    needs_labels=True,
)
def margin_accuracy(subject: Subject) -> Found:
    """Share of triplets that keep the margin, against that with shuffled identities."""
    share, triplets = triplet_accuracy(pairs_of(subject), MARGIN)
    chance, _ = triplet_accuracy(shuffled(subject), MARGIN)
    details = {"triplets": triplets, "margin": MARGIN}
    return Found(share, len(subject.images), {"shuffled_identities": chance}, details, remark(subject))


def identified(subject: Subject, k: int) -> Found:
    """How often the right identity is among the k nearest candidates."""
    places, candidates = ranks(pairs_of(subject))
    right = int((places <= k).sum())
    details = {"right": right, "candidates": candidates, "mean_place": float(places.mean()) if len(places) else 0.0}
    found = f"{right} of {len(places)} right among {candidates} candidates. {remark(subject)}"
    return Found(right / max(1, len(places)), len(places), {"chance": min(1.0, k / max(1, candidates))}, details, found)


def identification(k: int) -> Metric:
    """Identification among the first k of N candidates."""
    nearest = (
        "the nearest of N candidates is the right one"
        if k == 1
        else f"the right one is among the {k} nearest of N candidates"
    )
    return Metric(
        f"identification_top{k}",
        f"Identification, first {'choice' if k == 1 else k}",
        f"How often {nearest}; a candidate is as near as its nearest image.",
        rf"\tfrac1Q\sum_q[\operatorname{{rank}}_q\le {k}],\qquad\text{{chance }}\tfrac{{{k}}}N",
        "higher",
        (0, 1),
        "",
        ("embeds",),
        "Standard definition",
        lambda subject: identified(subject, k),
        needs_labels=True,
    )


def recall(k: int) -> Metric:
    """Recall at k: queries with a right image among the k nearest, against k drawn at random."""

    def compute(subject: Subject) -> Found:
        hit, chance = recall_at(pairs_of(subject), k)
        return Found(float(hit.mean()) if len(hit) else 0.0, len(hit), {"chance": chance}, remark=remark(subject))

    return Metric(
        f"recall_at_{k}",
        f"Recall at {k}",
        f"How often {f'at least one of the {k} nearest images' if k > 1 else 'the nearest image'} shows what the query does.",
        rf"\tfrac1Q\sum_q[\exists i\in\mathrm{{NN}}_{{{k}}}(q):\ \mathrm{{id}}_i=\mathrm{{id}}_q]",
        "higher",
        (0, 1),
        "",
        ("embeds",),
        "Standard definition",
        compute,
        needs_labels=True,
    )


NUMBERED |= {"identification_top": identification, "recall_at_": recall}
METRICS |= {entry.name: entry for entry in (identification(1), identification(5), recall(5))}


@metric(
    "verification_auc",
    "Verification, area under the ROC curve",
    "The probability that two images of the same thing lie nearer to each other than two images of different things.",
    r"P(d_\text{same}<d_\text{other})+\tfrac12P(d_\text{same}=d_\text{other})",
    direction="higher",
    range=(0, 1),
    needs=("embeds",),
    source="Schroff, Kalenichenko & Philbin 2015, section 4",
    needs_labels=True,
)
def area(subject: Subject) -> Found:
    """Area under the ROC curve, against one half by chance."""
    found = verification(pairs_of(subject))
    counts = {"same_pairs": len(found.same), "other_pairs": len(found.other)}
    return Found(found.auc, len(subject.images), {"chance": 0.5}, counts, remark(subject))


@metric(
    "verification_eer",
    "Verification, equal error rate",
    "The error of deciding “same” below a threshold of the distance, where it is set so that as large a part of the different "
    "pairs is accepted as of the same pairs is refused. The threshold is chosen on these very pairs.",
    r"\mathrm{FAR}(t)=P(d_\text{other}\le t)\approx P(d_\text{same}>t)=\mathrm{FRR}(t)",
    direction="lower",
    range=(0, 1),
    needs=("embeds",),
    source="Schroff, Kalenichenko & Philbin 2015, section 4",
    needs_labels=True,
)
def equal_error(subject: Subject) -> Found:
    """Equal error rate and its threshold, against one half by chance."""
    found = verification(pairs_of(subject))
    details = {"threshold": found.threshold, "same_pairs": len(found.same), "other_pairs": len(found.other)}
    return Found(found.eer, len(subject.images), {"chance": 0.5}, details, remark(subject))
