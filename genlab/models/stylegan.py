"""StyleGAN: noise becomes a style, and the style scales every convolution of the generator.

References:
    [1] Karras, Laine & Aila, A Style-Based Generator Architecture for Generative Adversarial Networks, 2019.
    [2] Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020.
    [3] Mescheder, Geiger & Nowozin, Which Training Methods for GANs do actually Converge?, 2018 (R1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.capabilities import MixesStyles
from genlab.core.cards import Card, Equation
from genlab.core.model import Model
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.convolutional_game import ConvolutionalParameters, Critic, refuse_small
from genlab.nn.game import GAME_SCALARS, TwoPlayerGame
from genlab.nn.normal import normal_like
from genlab.nn.styles import Mapping, Synthesis, crossed

CARD = Card(
    title="StyleGAN (small)",
    family="adversarial",
    paper="Karras, Laine & Aila, A Style-Based Generator Architecture; Karras et al., Analyzing and Improving the Image Quality of StyleGAN",
    year=2019,
    link="https://arxiv.org/abs/1912.04958",
    summary=(
        "The generator starts from the same small map for every image. Noise z is first mapped to a style w; at each "
        "level, from the coarsest map to the finest, w scales what the convolution looks at. So coarse traits (which "
        "digit, which way it leans) come from the style of the early levels and fine ones (thickness, texture) from the "
        "late ones: take them from two different images and see. Codes here are styles w; truncation pulls them towards "
        "the mean style, for safer and more alike images, and is what temperature does here."
    ),
    equations=(
        Equation("Modulation", r"w'_{ijk}=s_i\,w_{ijk},\quad s=A(w)", "[2] (1)"),
        Equation("Demodulation", r"w''_{ijk}=w'_{ijk}\Big/\sqrt{\textstyle\sum_{i,k}{w'_{ijk}}^2+\epsilon}", "[2] (3)"),
        Equation("Truncation", r"w'=\bar w+\psi(w-\bar w),\quad\bar w=\mathbb E_z[f(z)]", "[1] B"),
        Equation("Losses", r"L_G=-\mathbb E\log D(G(z)),\quad L_D=-\mathbb E\log D(x)-\mathbb E\log(1-D(G(z)))+\tfrac\gamma2R_1", "[2] B"),
        Equation("R1", r"R_1=\mathbb E_x\|\nabla D(x)\|^2", "[3] (9)"),
    ),
    departures=(
        "Small: maps start at 4 to 7 pixels a side and double at most to the image's own size, with 16 channels at the "
        "largest; the mapping network has 4 layers instead of 8.",
        "A style scales the inputs and the inverse norm the outputs of one convolution for the whole batch, which equals the "
        "grouped convolution of scaled weights in [2].",
        "The discriminator is the one of DCGAN without batch normalisation, not a residual network with a minibatch "
        "deviation; there is no path length regularisation, and images end in a sigmoid.",
        "The mean style is the mean over 4,096 fixed draws of z instead of a running mean.",
        "Outside training each layer's noise is one map that stays, so that a style always gives the same image.",
        "Maps are enlarged by linear interpolation, which at twice the size is the paper's filter; odd sizes are met exactly.",
    ),
    scalars=GAME_SCALARS,
    presets={
        "quick": {"epochs": 8, "batch_size": 32, "average": 0.99, "width": 8, "mixing": 0.5, "learning_rate": 2e-3, "critic_learning_rate": 1e-3},
        "default": {"epochs": 60, "batch_size": 32, "average": 0.998},
        "paper": {"epochs": 500, "batch_size": 32, "latent_dim": 512, "width": 64, "depth": 8, "average": 0.999, "learning_rate": 2e-3, "critic_learning_rate": 2e-3, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip

DRAWS = 4096  # of z, that the mean style is taken over


class StyleGANParameters(ConvolutionalParameters):
    """The game, the networks, and how styles are mixed while training."""

    latent_dim: int = parameter(64, "Dimensions of the noise z and of the style w.", minimum=1, maximum=1024)
    depth: int = parameter(4, "Dense layers from noise to style.", minimum=1, maximum=16)
    mixing: float = parameter(
        0.9, "Share of generated images that take their style from two noises while training.", minimum=0, maximum=1
    )
    noise: bool = parameter(True, "Noise in every layer, for details that are left to chance.")
    r1: float = parameter(
        0.5, "Weight of the R1 penalty, the squared slope of the discriminator at real images; 0 leaves it out.",
        minimum=0, maximum=1000, symbol=r"\gamma",
    )  # fmt: skip
    r1_every: int = parameter(
        8, "Turns between two R1 penalties, each weighing as much more: cheaper, much the same.",
        minimum=1, maximum=64, advanced=True,
    )  # fmt: skip
    momentum: float = parameter(
        0.0, "Adam's first decay, of both players.", minimum=0, maximum=0.999, symbol=r"\beta_1", advanced=True
    )
    learning_rate: float = parameter(2e-3, "Step size of Adam for the generator.", minimum=1e-6, maximum=1, log=True)
    critic_learning_rate: float = parameter(
        1e-3, "Step size of Adam for the discriminator.", minimum=1e-6, maximum=1, log=True
    )


class StyleGenerator(nn.Module):
    """Noise (N, D) to images (N, C, H, W) in [0, 1]; while training some images mix the styles of two noises."""

    def __init__(self, shape: Shape, p: StyleGANParameters) -> None:
        super().__init__()
        self.mapping = Mapping(p.latent_dim, p.depth)
        self.synthesis = Synthesis(shape, p.width, p.latent_dim, noisy=p.noise)
        self.mixing = p.mixing

    def forward(self, noise: Tensor) -> Tensor:
        """Images in [0, 1]."""
        levels = self.synthesis.levels
        style = self.mapping(noise)
        if not (self.training and self.mixing and levels > 1):
            return self.draw(style)
        other = self.mapping(torch.randn_like(noise))
        crossing = torch.randint(1, levels, (len(noise),), device=noise.device)
        mixed = torch.rand(len(noise), device=noise.device) < self.mixing
        images: Tensor = self.synthesis(crossed(style, other, torch.where(mixed, crossing, levels), levels))
        return images

    def draw(self, style: Tensor) -> Tensor:
        """Images of styles w (N, D), the same at every level."""
        images: Tensor = self.synthesis(style[:, None].expand(-1, self.synthesis.levels, -1))
        return images

    def mean_style(self) -> Tensor:
        """The mean style (1, D) over fixed draws of the noise."""
        noise = torch.randn(DRAWS, self.mapping.size, generator=torch.Generator().manual_seed(0))
        styles: Tensor = self.mapping(noise.to(self.synthesis.constant))
        return styles.mean(0, keepdim=True)


@register("stylegan", CARD)
class StyleGAN(Model, TwoPlayerGame, MixesStyles):
    """A mapping network and modulated convolutions against the discriminator of a DCGAN; codes are styles w."""

    Parameters = StyleGANParameters
    generator: StyleGenerator

    def __init__(self, shape: Shape, classes: int, parameters: StyleGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        refuse_small(shape, "StyleGAN")
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        self.generator = StyleGenerator(shape, p)
        self.style_levels = self.generator.synthesis.levels
        self.critic = Critic(shape, p.width, batch_norm=p.normalised)
        self.begin()

    @property
    def painter(self) -> StyleGenerator:
        """The generator that samples."""
        return self.drawing  # type: ignore[return-value]

    def training_codes(self, count: int, labels: Tensor | None) -> Tensor:
        """Noise z (count, D), which the generator maps to styles itself."""
        return torch.randn_like(self.generator.synthesis.constant.new_empty(count, self.latent_dim))

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Styles (count, D) of normal noise, pulled to the mean style: `temperature` is the truncation ψ."""
        like = self.generator.synthesis.constant
        styles = self.painter.mapping(normal_like(like.new_empty(count, self.latent_dim), generator))
        return styles if temperature == 1 else self.painter.mean_style().lerp(styles, temperature)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of styles (N, D)."""
        return self.painter.draw(codes)

    def mix_styles(self, coarse: Tensor, fine: Tensor, level: int) -> Tensor:
        """Images (N, C, H, W) with the style of `coarse` (N, D) below `level` and that of `fine` (N, D) from there on."""
        styles = crossed(coarse, fine, torch.tensor([level]), self.style_levels)
        images: Tensor = self.painter.synthesis(styles)
        return images
