"""The curves of one run while it learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

import genlab
from genlab.core.events import EpochFinished, Event, Progressed, Started
from genlab.runs.events import illnesses
from genlab.ui.messages import empty_state
from genlab.ui.pictures import show_figure
from genlab.ui.state import get_models
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    from genlab.figures import Curve, Mark

AXES = {"step": "Steps", "epoch": "Epochs", "seconds": "Seconds"}
RATE = "learning rate"


class Point(NamedTuple):
    """Scalars at one place of a run: its step, its epoch with a fraction, and seconds of training."""

    step: int
    epoch: float
    seconds: float
    scalars: dict[str, float]
    validation: bool


def points(events: Sequence[Event]) -> list[Point]:
    """What was logged, in order; what a resumed run took back (steps after its checkpoint) is left out."""
    found: list[Point] = []
    per_epoch, clock, offset = 1, 0.0, 0.0
    for event in events:
        if isinstance(event, Started):
            found = [point for point in found if point.step <= event.step]
            offset = found[-1].seconds if found else 0.0
            per_epoch, clock = max(1, event.steps_per_epoch), event.time
        elif isinstance(event, Progressed | EpochFinished):
            seconds = offset + max(0.0, event.time - clock)
            place = event.step, event.step / per_epoch, seconds
            if isinstance(event, Progressed):
                found.append(Point(*place, {**event.scalars, **rates(event.learning_rates)}, False))
            elif event.validation:
                found.append(Point(*place, dict(event.validation), True))
    return found


def rates(learning_rates: Mapping[str, float]) -> dict[str, float]:
    """Learning rates as terms of the chart: one, where all players have the same.

    >>> rates({"generator": 0.5, "critic": 0.5}), rates({"generator": 0.5, "critic": 0.25})
    ({'learning rate': 0.5}, {'learning rate (generator)': 0.5, 'learning rate (critic)': 0.25})
    """
    if len(set(learning_rates.values())) == 1:
        return {RATE: next(iter(learning_rates.values()))}
    return {f"{RATE} ({player})": rate for player, rate in learning_rates.items()}


def marks(events: Sequence[Event], found: Sequence[Point], axis: str) -> list[Mark]:
    """Where each disease appeared and where it was over, on the axis of the chart."""
    from genlab.figures import Mark

    told = []
    for illness in illnesses(events):
        for event in filter(None, illness):
            x = next((float(getattr(point, axis)) for point in found if point.step >= event.step), None)
            if x is not None:
                told.append(Mark(x, f"{event.disease} over" if event.cured else event.disease, event.cured))
    return told


def guides(run: genlab.Run, terms: Sequence[str]) -> dict[str, float]:
    """The values to which theory leads the terms, where the model's card knows them."""
    entry = get_models().get(run.config.model)
    if entry is None:
        return {}
    scalars, chosen = entry.card.scalars, {**run.config.parameters, **entry.fixed}
    levels = {term: scalars[term].guide_under(chosen) for term in terms if term in scalars}
    return {term: level for term, level in levels.items() if level is not None}


def curves(name: str, found: Sequence[Point], terms: Sequence[str], axis: str) -> Iterator[Curve]:
    """One line for each term, and a dashed one for its validation where there is one."""
    import numpy as np

    from genlab.figures import Curve

    for term in terms:
        for validation in (False, True):
            chosen = [point for point in found if point.validation == validation and term in point.scalars]
            if chosen:
                x = np.array([getattr(point, axis) for point in chosen], dtype=float)
                y = np.array([point.scalars[term] for point in chosen], dtype=float)
                yield Curve(name, term, x, y, validation)


def terms_of(found: Sequence[Point]) -> list[str]:
    """Every term that was logged, the objective first."""
    names = dict.fromkeys(name for point in found for name in point.scalars)
    return sorted(names, key=lambda name: name != "loss")


def curve_controls(run: genlab.Run, terms: list[str]) -> dict[str, Any]:
    """Which terms, over what, how smooth, on which scale."""
    varied = [term for term in terms if term.startswith(RATE)]
    start = [*(term for term in terms if term not in varied)][:6] + varied
    chosen, panes = f"terms-{run.id}-{len(terms)}", f"curve-panels-{run.id}"
    shown = st.pills("Terms", terms, selection_mode="multi", default=start, key=chosen, wrap=True)
    with undoable_row("run-curves", chosen, "curve-axis", "curve-smoothing", "curve-log", panes, of=run.id):
        axis = st.segmented_control("Over", list(AXES), default="step", format_func=AXES.__getitem__, key="curve-axis")
        smoothing = st.slider("Smoothing", 0.0, 0.98, 0.0, 0.02, key="curve-smoothing", width=200)
        log = st.toggle("Log scale", key="curve-log")
        panels = st.toggle("One panel each", value=len(terms) > 2, key=panes)
    return {"terms": shown or terms, "axis": axis or "step", "smoothing": smoothing, "log": log, "panels": panels}


def show_curves(run: genlab.Run, events: Sequence[Event]) -> None:
    """The chart of a run's loss terms, with its controls."""
    from genlab.figures import loss_curves, to_csv

    found = points(events)
    terms = terms_of(found)
    if not terms:
        empty_state("No numbers yet", "Curves appear with the first logged steps.", icon=":material/show_chart:")
        return
    wish = curve_controls(run, terms)
    lines = list(curves(run.name, found, wish["terms"], wish["axis"]))
    options = {"axis": wish["axis"], "log": wish["log"], "panels": wish["panels"]}
    options |= {"guides": guides(run, wish["terms"]), "marks": marks(events, found, wish["axis"])}
    figure = loss_curves(lines, smoothing=wish["smoothing"], **options)
    smoothed = f", smoothed by {wish['smoothing']:g} (raw values behind)" if wish["smoothing"] else ""
    show_figure(
        figure,
        f"Loss terms of “{run.title}” over {AXES[wish['axis']].lower()}{smoothed}; validation is dashed.",
        key=f"curves-{run.id}",
        data=lambda: to_csv(loss_curves(lines, **options)),
    )
