"""Training curves: each named term, of one run or of several over each other, labelled where the lines end."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from genlab.figures.palette import NEUTRAL, colour, dash, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = {"step": "step", "epoch": "epoch", "seconds": "time / s"}
PANEL = 300  # pixels of one panel
GAP = 16  # pixels between two labels
BAD, GOOD = colour(7), colour(2)


class Mark(NamedTuple):
    """Something that happened at one place `x`: an upright line in every panel, named above the first."""

    x: float
    name: str
    good: bool = False


class Curve(NamedTuple):
    """One line: values `y` (T,) of a term of a run, over `x` (T,); validation lines are dashed."""

    run: str
    term: str
    x: np.ndarray
    y: np.ndarray
    validation: bool = False


def smooth(values: np.ndarray, smoothing: float) -> np.ndarray:
    """Exponential moving average without its start-up bias: s_t = Σ_i a^(t−i) v_i / Σ_i a^(t−i).

    `smoothing` a from 0 (none) to below 1. Values that are not finite are passed over, and stay gaps.

    >>> smooth(np.array([1.0, 3.0]), 0.5).round(3).tolist()
    [1.0, 2.333]
    """
    values = np.asarray(values, dtype=np.float64)
    if not smoothing:
        return values
    smoothed = np.empty_like(values)
    total = weight = 0.0
    for index, value in enumerate(values):
        if np.isfinite(value):
            total, weight = smoothing * total + value, smoothing * weight + 1
        smoothed[index] = total / weight if np.isfinite(value) else np.nan
    return smoothed


def loss_curves(
    curves: Sequence[Curve],
    *,
    axis: str = "step",
    smoothing: float = 0.0,
    log: bool = False,
    panels: bool = False,
    guides: Mapping[str, float] | None = None,
    marks: Sequence[Mark] = (),
    unit: str = "",
) -> Figure:
    """Lines over "step", "epoch" or "seconds"; `unit` names what the values are measured in.

    One run: its terms share a panel (or have one each with `panels`), coloured by term. Several runs:
    one panel a term, coloured by run. With smoothing the raw values stay visible behind. `guides` are
    horizontal lines: one that is called like a term, the value to which theory leads it, is drawn where that term is,
    any other in every panel. `marks` are upright lines.
    """
    from plotly.subplots import make_subplots

    runs = list(dict.fromkeys(curve.run for curve in curves))
    terms = list(dict.fromkeys(curve.term for curve in curves))
    split = panels or len(runs) > 1
    rows = max(1, len(terms) if split else 1)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06 if rows > 1 else 0)
    styled(figure, height=60 + PANEL * rows, legend=False)
    for row in range(1, rows + 1):
        shown = [curve for curve in curves if not split or curve.term == terms[row - 1]]
        _panel(figure, row, shown, runs, terms, smoothing, log)
        title = terms[row - 1] if split and terms else "loss terms"
        figure.update_yaxes(
            title_text=f"{title} / {unit}" if unit else title, type="log" if log else "linear", row=row, col=1
        )
        for name, level in (guides or {}).items():
            if name not in terms or any(curve.term == name for curve in shown):
                label = (
                    name if name not in terms else f"theory: {level:.4g}" if split else f"{name} in theory: {level:.4g}"
                )
                _guide(figure, row, label, level, log)
        for mark in marks:
            _mark(figure, row, mark)
    figure.update_xaxes(title_text=AXES.get(axis, axis), row=rows, col=1)
    figure.update_layout(hovermode="x unified")
    return figure


def _panel(
    figure: Figure,
    row: int,
    curves: Sequence[Curve],
    runs: list[str],
    terms: list[str],
    smoothing: float,
    log: bool,
) -> None:
    ends = []
    for curve in curves:
        of = runs.index(curve.run) if len(runs) > 1 else terms.index(curve.term)
        name = curve.run if len(runs) > 1 else curve.term
        name = f"{name} (validation)" if curve.validation else name
        line = {"color": colour(of), "width": 2, "dash": "dash" if curve.validation else dash(of)}
        if smoothing:
            raw = {"color": colour(of), "width": 1}
            figure.add_scatter(
                x=curve.x, y=curve.y, name=name, line=raw, opacity=0.25, hoverinfo="skip", row=row, col=1, mode="lines"
            )
        values = smooth(curve.y, smoothing)
        mode = "lines" if len(curve.x) > 1 else "markers"
        figure.add_scatter(
            x=curve.x, y=values, name=name, line=line, marker_color=colour(of), mode=mode, row=row, col=1
        )
        visible = np.isfinite(values) & ((values > 0) | (not log))
        if visible.any():
            last = np.flatnonzero(visible)[-1]
            ends.append((float(np.asarray(curve.x)[last]), float(values[last]), name, colour(of), values[visible]))
    _end_labels(figure, row, ends, log)


def _guide(figure: Figure, row: int, name: str, level: float, log: bool) -> None:
    """A thin dashed line at a level, named at its left end; a logarithmic axis has no place for one that is not positive."""
    if log and level <= 0:
        return
    line = {"dash": "dash", "color": NEUTRAL, "width": 1}
    figure.add_hline(y=level, line=line, row=row, col=1)
    figure.add_annotation(
        x=0, xref="x domain", xanchor="left", y=np.log10(level) if log else level, yanchor="bottom", text=name,
        font={"size": 11, "color": NEUTRAL}, showarrow=False, row=row, col=1,
    )  # fmt: skip


def _mark(figure: Figure, row: int, mark: Mark) -> None:
    """An upright line, named above the first panel alone."""
    ink = GOOD if mark.good else BAD
    figure.add_vline(x=mark.x, line={"dash": "dashdot", "color": ink, "width": 1.5}, row=row, col=1)
    if row == 1:
        figure.add_annotation(
            x=mark.x, y=1, yref="y domain", yanchor="bottom", showarrow=False, font={"size": 11}, row=row, col=1,
            text=f'<span style="color:{ink}">●</span> {html.escape(mark.name)}',
        )  # fmt: skip


def _end_labels(figure: Figure, row: int, ends: list[tuple[float, float, str, str, np.ndarray]], log: bool) -> None:
    """Write each line's name at its end, pushed apart so that no two lie on each other."""
    if not ends:
        return
    heights = [np.log10(end[4]) if log else end[4] for end in ends]
    low, high = min(h.min() for h in heights), max(h.max() for h in heights)
    wanted = np.array([(h[-1] - low) / (high - low or 1) * PANEL * 0.85 for h in heights])
    for place, index in zip(spread(wanted, GAP), np.argsort(wanted, kind="stable"), strict=True):
        x, y, name, ink, _ = ends[index]
        figure.add_annotation(
            x=x,
            y=np.log10(y) if log else y,
            text=f'<span style="color:{ink}">●</span> {html.escape(name)}',
            font={"size": 12},
            showarrow=False,
            xanchor="left",
            xshift=6,
            yshift=float(place - wanted[index]),
            row=row,
            col=1,
        )


def spread(places: np.ndarray, gap: float) -> np.ndarray:
    """Sorted places moved as little as a sweep can until neighbours lie at least `gap` apart.

    >>> spread(np.array([0.0, 1.0, 50.0]), 10).tolist()
    [-4.5, 5.5, 50.0]
    """
    groups: list[list[float]] = []  # each: [sum of (place − rank·gap), size]: its members touch one another
    for place in np.sort(places):
        groups.append([float(place), 1.0])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > groups[-1][0] / groups[-1][1]:
            total, size = groups.pop()
            groups[-1][0] += total - gap * groups[-1][1] * size
            groups[-1][1] += size
    return np.concatenate([total / size + gap * np.arange(int(size)) for total, size in groups] or [np.empty(0)])


def _top(group: list[float], gap: float) -> float:
    return group[0] / group[1] + gap * (group[1] - 1)
