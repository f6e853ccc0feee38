"""The generative adversarial network: a generator learns from a discriminator that learns to catch it.

min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 − D(G(z)))].

References:
    [1] Goodfellow et al., Generative Adversarial Nets, 2014 (the game, Algorithm 1, the optimal discriminator).
    [2] Mao et al., Least Squares Generative Adversarial Networks, 2017.
    [3] Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017 (weight clipping).
    [4] Gulrajani et al., Improved Training of Wasserstein GANs, 2017 (gradient penalty).
    [5] Lim & Ye, Geometric GAN, 2017 (hinge).
"""

from __future__ import annotations

from torch import nn

from genlab.core.cards import Card, Equation
from genlab.core.model import Model
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.dense_game import DenseParameters, dense_critic, dense_generator
from genlab.nn.game import GAME_SCALARS, TwoPlayerGame

CARD = Card(
    title="Generative adversarial network",
    family="adversarial",
    paper="Goodfellow et al., Generative Adversarial Nets",
    year=2014,
    link="https://arxiv.org/abs/1406.2661",
    summary=(
        "Two networks play a game. The generator turns random noise into images; the discriminator is shown "
        "real and generated images and says which are real. Each learns from the other's successes. At the "
        "optimum the generated images are distributed like the real ones and the discriminator can only guess: "
        "D = ½ everywhere. There is no likelihood and no encoder, and the generator may forget whole kinds of "
        "images (mode collapse): look at many samples, not at the losses."
    ),
    equations=(
        Equation("The game", r"\min_G\max_D V(D,G)=\mathbb E_{x}[\log D(x)]+\mathbb E_{z}[\log(1-D(G(z)))]", "[1] (1)"),
        Equation("Optimal discriminator", r"D^*_G(x)=\frac{p_{data}(x)}{p_{data}(x)+p_g(x)}\;\to\;\tfrac12", "[1] (2)"),
        Equation("Value at the optimal discriminator", r"V(D^*_G,G)=-\log4+2\,\mathrm{JSD}(p_{data}\,\|\,p_g)\;\ge\;-\log 4=-1.386", "[1] (6)"),
        Equation("Non-saturating generator", r"L_G=-\mathbb E_z[\log D(G(z))]", "[1] 3"),
        Equation("Least squares", r"L_D=\tfrac12\mathbb E(D(x)-b)^2+\tfrac12\mathbb E(D(G(z))-a)^2,\quad L_G=\tfrac12\mathbb E(D(G(z))-c)^2", "[2] (2)"),
        Equation("Wasserstein", r"L_D=\mathbb E\,D(G(z))-\mathbb E\,D(x),\quad L_G=-\mathbb E\,D(G(z)),\quad \|D\|_{L}\le1", "[3] (2)"),
        Equation("Gradient penalty", r"\lambda\,\mathbb E_{\hat x}(\|\nabla_{\hat x}D(\hat x)\|_2-1)^2,\quad \hat x=\varepsilon x+(1-\varepsilon)G(z)", "[4] (3)"),
        Equation("Hinge", r"L_D=\mathbb E\max(0,1-D(x))+\mathbb E\max(0,1+D(G(z))),\quad L_G=-\mathbb E\,D(G(z))", "[5]"),
    ),
    departures=(
        "The default is the non-saturating loss that the paper itself recommends in practice; minimax is an option.",
        "D(x) tends to 1 on real images, as the objective demands. Accounts that label real images D ≈ 0, or let the "
        "discriminator minimise V, contradict it.",
        "The non-saturating loss is −E log D(G(z)) because it is minimised; without its minus sign the generator "
        "would learn to be caught.",
        "A Wasserstein loss is only one for a Lipschitz critic, so that the constraint cannot be switched off here.",
        "Adam with β₁ = 0.5, leaky ReLU and batch normalisation in the generator instead of momentum, maxout and dropout.",
    ),
    scalars=GAME_SCALARS,
    presets={
        "quick": {"epochs": 20, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 60, "batch_size": 64},
        "paper": {"epochs": 200, "batch_size": 100, "loss": "minimax", "batch_norm": False, "latent_dim": 100},
    },
)  # fmt: skip


@register("gan", CARD)
class GAN(Model, TwoPlayerGame):
    """A dense generator and a dense discriminator."""

    Parameters = DenseParameters

    def __init__(self, shape: Shape, classes: int, parameters: DenseParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        self.generator = dense_generator(shape, p.latent_dim, p)
        self.critic = nn.Sequential(nn.Flatten(), *dense_critic(shape.values, p), nn.Flatten(0))
        self.begin()
