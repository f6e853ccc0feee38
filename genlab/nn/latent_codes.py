"""Codes with meaning: a categorical part and a continuous part, a guess at them, and how much the guess tells.

References:
    [1] Chen et al., InfoGAN: Interpretable Representation Learning by Information Maximizing GANs, 2016.
    [2] Barber & Agakov, The IM Algorithm: A Variational Approach to Information Maximization, 2003 (the bound).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.nn.normal import DiagonalNormal

LEAST_VARIANCE = 0.0025  # of the guess at a continuous code, which would otherwise be rewarded without end


class Guess(NamedTuple):
    """Q(c|x): log-probabilities of the categories (N, K), and a normal over the continuous codes (N, C)."""

    log_categories: Tensor
    continuous: DiagonalNormal

    @property
    def mean(self) -> Tensor:
        """The expected code (N, K + C)."""
        return torch.cat([self.log_categories.exp(), self.continuous.mean], dim=1)


def guess_of(outputs: Tensor, categories: int) -> Guess:
    """Read a network's outputs (N, K + 2 C) as Q(c|x); no variance falls below `LEAST_VARIANCE`."""
    outputs = outputs.float()
    mean, raw = outputs[:, categories:].chunk(2, dim=1)
    floor = torch.full_like(raw, math.log(LEAST_VARIANCE))
    return Guess(F.log_softmax(outputs[:, :categories], dim=1), DiagonalNormal(mean, torch.logaddexp(raw, floor)))


def draw_codes(
    count: int, categories: int, continuous: int, *, like: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Codes (count, K + C): a category drawn evenly, one-hot, and numbers drawn evenly from −1 to 1."""
    device = like.device if generator is None else generator.device
    chosen = torch.randint(categories, (count,), generator=generator, device=device)
    numbers = 2 * torch.rand(count, continuous, generator=generator, device=device) - 1
    return torch.cat([F.one_hot(chosen, categories).to(numbers), numbers], dim=1).to(like)


def information(codes: Tensor, guess: Guess) -> tuple[Tensor, Tensor]:
    """L_I = E[log Q(c|x)] + H(c) ≤ I(c; x) in nats, of the category and of the continuous codes together.

    `codes` (N, K + C) are those that the images were made of. H is log K for the category and log 2 for each
    continuous code. [1] (5).

    >>> codes = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, -0.5]])
    >>> ignorant = guess_of(torch.zeros(2, 4), categories=2)
    >>> round(information(codes, ignorant)[0].item(), 6)
    0.0
    """
    categories = guess.log_categories.shape[1]
    chosen, numbers = codes.float().split([categories, codes.shape[1] - categories], dim=1)
    of_category = (chosen * guess.log_categories).sum(1).mean() + math.log(categories)
    of_numbers = guess.continuous.log_prob(numbers).mean() + numbers.shape[1] * math.log(2)
    return of_category, of_numbers
