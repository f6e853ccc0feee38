"""Adversarial variational autoencoders: a VAE whose outputs, codes or both are judged by discriminators.

Symbols: x an image, μ(x), Σ(x) the encoder's output, z = μ + Σ^½ r a code, x' = g(z) the decoded image, d the
discriminator of images, D the discriminator of encoder means; weights Θ (encoder), Φ (decoder), Ψ (d), Λ (D).

What each variant is made of stands in `genlab.nn.ava_card`. Three rules move the weights: exact gradients, the paper's
printed updates (`genlab.nn.ava_printed`), and those of its authors' program (`genlab.nn.ava_authors`); that is why this file
is longer than most models.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn import ava_authors, ava_printed
from genlab.nn.adversarial import discriminator_loss, generator_loss, judged
from genlab.nn.ava_card import FOOLERS, JUDGES, LEANS, card
from genlab.nn.ava_printed import Judged
from genlab.nn.blocks import mlp
from genlab.nn.importance import NormalLatent
from genlab.nn.likelihoods import gaussian_log_likelihood, squared_error
from genlab.nn.networks import Architecture, image_decoder, image_features
from genlab.nn.normal import DiagonalNormal
from genlab.nn.optimisers import SGD, adam


class AVAParameters(Parameters):
    """Variant, networks, rule and mode of an adversarial variational autoencoder."""

    variant: int = parameter(1, "Which of the five.", minimum=1, maximum=5)
    rule: Literal["autograd", "printed", "authors"] = parameter(
        "autograd", "How weights move: by exact gradients, by the paper's equations, or as its authors' program does."
    )
    mode: Literal["standard", "paper"] = parameter(
        "standard",
        "With rule autograd: whether the reconstruction reaches the encoder, or KL alone does (paper: codes collapse).",
    )
    architecture: Architecture = parameter("mlp", "One dense hidden layer, or convolutions for larger images.")
    latent_dim: int = parameter(
        16, "Dimensions of the code z; with rule authors, of each channel's.", minimum=1, maximum=1024, symbol="n"
    )
    hidden: int = parameter(400, "Units of the hidden layer of encoder and decoder.", minimum=4, maximum=4096)
    critic_hidden: int = parameter(200, "Units of the hidden layer of each discriminator.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    learning_rate: float = parameter(
        1e-3, "Rule autograd: step size of Adam for encoder and decoder.", minimum=1e-6, maximum=1, log=True
    )
    critic_learning_rate: float = parameter(
        2e-4, "Rule autograd: step size of Adam for the discriminators.", minimum=1e-6, maximum=1, log=True
    )
    rate: float = parameter(
        0.01, "Rules printed and authors: step size of plain gradient descent; the paper tries 0.01 to 1.",
        minimum=1e-6, maximum=1, log=True, symbol=r"\gamma",
    )  # fmt: skip


class Played(NamedTuple):
    """One forward pass of all players: R = ½‖x − x'‖² and KL, means over images, and what each discriminator saw."""

    reconstruction: Tensor
    kl: Tensor
    judged: dict[str, Judged]


@register("ava1", card("ava1"), variant=1)
@register("ava2", card("ava2"), variant=2)
@register("ava3", card("ava3"), variant=3)
@register("ava4", card("ava4"), variant=4)
@register("ava5", card("ava5"), variant=5)
class AVA(Model, Descends, NormalLatent):
    """Encoder, decoder, and one or two discriminators, each moving on its own loss at the same time."""

    Parameters = AVAParameters
    last: Tensor
    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, shape: Shape, classes: int, parameters: AVAParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.name = f"ava{p.variant}"
        self.latent_dim = p.latent_dim
        self.critics = nn.ModuleDict()
        if p.rule == "authors":
            self.build_as_the_authors()
            return
        features, count = image_features(p.architecture, self.shape, p.hidden, p.width)
        self.encoder = nn.Sequential(features, nn.Linear(count, 2 * p.latent_dim))
        self.decoder = image_decoder(p.architecture, self.shape, p.latent_dim, p.hidden, p.width)
        if self.name in JUDGES["discriminator"]:
            features, count = image_features(p.architecture, self.shape, p.critic_hidden, p.width, slope=0.2)
            self.critics["discriminator"] = nn.Sequential(features, nn.Linear(count, 1))
        if self.name in JUDGES["encoding_discriminator"]:
            layers = mlp([p.latent_dim, p.critic_hidden], slope=0.2), nn.Linear(p.critic_hidden, 1)
            self.critics["encoding_discriminator"] = nn.Sequential(*layers)

    def build_as_the_authors(self) -> None:
        """One dense network for each channel; `last` holds μ and log Σ as the encoder last gave them."""
        p = self.p
        if p.architecture != "mlp":
            raise BadInputError("Rule 'authors' has dense networks alone; choose architecture 'mlp' with it.")
        self.latent_dim = self.shape.channels * p.latent_dim
        self.nets = ava_authors.networks(
            self.name, (self.shape.channels,), self.shape.pixels, p.latent_dim, p.hidden, p.critic_hidden
        )
        self.encoder = ava_authors.ChannelEncoder(self.nets["encoder"])
        self.decoder = ava_authors.ChannelDecoder(self.nets["decoder"], self.shape)
        for critic in (name for name in self.nets if name in JUDGES):
            self.critics[critic] = ava_authors.PerChannel(self.nets[critic])
        self.register_buffer("last", torch.zeros(2, self.latent_dim))

    def encode(self, images: Tensor) -> DiagonalNormal:
        """μ(x) and log Σ(x), (N, latent_dim) each."""
        return DiagonalNormal(*self.encoder(images).chunk(2, dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        """g(z): images (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(codes))

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """½‖x − x'‖² + ½ log 2π for each value: a normal of variance 1, in nats an image (N,)."""
        return -gaussian_log_likelihood(self.decode(codes), images)

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Codes from N(0, I); with rule `authors` around the last encoded μ and Σ, all channels with the same noise."""
        noise = super().sample_prior(count, temperature=temperature, generator=generator)
        if self.p.rule != "authors":
            return noise
        mean, log_var = self.last[0], self.last[1]
        return mean + torch.exp(0.5 * log_var) * noise[:, : self.p.latent_dim].repeat(1, self.shape.channels)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Encoder Θ, decoder Φ, and the discriminators Ψ and Λ that the variant has."""
        p, generative = self.p, {"encoder": self.encoder, "decoder": self.decoder}
        if p.rule != "autograd":
            everyone = {**generative, **self.critics}
            return {name: SGD(net.parameters(), lr=p.rate) for name, net in everyone.items()}
        players = {name: adam(net.parameters(), p.learning_rate) for name, net in generative.items()}
        for name, critic in self.critics.items():
            players[name] = adam(critic.parameters(), p.critic_learning_rate, betas=(0.5, 0.999))
        return players

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """All players differentiate their own loss of one forward pass, then all of them move."""
        if self.p.rule == "authors":
            return self.authors_step(batch.images, minimise)
        played = self.play(batch.images)
        losses = moving = self.losses(played)
        if self.p.rule == "printed":
            moving = self.losses(played, printed=True)
        elif self.p.mode == "standard" and "discriminator" not in self.critics:
            # the encoder's loss is the decoder's and terms that do not depend on Φ: one backward pass serves both
            moving = {**losses, "decoder": losses["encoder"]}
        minimise(**moving)
        return self.logged(played, losses)

    def play(self, images: Tensor) -> Played:
        """One forward pass.

        Each loss is differentiated with respect to its own player's weights alone, so that one x' serves
        decoder and discriminator. The one stop-gradient is sg x' before it is encoded again: the encoder is
        paid for the mean it gives to x', not for having chosen x'.
        """
        posterior = self.encode(images)
        decoded = self.decode(posterior.sample())
        seen = {}
        for name, critic in self.critics.items():
            if name == "discriminator":
                real, fake, paid = images, decoded, decoded
            else:
                real, fake, paid = posterior.mean, self.encode(decoded.detach()).mean, posterior.mean
            seen[name] = Judged(real, fake, critic(real), critic(fake), paid)
        return Played(0.5 * squared_error(decoded, images).mean(), posterior.kl().sum(1).mean(), seen)

    def losses(self, played: Played, printed: bool = False) -> dict[str, Tensor]:
        """What each player minimises, averaged over the batch: equations (1)-(15) of [1].

        With `printed`, losses whose gradients are the updates (5)-(16) of [1]; their values have no meaning.
        """
        losses = {"encoder": played.kl, "decoder": played.reconstruction}
        if self.p.rule == "autograd" and self.p.mode == "standard":
            losses["encoder"] = played.kl + played.reconstruction
        for name, seen in played.judged.items():
            fooled = ava_printed.fooling(seen) if printed else generator_loss("minimax", seen.on_fake)
            losses[FOOLERS[name]] = losses[FOOLERS[name]] + fooled
            losses[name] = discriminator_loss("minimax", seen.on_real, seen.on_fake)
            if printed and self.name in LEANS[name]:
                losses[name] = losses[name] + ava_printed.leaning(seen, logistic=name == "discriminator")
        return losses

    def authors_step(self, images: Tensor, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """The authors' program: networks move one after another, by errors that are computed by hand."""
        with torch.no_grad():
            played = self.play(images)
            logged = self.logged(played, self.losses(played))

        def move(name: str, passed: ava_authors.Passed, error: Tensor, times: int) -> None:
            minimise(**{name: self.nets[name].surrogate(passed, error, self.p.rate, times)})

        noise = torch.randn(1, len(images), self.p.latent_dim, device=images.device, dtype=images.dtype)
        x, r = ava_authors.by_channel(images, self.nets["encoder"]), noise.expand(self.shape.channels, -1, -1)
        mean, variance = ava_authors.learn(self.name, self.nets, x, r, move)
        self.last.copy_(torch.stack([mean[:, -1].flatten(), variance[:, -1].log().flatten()]))
        return logged

    def logged(self, played: Played, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms of l, its sum, the players' losses, and the mean of d and D on the real and on the generated."""
        fooled = sum(generator_loss("minimax", seen.on_fake) for seen in played.judged.values())
        scalars = {
            "reconstruction": played.reconstruction,
            "kl": played.kl,
            "loss": played.reconstruction + played.kl + fooled,
        }
        scalars |= {f"loss_{name}": loss for name, loss in losses.items()}
        for name, seen in played.judged.items():
            prefix = "d" if name == "discriminator" else "code_d"
            scalars |= {
                f"{prefix}_real": judged("minimax", seen.on_real),
                f"{prefix}_fake": judged("minimax", seen.on_fake),
            }
        return {name: value.detach() for name, value in scalars.items()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same terms on held-out images, with one random code each."""
        played = self.play(batch.images)
        return self.logged(played, self.losses(played))
