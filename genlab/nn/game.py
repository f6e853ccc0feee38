"""The game of a generator and a discriminator, played in turns; what `gan` and its kin share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

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
)
from genlab.nn.normal import StandardNormalPrior
from genlab.nn.optimisers import adam

GAME_SCALARS = {
    "loss": Scalar("Both players' losses added; in a game it need not fall", "neither"),
    "loss_discriminator": Scalar("What the discriminator minimises; log 4 = 1.386 when it can only guess (minimax, non-saturating), 0 would be a sure discriminator", "neither"),
    "loss_generator": Scalar("What the generator minimises; on steps where it does not move, its value on the images just judged", "neither"),
    "d_real": Scalar("D(x), mean over real images: a probability, ½ at the optimum (minimax, non-saturating); otherwise the raw score", "neither"),
    "d_fake": Scalar("D(G(z)), mean over generated images: as D(x); the two meet when the discriminator cannot tell", "neither"),
    "gradient_penalty": Scalar("E(‖∇D(x̂)‖ − 1)²; 0 when the critic is 1-Lipschitz along the lines between real and fake"),
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

    @property
    def penalised(self) -> bool:
        """Whether the critic's gradient is penalised, which rules out batch normalisation in it."""
        return self.loss == "wasserstein" and self.lipschitz == "gradient_penalty"


class TwoPlayerGame(Descends, StandardNormalPrior):
    """Algorithm 1 of Goodfellow et al.: k moves of the discriminator, each on its own batch, then one of the generator.

    A model sets `p`, `latent_dim`, `generator` (codes -> images in [0, 1]) and `critic` (images -> logits (N,)).
    One training step is one batch of real images, so that the generator moves on every k-th step.
    """

    p: GameParameters
    generator: nn.Module
    critic: nn.Module

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Two players: generator and discriminator."""
        betas = (self.p.momentum, 0.999)
        return {
            "generator": adam(self.generator.parameters(), self.p.learning_rate, betas=betas),
            "discriminator": adam(self.critic.parameters(), self.p.critic_learning_rate, betas=betas),
        }

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """The discriminator moves; on every k-th step the generator answers the discriminator that has moved."""
        moves = (step.index + 1) % self.p.critic_steps == 0
        with torch.set_grad_enabled(moves and not self.p.fresh_noise):
            fake = self.generator(self.sample_prior(len(batch.images)))
        logged = self.move_discriminator(batch.images, fake, minimise)
        if moves:
            logged["loss_generator"] = self.move_generator(fake, minimise)
        logged["loss"] = logged["loss_discriminator"] + logged["loss_generator"]
        return logged

    def move_discriminator(self, real: Tensor, fake: Tensor, minimise: Callable[..., None]) -> dict[str, Tensor]:
        """One move of the discriminator; returns both players' losses before it, and D(x) and D(G(z))."""
        p, targets = self.p, (self.p.a, self.p.b, self.p.c)
        on_real, on_fake = self.critic(real), self.critic(fake)
        loss = discriminator_loss(p.loss, on_real, on_fake, targets)
        logged = {"d_real": judged(p.loss, on_real), "d_fake": judged(p.loss, on_fake)}
        if p.penalised:
            penalty = gradient_penalty(self.critic, real, fake)
            loss = loss + p.penalty * penalty
            logged["gradient_penalty"] = penalty.detach()
        minimise(discriminator=loss)
        if p.loss == "wasserstein" and p.lipschitz == "clipping":
            clip_weights(self.critic, p.clip)
        logged["loss_discriminator"] = loss.detach()
        logged["loss_generator"] = generator_loss(p.loss, on_fake.detach(), targets)
        return logged

    def move_generator(self, fake: Tensor, minimise: Callable[..., None]) -> Tensor:
        """One move of the generator, on `fake` or on fresh noise; returns its loss before it."""
        if self.p.fresh_noise:
            fake = self.generator(self.sample_prior(len(fake)))
        loss = generator_loss(self.p.loss, self.critic(fake), (self.p.a, self.p.b, self.p.c))
        minimise(generator=loss)
        self.generator_moved()
        return loss.detach()

    def generator_moved(self) -> None:
        """Called after each move of the generator; nothing by default."""
