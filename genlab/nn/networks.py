"""Whole networks of a chosen architecture: images to numbers, and codes to images."""

from __future__ import annotations

from typing import Literal

from torch import nn

from genlab.core.shapes import Shape
from genlab.nn.blocks import ConvDecoder, ConvEncoder, mlp

Architecture = Literal["mlp", "conv"]


def image_features(
    architecture: Architecture,
    shape: Shape,
    hidden: int,
    width: int,
    *,
    depth: int = 1,
    batch_norm: bool = False,
    dropout: float = 0.0,
    slope: float = 0.0,
) -> tuple[nn.Module, int]:
    """Images (N, C, H, W) to flat features (N, F), and F: `depth` dense layers of `hidden`, or convolutions of `width`.

    >>> image_features("mlp", Shape(1, 8, 8), hidden=5, width=4)[1]
    5
    """
    if architecture == "conv":
        features = ConvEncoder(shape, width, batch_norm=batch_norm, dropout=dropout, slope=slope)
        return features, features.features
    sizes = [shape.values, *[hidden] * depth]
    layers = mlp(sizes, batch_norm=batch_norm, dropout=dropout, slope=slope)
    return nn.Sequential(nn.Flatten(), layers), sizes[-1]


def image_decoder(
    architecture: Architecture,
    shape: Shape,
    latent_dim: int,
    hidden: int,
    width: int,
    *,
    depth: int = 1,
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """Codes (N, latent_dim) to logits (N, C, H, W): the mirror of `image_features`."""
    if architecture == "conv":
        return ConvDecoder(shape, width, latent_dim, batch_norm=batch_norm, dropout=dropout)
    sizes = [latent_dim, *[hidden] * depth]
    return nn.Sequential(
        mlp(sizes, batch_norm=batch_norm, dropout=dropout),
        nn.Linear(sizes[-1], shape.values),
        nn.Unflatten(1, tuple(shape)),
    )
