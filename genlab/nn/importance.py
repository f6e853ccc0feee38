"""The likelihood of a latent-variable model by importance sampling: what the evidence lower bound bounds."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genlab.nn.density import BLOCK
from genlab.nn.normal import DiagonalNormal


@runtime_checkable
class LatentDensity(Protocol):
    """A model with p(z) = N(0, I), q(z|x) and p(x|z)."""

    def encode(self, images: Tensor) -> DiagonalNormal:
        """q(z|x), (N, D)."""

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """−log p(x|z) in nats an image (N,)."""


@torch.no_grad()
def importance_nll(
    model: LatentDensity, images: Tensor, samples: int = 500, generator: torch.Generator | None = None
) -> Tensor:
    """−log 1/S Σ_s p(x|z_s) p(z_s) / q(z_s|x) with z_s ~ q(z|x), in nats an image (N,).

    Equation (8) of Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016. On average
    it lies above −log p(x), falls towards it with more samples, and with one sample is −ELBO.
    """
    posterior = model.encode(images)
    prior = DiagonalNormal(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.log_var))
    total = images.new_full((len(images),), -math.inf)
    at_once = max(1, min(samples, BLOCK // images.numel()))
    for done in range(0, samples, at_once):
        size = min(at_once, samples - done)
        many = DiagonalNormal(*(part.expand(size, -1, -1) for part in posterior))
        codes = many.sample(generator)
        repeated = images.expand(size, *images.shape).flatten(0, 1)
        log_images = -model.negative_log_likelihood(codes.flatten(0, 1), repeated).view(size, -1)
        log_weights = log_images + prior.log_prob(codes) - posterior.log_prob(codes)
        total = torch.logaddexp(total, log_weights.logsumexp(0))
    return math.log(samples) - total
