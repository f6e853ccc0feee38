"""A slowly moving copy of a network, which draws steadier images than the network itself."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """Exponential moving average of a network's parameters; its buffers (batch statistics) are copied as they are.

    After update t = 0, 1, …: w̄ ← w̄ + (1 − δ_t)(w − w̄) with δ_t = min(δ, (1 + t) / (10 + t)), so that a short
    run is not stuck at its first weights. Part of a model's state, moved by no player.

    >>> network = nn.Linear(1, 1, bias=False)
    >>> average = MovingAverage(network, decay=0.0)
    >>> _ = network.weight.data.fill_(3.0)
    >>> average.update(network); average(torch.ones(1, 1)).item()
    3.0
    """

    updates: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present parameters, and take over its buffers."""
        weight = 1 - ((1 + self.updates) / (10 + self.updates)).clamp(max=self.decay)
        for average, present in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(present, weight)
        for kept, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)
        self.updates += 1

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the averaged network makes of the inputs."""
        output: Tensor = self.network(*inputs)
        return output
