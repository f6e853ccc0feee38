"""Nearest neighbours among codes."""

from __future__ import annotations

import numpy as np

CHUNK = 2**24  # distances held at a time


def nearest(codes: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `codes` (N, D) nearest to each query (M, D): indices and Euclidean distances (M, count), nearest first.

    >>> nearest(np.array([[0.0], [10.0], [3.0]]), np.array([[2.0]]), 2)
    (array([[2, 0]]), array([[1., 2.]]))
    """
    codes, queries = (np.asarray(array, dtype=np.float64) for array in (codes, queries))
    count = min(count, len(codes))
    rows = max(1, CHUNK // max(1, codes.size))
    found = [_nearest(codes, queries[start : start + rows], count) for start in range(0, len(queries), rows)]
    return np.concatenate([index for index, _ in found]), np.concatenate([distance for _, distance in found])


def _nearest(codes: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    squares = (queries**2).sum(1)[:, None] + (codes**2).sum(1) - 2 * queries @ codes.T
    near = np.argpartition(squares, count - 1, axis=1)[:, :count]
    distances = np.linalg.norm(codes[near] - queries[:, None], axis=2)  # again, without cancellation
    order = np.lexsort((near, distances), axis=1)
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(distances, order, axis=1)
