"""Style-based synthesis: a network that maps noise to styles, and convolutions whose weights a style scales.

References:
    [1] Karras, Laine & Aila, A Style-Based Generator Architecture for Generative Adversarial Networks, 2019.
    [2] Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.shapes import Shape
from genlab.nn.blocks import channel_plan, halvings

GAIN = math.sqrt(2)  # after a leaky ReLU, so that a unit variance stays one


class EqualLinear(nn.Module):
    """A dense layer whose weights start as N(0, 1) and are scaled when used, so that all learn at one pace ([1] C).

    `rate` multiplies how fast it learns.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (..., outputs)."""
        return F.linear(inputs, self.weight * self.scale, self.bias * self.rate)


class Mapping(nn.Module):
    """Noise z (N, D) to styles w (N, D): dense layers over z of unit length, learning at a hundredth of the pace ([1] 2)."""

    def __init__(self, size: int, depth: int) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.ModuleList(EqualLinear(size, size, rate=0.01) for _ in range(depth))

    def forward(self, noise: Tensor) -> Tensor:
        """Styles (N, D)."""
        style = noise * torch.rsqrt(noise.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            style = GAIN * F.leaky_relu(layer(style), 0.2)
        return style


class ModulatedConv(nn.Module):
    """A convolution whose weights w_oik are scaled by s_i, and with `demodulate` by 1/√(Σ_ik (s_i w_oik)² + ε), [2] (1)-(3).

    s = 1 + A(w) is affine in the style, one number for each input channel and image. Scaling an image's inputs by
    s and its outputs by the inverse norm is the same as scaling the weights, and keeps one kernel for the batch.
    """

    def __init__(self, inputs: int, outputs: int, size: int, style: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.style = EqualLinear(style, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * size * size)
        self.demodulate = demodulate

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Maps (N, outputs, H, W) of maps (N, inputs, H, W) and styles (N, D)."""
        weight = self.weight * self.scale
        scales = self.style(style)
        out = F.conv2d(maps * scales[:, :, None, None].to(maps), weight, padding=weight.shape[2] // 2)
        if self.demodulate:
            out = out * self.inverse_norms(weight, scales)[:, :, None, None].to(out)
        return out

    @staticmethod
    def inverse_norms(weight: Tensor, scales: Tensor) -> Tensor:
        """1/√(Σ_ik (s_i w_oik)² + ε) for each image and output channel: (N, outputs)."""
        return torch.rsqrt(scales.square() @ weight.square().sum((2, 3)).t() + 1e-8)


class StyledLayer(nn.Module):
    """A modulated convolution, noise of learned strength, a bias and a leaky ReLU.

    While training the noise is new for each image; afterwards it is one map that stays, so that a style
    always gives the same image.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style: int, sides: tuple[int, int], *, noisy: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, outputs, 3, style)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(())) if noisy else None
        self.register_buffer("noise", torch.randn(1, 1, *sides) if noisy else None)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Maps (N, outputs, H, W)."""
        maps = self.convolution(maps, style)
        if self.strength is not None:
            noise = torch.randn_like(maps[:, :1]) if self.training else self.noise
            maps = maps + self.strength * noise
        return GAIN * F.leaky_relu(maps + self.bias[:, None, None], 0.2)


class Synthesis(nn.Module):
    """Styles for each level (N, L, D) to images (N, C, H, W) in [0, 1], from a learned constant up ([2] Figure 7).

    Each resolution has an image of its own, added to the enlarged one of the resolution before. The first
    resolution has one level, every later one two: the first of them enlarges.
    """

    def __init__(self, shape: Shape, width: int, style: int, *, noisy: bool) -> None:
        super().__init__()
        self.sizes = halvings(shape, smallest=4)[::-1]
        channels = channel_plan(width, len(self.sizes))[::-1]
        self.constant = nn.Parameter(torch.randn(1, channels[0], *self.sizes[0]))
        self.layers, self.images = nn.ModuleList(), nn.ModuleList()
        for place, (sides, wide) in enumerate(zip(self.sizes, channels, strict=True)):
            entering = [channels[place - 1], wide] if place else [wide]
            for inputs in entering:
                self.layers.append(StyledLayer(inputs, wide, style, sides, noisy=noisy))
            self.images.append(ModulatedConv(wide, shape.channels, 1, style, demodulate=False))
        self.bias = nn.Parameter(torch.zeros(shape.channels, 1, 1))

    @property
    def levels(self) -> int:
        """How many layers take a style of their own."""
        return len(self.layers)

    def forward(self, styles: Tensor) -> Tensor:
        """Images in [0, 1]."""
        by_level = styles.unbind(1)
        maps = self.layers[0](self.constant.expand(styles.shape[0], -1, -1, -1), by_level[0])
        image = self.images[0](maps, by_level[0])
        for place, sides in enumerate(self.sizes[1:], start=1):
            maps = self.layers[2 * place - 1](enlarged(maps, sides), by_level[2 * place - 1])
            maps = self.layers[2 * place](maps, by_level[2 * place])
            image = enlarged(image, sides) + self.images[place](maps, by_level[2 * place])
        return torch.sigmoid(image + self.bias)


def enlarged(maps: Tensor, sides: tuple[int, int]) -> Tensor:
    """Maps enlarged to `sides` by linear interpolation; at twice the size this is the filter (1, 3, 3, 1) of [2]."""
    return F.interpolate(maps, size=sides, mode="bilinear", align_corners=False)


def crossed(first: Tensor, second: Tensor, level: Tensor, levels: int) -> Tensor:
    """Styles (N, L, D): those of `first` (N, D) below `level` (N,) or (1,), those of `second` from there on ([1] 3.1).

    >>> crossed(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([2]), 3).flatten()
    tensor([0., 0., 1.])
    """
    below = torch.arange(levels, device=first.device) < level[:, None].to(first.device)
    return torch.where(below[:, :, None], first[:, None], second[:, None])
