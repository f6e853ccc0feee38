"""Losses of two players: a generator that makes images, and a discriminator (or critic) that judges them.

Everything is computed from the discriminator's output before any activation (the logit); logarithms of
probabilities are softplus of logits, so that a certain discriminator gives large numbers, not infinite ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AdversarialLoss = Literal["minimax", "non_saturating", "least_squares", "wasserstein", "hinge"]
Targets = tuple[float, float, float]


def discriminator_loss(kind: AdversarialLoss, real: Tensor, fake: Tensor, targets: Targets = (0.0, 1.0, 1.0)) -> Tensor:
    """What the discriminator minimises, from its logits on real and on generated images (any shapes).

    `minimax` and `non_saturating`: −E log D(x) − E log(1 − D(G(z))); `least_squares` with targets (a, b, c):
    ½E(D(x) − b)² + ½E(D(G(z)) − a)²; `wasserstein`: E D(G(z)) − E D(x); `hinge`:
    E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))).

    >>> real, fake = torch.tensor([1.3, 2.9, 8.4, 6.3]), torch.tensor([4.8, 1.2, -3.5, 5.9])
    >>> round(discriminator_loss("wasserstein", real, fake).item(), 4)
    -2.625
    """
    if kind == "least_squares":
        a, b, _ = targets
        return 0.5 * (real - b).square().mean() + 0.5 * (fake - a).square().mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(kind: AdversarialLoss, fake: Tensor, targets: Targets = (0.0, 1.0, 1.0)) -> Tensor:
    """What the generator minimises, from the discriminator's logits on its images (any shape).

    `minimax`: E log(1 − D(G(z))), which is flat where D is sure; `non_saturating`: −E log D(G(z));
    `least_squares` with targets (a, b, c): ½E(D(G(z)) − c)²; `wasserstein` and `hinge`: −E D(G(z)).

    >>> round(generator_loss("non_saturating", torch.tensor([4.8, 1.2, -3.5, 5.9])).item(), 6)
    0.950991
    """
    if kind == "minimax":
        return -F.softplus(fake).mean()
    if kind == "non_saturating":
        return F.softplus(-fake).mean()
    if kind == "least_squares":
        return 0.5 * (fake - targets[2]).square().mean()
    return -fake.mean()


def judged(kind: AdversarialLoss, logits: Tensor) -> Tensor:
    """The mean of D as a loss reads it: a probability where D is one, the raw score otherwise (detached)."""
    logits = logits.detach()
    return (torch.sigmoid(logits) if kind in ("minimax", "non_saturating") else logits).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E(‖∇D(x̂)‖ − 1)² with x̂ = ε x + (1 − ε) G(z), ε uniform; one norm for each image.

    Differentiable in the critic's weights alone. The critic must judge each image by itself: batch
    normalisation would let one image's score depend on the others. A compiled critic has no second
    derivative, so it must not be compiled.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    mixed = torch.lerp(fake.detach().to(real), real, share).requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E‖∇D(x)‖² at real images, one squared norm for each image; weighed by γ/2, it is the penalty R1.

    Equation (9) of Mescheder, Geiger & Nowozin, Which Training Methods for GANs do actually Converge?, 2018. As with
    `gradient_penalty`, the critic must judge each image by itself.
    """
    points = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return slope.flatten(1).square().sum(1).mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Move every weight of the critic into [−limit, limit]."""
    for weight in critic.parameters():
        weight.clamp_(-limit, limit)
