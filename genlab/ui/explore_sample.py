"""Drawing new images from a run: how many, of which classes, how bold, and from which seed."""

from __future__ import annotations

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.explore_controls import file_stem, offer, seed_input
from genlab.ui.explore_gallery import page_grey
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_picture
from genlab.ui.undo import undoable

MOST = 256
SWEEP = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


@st.fragment
@boundary()
def sampler(run: genlab.Run) -> None:
    """The controls and the drawn images; only this part of the page runs again."""
    controls, picture = st.columns([2, 5], gap="large")
    with controls, undoable("sample", "classes", "count", "temperature", "seed", "sweep", of=run.id):
        classes = _classes(run)
        label = "Images of each class" if classes else "Images"
        count = st.slider(label, 1, MOST, 8 if classes else 36, key="count", bind="query-params")
        temperature = st.slider(
            "Temperature", 0.0, 2.0, 1.0, 0.05, key="temperature", bind="query-params",
            help="Scales the noise that images are made from: below 1 safer and more alike, above 1 bolder and rougher.",
        )  # fmt: skip
        seed = seed_input()
        sweep = st.toggle(
            "Sweep the temperature", key="sweep", bind="query-params", help="The same noise at several temperatures."
        )
    with picture, guarded("Drawing …"):
        drawn = draw(run, min(count, MOST // max(1, len(classes))), classes, temperature, seed)
        columns = len(drawn) // len(classes) if classes else None
        stem = file_stem(run, f"samples-seed-{seed}")
        show_picture(drawn.grid(columns, background=page_grey()), drawn.caption, key="samples")
        with st.container(horizontal=True):
            offer("Download the picture (PNG)", lambda: drawn.png_bytes(columns), f"{stem}.png")
            offer(f"Download {len(drawn)} images (zip)", drawn.zip_bytes, f"{stem}.zip")
        if sweep:
            _sweep(run, classes, seed)


def _classes(run: genlab.Run) -> list[str]:
    """The classes a person asks for; none means that the model draws whatever it likes."""
    names = run.config.data.class_names
    if not (run.can("samples_by_label") and names):
        return []
    return st.multiselect(
        "Classes", names, key="classes", bind="query-params", placeholder="any class",
        help="One row of images for each class. Leave it empty to let the model choose.",
    )  # fmt: skip


def draw(run: genlab.Run, count: int, classes: list[str], temperature: float, seed: int) -> Images:
    """`count` images, or `count` of each class, with a caption that says what they are."""
    labels = [name for name in classes for _ in range(count)] or None
    images = run.sample(len(labels) if labels else count, labels=labels, seed=seed, temperature=temperature)
    rows = f", one row for each of {', '.join(classes)}" if classes else ""
    images.caption = f"{len(images)} new images drawn by “{run.title}”{rows}, temperature {temperature:g}, seed {seed}."
    return images


def _sweep(run: genlab.Run, classes: list[str], seed: int) -> None:
    """One row for each temperature, the same noise in all of them."""
    columns = 10
    name = classes[0] if classes else ""
    rows = [
        run.sample(columns, labels=[name] * columns if name else None, seed=seed, temperature=temperature).array
        for temperature in SWEEP
    ]
    images = Images(np.concatenate(rows))
    temperatures = ", ".join(f"{temperature:g}" for temperature in SWEEP)
    caption = f"The same noise (seed {seed}) at temperature {temperatures} from top to bottom, “{run.title}”."
    stem = file_stem(run, f"temperatures-seed-{seed}")
    show_picture(images.grid(columns, background=page_grey()), caption, key="sweep")
    offer("Download the sweep (PNG)", lambda: images.png_bytes(columns), f"{stem}.png")
