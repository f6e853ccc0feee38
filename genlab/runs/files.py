"""Writing so that a power cut leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from genlab.core.errors import FailedRunError


def write_synced(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a new file through `fill(file)` and force it onto the disk."""
    with path.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by a whole new one: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(temporary, lambda file: file.write(content))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def copy_file(source: Path, target: Path) -> Path:
    """Write a file's content under another name, whose folder is made where it is missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, source.read_bytes())
    return target


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_words(error: OSError, doing: str) -> FailedRunError:
    """What the operating system refused, as one sentence; `doing` says what was being done."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FailedRunError(
            f"The disk is full: {doing} could not be written. Earlier checkpoints are intact; "
            "free some space and resume the run."
        )
    where = f" ({error.filename})" if error.filename else ""
    return FailedRunError(f"{doing[:1].upper()}{doing[1:]} could not be written{where}: {error.strerror or error}.")
