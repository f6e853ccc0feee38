"""Coupling layers: a part of the values stays, and tells a network how to move the other part.

References:
    [1] Dinh, Krueger & Bengio, NICE, 2014 (additive coupling).
    [2] Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2016 (affine coupling, masks).
    [3] Kingma & Dhariwal, Glow, 2018 (halves of the channels; last layers that start at zero).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.shapes import Shape
from genlab.nn.blocks import mlp
from genlab.nn.flow_layers import Transform


def bounded(raw: Tensor, bound: float) -> Tensor:
    """B tanh(raw / B): about `raw` near 0, and never beyond ±B, so that no layer scales by more than e^B either way.

    >>> bounded(torch.tensor([0.01, 1000.0]), 2.0)
    tensor([0.0100, 2.0000])
    """
    return bound * torch.tanh(raw / bound)


class HalfCoupling(Transform):
    """The first `kept` channels stay; the others become x ⊙ exp(s) + t, with (s, t) from the network ([2] (4)-(5)).

    `bound` bounds s through `bounded`; a bound of 0 makes the coupling additive, x + t ([1] 3.2). `swap` keeps the last
    channels instead. The network maps what stays to t, or to s and t stacked along the channels.
    """

    def __init__(self, network: nn.Module, kept: int, *, bound: float, swap: bool = False) -> None:
        super().__init__()
        self.network, self.kept, self.bound, self.swap = network, kept, bound, swap

    def part(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What stays, and what moves."""
        first, second = x.tensor_split([x.shape[1] - self.kept if self.swap else self.kept], dim=1)
        return (second, first) if self.swap else (first, second)

    def join(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Both parts in their places."""
        return torch.cat([moved, kept] if self.swap else [kept, moved], dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-determinant: Σ s."""
        kept, moved = self.part(x)
        raw = self.network(kept).to(x.dtype)
        if not self.bound:
            return self.join(kept, moved + raw), x.new_zeros(len(x))
        scale, shift = raw.chunk(2, dim=1)
        scale = bounded(scale, self.bound)
        return self.join(kept, moved * scale.exp() + shift), scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """(z − t) ⊙ exp(−s), with the same s and t: what stays is still there."""
        kept, moved = self.part(z)
        raw = self.network(kept).to(z.dtype)
        if not self.bound:
            return self.join(kept, moved - raw)
        scale, shift = raw.chunk(2, dim=1)
        return self.join(kept, (moved - shift) * (-bounded(scale, self.bound)).exp())


class MaskedCoupling(Transform):
    """b ⊙ x + (1 − b) ⊙ (x ⊙ exp(s) + t), where s and t come from b ⊙ x ([2] (9)).

    `mask` is b, of ones and zeros, (C, H, W) or broadcast to it; the network maps images to s and t stacked along the
    channels, and `bound` bounds s.
    """

    mask: Tensor

    def __init__(self, network: nn.Module, mask: Tensor, *, bound: float) -> None:
        super().__init__()
        self.network, self.bound = network, bound
        self.register_buffer("mask", mask, persistent=False)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scale s and the shift t where values move, and 0 where they stay."""
        scale, shift = self.network(x * self.mask).to(x.dtype).chunk(2, dim=1)
        moving = 1 - self.mask
        return bounded(scale, self.bound) * moving, shift * moving

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-determinant: Σ (1 − b) ⊙ s."""
        scale, shift = self.terms(x)
        return x * scale.exp() + shift, scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """(z − t) ⊙ exp(−s) where values moved."""
        scale, shift = self.terms(z)
        return (z - shift) * (-scale).exp()


def checkerboard(shape: Shape, *, odd: bool = False) -> Tensor:
    """A mask (1, H, W) that is 1 where row plus column is even, or odd ([2] figure 3).

    >>> checkerboard(Shape(1, 2, 3))
    tensor([[[1., 0., 1.],
             [0., 1., 0.]]])
    """
    places = torch.arange(shape.height)[:, None] + torch.arange(shape.width)
    return (places % 2 == int(odd)).float()[None]


def channel_halves(channels: int, *, last: bool = False) -> Tensor:
    """A mask (channels, 1, 1) that is 1 for the first half of the channels, or for the last.

    >>> channel_halves(4).flatten()
    tensor([1., 1., 0., 0.])
    """
    first = torch.arange(channels) < channels // 2
    return (first ^ last).float()[:, None, None]


def conv_conditioner(shape: Shape, outputs: int, width: int) -> nn.Sequential:
    """Convolutions 3x3, 1x1 and 3x3 of `width` channels with ReLU, for maps of a shape; the last starts at zero ([3] 3.3).

    After the first comes a learned number for each place, so that what is usual may differ from place to place.
    """
    return nn.Sequential(
        nn.Conv2d(shape.channels, width, 3, padding=1),
        PlaceBias(Shape(width, shape.height, shape.width)),
        nn.ReLU(),
        nn.Conv2d(width, width, 1),
        nn.ReLU(),
        from_zero(nn.Conv2d(width, outputs, 3, padding=1)),
    )


class PlaceBias(nn.Module):
    """Adds a learned number to each value of a map (C, H, W), 0 at first."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W)."""
        return maps + self.bias


def dense_conditioner(inputs: int, outputs: int, hidden: int, depth: int) -> nn.Sequential:
    """`depth` dense layers of `hidden` units with ReLU, and a last layer that starts at zero."""
    return nn.Sequential(mlp([inputs, *[hidden] * depth]), from_zero(nn.Linear(hidden, outputs)))


def from_zero(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with zero weights and bias: a coupling that it ends is the identity at first."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
