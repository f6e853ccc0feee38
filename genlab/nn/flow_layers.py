"""Invertible layers of normalising flows: each gives its output and the logarithm of its Jacobian's determinant.

A transform f maps x to z with log p(x) = log p(z) + log |det ∂z/∂x|; chained transforms add their logarithms up.
Layers compute in the type of their input: mixed precision is left to the networks inside couplings, because what
is rounded away here could not be inverted.

References:
    [1] Dinh, Krueger & Bengio, NICE, 2014 (even and odd pixels).
    [2] Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2016 (squeezing, logits, several scales).
    [3] Kingma & Dhariwal, Glow, 2018 (activation normalisation, invertible 1x1 convolutions).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.shapes import Shape

CONSTANT = 1e-4  # standard deviation below which a channel counts as constant


class Transform(nn.Module, ABC):
    """A differentiable map with a differentiable inverse."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and log |det ∂output/∂x| for each row (N,)."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """The input whose output is z."""


class Chain(Transform):
    """Transforms one after another; their log-determinants add up."""

    def __init__(self, *transforms: Transform) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From the first transform to the last."""
        total = x.new_zeros(len(x))
        for transform in self.transforms:
            x, log_det = transform(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """From the last transform back to the first."""
        for transform in reversed(self.transforms):
            z = transform.inverse(z)  # type: ignore[operator]  # modules of a list are typed as any module
        return z


class Logit(Transform):
    """log(v / (1 − v)) with v = α + (1 − 2α) y: pixels y in [0, 1] onto the real line ([2] 4.1).

    Its inverse lands in [−α, 1 + α] or so, a little beyond the pixels' range. With α = 0 it is the plain 2y − 1.

    >>> z, log_det = Logit(0.05)(torch.full((1, 1, 1, 2), 0.5))
    >>> z.abs().max().item() < 1e-6, round(log_det.item() / 2, 4) == round(math.log(4 * 0.9), 4)
    (True, True)
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits; log-determinant Σ log(1 − 2α) − log v − log(1 − v)."""
        if not self.alpha:
            return 2 * x - 1, x.new_full((len(x),), x[0].numel() * math.log(2))
        v = self.alpha + (1 - 2 * self.alpha) * x
        low, high = v.log(), torch.log1p(-v)
        log_det = math.log(1 - 2 * self.alpha) - low - high
        return low - high, log_det.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """Pixels y = (σ(z) − α) / (1 − 2α)."""
        if not self.alpha:
            return (z + 1) / 2
        return (torch.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)


class EvenOdd(Transform):
    """Images (N, C, H, W) to rows (N, C·H·W) with the even places first, then the odd ones ([1] 5.1)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A reordering: its log-determinant is 0."""
        rows = x.flatten(1)
        return torch.cat([rows[:, ::2], rows[:, 1::2]], dim=1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Every value back to its place."""
        rows = torch.empty_like(z)
        even = (z.shape[1] + 1) // 2
        rows[:, ::2], rows[:, 1::2] = z[:, :even], z[:, even:]
        return rows.view(-1, *self.shape)


class Squeeze(Transform):
    """Each 2x2 block of pixels becomes four channels of one: (N, C, H, W) to (N, 4C, H/2, W/2) ([2] figure 3)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A reordering: its log-determinant is 0."""
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """The four channels back into a block."""
        return F.pixel_shuffle(z, 2)


class ActNorm(Transform):
    """z = s ⊙ x + b with one s and b for each channel, or for whatever `shape` says ([3] 3.1).

    `start` sets them so that a first batch leaves with mean 0 and variance 1; a channel that is constant in that
    batch is centred and not scaled. Until then s = 1 and b = 0.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.shift = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-determinant: Σ log s over all values of an image."""
        log_det = self.log_scale.sum() * (x[0].numel() // self.log_scale.numel())
        return x * self.log_scale.exp() + self.shift, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """(z − b) / s."""
        return (z - self.shift) * (-self.log_scale).exp()

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Take s and b from a batch."""
        axes = [0, *(1 + place for place, size in enumerate(self.log_scale.shape) if size == 1)]
        variance, mean = torch.var_mean(x, axes, correction=0)
        deviation = variance.sqrt().view_as(self.log_scale)
        scale = torch.where(deviation > CONSTANT, 1 / deviation, 1.0)
        self.log_scale.copy_(scale.log())
        self.shift.copy_(-mean.view_as(scale) * scale)


class InvertibleConv(Transform):
    """A 1x1 convolution by W = P L (U + diag(s)): a learned mixing of channels that starts as a rotation ([3] 3.2).

    P is a fixed permutation, L lower triangular with ones on its diagonal, U strictly upper triangular; the signs of s
    are fixed and log |s| is learned, so W can never become singular.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_scale = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U + diag(s), each (C, C)."""
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-determinant: H · W · Σ log |s| ([3] (11))."""
        with torch.autocast(x.device.type, enabled=False):
            lower, upper = self.factors()
            z = F.conv2d(x, (self.permutation @ lower @ upper)[..., None, None])
        log_det = self.log_scale.sum() * (x.shape[2] * x.shape[3])
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """By two triangular systems, not by inverting W."""
        lower, upper = self.factors()
        rows = self.permutation.T @ z.transpose(0, 1).flatten(1)
        rows = torch.linalg.solve_triangular(lower, rows, upper=False, unitriangular=True)
        rows = torch.linalg.solve_triangular(upper, rows, upper=True)
        return rows.view(z.shape[1], z.shape[0], *z.shape[2:]).transpose(0, 1)


class MultiScale(Transform):
    """Levels of transforms, after each of which but the last half of the channels is done ([2] 3.6, (14)-(16)).

    `levels[i]` works on what is left; `leaving[i]` sees it all just before its second half of channels leaves, so that
    it may say how the leaving half looks given the other one. Images (N, C, H, W) become codes (N, C·H·W): what left
    first stands first.
    """

    def __init__(self, shape: Shape, levels: Sequence[Transform], leaving: Sequence[Transform]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.leaving = nn.ModuleList(leaving)
        self.shapes: list[tuple[int, int, int]] = []  # of what leaves after each level
        c, h, w = shape
        for level in levels:
            for _ in range(sum(isinstance(layer, Squeeze) for layer in level.modules())):
                c, h, w = 4 * c, h // 2, w // 2
            c = c // 2 if len(self.shapes) < len(leaving) else c
            self.shapes.append((c, h, w))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and the sum of all log-determinants."""
        total, codes = x.new_zeros(len(x)), []
        for level, leave in zip(self.levels, self.leaving, strict=False):
            x, log_det = level(x)
            total = total + log_det
            x, log_det = leave(x)
            total = total + log_det
            x, done = x.chunk(2, dim=1)
            codes.append(done.flatten(1))
        x, log_det = self.levels[-1](x)
        return torch.cat([*codes, x.flatten(1)], dim=1), total + log_det

    def inverse(self, z: Tensor) -> Tensor:
        """From the coarsest level back to the pixels."""
        *parts, last = z.split([math.prod(shape) for shape in self.shapes], dim=1)
        x: Tensor = self.levels[-1].inverse(last.view(-1, *self.shapes[-1]))  # type: ignore[operator]
        for index in reversed(range(len(self.leaving))):
            joined = torch.cat([x, parts[index].view(-1, *self.shapes[index])], dim=1)
            whole = self.leaving[index].inverse(joined)  # type: ignore[operator]
            x = self.levels[index].inverse(whole)  # type: ignore[operator]
        return x
