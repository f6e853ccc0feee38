"""Checkpoints: a folder that appears under its name only when it is whole, and is believed only while its hashes agree."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from genlab.core.errors import BadInputError
from genlab.runs.config import check_format
from genlab.runs.files import in_words, sha256, sync_folder, write_synced

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
KEPT = 2  # the newest ones, complete; the best one is kept besides
SNAPSHOTS = 16  # weights kept of older ones, spread over the run, where they are small
SNAPSHOT_BYTES = 64 * 2**20  # what these may take together
WEIGHTS, TRAINING = "weights.safetensors", "training.pt"


class Checkpoint(NamedTuple):
    """One checkpoint on disk; `loss` is infinite when it was saved in the middle of an epoch."""

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
    weights = save({key: value.detach().to("cpu", copy=True) for key, value in model.state_dict().items()})
    fills: dict[str, Callable[[BinaryIO], object]] = {WEIGHTS: lambda file: file.write(weights)}
    if training is not None:
        fills[TRAINING] = lambda file: torch.save(training, file)
    manifest = {"format": FORMAT, "step": step, "epoch": epoch, "loss": loss if math.isfinite(loss) else None}
    try:
        _write(temporary, fills, manifest)
        _publish(temporary, final)
    except OSError as error:
        raise in_words(error, f"the checkpoint of step {step}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    prune(folder)
    return Checkpoint(final, step, epoch, loss)


def _write(temporary: Path, fills: Mapping[str, Callable[[BinaryIO], object]], manifest: dict[str, Any]) -> None:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, fill in fills.items():
        write_synced(temporary / name, fill)
    manifest = {**manifest, "sha256": {name: sha256(temporary / name) for name in fills}}
    write_synced(temporary / "manifest.json", lambda file: file.write(json.dumps(manifest, indent=1).encode()))
    sync_folder(temporary)


def _publish(temporary: Path, final: Path) -> None:
    """Give a whole checkpoint its name; one of the same step, from before a restart, steps aside first."""
    if final.exists():
        aside = final.with_name(f".{final.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
        temporary.rename(final)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        temporary.rename(final)
    sync_folder(final.parent)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """All checkpoints that are there, oldest first; their hashes are not compared yet."""
    found = []
    for path in sorted(folder.glob("step-*")):
        try:
            manifest = _manifest(path)
            loss = math.inf if manifest["loss"] is None else float(manifest["loss"])
            found.append(Checkpoint(path, int(manifest["step"]), int(manifest["epoch"]), loss))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def best(found: list[Checkpoint]) -> Checkpoint | None:
    """The checkpoint with the lowest loss."""
    return min(found, key=lambda checkpoint: checkpoint.loss, default=None)


def newest_intact(folder: Path, *, resumable: bool = False) -> Checkpoint | None:
    """The newest checkpoint whose files have the hashes its manifest names; None when there is none.

    With `resumable`, one that training can go on from. Raises `BadInputError` for one from a newer genlab.
    """
    names = (WEIGHTS, TRAINING) if resumable else (WEIGHTS,)
    return next((found for found in reversed(checkpoints(folder)) if is_intact(found.path, names)), None)


def refuse_weights_only(folder: Path) -> None:
    """Raise `BadInputError` where there are checkpoints, but none that training could go on from."""
    if checkpoints(folder) and newest_intact(folder, resumable=True) is None:
        raise BadInputError(
            f"{folder} holds weights, but nothing intact that training could go on from; train a new run instead."
        )


def is_intact(path: Path, names: tuple[str, ...] = (WEIGHTS,)) -> bool:
    """Whether these files of a checkpoint are there and unchanged; refuses one from a newer genlab."""
    try:
        manifest = _manifest(path)
        check_format(int(manifest.get("format", 0)), FORMAT, path)
        return all(sha256(path / name) == manifest["sha256"].get(name) for name in names)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _manifest(path: Path) -> dict[str, Any]:
    manifest = json.loads((path / "manifest.json").read_bytes())
    if not isinstance(manifest, dict):
        raise ValueError(f"{path} has a manifest that is no list of files.")
    return manifest


def load_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The model's weights."""
    from safetensors.torch import load_file

    return load_file(checkpoint.path / WEIGHTS)


def put_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a model; raises `BadInputError` when it belongs to another network."""
    try:
        model.load_state_dict(load_weights(checkpoint))
    except RuntimeError as error:
        first = str(error).split("\n")[1:2] or [str(error)]
        raise BadInputError(
            f"The weights in {checkpoint.path} belong to a network of another shape ({first[0].strip()}); "
            "train a new run instead."
        ) from error


def load_training(checkpoint: Checkpoint) -> dict[str, Any]:
    """What resuming needs beside the weights."""
    import torch

    state: dict[str, Any] = torch.load(checkpoint.path / TRAINING, map_location="cpu", weights_only=True)
    return state


def sweep(folder: Path) -> None:
    """Remove what a writer that was killed left behind; only the run's one worker may."""
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def prune(folder: Path) -> None:
    """Keep the newest two and the best whole, and of small older ones the weights, spread over the run."""
    found = checkpoints(folder)
    whole = {checkpoint.path for checkpoint in found[-KEPT:]} | {c.path for c in [best(found)] if c}
    older = [checkpoint for checkpoint in found if checkpoint.path not in whole]
    if older:
        size = (older[0].path / WEIGHTS).stat().st_size
        spread = set(evenly([c.step for c in older], min(SNAPSHOTS, SNAPSHOT_BYTES // max(1, size))))
        for checkpoint in older:
            if checkpoint.step in spread:
                (checkpoint.path / TRAINING).unlink(missing_ok=True)
            else:
                shutil.rmtree(checkpoint.path, ignore_errors=True)


def evenly(steps: list[int], most: int) -> list[int]:
    """At most `most` of ascending steps, spread: again and again the one whose absence leaves the least gap goes.

    >>> evenly([1, 2, 3, 10, 20], 3), evenly([5], 0)
    ([1, 10, 20], [])
    """
    left = list(steps)
    while len(left) > max(2, most):
        gaps = [after - before for before, after in zip(left, left[2:], strict=False)]
        del left[gaps.index(min(gaps)) + 1]
    return left[:most]
