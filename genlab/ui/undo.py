"""What was set with the widgets of a page can be taken back, by two buttons beside them.

The views that run in the browser have the same for gestures: `components/web/history.mjs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

STEPS = 50  # that are remembered of each group of widgets

Values = Mapping[str, Any]


@dataclass
class History:
    """The values that widgets have now, those they had before, and those that were taken back; the latest last."""

    of: str
    now: Values
    past: list[Values] = field(default_factory=list)
    future: list[Values] = field(default_factory=list)

    def note(self, values: Values) -> None:
        """Remember what the widgets have now; one that just came or went was not changed by that.

        >>> history = History("a run", {"seed": 0})
        >>> history.note({"seed": 0, "closed": False})
        >>> history.note({"seed": 7, "closed": False})
        >>> history.past
        [{'seed': 0, 'closed': False}]
        """
        if any(values[key] != self.now[key] for key in values.keys() & self.now.keys()):
            self.past = [*self.past, self.now][-STEPS:]
            self.future = []
        self.now = values

    def step(self, *, back: bool) -> Values:
        """Go a step back or forth, where there is one; returns the values that the widgets are to have.

        >>> history = History("a run", {"seed": 7}, past=[{"seed": 0}])
        >>> history.step(back=True), history.step(back=True), history.step(back=False)
        ({'seed': 0}, {'seed': 0}, {'seed': 7})
        """
        source, target = (self.past, self.future) if back else (self.future, self.past)
        if source:
            target.append(self.now)
            self.now = source.pop()
        return self.now


def noted(name: str, *keys: str, of: str = "") -> History:
    """The history of these widgets, which knows the values that they have now; it shows nothing."""
    values = {key: st.session_state[key] for key in keys if key in st.session_state}
    history: History | None = st.session_state.get(f"history-{name}")
    if history is None or history.of != of:
        history = st.session_state[f"history-{name}"] = History(of, values)
    history.note(values)
    return history


@contextmanager
def undoable(name: str, *keys: str, of: str = "", place: Any = None) -> Iterator[None]:
    """Draw widgets inside; once one of those with these keys was changed, Undo and Redo stand below, or in `place`.

    `of` says what the values are about, such as the id of a run: for another one everything begins anew, as widgets
    need not have the same bounds and choices there. The buttons come also where drawing the widgets ended in an error.
    """
    try:
        yield
    finally:
        history = noted(name, *keys, of=of)
        if history.past or history.future:
            with (place or st).container(horizontal=True, gap="xsmall", width="content"):
                _button("undo", f"history-{name}", history.past, "Take back the last change")
                _button("redo", f"history-{name}", history.future, "Do again what was taken back")


@contextmanager
def undoable_row(name: str, *keys: str, of: str = "") -> Iterator[None]:
    """Draw widgets in a row, with Undo and Redo beside them once one of them was changed."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"), undoable(name, *keys, of=of):
        yield


def _button(way: str, kept: str, steps: list[Values], help: str) -> None:
    st.button(
        "", icon=f":material/{way}:", key=f"{kept}-{way}", help=help, disabled=not steps, type="tertiary",
        on_click=_step, args=(kept, way == "undo"),
    )  # fmt: skip


def _step(kept: str, back: bool) -> None:
    st.session_state.update(st.session_state[kept].step(back=back))
