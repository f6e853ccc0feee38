"""A run as one zip: packed without anything that must be unpickled, unpacked with suspicion."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from genlab.core.errors import BadInputError
from genlab.core.events import Sampled
from genlab.runs.checkpoints import newest_intact
from genlab.runs.config import RunState, read_config, write_state
from genlab.runs.events import read_events
from genlab.runs.files import write_atomically

MOST_BYTES = 2**31
MOST_FILES = 10_000
MOST_PIXELS = 2**25  # of one preview
PREVIEW = re.compile(r"artefacts/[A-Za-z0-9][\w.-]*\.png")
ALLOWED = re.compile(
    r"(config\.json|state\.json|events\.jsonl|amendments\.jsonl|notes\.txt|name\.txt"
    rf"|{PREVIEW.pattern}|checkpoints/step-\d{{1,12}}/(weights\.safetensors|manifest\.json))"
)


def shareable(directory: Path) -> list[Path]:
    """The files of a run that are worth sharing: no training state, no logs, the newest weights only."""
    checkpoint = newest_intact(directory / "checkpoints")
    if checkpoint is None:
        raise BadInputError(f"{directory.name} has no checkpoint yet, so there is nothing to export.")
    kept = [path for path in sorted(directory.rglob("*")) if ALLOWED.fullmatch(path.relative_to(directory).as_posix())]
    return [path for path in kept if path.parent.parent.name != "checkpoints" or path.parent == checkpoint.path]


def share_folder(directory: Path, target: Path) -> Path:
    """Copy what is worth sharing into a folder."""
    for path in shareable(directory):
        copy = target / path.relative_to(directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


def pack(directory: Path, file: Path) -> Path:
    """Write a run as a zip, whole or not at all."""
    files = shareable(directory)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, f"{directory.name}/{path.relative_to(directory).as_posix()}")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file


def unpack(file: Path, runs: Path) -> Path:
    """Take in a packed run under its own id; raises `BadInputError` for anything that is not one."""
    runs.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".import-", dir=runs))
    try:
        _extract(file, temporary)
        _check(file, temporary)
        config = read_config(temporary)
        final = runs / config.id
        if final.exists():
            raise BadInputError(f"The run {config.id} of {file.name} is here already.")
        write_atomically(temporary / "config.json", config.without_paths().model_dump_json(indent=1).encode())
        last = max((getattr(event, "epoch", 0) for event in read_events(temporary / "events.jsonl")[0]), default=0)
        write_state(temporary, RunState(status="finished", epoch=last, message="Imported."))
        temporary.rename(final)
        return final
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check(file: Path, folder: Path) -> None:
    """Refuse a zip that holds no whole run; leave out previews that are no pictures in the run's own folder."""
    if not (folder / "config.json").exists():
        raise BadInputError(f"{file.name} is not a run that genlab exported: it has no config.json.")
    config = read_config(folder)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,120}", config.id):
        raise BadInputError(f"{file.name} names its run {config.id!r}, which cannot be a folder's name.")
    if newest_intact(folder / "checkpoints") is None:
        raise BadInputError(f"{file.name} holds no weights that agree with their manifest; export the run again.")
    events = read_events(folder / "events.jsonl")[0]
    kept = [event for event in events if not isinstance(event, Sampled) or PREVIEW.fullmatch(event.path)]
    lines = b"".join(event.model_dump_json().encode() + b"\n" for event in kept)
    write_atomically(folder / "events.jsonl", lines)
    for picture in (folder / "artefacts").glob("*.png"):
        if not _is_picture(picture):
            picture.unlink()


def _is_picture(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.width * picture.height <= MOST_PIXELS
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _extract(file: Path, target: Path) -> None:
    """Write the members a run may have, under names that were looked at, up to a number of bytes."""
    try:
        with zipfile.ZipFile(file) as archive:
            left = MOST_BYTES
            for member in archive.infolist()[:MOST_FILES]:
                inside = member.filename.partition("/")[2]
                if ALLOWED.fullmatch(inside) and not member.is_dir():
                    left = _copy(archive, member, target / inside, left)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise BadInputError(f"{file.name} is not a run that genlab exported: it cannot be read as a zip.") from error
    if left < 0:
        raise BadInputError(f"{file.name} unpacks to more than {MOST_BYTES >> 30} GB; it is left alone.")


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Write one member while `left` bytes may still come; returns what is left then, negative when too much came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("wb") as sink:
        while left >= 0 and (chunk := source.read(1 << 20)):
            left -= len(chunk)
            if left >= 0:
                sink.write(chunk)
    return left
