"""One worker a run: a lock on the directory that ends with the process that holds it, however it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.core.errors import BadInputError

PATIENCE = 15.0  # seconds that a worker which is just leaving may still need


@contextmanager
def only_worker(directory: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a run's directory; raises `BadInputError` when another process goes on training it."""
    import fcntl

    with (directory / ".lock").open("wb") as file:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise BadInputError(f"Another process is training {directory.name} already.") from None
                time.sleep(0.05)
        yield


def process_started(pid: int) -> float:
    """When a process began, in its system's own clock; 0 where that cannot be told."""
    try:
        return float(_status(pid)[19])
    except (OSError, IndexError, ValueError):
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """Whether the process that wrote a state still lives, and is not another one under the same number."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        pass
    try:
        if _status(pid)[0] == "Z":  # a dead child that nobody waited for still has a number
            return False
    except (OSError, IndexError):
        pass
    return process_started(pid) == started


def _status(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name: state, parent, …, and at 19 the start."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
