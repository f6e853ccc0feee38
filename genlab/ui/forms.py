"""Forms generated from the declarations of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from genlab.core.parameters import ParameterInfo

PER_ROW = 3
STEPS_OF_A_DECADE = (1.0, 2.0, 3.0, 5.0)


def parameter_form(infos: Mapping[str, ParameterInfo], values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """One widget for each parameter, those for experts folded away; returns the chosen values.

    `values` are where the widgets start; change `key` to start them anew, as a preset does.
    """
    plain = {name: info for name, info in infos.items() if not info.advanced}
    chosen = _rows(plain, values, key)
    advanced = {name: info for name, info in infos.items() if info.advanced}
    if advanced:
        with st.expander(f"Advanced ({len(advanced)})", icon=":material/tune:"):
            chosen |= _rows(advanced, values, key)
    return chosen


def _rows(infos: Mapping[str, ParameterInfo], values: Mapping[str, Any], key: str) -> dict[str, Any]:
    chosen = {}
    names = list(infos)
    for start in range(0, len(names), PER_ROW):
        columns = st.columns(PER_ROW, vertical_alignment="bottom")
        for column, name in zip(columns, names[start : start + PER_ROW], strict=False):
            with column:
                chosen[name] = field(infos[name], values.get(name, infos[name].default), f"{key}-{name}")
    return chosen


def title(info: ParameterInfo) -> str:
    """What stands above a widget: the name in words and the paper's symbol.

    >>> from genlab.core.settings import TrainingSettings
    >>> from genlab.core.parameters import describe
    >>> title(describe(TrainingSettings)["batch_size"])
    'Batch size'
    """
    words = info.name.replace("_", " ").capitalize()
    return f"{words} ${info.symbol}$" if info.symbol else words


def explanation(info: ParameterInfo) -> str:
    """The sentence of a parameter with its bounds and its default."""
    if info.minimum is not None and info.maximum is not None:
        bounds = f" From {info.minimum:g} to {info.maximum:g}."
    else:
        bounds = ""
    return f"{info.description}{bounds} Default: {info.default}."


def stops(info: ParameterInfo, value: float) -> list[float]:
    """Where a logarithmic slider may stop: four values a decade (powers of two when whole), and `value`."""
    low, high = info.minimum, info.maximum
    if low is None or high is None or low <= 0:
        raise ValueError(f"{info.name} moves logarithmically and needs bounds above zero")
    if info.type == "int":
        powers = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
        found = {int(low), int(high), int(value), *(2**power for power in powers)}
        return sorted(found)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    series = (float(f"{step:g}e{decade}") for decade in decades for step in STEPS_OF_A_DECADE)
    return sorted({float(low), float(high), float(value), *(stop for stop in series if low <= stop <= high)})


def field(info: ParameterInfo, value: Any, key: str) -> Any:
    """The widget of one parameter, starting at `value`."""
    label, help = title(info), explanation(info)
    if info.type == "bool":
        return st.toggle(label, value=bool(value), key=key, help=help)
    if info.choices:
        start = info.choices.index(value)
        return st.selectbox(
            label, info.choices, start, format_func=lambda choice: str(choice).replace("_", " "), key=key, help=help
        )
    if info.type in ("int", "float"):
        return _number(info, value, key, label, help)
    return st.text_input(label, value=str(value), key=key, help=help)


def _number(info: ParameterInfo, value: float, key: str, label: str, help: str) -> float:
    if info.log:
        return st.select_slider(
            label, stops(info, value), value, format_func=lambda stop: f"{stop:g}", key=key, help=help
        )
    kind = int if info.type == "int" else float
    smallest = 1 if kind is int else (0.1 if (info.maximum or 1) > 1 else 0.05)
    options: dict[str, Any] = {
        "min_value": None if info.minimum is None else kind(info.minimum),
        "max_value": None if info.maximum is None else kind(info.maximum),
        "value": kind(value),
        "step": kind(info.step or smallest),
        "format": "%d" if kind is int else "%g",
    }
    number: float = st.number_input(label, key=key, help=help, **options)
    return number
