"""Laying one set of codes onto another of the same images, so that only what really moved moves."""

from __future__ import annotations

import numpy as np


def turn(codes: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The orthogonal R (D, D) and the shift b (D,) with which codes z R + b (N, D) lie as near as can be to others: Procrustes.

    R minimises Σ |(z − z̄) R − (w − w̄)|²: R = U Vᵀ, where U S Vᵀ is the singular value decomposition of
    (z − z̄)ᵀ (w − w̄), and b = w̄ − z̄ R. Distances among the codes stay as they are; nothing is stretched.

    >>> rotation, shift = turn(np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [3.0, 0.0]]))
    >>> (np.array([[0.0, 2.0]]) @ rotation + shift).round(6).tolist()
    [[2.0, 0.0]]
    """
    codes, onto = (np.asarray(array, dtype=np.float64) for array in (codes, onto))
    u, _, vt = np.linalg.svd((codes - codes.mean(0)).T @ (onto - onto.mean(0)))
    rotation = u @ vt
    return rotation, onto.mean(0) - codes.mean(0) @ rotation


def aligned(codes: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Codes (N, D) turned, mirrored and shifted such that they lie as near as can be to others (N, D), by `turn`.

    >>> aligned(np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])).round(6).tolist()
    [[1.0, 0.0], [3.0, 0.0]]
    """
    rotation, shift = turn(codes, onto)
    return np.asarray(codes, dtype=np.float64) @ rotation + shift
