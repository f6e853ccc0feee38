"""What went wrong while a run learned, in words, and one button that tries the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

import genlab
from genlab.core.events import Diagnosed, Event
from genlab.runs.events import illnesses
from genlab.ui.cards import words
from genlab.ui.messages import boundary, plain
from genlab.ui.state import remember


def diagnosis(run: genlab.Run, events: Sequence[Event]) -> None:
    """A box for each disease that still holds, with what to try; a line for each that is over."""
    for found, cured in illnesses(events):
        if cured is None:
            _box(run, found)
        else:
            st.caption(
                f":material/healing: **{plain(found.disease.capitalize())}** was seen from epoch {found.epoch} and is "
                f"over since epoch {cured.epoch}. {plain(found.message)}"
            )


def _box(run: genlab.Run, found: Diagnosed) -> None:
    with st.container(key=f"illness-{found.disease.replace(' ', '-')}"):
        st.warning(
            f"**{plain(found.disease.capitalize())}** since epoch {found.epoch}. {plain(found.message)}\n\n"
            f"**What to try:** {plain(found.remedy)}",
            icon=":material/stethoscope:",
        )
        changes = possible(run, found.changes)
        if changes and st.button(
            f"Train again with {in_words(changes)}",
            icon=":material/replay:",
            key=f"again-{run.id}-{found.disease}",
            help="A new run with the same images and the same values but this; the present one stays as it is.",
        ):
            with boundary():
                other = run.again(**changes)
                remember("run", other.id)
                st.toast(f"“{plain(other.name)}” is {other.status}.", icon=":material/replay:")
                st.rerun()


def possible(run: genlab.Run, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the changes that this model leaves to choose."""
    known = {**run.config.parameters, **run.config.settings}
    return {name: value for name, value in changes.items() if name in known}


def in_words(changes: Mapping[str, Any]) -> str:
    """Names and values as a button says them.

    >>> in_words({"early_stopping": 5, "learning_rate": 0.0002})
    'early stopping 5 and learning rate 0.0002'
    """
    told = [
        f"{words(name)} {value:g}" if isinstance(value, float) else f"{words(name)} {value}"
        for name, value in changes.items()
    ]
    return " and ".join(told)
