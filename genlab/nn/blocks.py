"""Multilayer perceptrons, and convolutional encoders and decoders for images of any size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from genlab.core.shapes import Shape


def mlp(sizes: Sequence[int], *, batch_norm: bool = False, dropout: float = 0.0, slope: float = 0.0) -> nn.Sequential:
    """Dense layers of the given sizes with (leaky) ReLU after each; the last size is activated too.

    >>> [type(layer).__name__ for layer in mlp([4, 3, 2])]
    ['Linear', 'ReLU', 'Linear', 'ReLU']
    """
    layers: list[nn.Module] = []
    for wide, narrow in itertools.pairwise(sizes):
        layers.append(nn.Linear(wide, narrow, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(narrow))
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def halvings(shape: Shape, smallest: int = 3) -> list[tuple[int, int]]:
    """Heights and widths from the image down, halved (rounding down) while both stay ≥ `smallest`.

    >>> halvings(Shape(1, 28, 28))
    [(28, 28), (14, 14), (7, 7), (3, 3)]
    """
    sizes = [(shape.height, shape.width)]
    while min(sizes[-1]) // 2 >= smallest:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


class ConvEncoder(nn.Module):
    """Strided 4x4 convolutions, each halving the map and doubling the channels up to 8 x width.

    Maps images (N, C, H, W) to flat features (N, `features`).
    """

    def __init__(
        self,
        shape: Shape,
        width: int,
        *,
        batch_norm: bool = False,
        dropout: float = 0.0,
        slope: float = 0.0,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        sizes = halvings(shape)
        channels = [shape.channels, *channel_plan(width, len(sizes) - 1)]
        layers: list[nn.Module] = []
        for level in range(len(sizes) - 1):
            norm = batch_norm and (level > 0 or norm_first)
            layers.append(nn.Conv2d(channels[level], channels[level + 1], 4, 2, 1, bias=not norm))
            if norm:
                layers.append(nn.BatchNorm2d(channels[level + 1]))
            layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
            if dropout:
                layers.append(nn.Dropout2d(dropout))
        self.layers = nn.Sequential(*layers)
        self.features = channels[-1] * sizes[-1][0] * sizes[-1][1]

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, `features`)."""
        return self.layers(images).flatten(1)


class ConvDecoder(nn.Module):
    """The mirror of `ConvEncoder`: a dense layer, then transposed convolutions back to the exact size.

    Maps codes (N, D) to logits (N, C, H, W): no final activation.
    """

    def __init__(
        self,
        shape: Shape,
        width: int,
        latent_dim: int,
        *,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = halvings(shape)[::-1]
        channels = [*channel_plan(width, len(sizes) - 1)[::-1], shape.channels]
        self.start = (channels[0], *sizes[0])
        values = channels[0] * sizes[0][0] * sizes[0][1]
        dense: list[nn.Module] = [nn.Linear(latent_dim, values, bias=not batch_norm)]
        dense += [nn.BatchNorm1d(values)] if batch_norm else []
        self.dense = nn.Sequential(*dense, nn.ReLU())
        layers: list[nn.Module] = []
        for level in range(len(sizes) - 1):
            last = level == len(sizes) - 2
            odd = (sizes[level + 1][0] % 2, sizes[level + 1][1] % 2)
            norm = batch_norm and not last
            layers.append(
                nn.ConvTranspose2d(channels[level], channels[level + 1], 4, 2, 1, output_padding=odd, bias=not norm)
            )
            if norm:
                layers.append(nn.BatchNorm2d(channels[level + 1]))
            if not last:
                layers.append(nn.ReLU())
                layers.extend([nn.Dropout2d(dropout)] if dropout else [])
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (N, C, H, W)."""
        return self.layers(self.dense(codes).view(-1, *self.start))


def channel_plan(width: int, levels: int) -> list[int]:
    """Channels of each level: width, 2 width, 4 width, then 8 width at most.

    >>> channel_plan(16, 5)
    [16, 32, 64, 128, 128]
    """
    return [width * min(2**level, 8) for level in range(levels)]
