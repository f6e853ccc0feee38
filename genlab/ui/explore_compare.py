"""Runs beside each other: what differs, how they learned, and what each makes of the same noise or images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

import genlab
from genlab.figures import loss_curves
from genlab.ui.explore_controls import as_csv, offer, seed_input
from genlab.ui.explore_gallery import labelled_rows
from genlab.ui.explore_pick import choose_images, one_of_each
from genlab.ui.messages import boundary, empty_state, guarded
from genlab.ui.pictures import show_figure
from genlab.ui.run_curves import AXES, curves, points, terms_of
from genlab.ui.state import get_workspace
from genlab.ui.undo import undoable, undoable_row

MOST = 8
FIRST = 3  # runs shown before anybody chose: one's own, then
ALONG = ("digits-vae", "digits-vae-gan", "digits-dcgan")  # which come along
SAMPLES = 10
ABSENT = "–"


def choose_runs() -> list[genlab.Run]:
    """Let the person choose runs; the choice stands in the address."""
    runs = {run.id: run for run in get_workspace().runs if run.status != "queued"}
    if not runs:
        empty_state(
            "No run to compare", "Train two models, then see what sets them apart.", link="train", label="Train"
        )
        st.stop()
    wanted = [id for id in st.query_params.get_all("runs") if id in runs]
    own = [run.id for run in runs.values() if not run.shipped]  # the newest first
    start = [*own, *(id for id in ALONG if id in runs)][:FIRST]
    with undoable_row("compared", "compared", of=" ".join(runs)):
        chosen = st.multiselect(
            "Runs", list(runs), wanted or start, max_selections=MOST, key="compared",
            format_func=lambda id: f"{runs[id].title} · {runs[id].config.data_title}", placeholder="Choose runs",
        )  # fmt: skip
    if st.query_params.get_all("runs") != chosen:
        st.query_params["runs"] = chosen
    if not chosen:
        st.info("Choose at least one run above.", icon=":material/info:")
        st.stop()
    return [runs[id] for id in chosen]


def short_names(runs: Sequence[genlab.Run]) -> list[str]:
    """A name for each run that no other of these runs has."""
    names = [run.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({run.id[-4:]})" for name, run in zip(names, runs, strict=True)
    ]


def differences(runs: Sequence[genlab.Run]) -> tuple[list[dict[str, Any]], int]:
    """One row for each setting whose value is not the same in all runs, and how many are the same.

    Settings that all of the runs have come first.
    """
    settings = [
        {"model": run.config.model, "image set": run.config.data_title, "preset": run.config.preset}
        | dict(run.config.parameters)
        | dict(run.config.settings)
        for run in runs
    ]
    every = list(dict.fromkeys(name for values in settings for name in values))
    rows, same = [], 0
    for name in every:
        values = [values.get(name, ABSENT) for values in settings]
        if len({repr(value) for value in values}) == 1 and len(runs) > 1:
            same += 1
        else:
            shown = [
                ABSENT if value == "" else f"{value:g}" if isinstance(value, float) else str(value) for value in values
            ]
            rows.append({"parameter": name.replace("_", " "), **dict(zip(short_names(runs), shown, strict=True))})
    return sorted(rows, key=lambda row: ABSENT in row.values()), same


def show_differences(runs: Sequence[genlab.Run]) -> None:
    """The table of what differs."""
    rows, same = differences(runs)
    if rows:
        st.dataframe(rows, hide_index=True, height="content", key="differences")
    also = f"; {same} parameters are the same in all of them and left out" if same else ""
    st.caption(f"Model, image set and parameters in which these {len(runs)} runs differ{also}.")
    if rows:
        offer("CSV", as_csv(rows), "differences.csv")


@st.fragment
@boundary()
def show_curves(runs: Sequence[genlab.Run]) -> None:
    """The runs' loss terms over each other."""
    found = [points(run.events()) for run in runs]
    terms = list(dict.fromkeys(term for of_run in found for term in terms_of(of_run)))
    if not terms:
        empty_state("No numbers yet", "Curves appear with the first logged steps.", icon=":material/show_chart:")
        return
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    with right, undoable("curves", "terms", "axis", "smoothing", "log", of=" ".join(terms)):
        shown = left.pills(
            "Terms", terms, selection_mode="multi", default=terms[:1], key="terms", wrap=True, bind="query-params"
        )
        axis = middle.segmented_control(
            "Over", list(AXES), default="step", format_func=AXES.__getitem__, key="axis", bind="query-params",
            required=True,
        )  # fmt: skip
        smoothing = st.slider("Smoothing", 0.0, 0.98, 0.0, 0.02, key="smoothing", bind="query-params")
        log = st.toggle("Log scale", key="log", bind="query-params")
    names = short_names(runs)
    lines = [
        line
        for name, of_run in zip(names, found, strict=True)
        for line in curves(name, of_run, shown or terms[:1], axis)
    ]
    caption = (
        f"{', '.join(shown or terms[:1])} of {', '.join(f'“{name}”' for name in names)} over {AXES[axis].lower()}; "
        "validation is dashed. Losses of different models or image sets are not on one scale."
    )
    show_figure(loss_curves(lines, axis=axis, smoothing=smoothing, log=log), caption, key="compared-curves")


@st.fragment
@boundary()
def same_noise(runs: Sequence[genlab.Run]) -> None:
    """Samples of every run from one seed."""
    able = [run for run in runs if run.can("samples")]
    with undoable_row("noise", "seed"):
        seed = seed_input(help="Runs with equally large codes get the very same noise.")
    if not able:
        st.info("None of these runs can draw images.", icon=":material/info:")
        return
    with guarded("Drawing …"):
        strips = [run.sample(SAMPLES, seed=seed) for run in able]
        names = ", ".join(f"“{name}”" for name in short_names(able))
        caption = f"{SAMPLES} images from each of {names}, all from seed {seed}.{_left_out(runs, able, 'draw images')}"
        labelled_rows(strips, short_names(able), caption, key="noise")


@st.fragment
@boundary()
def same_images(runs: Sequence[genlab.Run]) -> None:
    """The same images through every run that rebuilds images of their size."""
    able = [run for run in runs if run.can("encodes", "decodes")]
    if not able:
        st.info("None of these runs rebuilds images: that takes an encoder and a decoder.", icon=":material/info:")
        return
    able = [run for run in able if tuple(run.config.data.shape) == tuple(able[0].config.data.shape)]
    chosen = choose_images(able[0], key="shown", start=one_of_each(able[0].images, 8), most=SAMPLES)
    with guarded("Rebuilding …"):
        strips = [chosen.images, *(run.reconstruct(chosen.images) for run in able)]
        errors = [np.square(strip.array - chosen.images.array).mean() for strip in strips[1:]]
        labels = [f"{name}\nMSE {error:.4f}" for name, error in zip(short_names(able), errors, strict=True)]
        reason = f"rebuild {able[0].config.data.shape[1]}x{able[0].config.data.shape[2]} images"
        caption = (
            f"{len(chosen.names)} images of {able[0].config.data.title} (first row) and what each run rebuilds from its "
            f"code; MSE is the mean squared error of these images.{_left_out(runs, able, reason)}"
        )
        labelled_rows(strips, ["images", *labels], caption, key="rebuilt")


def _left_out(runs: Sequence[genlab.Run], able: Sequence[genlab.Run], doing: str) -> str:
    lacking = [f"“{run.name}”" for run in runs if run not in able]
    return f" Left out, as they do not {doing}: {', '.join(lacking)}." if lacking else ""


def link_to_view(runs: Sequence[genlab.Run]) -> None:
    """The address that brings this very view back."""
    kept = {name: values for name, values in st.query_params.to_dict().items() if name != "runs"}
    query = urlencode([("runs", run.id) for run in runs] + list(kept.items()))
    with st.popover("Link to this view", icon=":material/link:"):
        st.code(f"{(st.context.url or '').split('?')[0]}?{query}", language=None, wrap_lines=True)
        st.caption("It opens on this machine, where the laboratory runs. The address bar holds it too.")
