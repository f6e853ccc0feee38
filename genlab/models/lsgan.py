"""The least-squares GAN: the discriminator's scores are pulled to targets, and so is the generator's.

References:
    [1] Mao et al., Least Squares Generative Adversarial Networks, 2017.
    [2] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
"""

from __future__ import annotations

from genlab.core.cards import Card, Equation, Scalar
from genlab.core.registry import register
from genlab.nn.convolutional_game import CONVOLUTIONAL_DEPARTURES, ConvolutionalGame
from genlab.nn.game import GAME_SCALARS

CARD = Card(
    title="Least-squares GAN",
    family="adversarial",
    paper="Mao et al., Least Squares Generative Adversarial Networks",
    year=2017,
    link="https://arxiv.org/abs/1611.04076",
    summary=(
        "The discriminator gives each image a score and is fined by the squared distance to a target: b for real "
        "images, a for generated ones. The generator wants the score c. A logarithmic loss is nearly flat for a generated "
        "image on the right side of the boundary, however far from the real ones it lies; the square still pulls it in. "
        "The networks are those of DCGAN, so that the two can be compared."
    ),
    equations=(
        Equation("Discriminator", r"L_D=\tfrac12\mathbb E_x(D(x)-b)^2+\tfrac12\mathbb E_z(D(G(z))-a)^2", "[1] (2)"),
        Equation("Generator", r"L_G=\tfrac12\mathbb E_z(D(G(z))-c)^2", "[1] (2)"),
        Equation("Optimal discriminator", r"D^*(x)=\frac{b\,p_{data}(x)+a\,p_g(x)}{p_{data}(x)+p_g(x)}\;\to\;\tfrac{a+b}2", "[1] (5)"),
        Equation("What the generator then minimises", r"2C(G)=\chi^2_{Pearson}(p_{data}+p_g\,\|\,2p_g)\quad\text{if } b-c=1,\ b-a=2", "[1] (8)"),
    ),
    departures=(
        *CONVOLUTIONAL_DEPARTURES,
        "The targets are a = 0, b = c = 1 as in the paper's experiments; a = −1, b = 1, c = 0, for which the χ² "
        "identity holds, can be set.",
        "The generator moves on the images that were just judged, and samples come from its moving average.",
    ),
    scalars={
        **GAME_SCALARS,
        "loss_discriminator": Scalar("What the discriminator minimises; (b − a)²/4 when it can only guess, which is 0.25 with a = 0 and b = 1", "neither", 0.25),
        "d_real": Scalar("D(x), mean score of real images; it tends to (a + b)/2, which is ½ with a = 0 and b = 1", "neither", 0.5),
        "d_fake": Scalar("D(G(z)), mean score of generated images; it tends to (a + b)/2, which is ½ with a = 0 and b = 1", "neither", 0.5),
    },
    presets={
        "quick": {"epochs": 14, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 40, "batch_size": 64},
        "paper": {"epochs": 100, "batch_size": 64, "width": 64, "latent_dim": 1024, "learning_rate": 1e-3, "critic_learning_rate": 1e-3, "average": 0.0, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


@register("lsgan", CARD, loss="least_squares", lipschitz="gradient_penalty")
class LSGAN(ConvolutionalGame):
    """The players of a DCGAN under the least-squares loss."""
