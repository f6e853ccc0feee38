"""The conditional deep convolutional GAN: a DCGAN whose players are told the class.

References:
    [1] Mirza & Osindero, Conditional Generative Adversarial Nets, 2014.
    [2] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
    [3] Miyato & Koyama, cGANs with Projection Discriminator, 2018.
"""

from __future__ import annotations

from torch import Tensor, nn

from genlab.core.cards import Card, Equation
from genlab.core.model import Model
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.conditional_game import (
    CONDITIONAL_DEPARTURES,
    ConditionalGame,
    ConditionalParameters,
    LabelledGenerator,
)
from genlab.nn.convolutional_game import (
    CONVOLUTIONAL_DEPARTURES,
    ConvolutionalParameters,
    Critic,
    Generator,
    initialise,
    refuse_small,
)
from genlab.nn.game import GAME_SCALARS

CARD = Card(
    title="Conditional DCGAN",
    family="adversarial",
    paper="Mirza & Osindero, Conditional Generative Adversarial Nets; Radford, Metz & Chintala, Deep Convolutional GANs",
    year=2015,
    link="https://arxiv.org/abs/1411.1784",
    summary=(
        "The convolutional players of a DCGAN in a conditional game: the generator gets the class beside the noise, the "
        "discriminator asks whether the image is real and of its class. The class enters the discriminator as a "
        "projection: the features of the image are compared with a vector that stands for the class. Told what to draw, "
        "the generator learns faster and forgets no class. Without labels it is a plain DCGAN."
    ),
    equations=(
        Equation("The game", r"\min_G\max_D\;\mathbb E_{x}[\log D(x|y)]+\mathbb E_{z}[\log(1-D(G(z|y)\,|\,y))]", "[1] (2)"),
        Equation("Code", r"G(z|y)=g([z,e(y)]),\quad z\sim\mathcal N(0,I)", "[1] 3.2"),
        Equation("Projection discriminator", r"\mathrm{logit}\,D(x|y)=\psi(\phi(x))+v(y)^\top\phi(x)", "[3] (3)"),
        Equation("Non-saturating generator", r"L_G=-\mathbb E_z[\log D(G(z|y)\,|\,y)]", "[1] 3.1"),
    ),
    departures=(
        *CONVOLUTIONAL_DEPARTURES,
        *CONDITIONAL_DEPARTURES,
        "[1] puts the label beside the image at the discriminator's input; the projection of [3] costs less and is what "
        "follows from a model of p(y|x) that is linear in features.",
        "The generator moves on the images that were just judged, and samples come from its moving average.",
    ),
    scalars=GAME_SCALARS,
    presets={
        "quick": {"epochs": 12, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 40, "batch_size": 64},
        "paper": {"epochs": 100, "width": 128, "latent_dim": 100, "average": 0.0, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


class CDCGANParameters(ConvolutionalParameters, ConditionalParameters):
    """The game, the convolutions of its players, and the size of what stands for a label."""


class ProjectionCritic(Critic):
    """Images (N, C, H, W) in [0, 1] and labels (N,) to logits ψ(φ(x)) + v(y)ᵀφ(x): (N,)."""

    def __init__(self, shape: Shape, classes: int, width: int, *, batch_norm: bool) -> None:
        super().__init__(shape, width, batch_norm=batch_norm)
        self.labels = nn.Embedding(classes, self.layers.features)
        nn.init.normal_(self.labels.weight, 0.0, 0.02)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """How real each image looks as one of its class, before any activation."""
        features = self.features(images)
        return self.verdict(features) + (self.labels(labels) * features).sum(1)


@register("cdcgan", CARD)
class CDCGAN(Model, ConditionalGame):
    """A convolutional generator and a convolutional discriminator, both told the label."""

    Parameters = CDCGANParameters

    def __init__(self, shape: Shape, classes: int, parameters: CDCGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        refuse_small(shape, "Conditional DCGAN")
        self.p = p = parameters
        self.latent_dim = p.latent_dim + p.label_dim
        network = Generator(shape, p.width, self.latent_dim)
        self.generator = LabelledGenerator(self.kinds, p.label_dim, network)
        self.critic = ProjectionCritic(shape, self.kinds, p.width, batch_norm=p.normalised)
        self.apply(initialise)
        self.begin()
