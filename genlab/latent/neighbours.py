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


def to_kin(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distance of each code (N, D) to the nearest other one of its class (N,); NaN where there is none.

    >>> to_kin(np.array([[0.0], [10.0], [3.0], [9.0]]), np.array([0, 1, 0, 2])).tolist()
    [3.0, nan, 3.0, nan]
    """
    distances = np.full(len(codes), np.nan)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            distances[rows] = nearest(codes[rows], codes[rows], 2)[1][:, 1]
    return distances


def _nearest(codes: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    squares = (queries**2).sum(1)[:, None] + (codes**2).sum(1) - 2 * queries @ codes.T
    near = np.argpartition(squares, count - 1, axis=1)[:, :count]
    distances = np.linalg.norm(codes[near] - queries[:, None], axis=2)  # again, without cancellation
    order = np.lexsort((near, distances), axis=1)
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(distances, order, axis=1)
