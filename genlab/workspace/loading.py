"""Trained models, loaded once per process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import BadInputError
from genlab.jobs.models import build_model
from genlab.runs.checkpoints import Checkpoint, checkpoints, is_intact
from genlab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from genlab.core.model import Model

MOST = 6  # models kept in memory

_loaded: OrderedDict[tuple[Path, int], Model] = OrderedDict()
_lock = threading.Lock()


def load_model(run: RunDirectory, step: int | None = None) -> Model:
    """The model of a run's newest good checkpoint (or of the one at `step`), on the CPU, in evaluation mode."""
    with _lock:
        for checkpoint in reversed(_candidates(run, step)):
            with suppress(OSError):  # the worker may drop an old checkpoint while it is looked at
                key = (checkpoint.path, (checkpoint.path / "manifest.json").stat().st_mtime_ns)
                if key not in _loaded and is_intact(checkpoint.path):
                    _loaded[key] = build_model(run, checkpoint)
                if key in _loaded:
                    _loaded.move_to_end(key)
                    while len(_loaded) > MOST:
                        _loaded.popitem(last=False)
                    return _loaded[key]
    raise BadInputError(f"{run.name} has no good checkpoint{_place(step)}; {_advice(run)}")


def _place(step: int | None) -> str:
    return "" if step is None else f" at step {step}"


def _advice(run: RunDirectory) -> str:
    if run.state.status in ("queued", "running"):
        return "wait for its first epoch to end."
    return "resume it, or train a new run."


def _candidates(run: RunDirectory, step: int | None) -> list[Checkpoint]:
    found = checkpoints(run.checkpoints)
    if step is None:
        return found
    chosen = [checkpoint for checkpoint in found if checkpoint.step == step]
    if not chosen:
        steps = ", ".join(str(checkpoint.step) for checkpoint in found) or "none"
        raise BadInputError(f"{run.name} has no checkpoint at step {step}; there are: {steps}.")
    return chosen
