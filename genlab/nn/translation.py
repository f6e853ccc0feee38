"""Networks that turn images into images of another kind, critics that judge patches, and a memory of past images.

References:
    [1] Johnson, Alahi & Fei-Fei, Perceptual Losses for Real-Time Style Transfer, 2016 (the translator).
    [2] Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, 2017 (critics of patches).
    [3] Shrivastava et al., Learning from Simulated and Unsupervised Images through Adversarial Training, 2017, 2.3.
    [4] Odena, Dumoulin & Olah, Deconvolution and Checkerboard Artifacts, 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.shapes import Shape
from genlab.nn.blocks import halvings

LARGE = 48  # pixels of the shorter side from which on maps are halved twice


class ResidualTranslator(nn.Module):
    """Images (N, C, H, W) in [−1, 1] to images of the same shape: convolve, halve, residual blocks, enlarge ([1]).

    Enlarging is done by repeating pixels and then convolving ([4]); each convolution but the last is followed by
    instance normalisation and ReLU, and borders are mirrored.
    """

    def __init__(self, shape: Shape, width: int, blocks: int) -> None:
        super().__init__()
        sizes = halvings(shape)[: 3 if min(shape.height, shape.width) >= LARGE else 2]
        channels = [width * 2**level for level in range(len(sizes))]
        layers: list[nn.Module] = [_convolution(shape.channels, width, 5)]
        layers += [_convolution(wide // 2, wide, 3, stride=2) for wide in channels[1:]]
        layers += [ResidualBlock(channels[-1]) for _ in range(blocks)]
        for size, wide in zip(sizes[-2::-1], channels[:0:-1], strict=True):
            layers += [nn.Upsample(size=size), _convolution(wide, wide // 2, 3)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, shape.channels, 5, padding=2, padding_mode="reflect"))

    def forward(self, images: Tensor) -> Tensor:
        """Translated images in [−1, 1]."""
        return torch.tanh(self.layers(images))


class ResidualBlock(nn.Module):
    """x + the second of two normalised convolutions of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_convolution(channels, channels, 3), *_convolution(channels, channels, 3)[:-1])

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape."""
        changed: Tensor = maps + self.layers(maps)
        return changed


class PatchCritic(nn.Module):
    """Images (N, C, H, W) in [−1, 1] to logits (N, 1, h, w), each for a patch of the image ([2] 3.2.2).

    `levels` strided 4x4 convolutions, of which the first is not normalised, and a 3x3 convolution to the logits.
    """

    def __init__(self, shape: Shape, width: int, levels: int) -> None:
        super().__init__()
        levels = min(levels, len(halvings(shape, smallest=2)) - 1)
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, levels):
            narrow, wide = width * 2 ** (level - 1), width * 2**level
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.InstanceNorm2d(wide, affine=True)]
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(width * 2 ** (levels - 1), 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """How real each patch looks, before any activation."""
        logits: Tensor = self.layers(images)
        return logits


class PastImages(nn.Module):
    """Keeps the last `size` images or so, and hands out an old one for every second new one ([3] 2.3).

    Part of a model's state, so that a resumed run goes on with the same ones; `size` 0 keeps none.

    >>> past = PastImages(Shape(1, 2, 2), size=3)
    >>> shown = [past.exchange(torch.full((1, 1, 2, 2), float(value))) for value in range(3)]
    >>> [image.mean().item() for image in shown], int(past.kept)
    ([0.0, 1.0, 2.0], 3)
    """

    images: Tensor
    kept: Tensor

    def __init__(self, shape: Shape, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("kept", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, new: Tensor) -> Tensor:
        """Images (N, C, H, W) to show: the new ones while there is room for them, then old ones for about half of them.

        An old image that is shown leaves, and the new one takes its place.
        """
        kept = int(self.kept)
        if kept < self.size:
            fits = min(self.size - kept, len(new))
            self.images[kept : kept + fits] = new[:fits]
            self.kept += fits
            return new if fits == len(new) else torch.cat([new[:fits], self.exchange(new[fits:])])
        slots = torch.randperm(self.size)[: len(new)]
        swapped = torch.rand(len(slots)) < 0.5
        slots, places = slots[swapped].to(new.device), torch.arange(len(swapped))[swapped].to(new.device)
        shown = new.index_copy(0, places, self.images[slots].to(new.dtype))
        self.images[slots] = new[places].to(self.images.dtype)
        return shown


def _convolution(narrow: int, wide: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution with mirrored borders, instance normalisation, ReLU."""
    padding = {"padding": size // 2, "padding_mode": "reflect"}
    convolution = nn.Conv2d(narrow, wide, size, stride, bias=False, **padding)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.InstanceNorm2d(wide, affine=True), nn.ReLU())
