"""What a mixture of Gaussians expects of missing pixels, given those that are known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.nn.density import in_blocks
from genlab.nn.mixture import Mixture
from genlab.nn.principal import PrincipalSpace


def log_known(mixture: Mixture, x: Tensor, known: Tensor) -> Tensor:
    """The joint log w_k + log N(x_known; μ_k, σ²_k) of points (N, D) whose axes are independent, as (N, K) nats.

    >>> bell = Mixture(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 2))
    >>> round(log_known(bell, torch.tensor([[0.0, 9.0]]), torch.tensor([[True, False]])).item(), 4)
    -0.9189
    """
    known = known.to(mixture.means)
    precision = 1 / mixture.covariances
    squares = (known * x).square() @ precision.T - 2 * (known * x) @ (mixture.means * precision).T
    squares += known @ (mixture.means.square() * precision + (2 * math.pi * mixture.covariances).log()).T
    return mixture.log_weights - 0.5 * squares


def complete(mixture: Mixture, space: PrincipalSpace, images: Tensor, known: Tensor) -> Tensor:
    """E[x | known pixels], (N, values), under Σ_k w_k N(x; x̄ + Bm_k, B S_k Bᵀ + σ²(I − BBᵀ)).

    With P = Σ⁻¹ the expectation of component k is μ_M − P_MM⁻¹ P_MK (x_K − μ_K) (Bishop, Pattern Recognition and
    Machine Learning, 2006, (2.96)). As P = σ⁻²(I + B E Bᵀ) with E = σ² S⁻¹ − I, that and the density of x_K need only
    d x d systems: A = I + G E with G = B_Mᵀ B_M, w = A⁻¹ B_Kᵀ(x_K − μ_K), then E[x_M] = μ_M − B_M E w and
    −2 log p(x_K) = |K| log 2πσ² + log|S| − d log σ² + log|A| + (‖x_K − μ_K‖² + (B_Kᵀ(x_K − μ_K))ᵀ E w) / σ².
    Images with the same pixels missing share one factorisation.
    """
    x, known = (images.flatten(1).to(space.centre) - space.centre) * known.flatten(1), known.flatten(1)
    if mixture.axis_aligned and not space.reduced:
        return space.restore(log_known(mixture, x, known).softmax(1) @ mixture.means)
    shared = bool((known == known[:1]).all())
    wide = mixture.means.numel() if shared else mixture.means.numel() * mixture.means.shape[1]

    def block(both: Tensor) -> Tensor:
        x, known = both.chunk(2, dim=1)
        logs, points = _given(mixture, space, x, known, known[:1] if shared else known)
        return torch.einsum("nk,nkd->nd", logs.softmax(1), points)

    return space.restore(in_blocks(block, torch.cat([x, known.to(x)], dim=1), wide + x.shape[1]))


def _given(mixture: Mixture, space: PrincipalSpace, x: Tensor, known: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Joint log-densities of the known pixels (N, K), and where each component expects the image (N, K, d).

    `x` (N, V) is centred, with 0 where `known` is 0; `masks` is `known`, or its first row where all are alike.
    """
    means, noise, (rows, size) = mixture.means, space.noise, (len(x), mixture.means.shape[1])
    axes = space.axes[:size] if space.reduced else torch.eye(size).to(means)
    covariances = mixture.covariances if not mixture.axis_aligned else mixture.covariances.diag_embed()
    tilt = noise * torch.linalg.inv(covariances) - torch.eye(size).to(means)  # E
    hidden = (axes * (1 - masks)[:, None]) @ axes.T  # G, one for each mask
    system = torch.eye(size).to(means) + hidden[:, None] @ tilt  # A: (masks, K, d, d)
    seen = x @ axes.T
    gram = torch.eye(size).to(means) - hidden  # B_Kᵀ B_K
    inside = seen[:, None] - means @ gram  # B_Kᵀ(x_K − μ_K): (N, K, d)
    columns = inside.permute(1, 2, 0)[None] if len(masks) < rows else inside[..., None]
    solved = torch.linalg.solve(system, columns)  # w
    solved = solved[0].permute(2, 0, 1) if len(masks) < rows else solved[..., 0]
    tilted = (tilt @ solved[..., None])[..., 0]  # E w
    squares = x.square().sum(1)[:, None] - 2 * seen @ means.T + ((means @ gram) * means).sum(2)
    squares = (squares + (inside * tilted).sum(2)) / noise
    constant = known.sum(1, keepdim=True) * (2 * math.pi * noise).log() - size * noise.log()
    determinants = torch.linalg.slogdet(covariances).logabsdet + torch.linalg.slogdet(system).logabsdet
    return mixture.log_weights - 0.5 * (constant + determinants + squares), means - tilted
