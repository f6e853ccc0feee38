"""The deep convolutional generative adversarial network: the architecture that made the game stable.

References:
    [1] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
    [2] Goodfellow et al., Generative Adversarial Nets, 2014.
    [3] Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017; Gulrajani et al., Improved Training, 2017.
    [4] Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.
    [5] Yazıcı et al., The Unusual Effectiveness of Averaging in GAN Training, 2019.
"""

from __future__ import annotations

from genlab.core.cards import Card, Equation
from genlab.core.registry import register
from genlab.nn.convolutional_game import CONVOLUTIONAL_DEPARTURES, ConvolutionalGame
from genlab.nn.game import GAME_SCALARS

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
        *CONVOLUTIONAL_DEPARTURES,
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


@register("dcgan", CARD)
class DCGAN(ConvolutionalGame):
    """A convolutional generator and a convolutional discriminator; any of the losses."""
