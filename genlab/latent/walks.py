"""Walks through latent space: paths through several points, grids, and arithmetic with attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genlab.core.errors import BadInputError
from genlab.nn.interpolation import KINDS, interpolation, lerp, slerp

__all__ = ["KINDS", "along", "direction", "interpolation", "lerp", "path", "plane", "slerp"]


def path(points: np.ndarray, steps: int, *, kind: str = "slerp", closed: bool = False) -> np.ndarray:
    """A path through points (P, D), `steps` codes from each point to the next, both included and none twice.

    `closed` leads back to the first point, without repeating it.

    >>> path(np.array([[0.0], [1.0], [3.0]]), 3, kind="lerp").ravel().tolist()
    [0.0, 0.5, 1.0, 2.0, 3.0]
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise BadInputError("A walk needs at least two points to lead through.")
    if steps < 2:
        raise BadInputError(f"A walk needs at least 2 steps from point to point, and {steps} were asked for.")
    ends = np.roll(points, -1, axis=0) if closed else points[1:]
    legs = interpolation(kind)(points[: len(ends)], ends, np.linspace(0, 1, steps))[:, :-1]
    walk = legs.reshape(-1, points.shape[1])
    return walk if closed else np.concatenate([walk, points[-1:]])


def plane(steps: int, span: float) -> np.ndarray:
    """steps² codes (steps², 2) over the square of half-width `span`: rows from z2 = +span down, columns along z1."""
    ticks = np.linspace(-span, span, steps)
    z1, z2 = np.meshgrid(ticks, ticks[::-1])
    return np.stack([z1.ravel(), z2.ravel()], axis=1)


def direction(with_it: np.ndarray, without_it: np.ndarray) -> np.ndarray:
    """An attribute's direction (D,): the mean code of images (N, D) with it minus that of images (M, D) without."""
    return np.asarray(with_it, dtype=np.float64).mean(0) - np.asarray(without_it, dtype=np.float64).mean(0)


def along(codes: np.ndarray, towards: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    """The moves z + s · direction of codes (N, D) and every strength s: (N, S, D)."""
    return np.asarray(codes, dtype=np.float64)[:, None] + np.asarray(strengths)[:, None] * towards
