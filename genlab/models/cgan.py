"""The conditional generative adversarial network: both players are told the class.

min_G max_D V(D, G) = E_x[log D(x|y)] + E_z[log(1 − D(G(z|y)|y))].

References:
    [1] Mirza & Osindero, Conditional Generative Adversarial Nets, 2014.
    [2] Goodfellow et al., Generative Adversarial Nets, 2014.
"""

from __future__ import annotations

import torch
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
from genlab.nn.dense_game import DenseParameters, dense_critic, dense_generator
from genlab.nn.game import GAME_SCALARS

CARD = Card(
    title="Conditional GAN",
    family="adversarial",
    paper="Mirza & Osindero, Conditional Generative Adversarial Nets",
    year=2014,
    link="https://arxiv.org/abs/1411.1784",
    summary=(
        "A GAN draws what it likes; this one draws what it is asked for. The class is given to the generator beside the "
        "noise, and to the discriminator beside the image, so that a fine image of the wrong class is caught too. One "
        "noise with every label in turn shows what noise means here: the style of the image, whatever its class. It needs "
        "labelled images; without labels it is a plain GAN."
    ),
    equations=(
        Equation("The game", r"\min_G\max_D V(D,G)=\mathbb E_{x}[\log D(x|y)]+\mathbb E_{z}[\log(1-D(G(z|y)\,|\,y))]", "[1] (2)"),
        Equation("Code", r"G(z|y)=g([z,e(y)]),\quad z\sim\mathcal N(0,I)", "[1] 3.2"),
        Equation("Discriminator", r"D(x|y)=\sigma(f([x,e_D(y)]))", "[1] 3.2"),
        Equation("Non-saturating generator", r"L_G=-\mathbb E_z[\log D(G(z|y)\,|\,y)]", "[2] 3"),
    ),
    departures=(
        *CONDITIONAL_DEPARTURES,
        "A label enters as a learned vector; the paper sends a one-hot vector through a hidden layer of its own.",
        "Leaky ReLU, batch normalisation in the generator and Adam instead of ReLU, maxout and momentum; the "
        "non-saturating loss instead of minimax, which is an option.",
        "The paper's networks (200 and 1,000 units beside one another, maxout of 240) are not repeated unit by unit.",
    ),
    scalars=GAME_SCALARS,
    presets={
        "quick": {"epochs": 20, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 60, "batch_size": 64, "average": 0.999},
        "paper": {"epochs": 200, "batch_size": 100, "loss": "minimax", "latent_dim": 100, "hidden": 600, "critic_hidden": 240, "dropout": 0.5},
    },
)  # fmt: skip


class CGANParameters(DenseParameters, ConditionalParameters):
    """The game, the dense layers of its players, and the size of what stands for a label."""


class LabelledCritic(nn.Module):
    """Images (N, C, H, W) and labels (N,) to logits (N,): the label's vector stands beside the pixels."""

    def __init__(self, shape: Shape, classes: int, p: CGANParameters) -> None:
        super().__init__()
        self.labels = nn.Embedding(classes, p.label_dim)
        self.layers = dense_critic(shape.values + p.label_dim, p)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """How real each image looks as one of its class, before any activation."""
        pixels = images.flatten(1)
        logits: Tensor = self.layers(torch.cat([pixels, self.labels(labels).to(pixels)], dim=1))
        return logits.squeeze(1)


@register("cgan", CARD)
class CGAN(Model, ConditionalGame):
    """A dense generator and a dense discriminator, both told the label."""

    Parameters = CGANParameters

    def __init__(self, shape: Shape, classes: int, parameters: CGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.latent_dim = p.latent_dim + p.label_dim
        network = dense_generator(shape, self.latent_dim, p)
        self.generator = LabelledGenerator(self.kinds, p.label_dim, network)
        self.critic = LabelledCritic(shape, self.kinds, p)
        self.begin()
