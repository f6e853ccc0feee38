"""A run's decoder as an ONNX file, exported once for each checkpoint and kept beside the run."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import BadInputError
from genlab.runs.checkpoints import WEIGHTS, Checkpoint, checkpoints, newest_intact
from genlab.runs.files import write_atomically

if TYPE_CHECKING:
    from genlab.workspace.run import Run

FORMAT = 1  # of the exported graphs: another one makes them be exported again
KEPT = 4  # checkpoints of a run whose decoders are kept

_lock = threading.Lock()


def decoder_file(run: Run, step: int | None = None) -> Path:
    """The ONNX file of a run's decoder, of its newest good checkpoint or of the one at a step.

    Exported on the first call, which takes seconds, and then found: beside the run, or in the laboratory's folder
    for runs that came with genlab. Raises `BadInputError` for a run that does not decode or cannot be exported.
    """
    if not run.can("decodes"):
        raise BadInputError(f"{run.title} cannot turn codes into images, so it has no decoder to export.")
    checkpoint = _checkpoint(run, step)
    file = _folder(run) / f"decoder-{_hash(checkpoint)}-{FORMAT}.onnx"
    with _lock:  # one export at a time, and none twice
        if not file.is_file():
            graph = _export(run, checkpoint)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, graph)
            _forget_old(file)
    return file


def decoder_key(run: Run) -> str:
    """What a run's exported decoder is called as long as its weights stay the same; they are not looked through."""
    found = checkpoints(run.directory / "checkpoints")
    return f"{_hash(found[-1])}-{FORMAT}" if found else ""


def _export(run: Run, checkpoint: Checkpoint) -> bytes:
    try:
        from genlab.nn.portable import decoder_graph

        described = {"run": run.id, "title": run.title, "model": run.config.model, "weights": _hash(checkpoint)}
        return decoder_graph(run.model(checkpoint.step), described)
    except ImportError as error:
        raise BadInputError(
            f"Exporting a decoder needs {error.name}, which is not installed; pip install onnx onnxscript onnxruntime."
        ) from error
    except BadInputError as error:
        raise BadInputError(f"{run.title}: {error}") from error


def _checkpoint(run: Run, step: int | None) -> Checkpoint:
    folder = run.directory / "checkpoints"
    if step is None:
        found = newest_intact(folder)
    else:
        found = next((one for one in checkpoints(folder) if one.step == step), None)
    if found is None:
        at = "yet" if step is None else f"at step {step}"
        raise BadInputError(f"{run.title} has no good checkpoint {at}, so there is no decoder to export.")
    return found


def _hash(checkpoint: Checkpoint) -> str:
    manifest = json.loads((checkpoint.path / "manifest.json").read_bytes())
    return str(manifest["sha256"][WEIGHTS])[:16]


def _folder(run: Run) -> Path:
    return Path(run.lab.root) / "cache" / run.id if run.shipped else run.directory / "artefacts" / "cache"


def _forget_old(newest: Path) -> None:
    """Keep the decoders of the few checkpoints that were exported last."""
    with contextlib.suppress(OSError):
        kept = sorted(newest.parent.glob("decoder-*.onnx"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-KEPT]:
            old.unlink(missing_ok=True)
