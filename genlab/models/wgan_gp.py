"""The Wasserstein GAN with gradient penalty: the critic pays for every slope that is not one.

References:
    [1] Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    [2] Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017.
"""

from __future__ import annotations

from genlab.core.cards import Card, Equation, Scalar
from genlab.core.registry import register
from genlab.nn.convolutional_game import CONVOLUTIONAL_DEPARTURES, ConvolutionalGame
from genlab.nn.game import GAME_SCALARS

CARD = Card(
    title="Wasserstein GAN with gradient penalty",
    family="adversarial",
    paper="Gulrajani et al., Improved Training of Wasserstein GANs",
    year=2017,
    link="https://arxiv.org/abs/1704.00028",
    summary=(
        "The Wasserstein GAN needs a critic of slope at most one. Clipping its weights makes it simple-minded; here the "
        "slope itself is measured, at points between real and generated images, and the critic pays for its squared "
        "difference from one. It costs a second derivative, and trains where others collapse. Each image has a penalty of "
        "its own, so that the critic may not normalise over the batch."
    ),
    equations=(
        Equation("Critic", r"L_D=\mathbb E_z\,D(G(z))-\mathbb E_x\,D(x)+\lambda\,\mathbb E_{\hat x}(\|\nabla_{\hat x}D(\hat x)\|_2-1)^2", "[1] (3)"),
        Equation("Where the slope is taken", r"\hat x=\varepsilon x+(1-\varepsilon)G(z),\quad\varepsilon\sim U[0,1]\text{, one for each image}", "[1] Algorithm 1"),
        Equation("Generator", r"L_G=-\mathbb E_z\,D(G(z))", "[1] Algorithm 1"),
        Equation("Why one", r"\|\nabla D^*(\hat x)\|=1\text{ almost everywhere on lines between coupled pairs}", "[1] Proposition 1"),
    ),
    departures=(
        *CONVOLUTIONAL_DEPARTURES,
        "The critic has no normalisation at all; the paper recommends layer normalisation for a critic that needs one.",
        "The first decay of Adam is ½ instead of 0, and quick and default take two moves of the critic for one of the generator.",
        "The generator moves on the images that were just judged, and samples come from its moving average.",
    ),
    scalars={
        **GAME_SCALARS,
        "loss_discriminator": Scalar("What the critic minimises: the distance with a minus sign, plus the penalty", "neither", 0.0),
        "d_real": Scalar("D(x), mean score of real images; only its difference to that of generated images means anything", "neither"),
        "d_fake": Scalar("D(G(z)), mean score of generated images", "neither"),
    },
    presets={
        "quick": {"epochs": 10, "batch_size": 16, "average": 0.99, "critic_steps": 2, "learning_rate": 5e-4, "critic_learning_rate": 1e-3},
        "default": {"epochs": 60, "batch_size": 64, "critic_steps": 2, "learning_rate": 5e-4, "critic_learning_rate": 5e-4, "average": 0.99},
        "paper": {"epochs": 500, "batch_size": 64, "width": 64, "latent_dim": 128, "average": 0.0, "momentum": 0.0, "critic_steps": 5, "learning_rate": 1e-4, "critic_learning_rate": 1e-4, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


@register("wgan_gp", CARD, loss="wasserstein", lipschitz="gradient_penalty")
class WGANGP(ConvolutionalGame):
    """The players of a DCGAN under the Wasserstein loss, the critic's slope held near one."""
