"""Traversals: one code, one dimension at a time."""

from __future__ import annotations

import numpy as np


def order(importance: np.ndarray) -> np.ndarray:
    """Dimensions from the most important to the least; equal ones stay in their order."""
    return np.argsort(-np.asarray(importance), kind="stable")


def traversal(code: np.ndarray, dimensions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Copies of a code (D,) whose dimension `dimensions[r]` is set to each of `values[r]`: (R, S, D).

    >>> traversal(np.array([5.0, 6.0]), np.array([1]), np.array([[-1.0, 1.0]])).tolist()
    [[[5.0, -1.0], [5.0, 1.0]]]
    """
    codes = np.tile(np.asarray(code, dtype=np.float64), (*values.shape, 1))
    np.put_along_axis(codes, np.broadcast_to(dimensions[:, None, None], (*values.shape, 1)), values[..., None], axis=2)
    return codes
