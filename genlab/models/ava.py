"""Adversarial variational autoencoders: a VAE whose outputs, codes or both are judged by discriminators.

Symbols: x an image, μ(x), Σ(x) the encoder's output, z = μ + Σ^½ r a code, x' = g(z) the decoded image, d the
discriminator of images, D the discriminator of encoder means; weights Θ (encoder), Φ (decoder), Ψ (d), Λ (D).

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, EncodesNormal
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.adversarial import discriminator_loss, generator_loss, judged
from genlab.nn.blocks import mlp
from genlab.nn.likelihoods import squared_error
from genlab.nn.networks import image_decoder, image_features
from genlab.nn.normal import DiagonalNormal, StandardNormalPrior
from genlab.nn.optimisers import adam

JUDGES_IMAGES = (1, 2, 5)
JUDGES_CODES = (3, 4, 5)

SUMMARIES = {
    1: "AVA1 is the plain one: a discriminator d judges images, and the decoder is paid for fooling it.",
    2: "AVA2 lets the discriminator lean towards the decoder by a term −½‖x − x'‖² in its balance function. That term "
    "does not depend on the discriminator's weights, so that with exact gradients AVA2 is AVA1.",
    3: "AVA3 judges codes instead of images: an encoding discriminator D tells the mean of a real image from the mean "
    "of a decoded one, and the encoder is paid for fooling it.",
    4: "AVA4 lets that discriminator lean towards the encoder by a term −½‖μ(x) − μ(x')‖². That term does not depend on "
    "the discriminator's weights, so that with exact gradients AVA4 is AVA3.",
    5: "AVA5 has it all: a discriminator of images, one of codes, and both leaning terms (which move nothing when "
    "gradients are exact).",
}
KL = Equation("Divergence", r"\mathrm{KL}=\tfrac12\sum_j(\mu_j^2+\Sigma_j-1-\log\Sigma_j)", "[1] (1)")
CODE = Equation("Random code", r"z=\mu(x)+\Sigma(x)^{1/2}r,\quad r\sim\mathcal N(0,I)", "[1] (8)")
LOSS = Equation("Loss with d", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-d(x'))", "[1] (3)")
BALANCE = Equation("Balance of images", r"b=\log d(x)+\log(1-d(x'))", "[1] (4)")
LEAN = Equation("Leaning decoder", r"b=\log d(x)+\log(1-d(x'))-\tfrac12\|x-x'\|^2", "[1] (9)")
CODE_BALANCE = Equation("Balance of codes", r"B=\log D(\mu(x))+\log(1-D(\mu(x')))", "[1] (11)")
CODE_LOSS = Equation("Loss with D", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-D(\mu(x')))", "[1] (12) without d")
BOTH_LOSS = Equation(
    "Loss with d and D", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-d(x'))+\log(1-D(\mu(x')))", "[1] (12)"
)
CODE_LEAN = Equation("Leaning encoder", r"B=\log D(\mu(x))+\log(1-D(\mu(x')))-\tfrac12\|\mu(x)-\mu(x')\|^2", "[1] (15)")
EQUATIONS = {
    1: (LOSS, BALANCE, KL, CODE),
    2: (LOSS, LEAN, KL, CODE),
    3: (CODE_LOSS, CODE_BALANCE, KL, CODE),
    4: (CODE_LOSS, CODE_LEAN, KL, CODE),
    5: (BOTH_LOSS, LEAN, CODE_LEAN, KL, CODE),
}
DEPARTURES = (
    "Gradients are exact. The printed gradient of the divergence, (μ − ½Σ⁻¹ + ½I)a', adds what belongs to μ and what "
    "belongs to Σ; right is ∂μ = μ and ∂Σ = ½(I − Σ⁻¹).",
    "The printed updates (6) and (10) assume that all weights between two networks are 1 and use one activation's "
    "derivative for the real and the generated term; here the error passes through the real weights.",
    "Equations (14) and (16) write D(x'), though D judges means: D(μ(x')) is used, as in (11).",
    "Mode `standard` lets the reconstruction reach the encoder, as in any VAE. The paper says that ½‖x − x'‖² depends "
    "on the decoder alone; mode `paper` follows it, and then nothing makes the code tell anything about the image: the "
    "divergence falls to 0 and all reconstructions are alike (posterior collapse).",
    "Adam and batches instead of plain gradient descent on one image at a time; one hidden layer of chosen width.",
)
SCALARS = {
    "loss": Scalar("l, equation (3) or (12), nats an image; the discriminators move it too, so it need not fall", "neither"),
    "reconstruction": Scalar("½‖x − x'‖² an image"),
    "kl": Scalar("KL(N(μ, Σ) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
    "loss_encoder": Scalar("What the encoder minimises: KL, ½‖x − x'‖² in mode `standard`, and log(1 − D(μ(x'))) where codes are judged"),
    "loss_decoder": Scalar("What the decoder minimises: ½‖x − x'‖², and log(1 − d(x')) where images are judged"),
    "loss_discriminator": Scalar("−log d(x) − log(1 − d(x')); log 4 = 1.386 when d can only guess", "neither"),
    "loss_encoding_discriminator": Scalar("−log D(μ(x)) − log(1 − D(μ(x'))); log 4 = 1.386 when D can only guess", "neither"),
    "d_real": Scalar("d(x), mean probability over real images; ½ when d can only guess", "neither"),
    "d_fake": Scalar("d(x'), mean probability over decoded images; ½ when d can only guess", "neither"),
    "code_d_real": Scalar("D(μ(x)), mean probability over means of real images", "neither"),
    "code_d_fake": Scalar("D(μ(x')), mean probability over means of decoded images", "neither"),
}  # fmt: skip


def card(variant: int) -> Card:
    """The card of AVA1 to AVA5."""
    used = {"loss", "reconstruction", "kl", "loss_encoder", "loss_decoder"}
    used |= {"loss_discriminator", "d_real", "d_fake"} if variant in JUDGES_IMAGES else set()
    used |= {"loss_encoding_discriminator", "code_d_real", "code_d_fake"} if variant in JUDGES_CODES else set()
    return Card(
        title=f"AVA{variant}: adversarial variational autoencoder",
        family="hybrid",
        paper="Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model",
        year=2024,
        link="https://doi.org/10.5772/acrt.20240003",
        summary=(
            "An encoder and a decoder as in a VAE, and a critic as in a GAN, all moving at once, each on its own loss: "
            "the VAE gives codes, the discriminator says how believable the result is. " + SUMMARIES[variant]
        ),
        equations=EQUATIONS[variant],
        departures=DEPARTURES,
        scalars={name: meaning for name, meaning in SCALARS.items() if name in used},
        presets={
            "quick": {"epochs": 15, "batch_size": 64},
            "default": {"epochs": 60, "batch_size": 64},
            "paper": {
                "mode": "paper", "epochs": 1, "batch_size": 1, "latent_dim": 10, "hidden": 100,
                "critic_hidden": 100, "architecture": "mlp",
            },
        },
    )  # fmt: skip


class AVAParameters(Parameters):
    """Variant, networks and mode of an adversarial variational autoencoder."""

    variant: int = parameter(1, "Which of the five.", minimum=1, maximum=5)
    mode: Literal["standard", "paper"] = parameter(
        "standard",
        "Whether the reconstruction reaches the encoder (standard), or KL alone does (paper: codes collapse).",
    )
    architecture: Literal["mlp", "conv"] = parameter(
        "mlp", "One dense hidden layer, or convolutions for larger images."
    )
    latent_dim: int = parameter(16, "Dimensions of the code z.", minimum=1, maximum=1024, symbol="n")
    hidden: int = parameter(400, "Units of the hidden layer of encoder and decoder.", minimum=4, maximum=4096)
    critic_hidden: int = parameter(200, "Units of the hidden layer of each discriminator.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    learning_rate: float = parameter(
        1e-3, "Step size of Adam for encoder and decoder.", minimum=1e-6, maximum=1, log=True, symbol=r"\gamma"
    )
    critic_learning_rate: float = parameter(
        2e-4, "Step size of Adam for the discriminators.", minimum=1e-6, maximum=1, log=True
    )


@register("ava1", card(1), variant=1)
@register("ava2", card(2), variant=2)
@register("ava3", card(3), variant=3)
@register("ava4", card(4), variant=4)
@register("ava5", card(5), variant=5)
class AVA(Model, Descends, EncodesNormal, StandardNormalPrior):
    """Encoder, decoder, and one or two discriminators, each moving on its own loss at the same time."""

    Parameters = AVAParameters

    def __init__(self, shape: Shape, classes: int, parameters: AVAParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        features, count = image_features(p.architecture, shape, p.hidden, p.width)
        self.encoder = nn.Sequential(features, nn.Linear(count, 2 * p.latent_dim))
        self.decoder = image_decoder(p.architecture, shape, p.latent_dim, p.hidden, p.width)
        self.critics = nn.ModuleDict()
        if p.variant in JUDGES_IMAGES:
            features, count = image_features(p.architecture, shape, p.critic_hidden, p.width, slope=0.2)
            self.critics["discriminator"] = nn.Sequential(features, nn.Linear(count, 1))
        if p.variant in JUDGES_CODES:
            layers = mlp([p.latent_dim, p.critic_hidden], slope=0.2), nn.Linear(p.critic_hidden, 1)
            self.critics["encoding_discriminator"] = nn.Sequential(*layers)

    def encode(self, images: Tensor) -> DiagonalNormal:
        """μ(x) and log Σ(x), (N, latent_dim) each."""
        return DiagonalNormal(*self.encoder(images).chunk(2, dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        """g(z): images (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(codes))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Encoder Θ, decoder Φ, and the discriminators Ψ and Λ that the variant has."""
        p = self.p
        generative = {"encoder": self.encoder, "decoder": self.decoder}
        players = {name: adam(net.parameters(), p.learning_rate) for name, net in generative.items()}
        for name, critic in self.critics.items():
            players[name] = adam(critic.parameters(), p.critic_learning_rate, betas=(0.5, 0.999))
        return players

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """All players differentiate their own loss of one forward pass, then all of them move."""
        losses, logged = self.objectives(batch.images)
        minimise(**losses)
        return logged

    def objectives(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What each player minimises, averaged over the batch, and what is logged.

        Each loss is differentiated with respect to its own player's weights alone, so that one x' serves
        decoder and discriminator. The one stop-gradient is sg x' before it is encoded again: the encoder is
        paid for the mean it gives to x', not for having chosen x'.
        """
        posterior = self.encode(images)
        decoded = self.decode(posterior.sample())
        reconstruction = 0.5 * squared_error(decoded, images).mean()
        kl = posterior.kl().sum(1).mean()
        losses = {"encoder": kl + reconstruction if self.p.mode == "standard" else kl, "decoder": reconstruction}
        logged = {"reconstruction": reconstruction.detach(), "kl": kl.detach()}
        fooling = torch.zeros_like(kl)
        if "discriminator" in self.critics:
            fooled, losses["discriminator"], seen = self.judge("discriminator", images, decoded)
            losses["decoder"] = losses["decoder"] + fooled
            logged |= {"d_real": seen[0], "d_fake": seen[1]}
            fooling = fooling + fooled.detach()
        if "encoding_discriminator" in self.critics:
            again = self.encode(decoded.detach()).mean
            fooled, losses["encoding_discriminator"], seen = self.judge("encoding_discriminator", posterior.mean, again)
            losses["encoder"] = losses["encoder"] + fooled
            logged |= {"code_d_real": seen[0], "code_d_fake": seen[1]}
            fooling = fooling + fooled.detach()
        return losses, {**logged, "loss": logged["reconstruction"] + logged["kl"] + fooling}

    def judge(self, name: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """For d or D: log(1 − d(fake)), −log d(real) − log(1 − d(fake)), and the mean of d on real and on fake."""
        on_real, on_fake = self.critics[name](real), self.critics[name](fake)
        seen = judged("minimax", on_real), judged("minimax", on_fake)
        return generator_loss("minimax", on_fake), discriminator_loss("minimax", on_real, on_fake), seen

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same terms on held-out images, with one random code each."""
        return self.objectives(batch.images)[1]
