"""What addresses say of a play in the training theatre: values of parameters, and drawings in few letters."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import GenlabError
from genlab.data.clouds import drawn_cloud
from genlab.ui.forms import stops

if TYPE_CHECKING:
    from genlab.core.parameters import ParameterInfo

LARGEST_DRAWING = 100_000  # bytes of a drawing, unpacked


def value_of(text: str, info: ParameterInfo, start: Any) -> Any:
    """A value of a parameter as an address has it; None where its widget, which begins at `start`, cannot stand there."""
    if info.choices:
        return next((choice for choice in info.choices if str(choice) == text), None)
    with suppress(ValueError):
        number = int(text) if info.type == "int" else float(text)
        if info.log:
            return number if number in stops(info, start) else None
        if info.minimum is not None and info.maximum is not None and info.minimum <= number <= info.maximum:
            return number
    return None


def strokes_text(strokes: Sequence[Any]) -> str:
    """Strokes for an address: each corner in thousandths of the square, as the way from the one before; none are "".

    >>> strokes_of(strokes_text([[(0.2, 0.5), (0.8, 0.5)]]))
    [[[0.2, 0.5], [0.8, 0.5]]]
    """
    ways = [np.diff(np.rint(1000 * np.array(stroke)).astype(int), axis=0, prepend=0).tolist() for stroke in strokes]
    packed = zlib.compress(json.dumps(ways, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=") if ways else ""


def strokes_of(text: str) -> list[Any]:
    """The strokes of `strokes_text`; a text that is none gives none.

    >>> strokes_of("nonsense")
    []
    """
    with suppress(ValueError, TypeError, zlib.error, GenlabError):
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        ways = json.loads(zlib.decompressobj().decompress(packed, LARGEST_DRAWING))
        strokes = [(np.array(way, dtype=int).reshape(-1, 2).cumsum(0) / 1000).tolist() for way in ways]
        drawn_cloud(strokes, 1)
        return strokes
    return []
