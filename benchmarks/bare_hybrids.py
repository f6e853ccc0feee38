"""VAE-GAN and AVA1 to AVA5 as a careful person writes them by hand: every gradient computed once, and reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from genlab.core.model import Model

Batches = Callable[[Tensor], Iterator[Tensor]]


def owned(*modules: nn.Module) -> list[nn.Parameter]:
    return [p for module in modules for p in module.parameters()]


def adam(parameters: list[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)


def posterior(encoder: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, log_var = encoder(x).chunk(2, 1)
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum() / len(x)
    return mean, mean + torch.exp(0.5 * log_var) * torch.randn_like(mean), kl


def bare_vae_gan(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    encoder, decoder, critic = model.encoder, model.decoder, nn.Sequential(model.features, model.verdict)
    e, d, c = owned(encoder), owned(decoder), owned(critic)
    players = [adam(e, 1e-3), adam(d, 1e-3), adam(c, 2e-4, (0.5, 0.999))]

    def step(x: Tensor) -> None:
        _, z, kl = posterior(encoder, x)
        logits = decoder(z)
        reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        on_fake = critic(torch.sigmoid(logits))
        (of_reconstruction,) = torch.autograd.grad(reconstruction, logits)
        (of_critic,) = torch.autograd.grad(softplus(-on_fake).mean(), logits, retain_graph=True)
        judgement = softplus(-critic(x)).mean() + softplus(on_fake).mean()
        for player in players:
            player.zero_grad()
        judgement.backward(inputs=c)
        (of_code,) = torch.autograd.grad(logits, z, of_reconstruction, retain_graph=True)
        torch.autograd.backward(logits, of_reconstruction + of_critic, inputs=d)
        torch.autograd.backward([z, kl], [of_code, None], inputs=e)
        for player in players:
            player.step()

    return epoch(step, images, batches)


def bare_ava1(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    """AVA1, and AVA2, whose leaning term moves nothing: a discriminator of images."""
    encoder, decoder, critic = model.encoder, model.decoder, model.critics["discriminator"]
    e, d, c = owned(encoder), owned(decoder), owned(critic)
    players = [adam(e, 1e-3), adam(d, 1e-3), adam(c, 2e-4, (0.5, 0.999))]

    def step(x: Tensor) -> None:
        _, z, kl = posterior(encoder, x)
        fake = torch.sigmoid(decoder(z))
        reconstruction = 0.5 * (x - fake).square().sum() / len(x)
        on_fake = critic(fake)
        judgement = softplus(-critic(x)).mean() + softplus(on_fake).mean()
        for player in players:
            player.zero_grad()
        judgement.backward(inputs=c, retain_graph=True)
        (of_reconstruction,) = torch.autograd.grad(reconstruction, fake)
        (of_critic,) = torch.autograd.grad(-softplus(on_fake).mean(), fake, retain_graph=True)
        (of_code,) = torch.autograd.grad(fake, z, of_reconstruction, retain_graph=True)
        torch.autograd.backward(fake, of_reconstruction + of_critic, inputs=d)
        torch.autograd.backward([z, kl], [of_code, None], inputs=e)
        for player in players:
            player.step()

    return epoch(step, images, batches)


def bare_ava3(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    """AVA3, and AVA4, whose leaning term moves nothing: a discriminator of codes; one backward pass serves both ways."""
    encoder, decoder, critic = model.encoder, model.decoder, model.critics["encoding_discriminator"]
    both, c = owned(encoder, decoder), owned(critic)
    players = [adam(both, 1e-3), adam(c, 2e-4, (0.5, 0.999))]

    def step(x: Tensor) -> None:
        mean, z, kl = posterior(encoder, x)
        fake = torch.sigmoid(decoder(z))
        reconstruction = 0.5 * (x - fake).square().sum() / len(x)
        on_fake = critic(encoder(fake.detach()).chunk(2, 1)[0])
        judgement = softplus(-critic(mean)).mean() + softplus(on_fake).mean()
        for player in players:
            player.zero_grad()
        judgement.backward(inputs=c, retain_graph=True)
        (reconstruction + kl - softplus(on_fake).mean()).backward(inputs=both)
        for player in players:
            player.step()

    return epoch(step, images, batches)


def bare_ava5(model: Model, images: Tensor, batches: Batches) -> Callable[[], None]:
    encoder, decoder = model.encoder, model.decoder
    critic, code_critic = model.critics["discriminator"], model.critics["encoding_discriminator"]
    e, d, c, k = owned(encoder), owned(decoder), owned(critic), owned(code_critic)
    slow = (0.5, 0.999)
    players = [adam(e, 1e-3), adam(d, 1e-3), adam(c, 2e-4, slow), adam(k, 2e-4, slow)]

    def step(x: Tensor) -> None:
        mean, z, kl = posterior(encoder, x)
        fake = torch.sigmoid(decoder(z))
        reconstruction = 0.5 * (x - fake).square().sum() / len(x)
        on_fake = critic(fake)
        on_fake_code = code_critic(encoder(fake.detach()).chunk(2, 1)[0])
        code_judgement = softplus(-code_critic(mean)).mean() + softplus(on_fake_code).mean()
        judgement = softplus(-critic(x)).mean() + softplus(on_fake).mean()
        for player in players:
            player.zero_grad()
        code_judgement.backward(inputs=k, retain_graph=True)
        judgement.backward(inputs=c, retain_graph=True)
        (of_reconstruction,) = torch.autograd.grad(reconstruction, fake)
        (of_critic,) = torch.autograd.grad(-softplus(on_fake).mean(), fake, retain_graph=True)
        (of_code,) = torch.autograd.grad(fake, z, of_reconstruction, retain_graph=True)
        torch.autograd.backward(fake, of_reconstruction + of_critic, inputs=d)
        torch.autograd.backward([z, kl, -softplus(on_fake_code).mean()], [of_code, None, None], inputs=e)
        for player in players:
            player.step()

    return epoch(step, images, batches)


def epoch(
    step: Callable[..., None], images: Tensor, batches: Batches, labels: Tensor | None = None
) -> Callable[[], None]:
    """Every batch of images once, with their labels where there are any."""

    told = () if labels is None else (labels,)

    def run() -> None:
        for chosen in batches(torch.arange(len(images))):
            step(images[chosen], *(each[chosen] for each in told))

    return run
