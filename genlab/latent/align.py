"""Laying one set of codes onto another of the same images, so that only what really moved moves."""

from __future__ import annotations

import numpy as np


def aligned(codes: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Codes (N, D) turned, mirrored and shifted such that they lie as near as can be to others (N, D): Procrustes.

    (z − z̄) R + w̄ with the orthogonal R that minimises Σ |(z − z̄) R − (w − w̄)|²: R = U Vᵀ, where U S Vᵀ is the singular
    value decomposition of (z − z̄)ᵀ (w − w̄). Distances among the codes stay as they are; nothing is stretched.

    >>> aligned(np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])).round(6).tolist()
    [[1.0, 0.0], [3.0, 0.0]]
    """
    codes, onto = (np.asarray(array, dtype=np.float64) for array in (codes, onto))
    centred, target = codes - codes.mean(0), onto - onto.mean(0)
    u, _, vt = np.linalg.svd(centred.T @ target)
    return centred @ (u @ vt) + onto.mean(0)
