"""Algorithm 3 of the thesis number by number, compiled: one pass over memory, for batches too large for the cache."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit
def fill_triplets(
    mean: np.ndarray,
    sizes: np.ndarray,
    middle: np.ndarray,
    radii: np.ndarray,
    towards: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
) -> None:
    """Fill `positive` and `negative` (N, D): z ∓ r |size|, towards the middle (D,) where u ≤ p, and away otherwise.

    `mean`, `sizes` and the uniform draws `u` of the positive and `v` of the negative are (N, D); `radii` and the
    probabilities `towards` hold the positive's and the negative's.
    """
    for n in range(mean.shape[0]):
        for d in range(mean.shape[1]):
            here, size = mean[n, d], abs(sizes[n, d])
            above = here > middle[d]
            near, far = radii[0] * size, radii[1] * size
            positive[n, d] = here - near if above == (u[n, d] <= towards[0]) else here + near
            negative[n, d] = here - far if above == (v[n, d] <= towards[1]) else here + far
