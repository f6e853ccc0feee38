"""The VAE-GAN: a VAE whose decoder must also convince a discriminator.

References:
    [1] Mandalapu, VAE-GAN: Identifying VAE-GAN Model for Latent Representation Learning (pseudo-code, batch
        normalisation, denoising).
    [2] Larsen et al., Autoencoding beyond Pixels Using a Learned Similarity Metric, 2016 (feature-wise reconstruction).
    [3] Goodfellow et al., Generative Adversarial Nets, 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.adversarial import discriminator_loss, generator_loss, judged
from genlab.nn.importance import NormalLatent
from genlab.nn.likelihoods import Corruption, bernoulli_log_likelihood, corrupt
from genlab.nn.networks import Architecture, image_decoder, image_features
from genlab.nn.normal import DiagonalNormal
from genlab.nn.optimisers import adam

CARD = Card(
    title="VAE-GAN",
    family="hybrid",
    paper="Mandalapu, VAE-GAN: Identifying VAE-GAN Model for Latent Representation Learning; Larsen et al., Autoencoding beyond Pixels",
    year=2016,
    link="https://arxiv.org/abs/1512.09300",
    summary=(
        "A VAE rebuilds images but blurs them, because an average offends the fewest pixels. Here a discriminator looks "
        "at what the decoder makes, and the decoder is paid for convincing it, which sharpens the images. Encoder, "
        "decoder and discriminator move at the same time, each on its own loss. With the feature-wise option, "
        "likeness is measured by what the discriminator sees instead of pixel by pixel."
    ),
    equations=(
        Equation("Encoder", r"L_{enc}=R+\beta\,\mathrm{KL}(q(z|x)\,\|\,\mathcal N(0,I))", "[1] 2.2.1, [2] (5)"),
        Equation("Decoder", r"L_{dec}=R-w\,\mathbb E\log D(x')", "[2] (8), [3] 3"),
        Equation("Discriminator", r"L_{dis}=-\mathbb E\log D(x)-\mathbb E\log(1-D(x'))", "[1] 2.3.1"),
        Equation("Reconstruction by pixels", r"R=-\sum_i x_i\log x'_i+(1-x_i)\log(1-x'_i)", "[1] 2.2.1"),
        Equation("Reconstruction by features", r"R=\tfrac12\,\|f(x)-f(x')\|^2,\quad f\text{ the discriminator's hidden layer}", "[2] (7)"),
        Equation("Reparameterisation", r"z=\mu(x)+\sigma(x)\odot\varepsilon,\quad\varepsilon\sim\mathcal N(0,I)", "[1] 3.3"),
    ),
    departures=(
        "[1] prints the loss as E log p(x|z) + KL and the cross-entropy without its minus sign; minimising either would "
        "spoil the reconstruction. Both signs are set right.",
        "The pseudo-code of [1] takes std = √(exp(logvar)/2), its listing exp(½ logvar); the latter is σ.",
        "The pseudo-code normalises μ and log σ² over the batch. Then a code depends on the other images of its batch, so "
        "that this is off; an option, labelled as the paper's, turns it on.",
        "Hidden layers are d² wide, as in [1], up to a limit: at d = 500 they alone would hold 767 million weights.",
        "In the listing of [1] a network and the method that applies it all but share a name (discriminator, discriminate), "
        "and codes are drawn while training alone; here bounds and held-out terms draw them too.",
        "[1] never says whether the adversarial loss moves the decoder, nor with which weight; here it does, with w per "
        "image, and w = 0 gives the plain VAE. Its discriminator ends in a sigmoid; ours gives logits.",
        "The discriminator has no batch normalisation: it would judge an image by its neighbours.",
        "The paper's denoising noise is not stated; zeroing each pixel with probability ½ fits its figures.",
        "The decoder's adversarial loss is the non-saturating −log D(x'); [2] writes log(1 − D).",
    ),
    scalars={
        "loss": Scalar("R + β·KL − w·log D(x'), nats an image; the discriminator moves it too, so that it need not fall", "neither"),
        "reconstruction": Scalar("R an image: nats by pixels, half a squared distance by features"),
        "kl": Scalar("KL(q(z|x) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
        "loss_encoder": Scalar("R + β·KL, nats an image"),
        "loss_decoder": Scalar("R − w·log D(x')"),
        "loss_discriminator": Scalar("−log D(x) − log(1 − D(x')); log 4 = 1.386 when it can only guess", "neither"),
        "d_real": Scalar("D(x), mean probability over real images; ½ when it can only guess", "neither"),
        "d_fake": Scalar("D(x'), mean probability over decoded images; ½ when it can only guess", "neither"),
        "reconstruction_at_mean": Scalar("−log p(x|z) of clean held-out images with z = μ, nats an image: what the paper calls test loss, less its KL"),
    },
    presets={
        "quick": {"epochs": 15, "batch_size": 64},
        "default": {"epochs": 60, "batch_size": 64},
        "paper": {"epochs": 10, "batch_size": 2000, "architecture": "mlp", "batch_norm": True, "normalise_codes": True, "learning_rate": 1e-3},
    },
)  # fmt: skip


class VAEGANParameters(Parameters):
    """Networks, losses and noise of a VAE-GAN."""

    architecture: Architecture = parameter("mlp", "One dense hidden layer, or convolutions for larger images.")
    latent_dim: int = parameter(
        20, "Dimensions d of the code; the dense hidden layers have d² units.", minimum=1, maximum=1024, symbol="d"
    )
    hidden_limit: int = parameter(
        2500, "Most units of those layers; without it, d = 500 would need 767 million weights.",
        minimum=4, maximum=10_000, advanced=True,
    )  # fmt: skip
    critic_hidden: int = parameter(256, "Units of the discriminator's hidden layer.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    reconstruction: Literal["pixels", "features"] = parameter(
        "pixels", "What is compared: pixels, or the discriminator's hidden layer (Larsen et al.)."
    )
    adversarial_weight: float = parameter(
        1.0, "Weight of the adversarial loss in the decoder's.", minimum=0, maximum=1000, symbol="w"
    )
    beta: float = parameter(1.0, "Weight of the KL in the encoder's loss.", minimum=0, maximum=100, symbol=r"\beta")
    batch_norm: bool = parameter(True, "Batch normalisation in encoder and decoder.")
    dropout: float = parameter(
        0.0, "Part of the hidden units of encoder and decoder switched off while training.", minimum=0, maximum=0.95
    )
    normalise_codes: bool = parameter(
        False, "Batch normalisation of mean and log-variance too (the paper's; codes then depend on the batch).", advanced=True
    )  # fmt: skip
    corruption: Corruption = parameter("none", "Noise on the encoder's input; the target stays clean (denoising).")
    corruption_amount: float = parameter(0.5, "Strength of that noise.", minimum=0, maximum=1)
    critic_steps: int = parameter(
        1, "Moves of the discriminator for each move of encoder and decoder.", minimum=1, maximum=100, symbol="k"
    )
    learning_rate: float = parameter(
        1e-3, "Step size of Adam for encoder and decoder.", minimum=1e-6, maximum=1, log=True
    )
    critic_learning_rate: float = parameter(
        2e-4, "Step size of Adam for the discriminator.", minimum=1e-6, maximum=1, log=True
    )


@register("vae_gan", CARD)
class VAEGAN(Model, Descends, NormalLatent):
    """Encoder, decoder and discriminator, moving at the same time."""

    Parameters = VAEGANParameters
    pixel_measure = "bernoulli"

    def __init__(self, shape: Shape, classes: int, parameters: VAEGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        d = self.latent_dim = p.latent_dim
        hidden = min(d * d, p.hidden_limit)
        between: dict[str, Any] = {"batch_norm": p.batch_norm, "dropout": p.dropout}
        features, count = image_features(p.architecture, shape, hidden, p.width, **between)
        self.encoder = nn.Sequential(features, nn.Linear(count, 2 * d))
        if p.normalise_codes:
            self.encoder.append(nn.BatchNorm1d(2 * d))
        self.decoder = image_decoder(p.architecture, shape, d, hidden, p.width, **between)
        self.features, count = image_features(p.architecture, shape, p.critic_hidden, p.width, slope=0.2)
        self.verdict = nn.Linear(count, 1)

    def encode(self, images: Tensor) -> DiagonalNormal:
        """q(z|x): mean and log-variance, (N, latent_dim) each."""
        return DiagonalNormal(*self.encoder(images).chunk(2, dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, latent_dim)."""
        return torch.sigmoid(self.decoder(codes))

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """−log p(x|z) by pixels, whatever was trained, in nats an image (N,)."""
        return -bernoulli_log_likelihood(self.decoder(codes), images)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Encoder, decoder and discriminator."""
        p = self.p
        critic = [*self.features.parameters(), *self.verdict.parameters()]
        return {
            "encoder": adam(self.encoder.parameters(), p.learning_rate),
            "decoder": adam(self.decoder.parameters(), p.learning_rate),
            "discriminator": adam(critic, p.critic_learning_rate, betas=(0.5, 0.999)),
        }

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """All players differentiate their own loss of one forward pass, then all move; all but D in every k-th step only."""
        losses, logged = self.objectives(batch.images)
        moves = (step.index + 1) % self.p.critic_steps == 0
        minimise(**{name: loss for name, loss in losses.items() if moves or name == "discriminator"})
        return {**{f"loss_{name}": loss.detach() for name, loss in losses.items()}, **logged}

    def objectives(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What each player minimises, averaged over the batch, and what is logged.

        Each loss is differentiated with respect to its own player's weights alone: D(x') is computed once and
        serves the decoder (through x') and the discriminator (through its weights) without any stop-gradient.
        """
        p = self.p
        posterior = self.encode(corrupt(images, p.corruption, p.corruption_amount))
        logits = self.decoder(posterior.sample())
        seen, seen_decoded = self.features(images), self.features(torch.sigmoid(logits))
        real, fake = self.verdict(seen), self.verdict(seen_decoded)
        if p.reconstruction == "features":
            reconstruction = 0.5 * (seen - seen_decoded).square().sum(1).mean()
        else:
            reconstruction = -bernoulli_log_likelihood(logits, images).mean()
        kl = posterior.kl().sum(1).mean()
        fooling = p.adversarial_weight * generator_loss("non_saturating", fake)
        losses = {
            "encoder": reconstruction + p.beta * kl,
            "decoder": reconstruction + fooling,
            "discriminator": discriminator_loss("non_saturating", real, fake),
        }
        logged = {"reconstruction": reconstruction.detach(), "kl": kl.detach()}
        logged |= {"d_real": judged("non_saturating", real), "d_fake": judged("non_saturating", fake)}
        return losses, {**logged, "loss": losses["encoder"].detach() + fooling.detach()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same terms on held-out images, with one random code each, and R of clean images with z = μ."""
        at_mean = self.negative_log_likelihood(self.encode(batch.images).mean, batch.images).mean()
        return {**self.objectives(batch.images)[1], "reconstruction_at_mean": at_mean}
