"""A map of points in the browser: it pans, zooms and selects at frame rate, and tells Python what was selected.

The code of the browser's side stands in the folder `scatter_web`, in plain JavaScript. Points, colours and pictures
travel as files that the browser keeps, so that a rerun sends only their addresses.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from genlab.figures.palette import PALETTE, SEQUENTIAL, SYMBOLS
from genlab.ui.components import heard
from genlab.ui.components.media import address_of

HERE = Path(__file__).parent / "scatter_web"
PARTS = ("../web/history.mjs", "geometry.js", "paint.js", "gestures.js", "rebuilt.js", "parts.js", "scatter.js")
TILE = 64  # pixels of the longer side of a picture on the sheet, at most
SHEET_PIXELS = 24_000_000  # of the whole sheet: a browser holds each in four bytes
SOON = 5000  # points whose sheet is made before they are shown
_SCATTER = st.components.v2.component(
    "genlab_scatter",
    html=(HERE / "scatter.html").read_text(encoding="utf-8"),
    css=(HERE / "scatter.css").read_text(encoding="utf-8"),
    js="\n".join((HERE / part).read_text(encoding="utf-8") for part in PARTS),
)


class Colouring(NamedTuple):
    """What points are coloured by: `values` (N,) are class numbers where there are class `names`, else any numbers."""

    title: str
    values: np.ndarray | None = None
    names: tuple[str, ...] = ()


class Mark(NamedTuple):
    """A place of its own on the map: its name, where it lies, and the address of its picture ("" for a ring).

    `way` are its places at each of the moments, where it has others there.
    """

    name: str
    x: float
    y: float
    picture: str = ""
    way: tuple[tuple[float, float], ...] = ()


class Sheet(NamedTuple):
    """Small pictures of all points on one picture: row r stands at (r mod across, r div across), width x height each."""

    content: bytes
    type: str
    across: int
    width: int
    height: int


class Moments(NamedTuple):
    """Checkpoints that the points glide through: `titles` and `steps` of each, where it stands, and a curve behind it."""

    titles: tuple[str, ...]
    steps: tuple[float, ...]
    at: int
    curve: tuple[tuple[float, float], ...]
    what: str


class Touched(NamedTuple):
    """What a person did on the map: the selected rows, the same as `text`, and the checkpoint arrived at.

    `text` fits into an address; it is "" where nothing is selected. `frame` is None before the first time. `pictures` is
    their size in pixels, 0 where dots are shown.
    """

    rows: np.ndarray
    text: str
    frame: int | None
    pictures: int


def scatter(
    frames: np.ndarray,
    *,
    key: str,
    numbers: np.ndarray,
    axes: Sequence[str],
    colouring: Colouring,
    label: str,
    sheet: Callable[[], Sheet] | None = None,
    marks: Sequence[Mark] = (),
    moments: Moments | None = None,
    rebuilt: str = "",
    chosen: str = "",
    asked: int = 0,
    pictures: int = 0,
    noun: str = "image",
    on_drop: Callable[[str, bytes], None] | None = None,
) -> Touched:
    """Show points (N, 2), or (K, N, 2) at K moments, each with its number (N,), and return what was done to them.

    `sheet` makes the pictures (it should remember them), `rebuilt` leads to reconstructions by the checkpoint of a moment, `chosen` is the selection to begin with, the `text` of an earlier one, and a changed
    `asked` puts it in the place of the one that stands, as it does `pictures`, the size that they begin with.
    """
    frames = np.asarray(frames, dtype="<f4")
    frames = frames[None] if frames.ndim == 2 else frames
    numbers = np.asarray(numbers, dtype="<i4")
    content = numbers.tobytes() + frames.tobytes()
    codes = None if colouring.values is None else np.asarray(colouring.values, dtype="<f4").tobytes()
    ready = st.session_state.setdefault(f"{key}-sheets", set())
    later = sheet is not None and len(numbers) > SOON and name_of(numbers) not in ready
    picture = None if sheet is None or later else sheet()
    data = {
        "rows": name_of(numbers),
        "count": len(numbers),
        "points": address_of(content, "application/octet-stream", f"{key}-points"),
        "colours": {
            "title": colouring.title,
            "names": list(colouring.names),
            "codes": codes and address_of(codes, "application/octet-stream", f"{key}-codes"),
        },
        "sheet": picture and _told(picture, f"{key}-sheet"),
        "palette": PALETTE,
        "sequential": SEQUENTIAL,
        "symbols": SYMBOLS,
        "axes": list(axes[:2]),
        "marks": [mark._asdict() for mark in marks],
        "when": moments and moments._asdict(),
        "rebuilt": rebuilt,
        "chosen": chosen,
        "asked": asked,
        "label": label,
        "pictures": pictures,
        "noun": noun,
        "drops": on_drop is not None,
    }
    told = _SCATTER(
        key=key,
        data=data,
        on_chosen_change=heard,
        on_frame_change=heard,
        on_dropped_change=lambda: _drop(key, on_drop),
    )
    if sheet is not None and later:  # the points stand there already; their pictures follow
        sheet()
        ready.add(name_of(numbers))
        st.rerun()
    return touched(told, numbers, chosen, len(frames), pictures)


def _told(sheet: Sheet, place: str) -> dict[str, Any]:
    """What the browser must know of the sheet."""
    address = address_of(sheet.content, sheet.type, place)
    return {"address": address, "across": sheet.across, "width": sheet.width, "height": sheet.height}


def touched(told: Any, numbers: np.ndarray, chosen: str, frames: int, pictures: int = 0) -> Touched:
    """What the browser told, where it was told of points with these numbers; before that, what it began with."""
    text = told.get("chosen")
    text = chosen if text is None else text
    frame = told.get("frame")
    rows, _, bits = text.partition(".")
    found = unpacked(bits, len(numbers)) if rows == name_of(numbers) else np.empty(0, dtype=np.int64)
    shown = told.get("pictures")
    place = frame if isinstance(frame, int) and 0 <= frame < frames else None
    return Touched(found, text if len(found) else "", place, pictures if shown is None else int(shown))


def name_of(numbers: np.ndarray) -> str:
    """A short name for just these points, so that no selection is taken for one of others."""
    return hashlib.blake2b(np.asarray(numbers, dtype="<i4").tobytes(), digest_size=4).hexdigest()


def packed(rows: np.ndarray, count: int) -> str:
    """Rows out of `count` as base64 of one bit each, the first in the lowest bit; none are "".

    >>> packed(np.array([0, 9]), 10), packed(np.array([], dtype=int), 10)
    ('AQI=', '')
    """
    if not len(rows):
        return ""
    flags = np.zeros(count, dtype=bool)
    flags[rows] = True
    return base64.b64encode(np.packbits(flags, bitorder="little").tobytes()).decode()


def unpacked(text: str, count: int) -> np.ndarray:
    """The rows of `packed`; a text that is none of these many rows gives none.

    >>> unpacked("AQI=", 10), unpacked("AQI=", 100), unpacked("?", 10)
    (array([0, 9]), array([], dtype=int64), array([], dtype=int64))
    """
    try:
        bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except ValueError:
        bits = np.empty(0, dtype=np.uint8)
    if len(bits) != (count + 7) // 8:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.unpackbits(bits, count=count, bitorder="little"))


def sprite_sheet(images: np.ndarray) -> Sheet:
    """One picture of all images (N, C, H, W) uint8: PNG where they are grey, else JPEG, which stays small.

    Grey ones are lossless, and written five times as quickly as WebP at the same size.
    """
    from PIL import Image

    count, channels = images.shape[:2]
    across = max(1, math.ceil(math.sqrt(count)))
    tiles = np.zeros((across * across, *_tile(count, images.shape[2:]), 1 if channels < 3 else 3), dtype=np.uint8)
    tiles[:count] = np.moveaxis(_reduced(images[:, : tiles.shape[3]], tiles.shape[1:3]), 1, -1)
    height, width = tiles.shape[1:3]
    rows = tiles.reshape(across, across, height, width, -1).swapaxes(1, 2)
    sheet = np.ascontiguousarray(rows.reshape(across * height, across * width, -1)[: -(-count // across) * height])
    file = io.BytesIO()
    if channels < 3:
        Image.fromarray(sheet[..., 0]).save(file, "PNG", compress_level=1)
        return Sheet(file.getvalue(), "image/png", across, width, height)
    Image.fromarray(sheet).save(file, "JPEG", quality=90, subsampling=0)
    return Sheet(file.getvalue(), "image/jpeg", across, width, height)


def _tile(count: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of one picture on the sheet: its own where the sheet stays small enough.

    >>> _tile(1000, (28, 28)), _tile(1000, (64, 128)), _tile(70_000, (28, 28))
    ((28, 28), (32, 64), (18, 18))
    """
    height, width = shape
    share = min(1.0, TILE / max(shape), math.sqrt(SHEET_PIXELS / (count * height * width)))
    return max(1, int(height * share)), max(1, int(width * share))


def _reduced(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Images (N, C, H, W) brought to a smaller size, each pixel the mean of those it stands for."""
    if images.shape[2:] == tuple(size):
        return images
    import torch

    parts = np.array_split(images, max(1, images.size // 2**24))
    reduced = [
        torch.nn.functional.interpolate(torch.from_numpy(np.ascontiguousarray(part)).float(), tuple(size), mode="area")
        for part in parts
    ]
    return torch.cat(reduced).round().to(torch.uint8).numpy()


def _drop(key: str, on_drop: Callable[[str, bytes], None] | None) -> None:
    """Hand over a dropped file, which comes as its name and its content in base64."""
    dropped = st.session_state[key].get("dropped")
    if on_drop is not None and dropped:
        on_drop(str(dropped["name"]), base64.b64decode(dropped["content"]))
