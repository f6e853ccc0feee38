"""Convolutional players of an adversarial game: what `dcgan` and its kin share.

References:
    [1] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
    [2] Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import parameter
from genlab.core.shapes import Shape
from genlab.nn.blocks import ConvDecoder, ConvEncoder
from genlab.nn.game import GameParameters, TwoPlayerGame

SMALLEST = 8  # pixels of the shorter side
CONVOLUTIONAL_DEPARTURES = (
    "Any size from 8 pixels: maps are halved while both sides stay at least 3, and 16 channels instead of 128 "
    "at the first level, so that it trains on a laptop.",
    "Images are kept in [0, 1]; the players see 2x − 1, the range of tanh.",
)


class ConvolutionalParameters(GameParameters):
    """The game, and the convolutions of its players."""

    width: int = parameter(
        16, "Channels of the largest maps; they double at each level, up to eight times.", minimum=4, maximum=256
    )
    average: float = parameter(
        0.999,
        "Decay of the moving average of the generator that samples; 0 samples from the generator itself.",
        minimum=0,
        maximum=0.99999,
        symbol=r"\delta",
    )
    fresh_noise: bool = parameter(False, "New noise for the generator's move; off reuses the images just judged, which is faster.", advanced=True)  # fmt: skip

    @property
    def normalised(self) -> bool:
        """Whether the critic may normalise over the batch: not where it must judge each image by itself."""
        return not (self.penalised or self.r1 or self.spectral_norm)


class Generator(nn.Module):
    """Noise (N, latent_dim) to images (N, C, H, W) in [0, 1], through tanh."""

    def __init__(self, shape: Shape, width: int, latent_dim: int) -> None:
        super().__init__()
        self.layers = ConvDecoder(shape, width, latent_dim, batch_norm=True)

    def forward(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return torch.tanh(self.layers(codes)).add(1).mul(0.5)


class Critic(nn.Module):
    """Images (N, C, H, W) in [0, 1] to logits (N,)."""

    def __init__(self, shape: Shape, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.layers = ConvEncoder(shape, width, batch_norm=batch_norm, norm_first=False, slope=0.2)
        self.last = nn.Linear(self.layers.features, 1)

    def features(self, images: Tensor) -> Tensor:
        """What is seen in each image: (N, F)."""
        seen: Tensor = self.layers(2 * images - 1)
        return seen

    def verdict(self, features: Tensor) -> Tensor:
        """Logits (N,) of what is seen."""
        logits: Tensor = self.last(features)
        return logits.squeeze(1)

    def forward(self, images: Tensor) -> Tensor:
        """How real each image looks, before any activation."""
        return self.verdict(self.features(images))


class ConvolutionalGame(Model, TwoPlayerGame):
    """A convolutional generator and a convolutional discriminator."""

    Parameters = ConvolutionalParameters

    def __init__(self, shape: Shape, classes: int, parameters: ConvolutionalParameters) -> None:
        super().__init__(shape, classes, parameters)
        refuse_small(shape, type(self).__name__)
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        self.generator = Generator(shape, p.width, p.latent_dim)
        self.critic = Critic(shape, p.width, batch_norm=p.normalised)
        self.apply(initialise)
        self.begin()


def refuse_small(shape: Shape, title: str) -> None:
    """Refuse images that cannot be halved even once without vanishing; raises `BadInputError`."""
    if min(shape.height, shape.width) < SMALLEST:
        raise BadInputError(
            f"{title} takes images of at least {SMALLEST}x{SMALLEST} pixels, and these are {shape}; enlarge them."
        )


def initialise(layer: nn.Module) -> None:
    """Weights from N(0, 0.02²), scales of batch normalisation from N(1, 0.02²), biases 0 ([1] 4)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
    else:
        return
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
