"""Codes weighed by importance: the likelihood that the evidence lower bound bounds, and the bounds between the two.

References:
    [1] Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from genlab.core.capabilities import EncodesNormal, ImportanceWeighted
from genlab.nn.dense import DenseByOneDNN
from genlab.nn.normal import DiagonalNormal, StandardNormalPrior, standard_log_prob

AT_ONCE = 2**18  # pixel values that one block of codes decodes to: a megabyte, which stays in a processor's cache


class NormalLatent(EncodesNormal, StandardNormalPrior, ImportanceWeighted):
    """A model with p(z) = N(0, I) and a diagonal normal q(z|x): the bound and the weights follow from three methods.

    Subclasses give `encode`, `decode` and `negative_log_likelihood`.
    """

    @abstractmethod
    def encode(self, images: Tensor) -> DiagonalNormal:
        """q(z|x): mean and log-variance, (N, latent_dim) each."""

    @abstractmethod
    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """−log p(x|z) of images (N, C, H, W) given codes (N, latent_dim), in nats an image (N,)."""

    def bound_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`reconstruction` and `kl` (N,) in nats, with one draw of z an image; ELBO = −(their sum)."""
        posterior = self.encode(images)
        reconstruction = self.negative_log_likelihood(posterior.sample(generator), images)
        return {"reconstruction": reconstruction, "kl": posterior.kl().sum(1)}

    def log_weights(self, images: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Log p(x|z) + log p(z) − log q(z|x) for `count` draws z ~ q(z|x): (count, N) nats. [1] (8)."""

        def weigh(images: Tensor, draws: int) -> Tensor:
            posterior = self.encode(images)
            codes = DiagonalNormal(*(part.expand(draws, -1, -1) for part in posterior)).sample(generator)
            log_images = -self.negative_log_likelihood(codes.flatten(0, 1), images.repeat(draws, 1, 1, 1))
            return log_images.view(draws, -1) + standard_log_prob(codes) - posterior.log_prob(codes)

        return in_draws(weigh, images, count)


def in_draws(weigh: Callable[[Tensor, int], Tensor], images: Tensor, count: int) -> Tensor:
    """`weigh(images, count)`, (count, N), on blocks of draws and images, so that memory stays bounded.

    All draws of an image stand in one block where they fit, so that it is encoded once.

    >>> in_draws(lambda images, draws: images.new_full((draws, len(images)), draws), torch.zeros(2, 1, 1, 1), 3).shape
    torch.Size([3, 2])
    """
    values = images[0].numel()
    draws = max(1, min(count, AT_ONCE // values))
    columns = []
    for block in images.split(max(1, AT_ONCE // (draws * values))):
        columns.append(torch.cat([weigh(block, min(draws, count - done)) for done in range(0, count, draws)]))
    return torch.cat(columns, dim=1)


@torch.no_grad()
def iwae_bound(model: ImportanceWeighted, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """Log 1/k Σ_s p(x, z_s) / q(z_s|x) with z_s ~ q(z|x): the bound of [1] (8), in nats an image (N,).

    On average it is the ELBO for k = 1, rises with k, and reaches log p(x) in the limit.
    """
    with DenseByOneDNN():
        return model.log_weights(images, k, generator).logsumexp(0) - math.log(k)


def importance_nll(
    model: ImportanceWeighted, images: Tensor, samples: int = 500, generator: torch.Generator | None = None
) -> Tensor:
    """−log p(x) estimated from `samples` weighted codes, in nats an image (N,): on average slightly too high."""
    return -iwae_bound(model, images, samples, generator)
