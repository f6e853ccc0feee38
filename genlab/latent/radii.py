"""Looking for good radii: the share of semi-hard triplets over positive and negative radius and both probabilities.

A triplet is semi-hard where d(a, p) < d(a, n) < d(a, p) + m: in order, but by less than the margin. Only such ones teach
a network that learns from semi-hard triplets anything. The distance to a positive follows from its own radius and
probability alone, and that to a negative from its own, so R·P settings of each give all (R·P)² pairs.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3, 6.2 and 8.
    [2] Schroff, Kalenichenko & Philbin, FaceNet, 2015, 3.2 (semi-hard).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.triplets import sample_triplet_codes
from genlab.nn.triplet_settings import TripletSettings

RADII = (0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.9)
PROBABILITIES = (0.5, 0.7, 0.85, 0.95)
AXES = ("positive_radius", "positive_toward_mean", "negative_radius", "negative_toward_mean")


@dataclass(frozen=True)
class RadiiSearch:
    """Shares of triplets for every pair of settings, over `count` anchors and with a `margin`.

    `semi_hard` and `in_order` are (R, P, R, P): by positive radius, its probability, negative radius, its probability;
    NaN where the positive radius is not below the negative one. `near` and `far` (R, P) are mean distances of
    positives and of negatives. `settings` holds what all have in common, and `by` names the distance.
    """

    radii: tuple[float, ...]
    probabilities: tuple[float, ...]
    semi_hard: np.ndarray
    in_order: np.ndarray
    near: np.ndarray
    far: np.ndarray
    count: int
    margin: float
    settings: TripletSettings
    by: str

    def best(self) -> TripletSettings:
        """The settings with the largest share of semi-hard triplets; the first of equals."""
        return self.at(*np.unravel_index(np.nanargmax(self.semi_hard), self.semi_hard.shape))

    def at(self, *place: int | np.integer) -> TripletSettings:
        """The settings at a place of the grid."""
        levels = itertools.cycle((self.radii, self.probabilities))
        chosen = {axis: level[int(at)] for axis, level, at in zip(AXES, levels, place, strict=False)}
        return self.settings.model_copy(update=chosen)

    def place(self, settings: TripletSettings) -> tuple[int, int, int, int] | None:
        """Where settings stand in the grid; None where they are not in it."""
        levels = itertools.cycle((self.radii, self.probabilities))
        values = [(level, getattr(settings, axis)) for axis, level in zip(AXES, levels, strict=False)]
        if any(value not in level for level, value in values):
            return None
        first, second, third, fourth = (level.index(value) for level, value in values)
        return first, second, third, fourth


@dataclass(frozen=True)
class Hardness:
    """What a network with a `margin` has left to learn from `count` triplets, as shares that add up to 1.

    `easy` are those that its margin is content with, d(a, n) ≥ d(a, p) + m, whose loss is 0; `semi_hard` those in order
    by less than it; `hard` those that are not in order, d(a, n) ≤ d(a, p). `by` names the distance.
    """

    easy: float
    semi_hard: float
    hard: float
    count: int
    margin: float
    by: str


def hardness_of(near: np.ndarray, far: np.ndarray, margin: float, by: str = "") -> Hardness:
    """How hard triplets are whose positives lie at distances `near` (A,) from their anchors, and negatives at `far` (A,).

    >>> hardness_of(np.array([0.1, 0.1, 0.1, 0.1]), np.array([0.9, 0.2, 0.3, 0.05]), 0.6)
    Hardness(easy=0.25, semi_hard=0.5, hard=0.25, count=4, margin=0.6, by='')
    """
    semi_hard, in_order = (float(share[0, 0]) for share in semi_hard_shares(near[None], far[None], margin))
    return Hardness(in_order - semi_hard, semi_hard, 1 - in_order, len(near), margin, by)


def semi_hard_shares(near: np.ndarray, far: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares (P, N) of A triplets that are semi-hard, and that are in order.

    `near` (P, A) are distances of each anchor to its positive by P settings, `far` (N, A) those to its negative by N.

    >>> semi_hard_shares(np.array([[0.1, 0.5]]), np.array([[0.2, 0.6], [0.9, 0.4]]), 0.6)
    (array([[1., 0.]]), array([[1. , 0.5]]))
    """
    positive, negative = near[:, None], far[None]
    ordered = positive < negative
    return (ordered & (negative < positive + margin)).mean(2), ordered.mean(2)


def search_radii(
    mean: np.ndarray,
    log_var: np.ndarray,
    global_mean: np.ndarray,
    embed: Callable[[np.ndarray], np.ndarray],
    *,
    radii: Sequence[float] = RADII,
    probabilities: Sequence[float] = PROBABILITIES,
    settings: TripletSettings | None = None,
    margin: float = 0.6,
    seed: int = 0,
    by: str = "",
    progress: Callable[[float, str], None] | None = None,
) -> RadiiSearch:
    """Sample around anchors with codes `mean`, `log_var` (A, D) by every setting, and compare distances of `embed`.

    `embed` turns codes (B, D) into vectors (B, E). `settings` give the step and the stochastic radius. The draws are
    the same for all settings, so that shares differ by the settings alone, and those of `sample_triplet_codes` with a
    generator of this seed. Raises `BadInputError` for fewer than two radii, or for values outside their bounds.
    """
    chosen = settings or TripletSettings()
    ascending, chances = (tuple(sorted(set(map(float, values)))) for values in (radii, probabilities))
    if len(ascending) < 2 or not chances or ascending[0] < 0 or not 0 <= chances[0] <= chances[-1] <= 1:
        raise BadInputError(
            "A search takes at least two radii from 0 on, and at least one probability between 0 and 1."
        )
    anchors, distances = embed(mean), list[np.ndarray]()
    pairs = list(itertools.product(ascending, chances))
    for done, (radius, chance) in enumerate(pairs):
        if progress:
            progress(done / len(pairs), f"Radius {radius:g}, probability {chance:g}")
        codes = sample_triplet_codes(
            mean, log_var, global_mean, positive_radius=radius, negative_radius=radius, positive_toward_mean=chance,
            negative_toward_mean=chance, generator=np.random.default_rng(seed), step=chosen.step,
            stochastic_radius=chosen.stochastic_radius, radius_spread=chosen.radius_spread,
        )  # fmt: skip
        vectors = embed(np.concatenate(codes)).reshape(2, *anchors.shape)
        distances.append(np.linalg.norm(vectors - anchors, axis=2))
    near, far = np.stack(distances, axis=1)
    shape = (len(ascending), len(chances))
    semi_hard, in_order = (share.reshape(*shape, *shape) for share in semi_hard_shares(near, far, margin))
    levels = np.array(ascending)
    senseless = np.broadcast_to((levels[:, None] >= levels)[:, None, :, None], semi_hard.shape)
    return RadiiSearch(
        ascending, chances, np.where(senseless, np.nan, semi_hard), np.where(senseless, np.nan, in_order),
        near.mean(1).reshape(shape), far.mean(1).reshape(shape), len(mean), margin, chosen, by,
    )  # fmt: skip
