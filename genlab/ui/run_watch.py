"""Watching and steering one run: live numbers, curves, previews, buttons, and what went wrong."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

import genlab
from genlab.core.events import Event, Failed, Finished, Paused
from genlab.core.shapes import Shape
from genlab.ui.messages import boundary, plain
from genlab.ui.previews import scrubber
from genlab.ui.run_curves import show_curves
from genlab.ui.run_diagnosis import diagnosis
from genlab.ui.run_state import ACTIVE, MEANINGS, figures, last, status_badge, when

SECONDS = 1.5


def watch(run: genlab.Run) -> None:
    """Everything that moves; it looks again every second or two while the run is active, and only then."""
    active = run.status in ACTIVE
    st.fragment(_live, run_every=SECONDS if active else None)(run, active)


@boundary()
def _live(run: genlab.Run, was_active: bool) -> None:
    if was_active and run.status not in ACTIVE:
        st.rerun()
    events = events_of(run)
    head(run)
    if run.status == "running" and (not events or isinstance(events[-1], Failed | Paused | Finished)):
        st.info("Its process is starting; the first numbers come in a few seconds.", icon=":material/hourglass_top:")
    figures(run, events)
    failure(run, events)
    diagnosis(run, events)
    curves, pictures = st.tabs(["Curves", "Pictures over time"])
    with curves:
        show_curves(run, events)
    with pictures:
        scrubber(run, events)


def events_of(run: genlab.Run) -> list[Event]:
    """All events of a run; between two looks only what was added is read."""
    known, offset = st.session_state.get(f"tail-{run.id}", ([], 0))
    added, offset = run.tail(offset)
    events: list[Event] = [*known, *added]
    st.session_state[f"tail-{run.id}"] = (events, offset)
    return events


def head(run: genlab.Run) -> None:
    """Name, status, what it learns from, and the buttons that fit its status."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(run.name), anchor=False, width="content")
        status_badge(run)
        if run.shipped:
            st.badge("shipped", icon=":material/inventory_2:", color="violet", help="It came with the laboratory.")
    st.caption(
        f"{run.config.title} learning from {learned_from(run)} · started {when(run.config.created)} · {MEANINGS[run.status]}"
    )
    if not run.shipped:
        with st.container(horizontal=True):
            steer(run)


def learned_from(run: genlab.Run) -> str:
    """The image set or sets of a run, as Markdown: title, count and shape."""
    sets = [data for data in (run.config.data, run.config.second) if data]
    return " and ".join(f"*{plain(data.title)}* ({data.count:,} images of {Shape(*data.shape)})" for data in sets)


def steer(run: genlab.Run) -> None:
    """Pause, resume and stop, as far as they make sense now."""
    if run.status == "running":
        _button(run, "Pause", "pause", run.pause, "Saves a checkpoint and ends the process; it can go on later.")
    if run.status in ("paused", "interrupted", "failed"):
        _button(run, "Resume", "play_arrow", run.resume, "Goes on from the last checkpoint.")
    if run.status in (*ACTIVE, "paused", "interrupted"):
        _button(run, "Stop", "stop", run.stop, "Saves a checkpoint and ends the run for good.")


def _button(run: genlab.Run, label: str, icon: str, action: Any, help: str) -> None:
    if st.button(label, icon=f":material/{icon}:", key=f"{label}-{run.id}", help=help):
        with boundary():
            action()
            st.toast(f"{label}: “{plain(run.name)}”", icon=f":material/{icon}:")
            st.rerun()


def failure(run: genlab.Run, events: list[Event]) -> None:
    """Why a failed run could not go on, what to try, and one button that tries it."""
    if run.status != "failed":
        return
    failed = last(events, Failed)
    message = run.state.message or (failed.message if failed else "The run failed without a message.")
    remedy = run.state.remedy or (failed.remedy if failed else "")
    st.error(plain(f"{message} {remedy}".strip()), icon=":material/error:")
    rate = json.loads(run.record())["parameters"].get("learning_rate")
    if rate and st.button(
        f"Resume at a lower rate ({rate / 10:g})",
        icon=":material/trending_down:",
        type="primary",
        key=f"lower-{run.id}",
    ):
        with boundary():
            run.resume(learning_rate=rate / 10)
            st.rerun()
