"""What a search over settings found, as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genlab.figures.palette import colour, scale, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def setting_map(
    values: np.ndarray,
    *,
    x: Sequence[float],
    y: Sequence[float],
    titles: tuple[str, str],
    framed: Sequence[tuple[float, float]] = (),
) -> Figure:
    """Shares (Y, X) at the levels of two settings, in per cent, those that make no sense left empty; `framed` are places (x, y)."""
    from plotly.graph_objects import Figure

    across, down = ([f"{level:g}" for level in levels] for levels in (x, y))
    finite = np.isfinite(values)
    figure = Figure()
    figure.add_heatmap(
        x=across, y=down, z=np.where(finite, values, np.nan), colorscale=scale(), xgap=1, ygap=1, zmin=0,
        zmax=max(1e-9, float(np.nanmax(values, initial=0))), hoverongaps=False, texttemplate="%{z:.0%}", showscale=False,
        hovertemplate=f"{titles[1]} %{{y}}, {titles[0]} %{{x}}: %{{z:.1%}}<extra></extra>",
    )  # fmt: skip
    for at_x, at_y in framed:
        column, row = list(x).index(at_x), list(y).index(at_y)
        figure.add_shape(
            type="rect", x0=column - 0.48, x1=column + 0.48, y0=row - 0.48, y1=row + 0.48, line={"width": 3, "color": colour(7)}
        )  # fmt: skip
    styled(figure, x=titles[0], y=titles[1], height=110 + 34 * len(y), legend=False)
    levels = {"type": "category", "showgrid": False}
    figure.update_xaxes(**levels, categoryarray=across)
    return figure.update_yaxes(**levels, categoryarray=down)
