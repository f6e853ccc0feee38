"""Runs so small that training them takes moments."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genlab.core.registry import models
from genlab.data import Content, ImageSet, open_set, write_set
from genlab.jobs import worker
from genlab.jobs.worker import Worker
from genlab.runs.directory import RunDirectory
from genlab.runs.locking import only_worker
from genlab.workspace import Run, Workspace

worker.SHARE_OF_SAVING = math.inf  # here epochs are shorter than saving them
models()
torch.set_num_threads(1)
import_module("safetensors.torch")
torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]).step()  # what torch imports late is imported before the fork
EM: dict[str, Any] = {"components": 4, "covariance": "spherical", "pca": 2, "by_class": False, "tolerance": 0, "regularisation": 1e-6}  # fmt: skip
"""A mixture that takes more than a few iterations on the dots."""
SMALL: dict[str, Any] = {"hidden": 16, "latent_dim": 2, "batch_size": 8, "device": "cpu"}


def images(lab: Workspace, count: int = 40, name: str = "dots") -> ImageSet:
    """Grey 8x8 pictures with one bright dot each, of two classes."""
    folder = lab.root / "datasets" / name
    if folder.exists():
        return open_set(folder)
    draw = np.random.default_rng(count)
    pixels = draw.integers(0, 60, (count, 1, 8, 8), dtype=np.uint8)
    pixels[np.arange(count), 0, draw.integers(0, 8, count), draw.integers(0, 8, count)] = 255
    return write_set(folder, Content(pixels, np.arange(count) % 2, ("even", "odd")))


def prepared(lab: Workspace, model: str = "vae", **values: Any) -> Run:
    """A queued run on the dots that nobody has started."""
    small = SMALL if model == "vae" else {"device": "cpu"}
    return lab.prepare(model, images(lab), **{**small, "epochs": 3, **values})


def train(run: Run | RunDirectory) -> str:
    """Train a run in this process; returns its final status."""
    directory = RunDirectory(run.directory if isinstance(run, Run) else run.path)
    with only_worker(directory.path):
        return Worker(directory).train()


def train_in_child(path: str, doomed: int, delay: float) -> None:
    """What a forked worker does, until SIGKILL: `delay` seconds after the `doomed`-th file of a checkpoint is written."""
    os.setsid()
    fsync, folder, seen = os.fsync, Path(path) / "checkpoints", itertools.count(1)

    def die() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def synced(file: int) -> None:
        if any(folder.glob(f".step-*.{os.getpid()}.tmp")) and next(seen) == doomed:
            threading.Thread(target=die).start() if delay else die()
        fsync(file)

    os.fsync = synced
    train(RunDirectory(Path(path)))


def losses(run: Run) -> list[dict[str, float]]:
    """Every scalar of every epoch, exactly."""
    return [{**event.scalars, **{f"v_{k}": v for k, v in event.validation.items()}} for event in run.epochs()]
