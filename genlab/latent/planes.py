"""Planes through latent space: where codes lie on them and beside them, and how near to one another they usually are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.neighbours import nearest

MARGIN = 0.35  # beyond the corners, as a share of their spread
FLAT = 1e-6


class Frame(NamedTuple):
    """A plane: the code (D,) of its middle and two orthonormal directions (D,); the place (x, y) is origin + x u + y v."""

    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray

    def codes(self, places: np.ndarray) -> np.ndarray:
        """Codes (N, D) of places (N, 2)."""
        places = np.atleast_2d(places)
        return self.origin + places[:, :1] * self.u + places[:, 1:2] * self.v

    def places(self, codes: np.ndarray) -> np.ndarray:
        """Where codes (N, D) lie: x, y, and the distance from the plane, (N, 3).

        >>> Frame(np.zeros(3), np.eye(3)[0], np.eye(3)[1]).places(np.array([[1.0, 2.0, -3.0]])).tolist()
        [[1.0, 2.0, 3.0]]
        """
        offsets = np.atleast_2d(codes) - self.origin
        x, y = offsets @ self.u, offsets @ self.v
        beside = offsets - x[:, None] * self.u - y[:, None] * self.v
        return np.column_stack([x, y, np.linalg.norm(beside, axis=1)])


def frame_through(corners: np.ndarray) -> Frame:
    """The plane through three codes (3, D), its middle at their mean; the first two lie on a line along x.

    Raises `BadInputError` where they lie on one line, so that there are many planes.

    >>> frame_through(np.array([[0.0, 0, 5], [2, 0, 5], [1, 3, 5]])).v.round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    a, b, c = np.asarray(corners, dtype=np.float64)
    along, across = b - a, c - a
    length = np.linalg.norm(along)
    u = along / length if length > 0 else along
    across = across - (across @ u) * u
    height = np.linalg.norm(across)
    if not length > 0 or not height > FLAT * length:
        raise BadInputError("The three codes lie on one line, which many planes go through; choose three others.")
    return Frame((a + b + c) / 3, u, across / height)


def extent_of(places: np.ndarray, least: float = 0.0) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a square around places (N, 2) with a margin, reaching `least` on every side of 0.

    >>> extent_of(np.array([[-1.0, 0.0], [1.0, 0.5]]))
    (-1.7, 1.7, -1.45, 1.95)
    """
    low, high = places[:, :2].min(0), places[:, :2].max(0)
    if least:
        low, high = np.minimum(low, -least), np.maximum(high, least)
    middle, half = (low + high) / 2, float((high - low).max()) / 2
    half = half * (1 if least else 1 + 2 * MARGIN) or 1.0
    left, bottom = (middle - half).tolist()
    right, top = (middle + half).tolist()
    return left, right, bottom, top


def grid_of(extent: tuple[float, float, float, float], steps: int) -> np.ndarray:
    """The middles (steps², 2) of steps x steps cells of a plane, row by row from the top.

    >>> grid_of((0.0, 4.0, 0.0, 2.0), 2).tolist()
    [[1.0, 1.5], [3.0, 1.5], [1.0, 0.5], [3.0, 0.5]]
    """
    left, right, bottom, top = extent
    along = (np.arange(steps) + 0.5) / steps
    x, y = np.meshgrid(left + along * (right - left), top - along * (top - bottom))
    return np.column_stack([x.ravel(), y.ravel()])


def kernel_width(codes: np.ndarray) -> float:
    """Scott's width of a normal kernel over codes (N, D): their mean deviation times N to the power −1 / (D + 4).

    >>> round(kernel_width(np.array([[0.0], [2.0]] * 16)), 6)
    0.5
    """
    deviation = float(np.sqrt(codes.var(axis=0).mean()))
    return deviation * len(codes) ** (-1 / (codes.shape[1] + 4)) or 1.0


def usual_distance(codes: np.ndarray) -> float:
    """What 95 of 100 codes (N, D) do not exceed in their distance to the nearest other one.

    >>> round(usual_distance(np.array([[0.0], [1.0], [3.0]])), 6)
    1.9
    """
    if len(codes) < 2:
        return 1.0
    distances = nearest(codes, codes, 2)[1][:, 1]
    return float(np.quantile(distances, 0.95)) or float(distances.max()) or 1.0
