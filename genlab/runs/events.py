"""`events.jsonl`: appended by one writer, tailed by any number of readers by byte offset."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pydantic

from genlab.core.events import Event, parse

log = logging.getLogger(__name__)


class EventLog:
    """The single writer of a run's events; a torn last line that a killed writer left is cut off first."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._file.seek(0)
        content = self._file.read()
        self._file.truncate(content.rfind(b"\n") + 1)

    def append(self, event: Event) -> Event:
        """Write one event, stamped with the time, so that every reader can see it at once."""
        stamped = event.model_copy(update={"time": time.time()})
        self._file.write(stamped.model_dump_json().encode() + b"\n")
        self._file.flush()
        return stamped

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events from a byte offset on, and the offset to go on from; a line is read once it is whole.

    Lines that cannot be read (damaged, or of a kind only a newer genlab knows) are left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], 0
    whole = content.rfind(b"\n") + 1
    events = []
    for line in content[:whole].splitlines():
        try:
            events.append(parse(line))
        except pydantic.ValidationError:
            log.warning("a line of %s cannot be read and is left out", path)
    return events, offset + whole
