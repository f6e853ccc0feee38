"""Checkpoints: a folder that appears under its name only when it is whole, and is believed only while its hashes agree."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genlab.core.errors import BadInputError, FailedRunError
from genlab.runs.config import check_format
from genlab.runs.files import sha256, sync_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
KEPT = 2  # the newest ones; the best one is kept besides


class Checkpoint(NamedTuple):
    """One checkpoint on disk."""

    path: Path
    step: int
    epoch: int
    loss: float


def save_checkpoint(
    folder: Path, model: nn.Module, training: dict[str, Any] | None, *, step: int, epoch: int, loss: float
) -> Checkpoint:
    """Write weights (and what resuming needs), then drop old checkpoints.

    Raises `FailedRunError` with one sentence when the disk is full; nothing that was there is touched then.
    """
    import torch
    from safetensors.torch import save

    folder.mkdir(exist_ok=True)
    final = folder / f"step-{step:08d}"
    temporary = folder / f".step-{step:08d}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    contents = {"weights.safetensors": save({k: v.contiguous() for k, v in model.state_dict().items()})}
    if training is not None:
        buffer = io.BytesIO()
        torch.save(training, buffer)
        contents["training.pt"] = buffer.getvalue()
    try:
        temporary.mkdir()
        for name, content in contents.items():
            _write_synced(temporary / name, content)
        hashes = {name: sha256(temporary / name) for name in contents}
        manifest = {"format": FORMAT, "step": step, "epoch": epoch, "loss": loss, "sha256": hashes}
        _write_synced(temporary / "manifest.json", json.dumps(manifest, indent=1).encode())
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FailedRunError(
                f"The disk is full: the checkpoint of step {step} could not be written to {folder}; "
                "the one before it is intact. Free some space and resume."
            ) from error
        raise
    _prune(folder)
    return Checkpoint(final, step, epoch, loss)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def checkpoints(folder: Path) -> list[Checkpoint]:
    """All checkpoints that are there, oldest first; their hashes are not compared yet."""
    found = []
    for path in sorted(folder.glob("step-*")):
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
            found.append(Checkpoint(path, int(manifest["step"]), int(manifest["epoch"]), float(manifest["loss"])))
        except (OSError, ValueError, KeyError):
            continue
    return found


def best(found: list[Checkpoint]) -> Checkpoint | None:
    """The checkpoint with the lowest loss."""
    return min(found, key=lambda checkpoint: checkpoint.loss, default=None)


def newest_intact(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose files have the hashes its manifest names; None when there is none."""
    return next((c for c in reversed(checkpoints(folder)) if is_intact(c.path)), None)


def is_intact(path: Path) -> bool:
    """Whether every file of a checkpoint is there and unchanged; refuses one from a newer genlab."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    check_format(int(manifest.get("format", 0)), FORMAT, path)
    return all((path / name).exists() and sha256(path / name) == digest for name, digest in manifest["sha256"].items())


def load_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The model's weights."""
    from safetensors.torch import load_file

    return load_file(checkpoint.path / "weights.safetensors")


def load_training(checkpoint: Checkpoint) -> dict[str, Any]:
    """What resuming needs beside the weights; refuses a checkpoint that was shared without it."""
    import torch

    path = checkpoint.path / "training.pt"
    if not path.exists():
        raise BadInputError(f"{checkpoint.path} holds weights only, so training cannot go on from it.")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _prune(folder: Path) -> None:
    found = checkpoints(folder)
    keep = {c.path for c in found[-KEPT:]} | {c.path for c in [best(found)] if c}
    for checkpoint in found:
        if checkpoint.path not in keep:
            shutil.rmtree(checkpoint.path, ignore_errors=True)
