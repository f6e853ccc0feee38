"""A slider whose pictures the browser decodes as it moves: codes plus a strength times a direction."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.ui.components import heard
from genlab.ui.components.browser import doubles, view
from genlab.ui.explore_controls import as_csv, file_stem, keep_in_address, offer, weights_of
from genlab.ui.messages import plain
from genlab.ui.routes import decoder_addresses


class Moving(NamedTuple):
    """Codes (N, D), one direction for all or one for each (1 or N, D), and how far the slider called `title` moves them.

    `rest` is the strength that a button called `back` returns to, and the first one.
    """

    title: str
    codes: np.ndarray
    directions: np.ndarray
    names: Sequence[str]
    reach: tuple[float, float]
    rest: float
    back: str

    def at(self, strength: float) -> np.ndarray:
        """The codes (N, D) moved by a strength."""
        return self.codes + strength * self.directions


def sliding_strength(run: genlab.Run, moving: Moving, words: str, *, key: str) -> None:
    """The slider with its pictures and what to take away of them; the strength let go of stands in the address as `key`."""
    start = strength_of(st.query_params.get(key, ""), moving)
    least, most = moving.reach
    data = {
        "name": _name(run, moving),
        "decoder": decoder_addresses(run),
        "codes": doubles(moving.codes),
        "directions": doubles(moving.directions),
        "names": list(moving.names),
        "title": moving.title,
        "least": least,
        "most": most,
        "rest": moving.rest,
        "back": moving.back,
        "start": start,
    }
    told = view("strength", data, key=f"sliding-{key}", on_strength_change=heard).get("strength")
    strength = start if told is None else strength_of(told, moving)
    keep_in_address(key, "" if strength == moving.rest else f"{strength:.4g}")
    st.caption(plain(
        f"{words}: pull the slider, or move it with the arrow keys; Ctrl-Z takes back. Decoded by “{run.title}”."
    ))  # fmt: skip
    codes, stem = moving.at(strength), f"{file_stem(run, key)}-{strength:.2f}"
    with st.container(horizontal=True, gap="small"):
        offer("The pictures (PNG)", lambda: run.decode(codes).png_bytes(columns=len(codes)), f"{stem}.png")
        offer("Their codes (CSV)", lambda: codes_csv(moving.names, codes), f"{stem}.csv")


def strength_of(asked: object, moving: Moving) -> float:
    """A strength as the browser or an address names it, within reach; what is no number is the one at rest."""
    with suppress(TypeError, ValueError):
        strength = float(asked)  # type: ignore[arg-type]
        if math.isfinite(strength):
            return min(max(strength, moving.reach[0]), moving.reach[1])
    return moving.rest


def _name(run: genlab.Run, moving: Moving) -> str:
    """A name for just these codes, directions and bounds, with which a slider begins anew."""
    content = repr((moving.names, moving.reach)).encode()
    content += b"".join(doubles(array).encode() for array in (moving.codes, moving.directions))
    return f"{weights_of(run)}/{hashlib.blake2b(content, digest_size=6).hexdigest()}"


def codes_csv(names: Sequence[str], codes: np.ndarray) -> str:
    """Codes with what they are called.

    >>> codes_csv(["image 3"], np.array([[0.5, 1.0]])).split()
    ['name,z0,z1', 'image', '3,0.5,1.0']
    """
    rows = zip(names, codes.tolist(), strict=True)
    return as_csv({"name": name} | {f"z{d}": value for d, value in enumerate(code)} for name, code in rows)
