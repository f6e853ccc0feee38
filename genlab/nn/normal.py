"""The diagonal normal that encoders return, and the prior that decoders start from."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.core.capabilities import Decodes, HasPrior, Samples

LOG_2_PI = math.log(2 * math.pi)


class DiagonalNormal(NamedTuple):
    """N(mean, diag(exp(log_var))), one row per image: both (N, D)."""

    mean: Tensor
    log_var: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw z = μ + σ ε with ε ~ N(0, I), differentiable in μ and σ (reparameterisation)."""
        return self.mean + torch.exp(0.5 * self.log_var) * normal_like(self.mean, generator)

    def kl(self) -> Tensor:
        """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²), per image and dimension: (N, D) nats.

        >>> DiagonalNormal(torch.tensor([[2.0]]), torch.tensor([[0.0]])).kl()
        tensor([[2.]])
        """
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)

    def log_prob(self, codes: Tensor) -> Tensor:
        """The log-density of `codes` (…, N, D), summed over dimensions: (…, N) nats."""
        scaled = (codes - self.mean).square() * torch.exp(-self.log_var)
        return -0.5 * (scaled + self.log_var + LOG_2_PI).sum(-1)


class Point(NamedTuple):
    """The code of an encoder without uncertainty: `mean` (N, D), and no variance."""

    mean: Tensor
    log_var: None = None


def standard_log_prob(codes: Tensor) -> Tensor:
    """The log-density of `codes` (…, D) under N(0, I): (…) nats.

    >>> round(standard_log_prob(torch.zeros(1, 2)).item(), 6)
    -1.837877
    """
    return -0.5 * (codes.square().sum(-1) + codes.shape[-1] * LOG_2_PI)


def normal_like(tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise of a tensor's shape; a generator's own device is respected."""
    if generator is None:
        return torch.randn_like(tensor)
    noise = torch.randn(tensor.shape, generator=generator, device=generator.device, dtype=tensor.dtype)
    return noise.to(tensor.device)


class StandardNormalPrior(HasPrior, Samples, Decodes):
    """Codes come from N(0, temperature² I), and images from decoding them."""

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes (count, latent_dim)."""
        weight = next(self.parameters())  # type: ignore[attr-defined]
        like = torch.empty(count, self.latent_dim, device=weight.device, dtype=weight.dtype)
        return temperature * normal_like(like, generator)

    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw images (count, C, H, W) in [0, 1]."""
        return self.decode(self.sample_prior(count, temperature=temperature, generator=generator))
