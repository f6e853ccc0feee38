"""log p(x | z) for pixels in [0, 1], summed over an image's values."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

EXACT = 80.0  # logits above which log(1 + eˡ) is l to the last bit of a float64, and below which eˡ is a float32
Corruption = Literal["none", "gaussian", "masking", "salt_and_pepper"]


def bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """Σ x log p + (1 − x) log(1 − p) = Σ x·l − log(1 + eˡ) with l the logits and p = σ(l), in nats an image (N,).

    >>> round(bernoulli_log_likelihood(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)).item() / math.log(0.5), 6)
    2.0
    """
    flat = logits.to(images.dtype).flatten(1)
    return torch.linalg.vecdot(flat, images.flatten(1)) - F.softplus(flat, threshold=EXACT).sum(1)


def gaussian_log_likelihood(means: Tensor, images: Tensor, sigma: float = 1.0) -> Tensor:
    """Σ log N(x; mean, σ²), in nats an image (N,).

    >>> gaussian_log_likelihood(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)).item()
    -0.9189385175704956
    """
    constant = 0.5 * math.log(2 * math.pi) + math.log(sigma)
    squares = squared_error(means, images)
    return -squares / (2 * sigma**2) - constant * images[0].numel()


def squared_error(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Σ (x − x')², an image (N,)."""
    return (images - reconstructions.to(images.dtype)).square().flatten(1).sum(1)


def corrupt(images: Tensor, kind: Corruption, amount: float) -> Tensor:
    """Noisy copies of images in [0, 1]: "none", "gaussian" (standard deviation `amount`), "masking"
    (each value zeroed with probability `amount`) or "salt_and_pepper" (set to 0 or 1 instead).
    """
    if kind == "none" or amount == 0:
        return images
    if kind == "gaussian":
        return (images + amount * torch.randn_like(images)).clamp(0, 1)
    hit = torch.rand_like(images) < amount
    if kind == "masking":
        return images.masked_fill(hit, 0.0)
    return torch.where(hit, (torch.rand_like(images) < 0.5).to(images), images)
