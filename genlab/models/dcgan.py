"""The deep convolutional generative adversarial network: the architecture that made the game stable.

References:
    [1] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
    [2] Goodfellow et al., Generative Adversarial Nets, 2014.
    [3] Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017; Gulrajani et al., Improved Training, 2017.
    [4] Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.
    [5] Yazıcı et al., The Unusual Effectiveness of Averaging in GAN Training, 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genlab.core.cards import Card, Equation
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.blocks import ConvDecoder, ConvEncoder
from genlab.nn.ema import MovingAverage
from genlab.nn.game import GAME_SCALARS, GameParameters, TwoPlayerGame

CARD = Card(
    title="Deep convolutional GAN",
    family="adversarial",
    paper="Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs",
    year=2015,
    link="https://arxiv.org/abs/1511.06434",
    summary=(
        "A GAN whose players are convolutional. Five guidelines make its training stable: strided convolutions "
        "instead of pooling; batch normalisation in both players (but not at the generator's output nor at the "
        "discriminator's input); no hidden dense layers; ReLU in the generator with tanh at the end; leaky ReLU in the "
        "discriminator. Samples are drawn from a moving average of the generator, which flickers less than the "
        "generator of the last step. Walking through the noise z changes one image smoothly into another."
    ),
    equations=(
        Equation("The game", r"\min_G\max_D\;\mathbb E_{x}[\log D(x)]+\mathbb E_{z}[\log(1-D(G(z)))]", "[2] (1)"),
        Equation("Non-saturating generator", r"L_G=-\mathbb E_z[\log D(G(z))]", "[2] 3"),
        Equation("Wasserstein with gradient penalty", r"L_D=\mathbb E\,D(G(z))-\mathbb E\,D(x)+\lambda\,\mathbb E_{\hat x}(\|\nabla_{\hat x}D(\hat x)\|_2-1)^2", "[3]"),
        Equation("Least squares", r"L_D=\tfrac12\mathbb E(D(x)-b)^2+\tfrac12\mathbb E(D(G(z))-a)^2,\quad L_G=\tfrac12\mathbb E(D(G(z))-c)^2", "Mao et al. (2)"),
        Equation("Hinge", r"L_D=\mathbb E\max(0,1-D(x))+\mathbb E\max(0,1+D(G(z))),\quad L_G=-\mathbb E\,D(G(z))", "Lim & Ye"),
        Equation("Spectral normalisation", r"\bar W=W/\sigma_{max}(W)", "[4] (8)"),
        Equation("Averaged generator", r"\bar w\leftarrow\bar w+(1-\delta)(w-\bar w)", "[5]"),
    ),
    departures=(
        "Any size from 8 pixels: maps are halved while both sides stay at least 3, and 16 channels instead of 128 "
        "at the first level, so that it trains on a laptop.",
        "Images are kept in [0, 1]; the players see 2x − 1, the range of tanh.",
        "Normal noise instead of uniform noise on [−1, 1], so that samples can be interpolated like any other code.",
        "The generator moves on the images that were just judged; Algorithm 1 draws new noise (an option).",
        "With the gradient penalty or spectral normalisation the critic has no batch normalisation: it must judge "
        "each image by itself.",
        "The moving average of the generator came later than the paper; switch it off with a decay of 0.",
    ),
    scalars=GAME_SCALARS,
    presets={
        "quick": {"epochs": 14, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 40, "batch_size": 64},
        "paper": {"epochs": 100, "width": 128, "latent_dim": 100, "average": 0.0, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


class DCGANParameters(GameParameters):
    """The game, and the convolutions of its players."""

    width: int = parameter(
        16, "Channels of the largest maps; they double at each level, up to eight times.", minimum=4, maximum=256
    )
    spectral_norm: bool = parameter(False, "Divide each weight of the discriminator by its largest singular value.")
    average: float = parameter(
        0.999,
        "Decay of the moving average of the generator that samples; 0 samples from the generator itself.",
        minimum=0,
        maximum=0.99999,
        symbol=r"\delta",
    )
    fresh_noise: bool = parameter(False, "New noise for the generator's move; off reuses the images just judged, which is faster.", advanced=True)  # fmt: skip


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

    def forward(self, images: Tensor) -> Tensor:
        """How real each image looks, before any activation."""
        logits: Tensor = self.last(self.layers(2 * images - 1))
        return logits.squeeze(1)


@register("dcgan", CARD)
class DCGAN(Model, TwoPlayerGame):
    """A convolutional generator and a convolutional discriminator."""

    Parameters = DCGANParameters

    def __init__(self, shape: Shape, classes: int, parameters: DCGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        if min(shape.height, shape.width) < 8:
            raise BadInputError(f"DCGAN takes images of at least 8x8 pixels, and these are {shape}; enlarge them.")
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        self.generator = Generator(shape, p.width, p.latent_dim)
        self.critic = Critic(shape, p.width, batch_norm=not (p.penalised or p.spectral_norm))
        self.apply(initialise)
        if p.spectral_norm:
            for layer in self.critic.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)
        self.averaged = MovingAverage(self.generator, p.average) if p.average else None

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of noise (N, latent_dim), by the averaged generator where there is one."""
        images: Tensor = (self.averaged or self.generator)(codes)
        return images

    def generator_moved(self) -> None:
        """The moving average follows."""
        if self.averaged is not None:
            self.averaged.update(self.generator)


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
