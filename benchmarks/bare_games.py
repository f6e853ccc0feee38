"""Games as a careful person writes them by hand: two players, a decoder and an encoder as opponents, four networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from bare_hybrids import Batches, adam, epoch, owned, posterior
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, softplus

from genlab.core.model import Model

SLOW = (0.5, 0.999)


def bare_game(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    """The usual script of a GAN: the discriminator moves on detached images, on every k-th batch the generator answers."""
    g, d, p, averaged = model.generator, model.critic, model.p, model.averaged
    wasserstein, penalised = p.loss == "wasserstein", p.penalised
    players = []
    for network, rate in ((g, p.learning_rate), (d, p.critic_learning_rate)):
        if p.optimiser == "rmsprop":
            players.append(torch.optim.RMSprop(network.parameters(), lr=rate, foreach=True))
        else:
            players.append(adam(owned(network), rate, SLOW))
    g_optimiser, d_optimiser = players
    steps = itertools.count(1)

    def d_loss(x: Tensor, fake: Tensor) -> Tensor:
        if not wasserstein:
            return softplus(-d(x)).mean() + softplus(d(fake)).mean()
        loss = d(fake).mean() - d(x).mean()
        if penalised:
            mix = torch.rand(len(x), 1, 1, 1)
            between = (mix * x + (1 - mix) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
            loss = loss + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return loss

    def made(x: Tensor, *, tracked: bool) -> Tensor:
        with torch.set_grad_enabled(tracked):
            return g(torch.randn(len(x), model.latent_dim))

    def step(x: Tensor) -> None:
        moves = next(steps) % p.critic_steps == 0
        fake = made(x, tracked=moves and not p.fresh_noise)
        d_optimiser.zero_grad()
        d_loss(x, fake.detach()).backward()
        d_optimiser.step()
        if wasserstein and not penalised:
            with torch.no_grad():
                for weight in d.parameters():
                    weight.clamp_(-p.clip, p.clip)
        if not moves:
            return
        score = d(made(x, tracked=True) if p.fresh_noise else fake)
        g_optimiser.zero_grad()
        (-score.mean() if wasserstein else softplus(-score).mean()).backward(inputs=owned(g))
        g_optimiser.step()
        if averaged is not None:
            averaged.update(g)

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
