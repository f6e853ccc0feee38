"""Forms, words and numbers of the pages."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import pytest
from streamlit.testing.v1 import AppTest

from genlab.core.parameters import Parameters, describe, parameter
from genlab.core.settings import TrainingSettings
from genlab.ui.forms import explanation, stops


class Example(Parameters):
    mode: Literal["plain", "two_words"] = parameter("plain", "Which one.")
    flag: bool = parameter(True, "Whether.")
    whole: int = parameter(3, "How many.", minimum=1, maximum=9)
    real: float = parameter(0.5, "How much.", minimum=0, maximum=1, symbol=r"\beta")
    rate: float = parameter(1e-3, "How fast.", minimum=1e-6, maximum=1, log=True)
    deep: int = parameter(64, "How many at once.", minimum=1, maximum=8192, log=True, advanced=True)


def _app(values, key):
    import streamlit as st
    from test_ui_forms import Example

    from genlab.core.parameters import describe
    from genlab.ui.forms import parameter_form

    st.session_state["result"] = parameter_form(describe(Example), values, key)


def _form(**values: Any) -> AppTest:
    return AppTest.from_function(_app, kwargs={"values": values, "key": "k"}, default_timeout=20).run()


def test_a_form_starts_at_the_declared_defaults() -> None:
    app = _form()
    assert not app.exception
    assert app.session_state["result"] == Example().model_dump()


def test_a_form_starts_at_the_values_of_a_preset() -> None:
    values = {"mode": "two_words", "flag": False, "whole": 7, "real": 0.25, "rate": 3.7e-4, "deep": 100}
    assert _form(**values).session_state["result"] == values


def test_every_widget_changes_its_own_value_and_bears_its_sentence() -> None:
    app = _form()
    app.selectbox(key="k-mode").select("two_words")
    app.toggle(key="k-flag").set_value(False)
    app.number_input(key="k-whole").set_value(9)
    app.number_input(key="k-real").set_value(0.75)
    app.select_slider(key="k-rate").set_value(0.02)
    app.select_slider(key="k-deep").set_value(128)
    app.run()
    expected = {"mode": "two_words", "flag": False, "whole": 9, "real": 0.75, "rate": 0.02, "deep": 128}
    assert app.session_state["result"] == expected
    for name, info in describe(Example).items():
        widgets = [*app.selectbox, *app.toggle, *app.number_input, *app.select_slider]
        (widget,) = [widget for widget in widgets if widget.key == f"k-{name}"]
        assert widget.help == explanation(info)
        assert info.description in widget.help


def test_a_number_cannot_leave_its_bounds() -> None:
    whole = _form().number_input(key="k-whole")
    assert (whole.min, whole.max) == (1, 9)


def test_the_papers_letter_stands_beside_the_name() -> None:
    assert _form().number_input(key="k-real").label == r"Real $\beta$"


@pytest.mark.parametrize("name", ["rate", "deep"])
def test_logarithmic_stops_are_sorted_within_bounds_and_hold_the_value(name: str) -> None:
    info = describe(Example)[name]
    value = 37 if info.type == "int" else 3.7e-4
    found = stops(info, value)
    assert found == sorted(set(found))
    assert value in found
    assert (found[0], found[-1]) == (info.minimum, info.maximum)
    gaps = [math.log10(high / low) for low, high in itertools.pairwise(found)]
    assert max(gaps) < 0.41  # no stop is more than two and a half times the one before


def test_the_batch_sizes_offered_are_whole() -> None:
    assert all(isinstance(stop, int) for stop in stops(describe(TrainingSettings)["batch_size"], 128))


def test_a_logarithmic_slider_needs_a_bound_above_zero() -> None:
    info = describe(Example)["rate"]._replace(minimum=0.0)
    with pytest.raises(ValueError, match="above zero"):
        stops(info, 1.0)
