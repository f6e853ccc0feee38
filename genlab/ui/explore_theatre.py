"""The theatre of a walk and the board of dimensions: both decode in the browser while something moves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.palette import PALETTE
from genlab.ui.components import heard
from genlab.ui.components.browser import doubles, view
from genlab.ui.explore_controls import as_csv, file_stem, keep_in_address, linked, offer, weights_of
from genlab.ui.messages import boundary, plain
from genlab.ui.routes import decoder_addresses
from genlab.workspace.exhibit import ground_of

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane, Traversal

AROUND = 800  # codes that show where the ways of a walk lead
INKS = {"lerp": PALETTE[1], "slerp": PALETTE[0]}
ENDS = {
    True: ("between", "ends-origin", "ends"),
    False: ("between", "draws", "seed"),
}  # widgets that say what of, by whether of images


def theatre(run: genlab.Run, codes: np.ndarray, names: Sequence[str], *, closed: bool) -> None:
    """Both ways through codes (P, D), played and scrubbed, and each stretch on the plane through its ends and the origin."""
    ends = list(range(len(codes))) if closed else list(range(len(codes) - 1))
    with st.spinner("Looking where codes lie …"):
        planes = [_around(run, codes[start], codes[(start + 1) % len(codes)]) for start in ends]
    noun = "training images" if run.can("encodes") else "draws from the prior"
    data = {
        "name": _name(run, codes, closed),
        "decoder": decoder_addresses(run),
        "codes": doubles(codes),
        "count": len(codes),
        "size": codes.shape[1],
        "names": list(names),
        "closed": closed,
        "planes": [plane and ground_of(plane) for plane in planes],
        "legends": [
            f"From {names[start]} to {names[(start + 1) % len(codes)]}, on the plane through both and the origin, among "
            f"the codes of {AROUND} {noun} at most. Hatched: no code lies near."
            for start in ends
        ],
        "inks": INKS,
        "ends": _ends(run.can("encodes")) | {"closed": closed},
        "time": _linked_time(),
    }
    time = view("theatre", data, key="theatre", on_ends_change=_put_back, on_time_change=heard).get("time")
    if time is not None:
        keep_in_address("along", f"{time:.3f}" if time else "")
    st.caption(plain(
        f"Both ways at the same time, decoded by “{run.title}”: play, pull the slider, or drag along a filmstrip; Ctrl-Z "
        "takes back, other ends too."
    ))  # fmt: skip


def _linked_time() -> float:
    """How far along the way the address is, from 0 to 1."""
    with suppress(ValueError):
        return min(1.0, max(0.0, float(st.query_params.get("along", "0"))))
    return 0.0


def _ends(encodes: bool) -> dict[str, Any]:
    """What stands in the widgets that say where a walk leads."""
    shown = ENDS[encodes and st.session_state.get("between") != "Prior draws"]
    return {key: st.session_state[key] for key in shown if key in st.session_state}


def _put_back() -> None:
    """The widgets around the theatre as they were before, where a person took something back in it."""
    told = st.session_state["theatre"].ends or {}
    for key, value in told.get("ends", {}).items():
        if key in (*ENDS[True], *ENDS[False], "closed"):
            st.session_state[key] = value


def _around(run: genlab.Run, start: np.ndarray, end: np.ndarray) -> LatentPlane | None:
    """The plane on which both ways between two codes lie; None where they lie on one line with the origin."""
    try:
        return run.latent_plane(np.stack([start, end, np.zeros_like(start)]), limit=AROUND)
    except BadInputError:
        return None


def _name(run: genlab.Run, *parts: Any) -> str:
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return f"{weights_of(run)}/{hashlib.blake2b(content, digest_size=6).hexdigest()}"


@st.fragment
@boundary()
def board(run: genlab.Run, code: np.ndarray, found: Traversal, shown: int) -> None:
    """A slider for each of the dimensions most used; the code that was let go of can be taken away."""
    used, values = found.dimensions[:shown], found.values[:shown]
    kl = [""] * shown if found.kl is None else [f"{nats:.2f} nats" for nats in found.kl[:shown]]
    name = _name(run, code, used, values)
    told = st.session_state.get("board", {}).get("code")
    moved = np.array(told["at"]) if told and told["board"] == name else None
    data = {
        "name": name,
        "decoder": decoder_addresses(run),
        "code": doubles(code),
        "steps": values.shape[1],
        "rows": [
            {"dimension": int(d), "least": float(row.min()), "most": float(row.max()), "note": note}
            for d, row, note in zip(used, values, kl, strict=True)
        ],
        "moved": moved_of(_moved(name, code, moved)),
    }
    view("board", data, key="board", on_code_change=heard)
    st.caption(plain(
        "Pull a slider: the picture is the code with all sliders as they stand, and each strip shows what its own "
        f"dimension would do from there. Decoded by “{run.title}”."
    ))  # fmt: skip
    if moved is not None:
        with st.container(horizontal=True, gap="small"):
            offer("The picture (PNG)", lambda: run.decode(moved).png_bytes(columns=1), f"{file_stem(run, 'board')}.png")
            offer(
                "Its code (CSV)",
                lambda: as_csv([{f"z{d}": value for d, value in enumerate(moved.tolist())}]),
                f"{file_stem(run, 'board')}.csv",
            )


def _moved(name: str, code: np.ndarray, moved: np.ndarray | None) -> str:
    """Which sliders of the board stand elsewhere than in its code, for the address: as told, else as the address has it."""
    text = linked("moved", name)
    if moved is not None:
        text = ",".join(f"{d}:{moved[d]:.6g}" for d in np.flatnonzero(moved != np.float32(code)))
        keep_in_address("moved", text)
    return text


def moved_of(text: str) -> dict[str, float]:
    """Where the sliders of some dimensions stand; a text that says no such thing moves none.

    >>> moved_of("3:1.5,7:-0.6"), moved_of("3:x"), moved_of("3:inf")
    ({'3': 1.5, '7': -0.6}, {}, {})
    """
    with suppress(ValueError):
        parts = [part.split(":") for part in text.split(",") if part]
        moved = {str(int(dimension)): float(value) for dimension, value in parts}
        return moved if np.isfinite([*moved.values()]).all() else {}
    return {}
