"""Optimisers as every model uses them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adam in its fused form (one kernel for all weights); `weight_decay` is AdamW's, decoupled."""
    return torch.optim.AdamW(list(parameters), lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
