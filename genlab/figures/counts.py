"""How many there are of each: one bar a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from genlab.figures.palette import colour, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def class_bars(counts: Mapping[str, int], *, unit: str = "images") -> Figure:
    """One horizontal bar for each class, in the order of the classes."""
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_bar(
        x=list(counts.values()),
        y=list(counts),
        orientation="h",
        marker_color=colour(0),
        text=[f"{count:,}" for count in counts.values()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    styled(figure, x=unit, height=90 + 24 * len(counts), legend=False)
    figure.update_layout(margin_r=70)
    return figure.update_yaxes(autorange="reversed", type="category")
