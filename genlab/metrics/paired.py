"""Whether of two models that answered the same questions one is better: only where they disagree says anything.

References:
    [1] McNemar, Note on the sampling error of the difference between correlated proportions or percentages, 1947.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genlab.core.errors import BadInputError
from genlab.metrics.recognition import Compared, ranks


@dataclass(frozen=True)
class Answers:
    """First choices of several models for Q queries: which candidate each model takes, and where the right one stood.

    `queries` (Q,) are places among the images that were compared, `chosen` (M, Q) those of the nearest image, `places` (M, Q)
    the rank of the query's own identity among `candidates`, from 1; `identities` (Q,) are what the queries show.
    """

    queries: np.ndarray
    chosen: np.ndarray
    places: np.ndarray
    identities: np.ndarray
    candidates: int

    @property
    def right(self) -> np.ndarray:
        """Whether the first choice is right, (M, Q)."""
        return np.asarray(self.places == 1)

    def contrast(self, first: int, second: int) -> Contrast:
        """Two of the models against each other."""
        return contrast(self.right[first], self.right[second], self.identities)


@dataclass(frozen=True)
class Contrast:
    """How often both are right, the first alone, the second alone and neither; `p` by query and by identity.

    `p` is McNemar's exact two-sided probability ([1]): of so uneven a split of the queries on which they disagree, if
    either were as likely. Queries that show the same thing stand or fall together, which makes it too small;
    `p_identities` is the sign test over identities, by which of the two has more right queries of each.
    """

    both: int
    first: int
    second: int
    neither: int
    p: float
    p_identities: float


def answers(models: list[Compared]) -> Answers:
    """The first choices of models that compared the same images; queries without another image of their identity are left out."""
    reachable = [np.where(pairs.allowed, pairs.distances, np.inf) for pairs in models]
    queries = np.flatnonzero((models[0].same & models[0].allowed).any(1))
    found = [ranks(pairs) for pairs in models]
    if not len(queries):
        raise BadInputError("No two of these images show the same; there is nothing to recognise among them.")
    chosen = np.stack([distances[queries].argmin(1) for distances in reachable])
    return Answers(queries, chosen, np.stack([places for places, _ in found]), models[0].identities[queries], found[0][1])  # fmt: skip


def contrast(first: np.ndarray, second: np.ndarray, identities: np.ndarray) -> Contrast:
    """Two models' right answers (Q,) to the same queries, which show `identities` (Q,).

    >>> right, other = np.array([1, 1, 1, 0], bool), np.array([1, 0, 0, 0], bool)
    >>> contrast(right, other, np.array([0, 1, 1, 2]))
    Contrast(both=1, first=2, second=0, neither=1, p=0.5, p_identities=1.0)
    """
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    _, group = np.unique(identities, return_inverse=True)
    lead = np.bincount(group, first.astype(float) - second)
    return Contrast(
        int((first & second).sum()), only_first, only_second, int((~first & ~second).sum()),
        sign_test(only_first, only_second), sign_test(int((lead > 0).sum()), int((lead < 0).sum())),
    )  # fmt: skip


def sign_test(one: int, other: int) -> float:
    """The two-sided probability that `one` + `other` tosses of a fair coin fall at least so unevenly.

    >>> sign_test(0, 0), sign_test(5, 0), sign_test(3, 3)
    (1.0, 0.0625, 1.0)
    """
    from scipy.stats import binom

    return min(1.0, 2 * float(binom.cdf(min(one, other), one + other, 0.5)))
