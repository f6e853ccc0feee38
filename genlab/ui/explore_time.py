"""A map through the checkpoints of its run: points glide, samples and reconstructions are those of the moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.components.scatter import Mark, Moments
from genlab.ui.explore_controls import keep_in_address, weights_of
from genlab.ui.messages import guarded
from genlab.ui.pictures import show_images
from genlab.ui.remembering import content_of, remembered

if TYPE_CHECKING:
    from genlab.ui.explore_newcomer import Newcomer
    from genlab.workspace.results import History, Projection

SAMPLES = 24
REBUILT = 8


def journey(run: genlab.Run, projection: Projection, *, charted: bool) -> History | None:
    """The places of the points at every checkpoint, where the person asks for them; it says why where there are none."""
    lacking = what_lacks(projection, charted, len(run.steps()))
    asked = st.toggle(
        "Through time", key="time", bind="query-params", disabled=bool(lacking), help="The map at each checkpoint of the run."
    )  # fmt: skip
    if lacking:
        st.caption(f":material/history_toggle_off: {lacking}")
    if lacking or not asked:
        return None

    def travel() -> History:
        bar = st.progress(0.0, "Encoding with each checkpoint …")
        found = run.history(projection, progress=lambda share, text: bar.progress(min(1.0, share), text))
        bar.empty()
        return found

    return remembered("journeys", (weights_of(run), content_of(projection.indices)), travel)


def what_lacks(projection: Projection, charted: bool, checkpoints: int) -> str:
    """Why a map cannot travel through time, and what to do; "" where it can."""
    if checkpoints < 2:
        return (
            "No time travel: this run keeps a single checkpoint. Train one of your own for two epochs or more; it keeps "
            "checkpoints on the way."
        )
    if projection.pca is None:
        return (
            "No time travel: only PCA has axes that stay from checkpoint to checkpoint. Choose PCA as the projection."
        )
    if projection.points.shape[1] != 2:
        return "No time travel in three dimensions: choose 2-D axes."
    return "No time travel on a Plotly chart: switch the chart off." if charted else ""


def marks_through(run: genlab.Run, history: History | None, own: Sequence[Newcomer]) -> list[Mark]:
    """The person's own pictures on the map, with their places by the encoder of each checkpoint where it travels."""
    marks = [newcomer.mark() for newcomer in own]
    if history is None or not own:
        return marks
    images = np.concatenate([newcomer.picture.image.array for newcomer in own])
    asked = (weights_of(run), content_of(history.frames), content_of(images))
    places = remembered("own-journeys", asked, lambda: run.places_through(history, images))
    ways = places.swapaxes(0, 1).tolist()
    return [mark._replace(way=tuple(map(tuple, way))) for mark, way in zip(marks, ways, strict=True)]


def moments_of(steps: np.ndarray, epochs: np.ndarray, scalars: Sequence[Mapping[str, float]], at: int) -> Moments:
    """The checkpoints as the map takes them, standing at step `at` (else at the last), with the loss behind them."""
    name = "validation_loss" if any("validation_loss" in row for row in scalars) else "loss"
    curve = tuple((float(row["step"]), float(row[name])) for row in scalars if math.isfinite(row.get(name, math.nan)))
    listed = steps.tolist()
    place = listed.index(at) if at in listed else len(listed) - 1
    titles = tuple(f"epoch {epoch}" for epoch in epochs.tolist())
    return Moments(titles, tuple(map(float, listed)), place, curve, name.replace("_", " "))


def moments(run: genlab.Run, history: History) -> Moments:
    """The checkpoints of a run; the address says where it stands."""
    asked = st.query_params.get("step", "")
    return moments_of(history.steps, history.epochs, run.scalars(), int(asked) if asked.isdecimal() else -1)


def show_moment(run: genlab.Run, history: History, frame: int) -> None:
    """What the run drew and rebuilt at a checkpoint: the same noise and the same images at each."""
    step, epoch = int(history.steps[frame]), int(history.epochs[frame])
    keep_in_address("step", str(step))
    then = run.at(step)
    with guarded("Decoding …"):
        if run.can("samples"):
            caption = (
                f"{SAMPLES} samples of “{run.title}” as it was after epoch {epoch} (step {step:,}), always from seed 0."
            )
            show_images(then.sample(SAMPLES, seed=0), caption, key="moment-samples", columns=8)
        if run.can("encodes", "decodes"):
            images = run.images
            chosen = np.linspace(0, images.count - 1, REBUILT).astype(int)
            given = Images(np.asarray(images.images[chosen]))
            both = Images(np.concatenate([given.array, then.reconstruct(given).array]))
            caption = f"{REBUILT} images of {images.title}, and below what it rebuilt from their codes then."
            show_images(both, caption, key="moment-rebuilt", columns=REBUILT)
