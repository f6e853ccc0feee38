"""What a run is doing, in words and badges."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

import genlab
from genlab.core.events import EpochFinished, Event, Progressed, Started
from genlab.workspace.progress import duration

ACTIVE = ("running", "queued")
BADGES: dict[str, tuple[str, str]] = {
    "queued": ("schedule", "grey"),
    "running": ("progress_activity", "blue"),
    "paused": ("pause_circle", "orange"),
    "interrupted": ("power_off", "orange"),
    "failed": ("error", "red"),
    "finished": ("check_circle", "green"),
}
MEANINGS = {
    "queued": "It starts when those before it are done.",
    "running": "Training goes on when you close this page.",
    "paused": "It stands at a checkpoint and can go on.",
    "interrupted": "Its process ended unexpectedly; it can go on from its last checkpoint.",
    "failed": "It could not go on; see below.",
    "finished": "Training is over.",
}


def status_badge(run: genlab.Run) -> None:
    """The status with its icon, and what it means on hover."""
    icon, colour = BADGES[run.status]
    st.badge(run.status, icon=f":material/{icon}:", color=colour, help=MEANINGS[run.status])  # type: ignore[arg-type]


def last(events: list[Event], kind: type) -> Any:
    """The latest event of a kind, or None."""
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def progress_of(run: genlab.Run, events: list[Event]) -> float:
    """How much of the budget is spent, from 0 to 1."""
    if run.status == "finished":
        return 1.0
    begun = last(events, Started)
    return min(1.0, run.state.step / begun.steps) if begun and begun.steps else 0.0


def figures(run: genlab.Run, events: list[Event]) -> None:
    """Epoch, step, rate, time left and device in one row."""
    begun, progressed, epoch = last(events, Started), last(events, Progressed), last(events, EpochFinished)
    if run.status in ACTIVE or run.status in ("paused", "interrupted"):
        st.progress(progress_of(run, events))
    columns = st.columns(5)
    columns[0].metric("Epoch", f"{run.state.epoch:,} of {begun.epochs:,}" if begun else "—")
    columns[1].metric("Step", f"{run.state.step:,}")
    columns[2].metric("Images / s", f"{progressed.images_per_second:,.0f}" if progressed else "—")
    if run.status == "running" and progressed:
        columns[3].metric("Time left", duration(max(0.0, progressed.seconds_left)))
    else:
        columns[3].metric("Trained for", duration(epoch.seconds) if epoch else "—")
    columns[4].metric("Device", begun.device if begun else "—", help=f"Precision: {begun.precision}" if begun else None)


def when(moment: float) -> str:
    """A time of day for today, and the date otherwise."""
    local = time.localtime(moment)
    today = time.localtime()[:3] == local[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", local)
