"""A run's decoder as an ONNX file, exported once for each checkpoint and kept beside the run."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
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

WRITE = "import sys; from genlab.workspace.export import write_decoder; write_decoder(*sys.argv[1:])"

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
            file.parent.mkdir(parents=True, exist_ok=True)
            if threading.current_thread() is threading.main_thread():
                write_atomically(file, _export(run, checkpoint))
            else:
                _export_apart(run, checkpoint, file)
            _forget_old(file)
    return file


def write_decoder(root: str, run_id: str, step: str, file: str) -> None:
    """Export one checkpoint's decoder to a file; what goes wrong is one sentence on standard error and exit code 2."""
    from genlab.workspace import Workspace

    try:
        run = Workspace(root).runs[run_id]
        write_atomically(Path(file), _export(run, _checkpoint(run, int(step))))
    except BadInputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def _export_apart(run: Run, checkpoint: Checkpoint, file: Path) -> None:
    """Export in a process of its own: PyTorch's exporter changes how models are called in all threads meanwhile."""
    arguments = [str(run.lab.root), run.id, str(checkpoint.step), str(file)]
    command = [sys.executable, "-c", WRITE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise BadInputError(done.stderr.strip().splitlines()[-1])
    if done.returncode or not file.is_file():
        raise BadInputError(f"{run.title}: the export of the decoder broke off; run genlab export to see why.")


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
