"""Gaussian mixtures: their densities, the two steps of EM and ways to start it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.core.errors import FailedRunError
from genlab.nn.density import BLOCK, in_blocks
from genlab.nn.normal import normal_like

COVARIANCES = ("full", "diagonal", "spherical", "tied")


class Mixture(NamedTuple):
    """Σ_k w_k N(μ_k, Σ_k): `log_weights` (K,), `means` (K, D) and `covariances`.

    Those are variances (K, D) where the axes are independent, else matrices (K, D, D), or
    (1, D, D) where all components share one.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def axis_aligned(self) -> bool:
        """Whether `covariances` holds variances instead of matrices."""
        return self.covariances.ndim == 2

    def log_components(self, x: Tensor) -> Tensor:
        """The joint log w_k + log N(x; μ_k, Σ_k) of points (N, D), as (N, K) nats."""
        constant = x.shape[1] * math.log(2 * math.pi)
        if self.axis_aligned:
            precision = 1 / self.covariances
            distances = (
                x.square() @ precision.T - 2 * x @ (self.means * precision).T + (self.means.square() * precision).sum(1)
            )
            log_determinants = self.covariances.log().sum(1)
            return self.log_weights - 0.5 * (distances + log_determinants + constant)
        factors = self.factors()
        identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(factors)
        whiten = torch.linalg.solve_triangular(factors, identity, upper=False).mT  # Σ⁻¹ = whiten whitenᵀ
        origins = self.means[:, None] @ whiten

        def block(some: Tensor) -> Tensor:
            return (some @ whiten - origins).square_().sum(2).T

        distances = in_blocks(block, x, self.means.numel())
        log_determinants = 2 * factors.diagonal(dim1=1, dim2=2).log().sum(1)
        return self.log_weights - 0.5 * (distances + log_determinants + constant)

    def factors(self) -> Tensor:
        """Lower triangular L_k with Σ_k = L_k L_kᵀ; raises `FailedRunError` where there is none."""
        factors, info = torch.linalg.cholesky_ex(self.covariances)
        if info.any():
            raise FailedRunError(
                "A covariance of the mixture collapsed; raise its regularisation, or use fewer components."
            )
        return factors

    def draw(self, components: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """One point of each component in `components` (N,): μ_k + temperature · L_k ε, as (N, D)."""
        means = self.means[components]
        noise = temperature * normal_like(means, generator)
        if self.axis_aligned:
            return means + self.covariances[components].sqrt() * noise
        factors = self.factors().expand(len(self.means), -1, -1)

        def block(rows: Tensor) -> Tensor:
            return (factors[components[rows]] @ noise[rows, :, None])[:, :, 0]

        rows = torch.arange(len(means), device=means.device)
        return means + in_blocks(block, rows, factors[0].numel())

    def free_parameters(self, kind: str) -> int:
        """How many numbers were fitted, counting components of no weight as absent."""
        count = int((~self.log_weights.isneginf()).sum())
        dimensions = self.means.shape[1]
        triangle = dimensions * (dimensions + 1) // 2
        each = {"full": count * triangle, "tied": triangle, "diagonal": count * dimensions, "spherical": count}
        return each[kind] + count * dimensions + count - 1


def expect(logs: Tensor, own: Tensor) -> tuple[Tensor, float]:
    """The E-step: responsibilities (N, K) and the mean log-likelihood, from `log_components` (N, K).

    Only the components that `own` (N, K) marks may be responsible for a point.
    """
    logs = logs.masked_fill(~own, -math.inf)
    norm = logs.logsumexp(1, keepdim=True)
    return (logs - norm).exp(), norm.mean().item()


def maximise(x: Tensor, responsibilities: Tensor, kind: str, regularisation: float) -> Mixture:
    """The M-step: weights, means and covariances of points (N, D) shared out by (N, K).

    N_k = Σ_n γ_nk,  w_k = N_k / N,  μ_k = Σ_n γ_nk x_n / N_k,
    Σ_k = Σ_n γ_nk (x_n − μ_k)(x_n − μ_k)ᵀ / N_k + regularisation · I.

    >>> mixture = maximise(torch.tensor([[0.0], [2.0]]).double(), torch.ones(2, 1).double(), "diagonal", 0.5)
    >>> round(mixture.means.item(), 6), round(mixture.covariances.item(), 6)
    (1.0, 1.5)
    """
    weights = responsibilities.sum(0)
    shares = weights + 10 * torch.finfo(x.dtype).eps  # an empty component divides by this
    means = responsibilities.T @ x / shares[:, None]
    log_weights = (weights / len(x)).log()
    if kind in ("full", "tied"):
        scatter = _scatter(x, responsibilities, means)
        pooled = kind == "tied"
        covariances = scatter.sum(0, keepdim=True) / len(x) if pooled else scatter / shares[:, None, None]
        covariances.diagonal(dim1=1, dim2=2).add_(regularisation)
        return Mixture(log_weights, means, covariances)
    variances = responsibilities.T @ x.square() / shares[:, None] - means.square()
    variances = variances.clamp(min=0) + regularisation
    if kind == "spherical":
        variances = variances.mean(1, keepdim=True).expand_as(means)
    return Mixture(log_weights, means, variances)


def _scatter(x: Tensor, responsibilities: Tensor, means: Tensor) -> Tensor:
    """Σ_n γ_nk (x_n − μ_k)(x_n − μ_k)ᵀ, (K, D, D), block by block."""
    scatter = x.new_zeros(len(means), x.shape[1], x.shape[1])
    size = max(1, BLOCK // means.numel())
    for points, shares in zip(x.split(size), responsibilities.split(size), strict=True):
        away = points - means[:, None]
        scatter += (away * shares.T[:, :, None]).mT @ away
    return scatter


def assign_to_centres(x: Tensor, count: int, *, far_apart: bool = True) -> Tensor:
    """Assign points (N, D) to the nearest of `count` of them: (N,) from 0 to count − 1.

    The centres are drawn at random or, `far_apart` as in k-means++, each with a probability in
    proportion to its squared distance from the centres before it (Arthur & Vassilvitskii, 2007).
    """
    chosen = torch.randint(len(x), (), device=x.device)
    nearest = (x - x[chosen]).square().sum(1)
    assigned = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for centre in range(1, count):
        weights = nearest if far_apart and nearest.any() else torch.ones_like(nearest)
        chosen = torch.multinomial(weights, 1)[0]
        distances = (x - x[chosen]).square().sum(1)
        assigned = torch.where(distances < nearest, centre, assigned)
        nearest = torch.minimum(distances, nearest)
    return assigned
