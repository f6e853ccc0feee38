"""Trains the runs that come with genlab: small ones, on the CPU, from data that is in the package or generated."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genlab.core.errors import UnknownNameError
from genlab.runs.sharing import share_folder
from genlab.workspace.roots import app_root
from genlab.workspace.workspace import Workspace

if TYPE_CHECKING:
    from genlab.core.events import Progressed
    from genlab.workspace.run import Run


class Recipe(NamedTuple):
    """A run that comes with genlab: its model, its images, and what differs from the preset."""

    name: str
    model: str
    data: str
    preset: str
    values: dict[str, Any]
    second: str | None = None


PAIR = {"epochs": 80, "latent_dim": 32, "width": 8, "beta": 1.0, "batch_size": 32, "preview_every": 10}
AVA = {"hidden": 48, "critic_hidden": 16, "batch_size": 32, "learning_rate": 3e-3, "epochs": 20, "preview_every": 20}

GAME = {"epochs": 18, "width": 10, "latent_dim": 32, "preview_every": 4}
DENSE_GAME = {"hidden": 64, "critic_hidden": 64, "latent_dim": 16, "epochs": 40, "batch_size": 16, "preview_every": 10}

RECIPES = {
    "digits-vae": Recipe("VAE on digits", "vae", "digits-28", "default", {"hidden": 200, "epochs": 50, "preview_every": 10}),
    "digits-plane": Recipe(
        "VAE with two latent dimensions", "vae", "digits-28", "default",
        {"hidden": 160, "depth": 2, "latent_dim": 2, "epochs": 80, "preview_every": 20},
    ),
    "digits-dcgan": Recipe("DCGAN on digits", "dcgan", "digits-28", "quick", {"epochs": 40, "preview_every": 2}),
    "digits-gan": Recipe("GAN on small digits", "gan", "digits-8", "quick", DENSE_GAME),
    "digits-cgan": Recipe("Conditional GAN on small digits", "cgan", "digits-8", "quick", DENSE_GAME),
    "digits-lsgan": Recipe("LSGAN on digits", "lsgan", "digits-28", "quick", {**GAME, "epochs": 12}),
    "digits-wgan": Recipe("WGAN on digits", "wgan", "digits-28", "quick", {**GAME, "epochs": 14}),
    "digits-wgan-gp": Recipe("WGAN-GP on digits", "wgan_gp", "digits-28", "quick", {**GAME, "width": 12, "epochs": 12}),
    "digits-cdcgan": Recipe("Conditional DCGAN on digits", "cdcgan", "digits-28", "quick", {**GAME, "width": 12, "epochs": 9, "preview_every": 3}),
    "digits-infogan": Recipe("InfoGAN on digits", "info_gan", "digits-28", "quick", {**GAME, "epochs": 14, "preview_every": 7}),
    "digits-stylegan": Recipe("StyleGAN on digits", "stylegan", "digits-28", "quick", {"width": 10, "epochs": 18, "preview_every": 4}),
    "digits-naive-bayes": Recipe("Naive Bayes on digits", "naive_bayes", "digits-28", "default", {}),
    "digits-multinomial": Recipe("Multinomial on small digits", "multinomial", "digits-8", "default", {"smoothing": 50}),
    "digits-gaussian-naive-bayes": Recipe("Gaussian naive Bayes on digits", "gaussian_naive_bayes", "digits-28", "default", {}),
    "digits-gda": Recipe("Discriminant analysis of digits", "gda", "digits-28", "default", {"pca": 35}),
    "digits-gmm": Recipe(
        "Gaussian mixtures of digits", "gmm", "digits-28", "default",
        {"pca": 25, "components": 3, "epochs": 30, "preview_every": 15},
    ),
    "digits-vq-vae": Recipe("VQ-VAE on digits", "vq_vae", "digits-28", "default", {"halvings": 2, "preview_every": 4}),
    "digits-ava1": Recipe("AVA1 on digits", "ava1", "digits-28", "default", AVA),
    "digits-ava2": Recipe("AVA2 on digits", "ava2", "digits-28", "default", AVA),
    "digits-ava3": Recipe("AVA3 on digits", "ava3", "digits-28", "default", AVA),
    "digits-ava4": Recipe("AVA4 on digits", "ava4", "digits-28", "default", AVA),
    "digits-autoencoder": Recipe(
        "Denoising autoencoder on digits", "autoencoder", "digits-28", "default",
        {"hidden": 128, "tied": True, "corruption": "masking", "corruption_amount": 0.2, "preview_every": 5},
    ),
    "digits-conditional-vae": Recipe("Conditional VAE on digits", "conditional_vae", "digits-28", "default", {"hidden": 80, "epochs": 45, "learning_rate": 2e-3, "preview_every": 45}),
    "digits-hierarchical-vae": Recipe("Hierarchical VAE on digits", "hierarchical_vae", "digits-28", "default", {"width": 8, "epochs": 20, "preview_every": 20}),
    "digits-vae-gan": Recipe("VAE-GAN on digits", "vae_gan", "digits-28", "default", {"latent_dim": 8, "critic_hidden": 40, "epochs": 34, "learning_rate": 2e-3, "preview_every": 34}),
    "digits-soft-intro-vae": Recipe("Soft-IntroVAE on digits", "soft_intro_vae", "digits-28", "default", {"hidden": 128, "epochs": 40, "preview_every": 5}),
    "sprites-beta-vae": Recipe("β-VAE on sprites", "beta_vae", "sprites", "default", {"architecture": "conv", "preview_every": 10}),
    "digits-ava5": Recipe("AVA5 on digits", "ava5", "digits-28", "default", AVA),
    "digits-cyclegan": Recipe("CycleGAN on digits, flat and in relief", "cyclegan", "digits-28", "quick", {"epochs": 5}, "digits-relief"),
    "digits-nice": Recipe("NICE on digits", "nice", "digits-28", "default", {"hidden": 60, "preview_every": 30}),
    "digits-realnvp": Recipe("RealNVP on digits", "realnvp", "digits-28", "default", {"epochs": 7, "preview_every": 2}),
    "digits-glow": Recipe("GLOW on digits", "glow", "digits-28", "default", {"epochs": 14, "preview_every": 2}),
    "log-ends-vanilla": Recipe("Vanilla VAE on log ends", "vanilla_vae", "log-ends", "quick", PAIR),
    "log-ends-recognition": Recipe("Recognition of log ends", "recognition", "log-ends", "default", {"embedding_dim": 64, "width": 8, "epochs": 60, "augmentation": "photograph", "schedule": "cosine"}),
    "log-ends-variant": Recipe("Variant VAE on log ends", "variant_vae", "log-ends", "quick", PAIR),
}  # fmt: skip


def pretrain(names: Sequence[str] = (), output: Path | None = None) -> list[dict[str, Any]]:
    """Train the named recipes (default: all) one after another, and put them where the app looks.

    Returns a row for each: name, model, data, seconds, megabytes. Raises `UnknownNameError` for a name
    that is no recipe.
    """
    for name in names:
        if name not in RECIPES:
            raise UnknownNameError("shipped run", name, RECIPES)
    folder = output or app_root() / "checkpoints"
    rows = []
    with tempfile.TemporaryDirectory() as home:
        lab = Workspace(home)
        for name in names or RECIPES:
            run = _train(lab, name)
            shipped = folder / name
            shutil.rmtree(shipped, ignore_errors=True)
            share_folder(run.directory, shipped)
            _forget_paths(shipped)
            size = sum(path.stat().st_size for path in shipped.rglob("*") if path.is_file())
            seconds = float(run.scalars()[-1]["seconds"])
            rows.append({"name": name, "model": run.config.model, "data": run.config.data.name, "seconds": seconds, "megabytes": size / 1e6})  # fmt: skip
    return rows


def _train(lab: Workspace, name: str) -> Run:
    recipe = RECIPES[name]

    def show(event: Progressed) -> None:
        print(
            f"\r{name}: epoch {event.epoch + 1}, {event.seconds_left:,.0f} s left   ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    run = lab.prepare(
        recipe.model,
        recipe.data,
        second=recipe.second,
        preset=recipe.preset,
        name=recipe.name,
        device="cpu",
        **recipe.values,
    )
    lab.runs.start_now(run)
    run.wait(progress=show)
    print(file=sys.stderr)
    return run


def _forget_paths(shipped: Path) -> None:
    """A shipped run finds its images by name and hash; the folder they were in is nobody's business."""
    from genlab.runs.config import read_config
    from genlab.runs.files import write_atomically

    config = read_config(shipped).without_paths()
    versions = {name: version for name, version in config.versions.items() if name != "platform"}
    named = {"id": shipped.name, "name": RECIPES[shipped.name].name}  # another shipped run may bear it already
    shared = config.model_copy(update={**named, "versions": versions})
    write_atomically(shipped / "config.json", shared.model_dump_json(indent=1).encode())
