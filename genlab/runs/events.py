"""`events.jsonl`: appended by one writer, tailed by any number of readers by byte offset."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pydantic

from genlab.core.events import Diagnosed, Event, Started, parse

log = logging.getLogger(__name__)


class EventLog:
    """The single writer of a run's events; a torn last line that a killed writer left is cut off first."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
        content = self._file.read()
        self._length = content.rfind(b"\n") + 1
        self._file.truncate(self._length)

    def append(self, event: Event) -> Event:
        """Write one event, stamped with the time, so that every reader can see it at once.

        Raises `OSError` when the disk is full; the file is then as it was before.
        """
        stamped = event.model_copy(update={"time": time.time()})
        line = stamped.model_dump_json().encode() + b"\n"
        self._file.seek(self._length)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._length)
            raise
        self._length += len(line)
        return stamped

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events from a byte offset on, and the offset to go on from; a line is read once it is whole.

    Lines that cannot be read (damaged, or of a kind only a newer genlab knows) are left out with a remark in the log.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], 0
    whole = content.rfind(b"\n") + 1
    events = []
    for line in content[:whole].split(b"\n")[:-1]:
        try:
            events.append(parse(line))
        except pydantic.ValidationError:
            log.warning("A line of %s cannot be read and is left out: %.60r", path, line)
    return events, offset + whole


def without_taken_back(events: Iterable[Event]) -> list[Event]:
    """The history as it holds: what came after a checkpoint that a later start went back to is left out.

    >>> from genlab.core.events import EpochFinished
    >>> epoch = lambda number: EpochFinished(step=10 * number, epoch=number, scalars={}, seconds=1.0)
    >>> begun = Started(step=10, epoch=1, steps=20, epochs=2, steps_per_epoch=10, device="cpu", precision="float32")
    >>> [event.step for event in without_taken_back([epoch(1), epoch(2), begun, epoch(2)])]
    [10, 10, 20]
    """
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Started):
            kept = [earlier for earlier in kept if _place(earlier) <= _place(event)]
        kept.append(event)
    return kept


class Illness(NamedTuple):
    """One disease of a run's training: how it was found, and how it ended, where it did."""

    found: Diagnosed
    cured: Diagnosed | None = None


def illnesses(events: Iterable[Event]) -> list[Illness]:
    """The diseases of a run as they came, each once, whatever was told again after a resume.

    >>> ill = Diagnosed(step=30, epoch=3, disease="overfitting", message="…")
    >>> well = Diagnosed(step=50, epoch=5, disease="overfitting", message="…", cured=True)
    >>> [(one.found.epoch, one.cured and one.cured.epoch) for one in illnesses([ill, ill, well, well])]
    [(3, 5)]
    """
    told: list[Illness] = []
    for event in without_taken_back(events):
        if not isinstance(event, Diagnosed):
            continue
        unended = [place for place, one in enumerate(told) if one.found.disease == event.disease and one.cured is None]
        if event.cured and unended:
            told[unended[0]] = Illness(told[unended[0]].found, event)
        elif not event.cured and not unended:
            told.append(Illness(event))
    return told


def _place(event: Event) -> tuple[int, int]:
    """Step and finished epochs: the end of an epoch comes after the last step of that epoch."""
    return getattr(event, "step", 0), getattr(event, "epoch", 0)
