"""How much of a latent space is used, from the codes of many images as arrays.

References:
    [1] Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, section 5.2 (active units).
"""

from __future__ import annotations

import numpy as np

ACTIVE = 0.01  # variance of the posterior mean above which a unit counts as active ([1])


def kl(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """½ (μ² + σ² − 1 − log σ²), the KL of N(μ, σ²) from N(0, 1) in nats, for every image and dimension (N, D).

    >>> kl(np.array([[2.0, 0.0]]), np.zeros((1, 2))).tolist()
    [[2.0, 0.0]]
    """
    mean, log_var = (np.asarray(array, dtype=np.float64) for array in (mean, log_var))
    return 0.5 * (mean**2 + np.expm1(log_var) - log_var)
