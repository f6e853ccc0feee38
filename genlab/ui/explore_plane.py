"""A plane of latent space under the finger: pictures come from the decoder in the browser, Python hears on release."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.components import heard
from genlab.ui.components.browser import view
from genlab.ui.explore_controls import as_csv, file_stem, keep_in_address, linked, offer, seed_input, weights_of
from genlab.ui.explore_gallery import image_name, labelled_images
from genlab.ui.explore_newcomer import own_pictures
from genlab.ui.explore_pick import choose_images, one_of_each
from genlab.ui.explore_shades import shades_to_show, without_uncertainty
from genlab.ui.messages import boundary, plain
from genlab.ui.remembering import content_of, remembered
from genlab.ui.routes import LARGEST, decoder_addresses, has_runtime
from genlab.ui.undo import undoable_row
from genlab.workspace.exhibit import view_of

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane

NEAR = 6  # images shown beside a place
MOST_PINS = 12  # as many as the view keeps
ROUNDED = 0.001  # what an address may be wrong by
EXHIBIT = 5_000_000  # bytes of an exhibit of one file without its decoder: the runtime, compressed


@st.fragment
@boundary()
def finger_plane(run: genlab.Run) -> None:
    """The plane, what it goes through where there is a choice, and what lies near the place that was let go."""
    dimensions = int(run.model().latent_dim)  # type: ignore[arg-type]
    if dimensions < 2:
        st.info("This run has a single latent dimension, so there is no plane to move on.", icon=":material/info:")
        return
    corners, names = (None, []) if dimensions == 2 else _corners(run)
    own = own_on_plane(run) if dimensions == 2 and run.can("encodes") else []
    with st.spinner("Looking where codes lie …"):
        plane = laid(run, corners)
        told = _show(run, plane, names, own)
    place, pins = (told_of(told.get(what), plane) for what in ("place", "pins"))
    kept = _remember(plane, place, pins)
    if run.can("encodes") and place is not None:
        _near(run, plane.frame.codes(np.array(place))[0])
    if kept["pins"]:
        _take_pins(run, plane, np.array(kept["pins"]))
    _take_along(run, corners, names)


def _corners(run: genlab.Run) -> tuple[np.ndarray, list[str]]:
    """Three codes to lay the plane through, and what they are called on it."""
    if run.can("encodes"):
        with st.expander("The three images it goes through", icon=":material/change_history:"):
            chosen = choose_images(
                run, key="corners", start=one_of_each(run.images, 3), fewest=3, most=3, label="Through"
            )
        return run.codes(chosen.images), chosen.names
    return through_draws(run, "plane-seed")


def own_on_plane(run: genlab.Run) -> list[dict[str, Any]]:
    """A person's own pictures as named places on the plane of a run's two latent dimensions."""
    box = st.expander("A picture of yours on it", icon=":material/add_a_photo:", key="own-on-plane", on_change="rerun")
    if not box.open:  # what stands in it is not made again with each gesture
        return []
    with box:
        own = own_pictures(run, "plane-own")
    return [{"name": each.name, "at": run.codes(each.image)[0].tolist()} for each in own]


def through_draws(run: genlab.Run, key: str) -> tuple[np.ndarray, list[str]]:
    """Three draws from the prior to lay a plane through, from a seed on that the person chooses, and what they are called."""
    with undoable_row(key, key):
        seed = seed_input(key, help="The plane goes through three draws from the prior, from this seed on.")
    seeds = range(seed, seed + 3)
    return np.concatenate([run.codes(one) for one in seeds]), [f"draw {one}" for one in seeds]


def laid(run: genlab.Run, corners: np.ndarray | None, *, among: Literal["images", "prior"] = "images") -> LatentPlane:
    """The plane, from memory where it was laid before."""
    through = None if corners is None else content_of(corners)
    return remembered("planes", (weights_of(run), through, among), lambda: run.latent_plane(corners, among=among))


def name_of(plane: LatentPlane) -> str:
    """A short name for just this plane, so that no place is taken for one on another."""
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in (*plane.frame, plane.places[:64]))
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _show(run: genlab.Run, plane: LatentPlane, names: list[str], own: list[dict[str, Any]]) -> Any:
    flat = not names
    before, pinned = _kept(plane), linked("pins", name_of(plane))
    asked = _shade(plane)
    data = view_of(run, plane, names) | {
        "name": f"{name_of(plane)}/{weights_of(run)}",
        "decoder": decoder_addresses(run),
        "shades": shades_to_show(run, plane, name_of(plane), asked),
        "shade": asked,
    }
    data["corners"] += own
    data["place"] = before.get("place") or linked_place(plane) or data["place"]
    data["pins"] = before.setdefault("pins", pins_of(pinned, plane))
    told = view("plane", data, key="finger", on_place_change=heard, on_pins_change=heard, on_shade_change=heard)
    what = "two latent dimensions" if flat else "plane through the three codes"
    st.caption(plain(
        f"The {what} of “{run.title}”, with the codes of {len(plane.places)} {data['noun']}"
        f"{'' if flat else ', fainter the farther they lie from the plane'}. "
        "Drag across it, or move with the arrow keys (with Shift in small steps); Enter pins a picture, Ctrl-Z takes back."
        f"{without_uncertainty(run)}"
    ))  # fmt: skip
    return told


def _shade(plane: LatentPlane) -> str:
    """The shade that is asked for: on this plane, else as the address has it, where it is kept."""
    told = told_of(st.session_state.get("finger", {}).get("shade"), plane)
    asked = st.query_params.get("shade", "") if told is None else str(told)
    keep_in_address("shade", asked)
    return asked


def linked_place(plane: LatentPlane) -> list[float] | None:
    """The place that the page's address names, where it lies on this plane."""
    return _place_of(st.query_params.get("at", ""), plane)


def pins_of(text: str, plane: LatentPlane) -> list[list[float]]:
    """The pins that an address names, as far as they lie on this plane."""
    places = (_place_of(part, plane) for part in text.split(";")[:MOST_PINS])
    return [place for place in places if place]


def _place_of(text: str, plane: LatentPlane) -> list[float] | None:
    left, right, bottom, top = plane.extent
    with suppress(ValueError):
        x, y = map(float, text.split(","))
        inside = min(right, max(left, x)), min(top, max(bottom, y))
        return list(inside) if abs(x - inside[0]) < ROUNDED and abs(y - inside[1]) < ROUNDED else None
    return None


def _in_address(place: Sequence[float]) -> str:
    """A place as an address has it."""
    return ",".join(f"{value:.3f}" for value in place)


def _remember(plane: LatentPlane, place: list[float] | None, pins: list[list[float]] | None) -> dict[str, Any]:
    """Keep what was told for when somebody comes back to the page, and in its address; returns all that is kept."""
    kept = _kept(plane)
    kept |= {name: value for name, value in (("place", place), ("pins", pins)) if value is not None}
    if "place" in kept:
        keep_in_address("at", _in_address(kept["place"]))
    keep_in_address("pins", ";".join(map(_in_address, kept["pins"])))
    return kept


def _kept(plane: LatentPlane) -> dict[str, Any]:
    """The place and the pins of a plane, from when somebody was there before."""
    kept: dict[str, Any] = st.session_state.setdefault("finger-kept", {}).setdefault(name_of(plane), {})
    return kept


def told_of(told: Any, plane: LatentPlane) -> Any:
    """What was told of this plane, None where it was of another or of none."""
    return told["at"] if told and told["plane"].partition("/")[0] == name_of(plane) else None


@boundary()
def _near(run: genlab.Run, code: np.ndarray) -> None:
    """The images whose codes lie nearest to the place that was let go."""
    images = run.images
    found = run.neighbours(code, count=NEAR)
    numbers, distances = found.indices[0], found.distances[0]
    labels = [f"{image_name(images, int(i))}, at {d:.2f}" for i, d in zip(numbers, distances, strict=True)]
    shown = Images(np.asarray(images.images[numbers]))
    caption = f"The {len(numbers)} images of {images.title} whose codes lie nearest to the place let go of."
    labelled_images(shown, labels, caption, key="finger-near", size=84)


def _take_pins(run: genlab.Run, plane: LatentPlane, places: np.ndarray) -> None:
    codes = plane.frame.codes(places)
    stem = file_stem(run, "pins")
    with st.container(horizontal=True, gap="small"):
        offer("Pinned pictures (PNG)", lambda: run.decode(codes).png_bytes(columns=len(codes)), f"{stem}.png")
        offer("Their codes (CSV)", lambda: pins_csv(places, codes), f"{stem}.csv")


def _take_along(run: genlab.Run, corners: np.ndarray | None, names: list[str]) -> None:
    """The plane with its decoder for where there is no genlab: as one file, or as a folder for a server of files."""
    if not has_runtime():
        return
    box = st.expander("Take this plane along", icon=":material/ios_share:", key="take-along", on_change="rerun")
    if not box.open:  # what stands in it is not made again with each gesture
        return
    with box, boundary():
        st.caption(
            "It goes on exploring in any browser of 2023 or later: no network, no Python. One HTML file opens by a double "
            "click; a folder is for a web server."
        )
        with st.spinner("Exporting the decoder …"):
            size = run.decoder().stat().st_size
        st.caption(
            f"About {(EXHIBIT + 4 / 3 * size) / 1e6:.0f} MB, of which {EXHIBIT / 1e6:.0f} MB are the ONNX runtime."
            + (f" {size / 4e6:.1f} million parameters decode slowly in a browser." if size > LARGEST else "")
        )
        stem = file_stem(run, "exhibit")
        with st.container(horizontal=True, gap="small"):
            offer("One HTML file", lambda: exhibited(run, corners, names, f"{stem}.html"), f"{stem}.html")
            offer("A folder (zip)", lambda: exhibited(run, corners, names, stem), f"{stem}.zip")


def exhibited(run: genlab.Run, corners: np.ndarray | None, names: Sequence[str], name: str) -> bytes:
    """An exhibit as a file to download: a name without .html gives a zip of the folder."""
    with TemporaryDirectory() as made:
        written = run.exhibit(Path(made) / name, corners, names)
        return (written if written.is_file() else Path(shutil.make_archive(str(written), "zip", written))).read_bytes()


def pins_csv(places: np.ndarray, codes: np.ndarray) -> str:
    """Where pins lie on the plane, and their codes.

    >>> pins_csv(np.array([[0.5, 1.0]]), np.array([[2.0, 3.0, 4.0]])).split()
    ['x,y,z1,z2,z3', '0.5,1.0,2.0,3.0,4.0']
    """
    return as_csv(
        {"x": x, "y": y} | {f"z{d}": value for d, value in enumerate(code, start=1)}
        for (x, y), code in zip(places.tolist(), codes.tolist(), strict=True)
    )
