"""Runs beside each other: one metric with its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from genlab.figures.palette import NEUTRAL, colour, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BETTER = {"lower": "lower is better", "higher": "higher is better", "neither": "neither way is better as such"}


def metric_bars(
    values: Mapping[str, float],
    *,
    title: str,
    unit: str = "",
    direction: str = "neither",
    baselines: Mapping[str, float] | None = None,
    colours: Mapping[str, int] | None = None,
) -> Figure:
    """One bar for each run, in the runs' order; `baselines` are grey bars below them.

    `colours` maps a run to its place in the palette, so that it keeps its colour on the whole page.
    """
    from plotly.graph_objects import Figure

    grey = dict(baselines or {})
    names = [*values, *(f"baseline: {name.replace('_', ' ')}" for name in grey)]
    numbers = [*values.values(), *grey.values()]
    inks = [colour((colours or {}).get(run, place)) for place, run in enumerate(values)] + [NEUTRAL] * len(grey)
    figure = Figure()
    figure.add_bar(
        x=numbers,
        y=names,
        orientation="h",
        marker_color=inks,
        text=[f"{number:.4g}" for number in numbers],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.6g}<extra></extra>",
    )
    label = f"{title}{f' / {unit}' if unit else ''} ({BETTER[direction]})"
    styled(figure, x=label, height=110 + 26 * len(names), legend=False)
    figure.update_layout(margin_r=70)
    return figure.update_yaxes(autorange="reversed")
