"""A run as one zip: packed without anything that must be unpickled, unpacked with suspicion."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from genlab.core.errors import BadInputError
from genlab.runs.checkpoints import newest_intact
from genlab.runs.config import RunState, read_config, write_state
from genlab.runs.files import write_atomically

MOST_BYTES = 2**31
ALLOWED = re.compile(
    r"(config\.json|state\.json|events\.jsonl|amendments\.jsonl|notes\.txt|name\.txt"
    r"|artefacts/[\w.-]+\.png|checkpoints/step-\d+/(weights\.safetensors|manifest\.json))"
)


def shareable(directory: Path) -> list[Path]:
    """The files of a run that are worth sharing: no training state, no logs, the newest weights only."""
    checkpoint = newest_intact(directory / "checkpoints")
    if checkpoint is None:
        raise BadInputError(f"{directory.name} has no checkpoint yet, so there is nothing to export.")
    kept = [path for path in sorted(directory.rglob("*")) if ALLOWED.fullmatch(path.relative_to(directory).as_posix())]
    return [path for path in kept if path.parent.parent.name != "checkpoints" or path.parent == checkpoint.path]


def share_folder(directory: Path, target: Path) -> Path:
    """Copy what is worth sharing into a folder, with a manifest that names the weights alone."""
    for path in shareable(directory):
        copy = target / path.relative_to(directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        if path.name == "manifest.json":
            write_atomically(copy, _without_training(path.read_text()).encode())
    return target


def _without_training(manifest: str) -> str:
    import json

    document = json.loads(manifest)
    document["sha256"].pop("training.pt", None)
    return json.dumps(document, indent=1)


def pack(directory: Path, file: Path) -> Path:
    """Write a run as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        shared = share_folder(directory, Path(folder) / directory.name)
        temporary = file.with_name(f".{file.name}.tmp")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(shared.rglob("*")):
                if path.is_file():
                    archive.write(path, f"{directory.name}/{path.relative_to(shared).as_posix()}")
        temporary.replace(file)
    return file


def unpack(file: Path, runs: Path) -> Path:
    """Take in a packed run under its own id; raises `BadInputError` for anything that is not one."""
    runs.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".import-", dir=runs))
    try:
        _extract(file, temporary)
        config = read_config(temporary)
        if not re.fullmatch(r"[\w.-]+", config.id) or config.id.startswith("."):
            raise BadInputError(f"{file.name} names its run {config.id!r}, which cannot be a folder's name.")
        if newest_intact(temporary / "checkpoints") is None:
            raise BadInputError(f"{file.name} holds no weights that agree with their manifest; export the run again.")
        final = runs / config.id
        if final.exists():
            raise BadInputError(f"The run {config.id} of {file.name} is here already.")
        write_state(temporary, RunState(status="finished", message="Imported."))
        temporary.rename(final)
        return final
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(file: Path, target: Path) -> None:
    try:
        archive = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{file.name} is not a run that genlab exported: it cannot be read as a zip.") from error
    with archive:
        left = MOST_BYTES
        for member in archive.infolist():
            inside = member.filename.partition("/")[2]
            if not ALLOWED.fullmatch(inside):
                continue
            path = target / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as sink:
                while chunk := source.read(1 << 20):
                    left -= len(chunk)
                    if left < 0:
                        raise BadInputError(
                            f"{file.name} unpacks to more than {MOST_BYTES >> 30} GB; it is left alone."
                        )
                    sink.write(chunk)
