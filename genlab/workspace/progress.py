"""A bar on standard error while a run trains, and durations in words."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from genlab.core.events import EpochFinished, Event, Progressed, Started

WIDTH = 24
SECONDS_BETWEEN_LINES = 10.0  # where there is no terminal that a line could be written over in


class Bar:
    """Shows events as one line that is written over; in a log file, as a line every ten seconds.

    >>> import io
    >>> stream = io.StringIO()
    >>> bar = Bar(stream)
    >>> bar.show(Started(step=0, epoch=0, steps=20, epochs=2, steps_per_epoch=10, device="cpu", precision="float32"))
    >>> bar.show(Progressed(step=5, epoch=0, scalars={"loss": 2.0}, images_per_second=100.0, seconds_left=3.0))
    >>> print(stream.getvalue(), end="")
    epoch 1 of 2  [██████                  ]  step 5 of 20  loss 2  100 images/s  3 s left
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.begun: Started | None = None
        self.loss = float("nan")
        self.told = float("-inf")

    def show(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, Started):
            self.begun = event
        if isinstance(event, Progressed | EpochFinished):
            self.loss = event.scalars.get("loss", self.loss)
        if self.begun and isinstance(event, Progressed):
            now = time.monotonic()
            if self.live or now - self.told >= SECONDS_BETWEEN_LINES:
                self.told = now
                self._print(self._line(event, self.begun))

    def waiting(self, what: str) -> None:
        """Say what is being waited for, where the line is alive."""
        if self.live:
            self._print(what)

    def end(self) -> None:
        """Leave the line."""
        if self.live:
            print(file=self.stream, flush=True)

    def _line(self, event: Progressed, begun: Started) -> str:
        done = min(WIDTH, WIDTH * event.step // max(1, begun.steps))
        epoch = min(begun.epochs, max(1, -(-event.step // max(1, begun.steps_per_epoch))))
        return (
            f"epoch {epoch} of {begun.epochs}  [{'█' * done}{' ' * (WIDTH - done)}]  step {event.step:,} of "
            f"{begun.steps:,}  loss {self.loss:.4g}  {event.images_per_second:,.0f} images/s  "
            f"{event.seconds_left:,.0f} s left"
        )

    def _print(self, line: str) -> None:
        print(f"\r\x1b[K{line}" if self.live else line, end="" if self.live else "\n", file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """Seconds in the words of a clock.

    >>> duration(0.4), duration(75), duration(7300), duration(200_000)
    ('under 1 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 1:
        return "under 1 s"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    left, parts = int(seconds), list[str]()
    for length, unit in units:
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)
