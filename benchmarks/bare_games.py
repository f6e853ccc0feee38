"""Games as a careful person writes them by hand: two players, a decoder and an encoder as opponents, four networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from bare_hybrids import Batches, adam, epoch, owned, posterior
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, one_hot, softplus

from genlab.core.model import Model

SLOW = (0.5, 0.999)


def bare_game(model: Model, images: Tensor, batches: Batches, labels: Tensor | None = None) -> Callable[[], None]:
    """The usual script of a GAN: the discriminator moves on detached images, on every k-th batch the generator answers."""
    g, d, p, averaged = model.generator, model.critic, model.p, model.averaged
    d_loss, g_loss = LOSSES[p.loss]
    clipped = p.loss == "wasserstein" and not p.penalised
    g_optimiser, d_optimiser = opponents(p, owned(g), owned(d))
    turns = itertools.count()

    def made(count: int, told: tuple[Tensor, ...], *, tracked: bool) -> Tensor:
        with torch.set_grad_enabled(tracked):
            return g(torch.cat([torch.randn(count, p.latent_dim), *(g.labels(y) for y in told)], dim=1))

    def step(x: Tensor, *told: Tensor) -> None:
        turn = next(turns)
        moves = (turn + 1) % p.critic_steps == 0
        fake = made(len(x), told, tracked=moves and not p.fresh_noise)
        d_optimiser.zero_grad()
        loss = d_loss(d(x, *told), d(fake.detach(), *told))
        if p.penalised:
            loss = loss + 10 * penalty(d, x, fake.detach())
        if p.r1 and turn % p.r1_every == 0:
            loss = loss + 0.5 * p.r1 * p.r1_every * slopes(d, x.clone()).square().sum(1).mean()
        loss.backward()
        d_optimiser.step()
        if clipped:
            with torch.no_grad():
                for weight in d.parameters():
                    weight.clamp_(-p.clip, p.clip)
        if not moves:
            return
        score = d(made(len(x), told, tracked=True) if p.fresh_noise else fake, *told)
        g_optimiser.zero_grad()
        g_loss(score).backward(inputs=owned(g))
        g_optimiser.step()
        if averaged is not None:
            averaged.update(g)

    return epoch(step, images, batches, labels)


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non_saturating": (
        lambda on_real, on_fake: softplus(-on_real).mean() + softplus(on_fake).mean(),
        lambda score: softplus(-score).mean(),
    ),
    "least_squares": (
        lambda on_real, on_fake: 0.5 * (on_real - 1).square().mean() + 0.5 * on_fake.square().mean(),
        lambda score: 0.5 * (score - 1).square().mean(),
    ),
    "wasserstein": (lambda on_real, on_fake: on_fake.mean() - on_real.mean(), lambda score: -score.mean()),
}


def slopes(d: nn.Module, points: Tensor) -> Tensor:
    """The gradient of each score at its image, flat."""
    points.requires_grad_()
    (slope,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
    return slope.flatten(1)


def penalty(d: nn.Module, x: Tensor, fake: Tensor) -> Tensor:
    mix = torch.rand(len(x), 1, 1, 1)
    return (slopes(d, mix * x + (1 - mix) * fake).norm(dim=1) - 1).square().mean()


def opponents(p: Any, *weights: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
    """Generator's and discriminator's optimisers."""
    rates = (p.learning_rate, p.critic_learning_rate)
    if p.optimiser == "rmsprop":
        return [torch.optim.RMSprop(each, lr=rate, foreach=True) for each, rate in zip(weights, rates, strict=True)]
    return [adam(each, rate, (p.momentum, 0.999)) for each, rate in zip(weights, rates, strict=True)]


def bare_info_gan(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    """A DCGAN whose discriminator also guesses the codes, on one look at the generated images."""
    g, d, q, p = model.generator, model.critic, model.recogniser, model.p
    g_optimiser, d_optimiser = opponents(p, owned(g), owned(d, q))

    def information(seen: Tensor, chosen: Tensor, numbers: Tensor) -> Tensor:
        guess = q(seen)
        mean, raw = guess[:, p.categories :].chunk(2, 1)
        log_var = torch.logaddexp(raw, torch.tensor(math.log(0.0025)))
        of_numbers = -0.5 * ((numbers - mean).square() * torch.exp(-log_var) + log_var + math.log(2 * math.pi))
        of_numbers = of_numbers.sum(1).mean() + p.continuous * math.log(2)
        of_category = math.log(p.categories) - cross_entropy(guess[:, : p.categories], chosen)
        return p.information * of_category + p.information_continuous * of_numbers

    def step(x: Tensor) -> None:
        chosen, numbers = torch.randint(p.categories, (len(x),)), 2 * torch.rand(len(x), p.continuous) - 1
        category = one_hot(chosen, p.categories).float()
        fake = g(torch.cat([torch.randn(len(x), p.latent_dim), category, numbers], dim=1))
        seen = d.features(fake.detach())
        d_optimiser.zero_grad()
        judged = softplus(-d(x)).mean() + softplus(d.verdict(seen)).mean()
        (judged - information(seen, chosen, numbers)).backward()
        d_optimiser.step()
        seen = d.features(fake)
        g_optimiser.zero_grad()
        fooled = softplus(-d.verdict(seen)).mean()
        (fooled - information(seen, chosen, numbers)).backward(inputs=owned(g))
        g_optimiser.step()
        model.averaged.update(g)

    return epoch(step, images, batches)


def divergence(mean: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def bare_soft_intro(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    """The encoder against samples of the decoder, which answers on the same codes and noise."""
    encoder, decoder, p, scale = model.encoder, model.decoder, model.p, 1 / model.shape.values
    e, d = owned(encoder), owned(decoder)
    e_optimiser, d_optimiser = adam(e, p.learning_rate), adam(d, p.learning_rate)

    def step(x: Tensor) -> None:
        noise = torch.randn(len(x), model.latent_dim)
        _, z, kl = posterior(encoder, x)
        real = binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x) + p.beta * kl
        with torch.no_grad():
            fake = torch.sigmoid(decoder(noise))
        mean, log_var = encoder(fake).chunk(2, 1)
        of_fake = divergence(mean, log_var)
        logits = decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean))
        r_fake = binary_cross_entropy_with_logits(logits, fake, reduction="none").flatten(1).sum(1)
        e_optimiser.zero_grad()
        rejected = 0.5 * torch.exp(-2 * scale * (r_fake + p.beta_neg * of_fake)).mean()
        (scale * real + rejected).backward(inputs=e)
        e_optimiser.step()
        d_optimiser.zero_grad()
        rebuilt = binary_cross_entropy_with_logits(decoder(z.detach()), x, reduction="sum") / len(x)
        answer = divergence(*encoder(torch.sigmoid(decoder(noise))).chunk(2, 1)).mean()
        (scale * (rebuilt + p.beta * answer)).backward(inputs=d)
        d_optimiser.step()

    return epoch(step, images, batches)


def bare_cyclegan(model: Model, first: Tensor, second: Tensor, batches: Batches) -> Callable[[], None]:
    """Both generators on one loss, then both critics, which see past translations too."""
    p, g, f, d_x, d_y = model.p, model.to_second, model.to_first, model.critic_first, model.critic_second
    generators = owned(g, f)
    g_optimiser = adam(generators, p.learning_rate, SLOW)
    d_optimiser = adam(owned(d_x, d_y), p.critic_learning_rate, SLOW)

    def step(x: Tensor, y: Tensor) -> None:
        x, y = 2 * x - 1, 2 * y - 1
        as_y, as_x = g(x), f(y)
        fooled = (d_y(as_y) - 1).square().mean() + (d_x(as_x) - 1).square().mean()
        cycle = l1_loss(f(as_y), x) + l1_loss(g(as_x), y)
        same = l1_loss(g(y), y) + l1_loss(f(x), x)
        g_optimiser.zero_grad()
        (fooled + p.cycle * cycle + p.identity * p.cycle * same).backward(inputs=generators)
        g_optimiser.step()
        old_x, old_y = model.past_first.exchange(as_x.detach()), model.past_second.exchange(as_y.detach())
        d_optimiser.zero_grad()
        judged = [
            (d(real) - 1).square().mean() + d(old).square().mean()
            for d, real, old in ((d_x, x, old_x), (d_y, y, old_y))
        ]
        (0.5 * sum(judged)).backward()
        d_optimiser.step()

    def run() -> None:
        for x, y in zip(batches(first), batches(second), strict=True):
            step(x, y)

    return run
