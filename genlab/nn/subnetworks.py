"""One small network for each latent dimension, all of them at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SubNetworks(nn.Module):
    """`count` networks features -> 8 -> 4 -> (mean, log-variance), ReLU between, each with weights of its own.

    The first layers read the same features, so together they are one dense layer; the later ones are one batched
    multiplication each. Weights start by Glorot's rule with the fans of a single small network.

    >>> mean, log_var = SubNetworks(features=6, count=5)(torch.rand(2, 6))
    >>> mean.shape, log_var.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    HIDDEN = (8, 4)

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        first, second = self.HIDDEN
        self.count = count
        self.first = nn.Linear(features, count * first)
        self.second_weight = nn.Parameter(torch.empty(count, first, second))
        self.second_bias = nn.Parameter(torch.zeros(count, second))
        self.last_weight = nn.Parameter(torch.empty(count, second, 2))
        self.last_bias = nn.Parameter(torch.zeros(count, 2))
        self.initialise()

    def initialise(self) -> None:
        """Glorot's uniform weights, by the fans of one sub-network; mean and log-variance are a layer each."""
        first, second = self.HIDDEN
        nn.init.zeros_(self.first.bias)
        for weight, fans in (
            (self.first.weight, self.first.in_features + first),
            (self.second_weight, first + second),
            (self.last_weight, second + 1),
        ):
            limit = math.sqrt(6 / fans)
            nn.init.uniform_(weight, -limit, limit)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (N, count) of features (N, `features`)."""
        hidden = F.relu_(self.first(features)).view(len(features), self.count, -1)
        hidden = F.relu_(batched_linear(hidden, self.second_weight, self.second_bias))
        both = batched_linear(hidden, self.last_weight, self.last_bias).permute(2, 0, 1)
        mean, log_var = both.contiguous()  # row by row: dense layers after it differentiate far slower by columns
        return mean, log_var


class OneByOne(nn.Module):
    """The same networks as the thesis's code has them: four small layers for each dimension, one network after the other.

    It is there to be timed, as thousands of small multiplications cost far more than a few large ones.

    >>> mean, log_var = OneByOne(features=6, count=5)(torch.rand(2, 6))
    >>> mean.shape, log_var.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        first, second = SubNetworks.HIDDEN
        self.trunks = nn.ModuleList(
            nn.Sequential(nn.Linear(features, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU())
            for _ in range(count)
        )
        self.means = nn.ModuleList(nn.Linear(second, 1) for _ in range(count))
        self.log_vars = nn.ModuleList(nn.Linear(second, 1) for _ in range(count))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (N, count) of features (N, `features`)."""
        hidden = [trunk(features) for trunk in self.trunks]
        means = [layer(h) for layer, h in zip(self.means, hidden, strict=True)]
        log_vars = [layer(h) for layer, h in zip(self.log_vars, hidden, strict=True)]
        return torch.cat(means, 1), torch.cat(log_vars, 1)


def batched_linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, count, in) times each network's own (count, in, out), plus its bias (count, out): (N, count, out)."""
    return torch.baddbmm(bias[:, None], inputs.transpose(0, 1), weight).transpose(0, 1)
