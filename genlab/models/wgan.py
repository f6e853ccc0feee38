"""The Wasserstein GAN: a critic whose weights are clipped estimates a distance, and the generator shortens it.

References:
    [1] Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017.
    [2] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
"""

from __future__ import annotations

from genlab.core.cards import Card, Equation, Scalar
from genlab.core.registry import register
from genlab.nn.convolutional_game import CONVOLUTIONAL_DEPARTURES, ConvolutionalGame
from genlab.nn.game import GAME_SCALARS

CARD = Card(
    title="Wasserstein GAN",
    family="adversarial",
    paper="Arjovsky, Chintala & Bottou, Wasserstein GAN",
    year=2017,
    link="https://arxiv.org/abs/1701.07875",
    summary=(
        "How much earth must be moved, and how far, to turn the generated images into the real ones? A critic that may "
        "not grow steep estimates this distance; it is trained closer to its best before each move of the generator, "
        "which then follows its slope. The distance is finite and has a slope even where the two kinds of images do not "
        "overlap, and it falls as the images improve. Here steepness is bounded in the crudest way: every weight is "
        "clipped to a small box."
    ),
    equations=(
        Equation("Distance (Kantorovich-Rubinstein)", r"W(p_{data},p_g)=\sup_{\|D\|_L\le1}\;\mathbb E_{x}[D(x)]-\mathbb E_{z}[D(G(z))]", "[1] (2)"),
        Equation("Critic", r"L_D=\mathbb E_z\,D(G(z))-\mathbb E_x\,D(x)", "[1] (3)"),
        Equation("Clipping", r"w\leftarrow\mathrm{clip}(w,-c,c)", "[1] Algorithm 1"),
        Equation("Generator", r"L_G=-\mathbb E_z\,D(G(z))", "[1] Theorem 3"),
    ),
    departures=(
        *CONVOLUTIONAL_DEPARTURES,
        "Clipped weights allow some unknown steepness K instead of 1, so that the distance is K times the Wasserstein "
        "distance; the paper says so itself, and calls clipping a terrible way.",
        "The quick and default presets take larger steps than the paper's 5e-5; five moves of the critic for one of the "
        "generator and RMSprop are the paper's.",
        "The paper moves the critic 100 times before each of the first 25 moves of the generator; here it is k times always.",
        "Samples come from the moving average of the generator, which the paper does not have.",
    ),
    scalars={
        **GAME_SCALARS,
        "loss_discriminator": Scalar("E D(G(z)) − E D(x), which the critic minimises: the distance with a minus sign", "neither", 0.0),
        "d_real": Scalar("D(x), mean score of real images; only its difference to that of generated images means anything", "neither"),
        "d_fake": Scalar("D(G(z)), mean score of generated images", "neither"),
    },
    presets={
        "quick": {"epochs": 16, "batch_size": 16, "average": 0.95, "optimiser": "rmsprop", "learning_rate": 1e-3, "critic_learning_rate": 5e-4, "critic_steps": 3, "clip": 0.03},
        "default": {"epochs": 100, "batch_size": 64, "average": 0.99, "optimiser": "rmsprop", "learning_rate": 5e-4, "critic_learning_rate": 2e-4, "critic_steps": 5},
        "paper": {"epochs": 500, "batch_size": 64, "width": 64, "latent_dim": 100, "average": 0.0, "optimiser": "rmsprop", "learning_rate": 5e-5, "critic_learning_rate": 5e-5, "critic_steps": 5, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


@register("wgan", CARD, loss="wasserstein", lipschitz="clipping")
class WGAN(ConvolutionalGame):
    """The players of a DCGAN under the Wasserstein loss, the critic's weights clipped."""
