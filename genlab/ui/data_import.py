"""Bringing a person's own images in: uploads, a folder, a zip or a path on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from genlab.ui.messages import boundary, plain
from genlab.ui.state import get_workspace, remember

WAYS = {"files": "Files or a zip", "folder": "A folder", "path": "A path on this machine"}
FITS = {
    "crop": "Crop to the middle",
    "pad": "Pad the border",
    "stretch": "Stretch",
}
COLOURS = {"as they are": None, "grey": True, "colour": False}


def import_panel() -> None:
    """Choose files and how to bring them to one form, then import them with a bar that counts."""
    way = st.segmented_control(
        "From",
        list(WAYS),
        default="files",
        format_func=WAYS.__getitem__,
        key="import-way",
        label_visibility="collapsed",
    )
    source = _source(way or "files")
    options = _options()
    if st.button("Import", type="primary", icon=":material/add_photo_alternate:", key="import-go", disabled=not source):
        with boundary():
            _import(source, **options)
    st.caption(
        "PNG, JPEG, WebP, GIF, BMP, TIFF and more, of any size; NumPy arrays and IDX files too. Sub-folders become "
        "classes. What cannot be read is listed with its reason and the rest goes in. Nothing leaves this machine."
    )


def _source(way: str) -> Any:
    """A path, or uploads as (file name, bytes); empty while nothing was chosen."""
    if way == "path":
        hint = "~/pictures/holiday or /data/logs.zip"
        return st.text_input("Path of an image, a folder or a zip", placeholder=hint, key="import-path").strip()
    several: Any = "directory" if way == "folder" else True
    label = "Choose a folder; its sub-folders name the classes" if way == "folder" else "Drop images or a zip here"
    files = st.file_uploader(label, accept_multiple_files=several, key=f"import-{way}")
    return [(file.name, file.getvalue()) for file in files or []]


def _options() -> dict[str, Any]:
    name, size, fit, colour = st.columns([3, 2, 3, 2], vertical_alignment="bottom")
    chosen_name = name.text_input(
        "Name",
        key="import-name",
        placeholder="from the files",
        help="What to call the set; left empty, the files name it.",
    )
    chosen_size = size.text_input(
        "Size", key="import-size", placeholder="automatic",
        help="One side such as 64, or height and width as 64x100. Left empty, a common size of at most 128 pixels "
        "is kept and anything else becomes 64x64.",
    )  # fmt: skip
    chosen_fit = fit.selectbox(
        "Fit", list(FITS), format_func=FITS.__getitem__, key="import-fit",
        help="How an image of other proportions is brought to the size.",
    )  # fmt: skip
    chosen_colour = colour.selectbox(
        "Colour", list(COLOURS), key="import-colour", help="As they are: grey when every image is grey."
    )
    return {
        "name": chosen_name.strip(),
        "size": chosen_size.strip() or None,
        "fit": chosen_fit,
        "grey": COLOURS[chosen_colour],
    }


@contextmanager
def counting(first: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar for something slow that calls what this gives with (done, total, what is at hand)."""
    bar = st.progress(0.0, first)

    def tell(done: int, total: int, what: str) -> None:
        if done >= total or done % max(1, total // 100) == 0:
            bar.progress(min(1.0, done / max(1, total)), f"{100 * done // max(1, total)} % · {plain(what)}")

    try:
        yield tell
    finally:
        bar.empty()


def _import(source: Any, **options: Any) -> None:
    datasets = get_workspace().datasets
    before = set(datasets)
    with counting("Reading the files …") as tell:
        images = datasets.add(source, progress=tell, **options)
    remember("data", images.name)
    count = len(images.refused)
    left_out = "1 file was" if count == 1 else f"{count:,} files were"
    refused = f" {left_out} left out; the reasons are under “Left out”." if count else ""
    arrived = "is here already, with the very same content" if images.name in before else "is in"
    told = f"“{plain(images.title)}” {arrived}: {images.count:,} images of {images.shape}.{refused}"
    st.session_state["data-note"] = told
    st.rerun()


def refusal_table(refused: Sequence[Any]) -> None:
    """Each file that was left out, and why."""
    st.dataframe(
        {"file": [refusal.file for refusal in refused], "reason": [refusal.reason for refusal in refused]},
        hide_index=True,
        key="refused",
    )
