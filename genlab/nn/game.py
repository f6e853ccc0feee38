"""The game of a generator and a discriminator, played in turns; what `gan` and its kin share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.cards import Scalar
from genlab.core.parameters import Parameters, parameter
from genlab.nn.adversarial import (
    AdversarialLoss,
    clip_weights,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    judged,
    r1_penalty,
)
from genlab.nn.ema import MovingAverage
from genlab.nn.normal import StandardNormalPrior
from genlab.nn.optimisers import RMSprop, adam

LOGARITHMIC = ("loss", ("minimax", "non_saturating"))  # the losses in which D is a probability
GAME_SCALARS = {
    "loss": Scalar("Both players' losses added; in a game it need not fall", "neither"),
    "loss_discriminator": Scalar("What the discriminator minimises; log 4 = 1.386 when it can only guess (minimax, non-saturating), 0 would be a sure discriminator", "neither", math.log(4), LOGARITHMIC),
    "loss_generator": Scalar("What the generator minimises; on steps where it does not move, its value on the images just judged", "neither"),
    "d_real": Scalar("D(x), mean over real images: a probability, ½ at the optimum (minimax, non-saturating); otherwise the raw score", "neither", 0.5, LOGARITHMIC),
    "d_fake": Scalar("D(G(z)), mean over generated images: as D(x); the two meet when the discriminator cannot tell", "neither", 0.5, LOGARITHMIC),
    "gradient_penalty": Scalar("E(‖∇D(x̂)‖ − 1)²; 0 when the critic is 1-Lipschitz along the lines between real and fake", guide=0.0),
    "r1": Scalar("E‖∇D(x)‖² at real images; small when the discriminator is flat there"),
    "distance": Scalar("E D(x) − E D(G(z)), the critic's estimate of the distance between real and generated images, in its own units", guide=0.0),
}  # fmt: skip


class GameParameters(Parameters):
    """The loss, its constraint, the turns and the step sizes of an adversarial game."""

    latent_dim: int = parameter(64, "Dimensions of the noise z.", minimum=1, maximum=1024, symbol="d")
    loss: AdversarialLoss = parameter("non_saturating", "What the two players play for.")
    a: float = parameter(
        0.0, "Least squares: the discriminator's target for generated images.", minimum=-10, maximum=10, advanced=True
    )
    b: float = parameter(
        1.0, "Least squares: the discriminator's target for real images.", minimum=-10, maximum=10, advanced=True
    )
    c: float = parameter(
        1.0, "Least squares: the score that the generator wants.", minimum=-10, maximum=10, advanced=True
    )
    lipschitz: Literal["gradient_penalty", "clipping"] = parameter(
        "gradient_penalty", "Wasserstein: how the critic is kept from growing steep."
    )
    penalty: float = parameter(
        10.0, "Wasserstein: weight of the gradient penalty.", minimum=0, maximum=1000, symbol=r"\lambda", advanced=True
    )
    clip: float = parameter(
        0.01, "Wasserstein: bound on each weight when clipping.", minimum=1e-4, maximum=10, log=True, advanced=True
    )
    critic_steps: int = parameter(
        1, "Moves of the discriminator for each move of the generator.", minimum=1, maximum=100, symbol="k"
    )
    learning_rate: float = parameter(2e-4, "Step size of Adam for the generator.", minimum=1e-6, maximum=1, log=True)
    critic_learning_rate: float = parameter(
        2e-4, "Step size of Adam for the discriminator.", minimum=1e-6, maximum=1, log=True
    )
    momentum: float = parameter(
        0.5, "Adam's first decay, of both players.", minimum=0, maximum=0.999, symbol=r"\beta_1", advanced=True
    )
    fresh_noise: bool = parameter(True, "New noise for the generator's move; off reuses the images just judged, which is faster.", advanced=True)  # fmt: skip

    optimiser: Literal["adam", "rmsprop"] = parameter(
        "adam", "Who takes the steps: Adam, or RMSprop, which keeps no momentum.", advanced=True
    )
    r1: float = parameter(
        0.0, "Weight of the R1 penalty, the squared slope of the discriminator at real images; 0 leaves it out.",
        minimum=0, maximum=1000, symbol=r"\gamma", advanced=True,
    )  # fmt: skip
    r1_every: int = parameter(
        1, "Turns between two R1 penalties, each weighing as much more: cheaper, much the same.",
        minimum=1, maximum=64, advanced=True,
    )  # fmt: skip
    spectral_norm: bool = parameter(
        False, "Divide each weight of the discriminator by its largest singular value.", advanced=True
    )
    average: float = parameter(
        0.0,
        "Decay of the moving average of the generator that samples; 0 samples from the generator itself.",
        minimum=0,
        maximum=0.99999,
        symbol=r"\delta",
    )

    @property
    def penalised(self) -> bool:
        """Whether the critic's gradient is penalised, which rules out batch normalisation in it."""
        return self.loss == "wasserstein" and self.lipschitz == "gradient_penalty"


class Turn(NamedTuple):
    """What one turn is played on: real images (B, C, H, W), their labels (B,), codes (B, D) and the images made of them."""

    number: int
    real: Tensor
    labels: Tensor | None
    codes: Tensor
    fake: Tensor


class TwoPlayerGame(Descends, StandardNormalPrior):
    """Algorithm 1 of Goodfellow et al.: k moves of the discriminator, each on its own batch, then one of the generator.

    A model sets `p`, `latent_dim`, `generator` (codes -> images in [0, 1]) and `critic` (images -> logits (N,)),
    and calls `begin`. One training step is one batch of real images, so that the generator moves on every k-th step.
    """

    p: GameParameters
    generator: nn.Module
    critic: nn.Module
    averaged: MovingAverage | None

    def begin(self) -> None:
        """Called once both networks are built: constrain the critic's weights, start the moving average."""
        if self.p.spectral_norm:
            for layer in list(self.critic.modules()):
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)
        self.averaged = MovingAverage(self.generator, self.p.average) if self.p.average else None

    @property
    def drawing(self) -> nn.Module:
        """The generator that samples: the averaged one where there is one."""
        return self.generator if self.averaged is None else self.averaged.network

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, latent_dim), by the averaged generator where there is one."""
        images: Tensor = self.drawing(codes)
        return images

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Two players: generator and discriminator."""
        return {
            "generator": self.stepping(self.generator.parameters(), self.p.learning_rate),
            "discriminator": self.stepping(self.critic.parameters(), self.p.critic_learning_rate),
        }

    def stepping(self, weights: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """The optimiser of one player."""
        if self.p.optimiser == "rmsprop":
            return RMSprop(list(weights), lr=rate, foreach=True)
        return adam(weights, rate, betas=(self.p.momentum, 0.999))

    def training_codes(self, count: int, labels: Tensor | None) -> Tensor:
        """Codes (count, D) to train on, beside real images of these labels; draws from the prior by default."""
        return self.sample_prior(count)

    def judge(self, images: Tensor, turn: Turn) -> Tensor:
        """Logits (N,) of the images of a turn."""
        logits: Tensor = self.critic(images)
        return logits

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """The discriminator moves; on every k-th step the generator answers the discriminator that has moved."""
        moves = (step.index + 1) % self.p.critic_steps == 0
        with torch.set_grad_enabled(moves and not self.p.fresh_noise):
            codes = self.training_codes(len(batch.images), batch.labels)
            turn = Turn(step.index, batch.images, batch.labels, codes, self.generator(codes))
        logged = self.move_discriminator(turn, minimise)
        if moves:
            logged["loss_generator"] = self.move_generator(turn, minimise)
        logged["loss"] = logged["loss_discriminator"] + logged["loss_generator"]
        return logged

    def move_discriminator(self, turn: Turn, minimise: Callable[..., None]) -> dict[str, Tensor]:
        """One move of the discriminator; returns both players' losses before it, and D(x) and D(G(z))."""
        loss, logged = self.discriminator_objective(turn)
        minimise(discriminator=loss)
        if self.p.loss == "wasserstein" and self.p.lipschitz == "clipping":
            clip_weights(self.critic, self.p.clip)
        return {**logged, "loss_discriminator": loss.detach()}

    def move_generator(self, turn: Turn, minimise: Callable[..., None]) -> Tensor:
        """One move of the generator, on the turn's images or on fresh noise; returns its loss before it."""
        if self.p.fresh_noise:
            codes = self.training_codes(len(turn.real), turn.labels)
            turn = turn._replace(codes=codes, fake=self.generator(codes))
        loss = self.generator_objective(turn)
        minimise(generator=loss)
        if self.averaged is not None:
            self.averaged.update(self.generator)
        return loss.detach()

    def discriminator_objective(self, turn: Turn) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminator minimises in a turn, and what is logged of it."""
        return self.contest(turn, self.judge(turn.real, turn), self.judge(turn.fake, turn))

    def contest(self, turn: Turn, on_real: Tensor, on_fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss from its logits on the real and the generated images, with its penalties."""
        p = self.p
        loss = discriminator_loss(p.loss, on_real, on_fake, (p.a, p.b, p.c))
        logged = {"d_real": judged(p.loss, on_real), "d_fake": judged(p.loss, on_fake)}
        logged["loss_generator"] = self.contested(on_fake.detach())
        if p.loss == "wasserstein":
            logged["distance"] = logged["d_real"] - logged["d_fake"]
        if p.penalised:
            penalty = gradient_penalty(lambda images: self.judge(images, turn), turn.real, turn.fake)
            loss = loss + p.penalty * penalty
            logged["gradient_penalty"] = penalty.detach()
        if p.r1:  # lazily: a penalty every few turns stands for those between, in the loss and in what is logged
            due = turn.number % p.r1_every == 0
            slope = r1_penalty(lambda images: self.judge(images, turn), turn.real) if due else torch.zeros_like(loss)
            loss = loss + 0.5 * p.r1 * p.r1_every * slope
            logged["r1"] = p.r1_every * slope.detach()
        return loss, logged

    def generator_objective(self, turn: Turn) -> Tensor:
        """What the generator minimises in a turn."""
        return self.contested(self.judge(turn.fake, turn))

    def contested(self, on_fake: Tensor) -> Tensor:
        """The generator's loss from the discriminator's logits on its images."""
        return generator_loss(self.p.loss, on_fake, (self.p.a, self.p.b, self.p.c))
