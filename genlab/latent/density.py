"""How dense points lie."""

from __future__ import annotations

import math

import numpy as np


def density(points: np.ndarray, count: int = 20) -> np.ndarray:
    """Density at each point (N, D), as log10 of points per unit of volume: k / (V_D r_k^D), by its k-th neighbour.

    r_k is the distance to the k-th nearest other point and V_D the volume of the unit ball; k = `count`, or fewer
    where there are fewer. Duplicates that fill a whole neighbourhood get the density of the densest other place.

    >>> density(np.array([[0.0], [1.0], [3.0]]), count=1).round(3).tolist()
    [-0.301, -0.301, -0.602]
    """
    from scipy.spatial import cKDTree

    points = np.asarray(points, dtype=np.float64)
    number, dimensions = points.shape
    count = min(count, number - 1)
    if count < 1:
        return np.zeros(number)
    reach = cKDTree(points).query(points, [count + 1])[0][:, 0]
    ball = math.pi ** (dimensions / 2) / math.gamma(dimensions / 2 + 1)
    smallest = reach[reach > 0].min(initial=1.0 if not (reach > 0).any() else np.inf)
    reach = np.maximum(reach, smallest)
    return math.log10(count / ball) - dimensions * np.log10(reach)
