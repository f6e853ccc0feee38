"""Convolutions of the thesis's autoencoders: TensorFlow's "same" padding at stride 2, seen in a mirror.

At stride 2 on an even size, "same" pads one row and column at the end and none at the start; PyTorch's padding=1
does it the other way round. On the mirrored image (both axes flipped) the two are the same convolution, so these
layers work on mirrored images throughout: no padded copies, no cropping. Flipping the image on the way in and out,
and every kernel in a comparison with TensorFlow's, is all it takes. Maps lie in memory channels last.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.shapes import Shape

LEVELS = 5  # halvings of the encoder, so that sizes are multiples of 32


class MirroredEncoder(nn.Module):
    """Five 3x3 convolutions of stride 2 with ReLU; channels double from `width` to 16 x `width`.

    Maps images (N, C, H, W) to features (N, `features`) in the order row, column, channel of the mirrored map.
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        channels = [shape.channels, *(width * 2**level for level in range(LEVELS))]
        self.layers = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1) for narrow, wide in pairwise(channels)
        )
        self.features = shape.pixels // 4**LEVELS * channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, `features`)."""
        maps = mirror(images)
        for layer in self.layers:
            maps = F.relu_(layer(maps.contiguous(memory_format=torch.channels_last)))
        return maps.permute(0, 2, 3, 1).flatten(1)


class MirroredDecoder(nn.Module):
    """A dense layer to a map of 1/16 of the image's sides, four transposed 3x3 convolutions of stride 2, one of stride 1.

    Channels go from 4 x `width` over 16, 8, 4 and 2 x `width` to the image's. Maps codes (N, D) to (N, C, H, W)
    before the last activation.
    """

    def __init__(self, shape: Shape, width: int, latent_dim: int) -> None:
        super().__init__()
        channels = [4 * width, 16 * width, 8 * width, 4 * width, 2 * width]
        self.start = (shape.height // 16, shape.width // 16, channels[0])
        self.dense = nn.Linear(latent_dim, shape.pixels // 256 * channels[0])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
            for before, after in pairwise(channels)
        )
        self.last = QuadConv(channels[-1], shape.channels, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) before the last activation."""
        maps = F.relu_(self.dense(codes)).view(-1, *self.start).permute(0, 3, 1, 2)
        for layer in self.layers:
            maps = F.relu_(layer(maps.contiguous(memory_format=torch.channels_last)))
        return mirror(self.last(maps))


class QuadConv(nn.Conv2d):
    """A 3x3 convolution with padding 1 that computes each 2x2 block of pixels as four channels of one.

    Processors compute 16 channels at a time, so a convolution to 3 channels wastes 13; as a 4x4 convolution of
    stride 2 to 12 channels it takes half the time. Heights and widths are even.

    >>> layer, maps = QuadConv(4, 3, 3, padding=1), torch.rand(1, 4, 6, 6)
    >>> torch.allclose(layer(maps), nn.Conv2d.forward(layer, maps), atol=1e-6)
    True
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, out_channels, H, W)."""
        places = [F.pad(self.weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
        kernel = torch.stack(places, 1).flatten(0, 1)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return F.pixel_shuffle(F.conv2d(maps, kernel, bias, stride=2, padding=1), 2)


def mirror(images: Tensor) -> Tensor:
    """Both axes of images (…, H, W) reversed."""
    return images.flip(-2, -1)


def initialise(module: nn.Module) -> None:
    """He's uniform weights for convolutions, Glorot's for dense layers, by fan-in of what a kernel reads; zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # PyTorch lays a transposed kernel out as (in, out, …), so what it calls fan-out is what is read
            fan: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_uniform_(layer.weight, mode=fan, nonlinearity="relu")
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
