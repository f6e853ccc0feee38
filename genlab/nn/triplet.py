"""The triplet loss with semi-hard mining.

References:
    [1] Schroff, Kalenichenko & Philbin, FaceNet, 2015 (the loss, semi-hard negatives).
    [2] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.4.2.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from genlab.core.errors import BadInputError, UnknownNameError


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    margin: float = 0.6,
    mining: Literal["semi_hard", "batch_all"] = "semi_hard",
    squared: bool = False,
    *,
    semi_hard_only: bool = False,
) -> Tensor:
    """Mean of max(d(a, p) − d(a, n) + margin, 0) over mined triplets of a batch ([1] (2), [2] (16)), a scalar.

    `embeddings` (N, D) with `labels` (N,); any two images with one label are anchor and positive. "semi_hard" gives
    each such pair one negative, the nearest that is farther than the positive, or the farthest where none is;
    "batch_all" takes every negative with d(a, p) < d(a, n) < d(a, p) + margin. With `semi_hard_only` pairs without such a
    negative are left out. d is the Euclidean distance, or its square. Without a positive pair that has a negative, or without a triplet to mine, the loss and its gradient are 0.
    Raises `BadInputError` for labels that do not fit or an unknown mining.

    >>> points, labels = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
    >>> round(triplet_loss(points, labels).item(), 3)  # mean of 1 − 1.5 + 0.6 and 1 − 0.5 + 0.6
    0.6
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise BadInputError(
            f"The triplet loss takes embeddings (N, D) and labels (N,), not {tuple(embeddings.shape)} and {tuple(labels.shape)}."
        )
    if mining not in ("semi_hard", "batch_all"):
        raise UnknownNameError("mining", mining, ("semi_hard", "batch_all"))
    near, to_all, negative = _positive_pairs(pairwise_distances(embeddings, squared), labels)
    farther = negative & (to_all > near)
    mined = farther & (to_all < near + margin)
    if mining == "batch_all":
        return ((near - to_all + margin) * mined).sum() / mined.sum().clamp(min=1)
    nearest = to_all.masked_fill(~farther, math.inf).amin(1)
    farthest = to_all.masked_fill(~negative, -math.inf).amax(1)
    chosen = torch.where(farther.any(1), nearest, farthest)
    kept = (mined if semi_hard_only else negative).any(1)
    losses = (near[:, 0] - chosen + margin).clamp(min=0)[kept]
    return losses.sum() / max(1, len(losses))


def triplet_statistics(embeddings: Tensor, labels: Tensor, margin: float = 0.6) -> dict[str, Tensor]:
    """How all triplets of a batch lie, as scalars: what a loss that stands still does not tell.

    `active` is the share with d(a, n) < d(a, p) + margin, `semi_hard` that with d(a, p) < d(a, n) besides;
    `positive_distance` and `negative_distance` are means over pairs with one label and with two. Each is 0 where
    there is nothing to count.

    >>> points, labels = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
    >>> {name: round(value.item(), 2) for name, value in triplet_statistics(points, labels).items()}
    {'active': 1.0, 'semi_hard': 0.5, 'positive_distance': 1.0, 'negative_distance': 1.0}
    """
    distances = pairwise_distances(embeddings)
    near, to_all, negative = _positive_pairs(distances, labels)
    active = negative & (to_all < near + margin)
    differ = labels[:, None] != labels
    return {
        "active": active.sum() / negative.sum().clamp(min=1),
        "semi_hard": (active & (to_all > near)).sum() / negative.sum().clamp(min=1),
        "positive_distance": near.sum() / max(1, len(near)),
        "negative_distance": (distances * differ).sum() / differ.sum().clamp(min=1),
    }


def _positive_pairs(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each of P pairs with one label: their distance (P, 1), that of the first to all (P, N), and who has another label (P, N)."""
    same = labels[:, None] == labels
    anchors, positives = (same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)).nonzero(as_tuple=True)
    return distances[anchors, positives][:, None], distances[anchors], ~same[anchors]


def pairwise_distances(embeddings: Tensor, squared: bool = False) -> Tensor:
    """Euclidean distances (N, N) of embeddings (N, D), or their squares; 0 where two coincide, with gradient 0 there."""
    norms = embeddings.square().sum(1)
    squares = (norms[:, None] + norms - 2 * embeddings @ embeddings.T).clamp(min=0)
    if squared:
        return squares
    apart = squares > 0
    return torch.where(apart, squares, 1.0).sqrt() * apart
