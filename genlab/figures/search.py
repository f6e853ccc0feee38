"""What a search over settings found, as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genlab.figures.palette import scale, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def setting_map(
    values: np.ndarray,
    *,
    x: Sequence[float],
    y: Sequence[float],
    titles: tuple[str, str],
    score: str,
    marked: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Shares (Y, X) at the levels of two settings, in per cent, those that make no sense left empty; `marked` places (x, y) are named."""
    from plotly.graph_objects import Figure

    across, down = ([f"{level:g}" for level in levels] for levels in (x, y))
    finite = np.isfinite(values)
    figure = Figure()
    figure.add_heatmap(
        x=across, y=down, z=np.where(finite, values, np.nan), colorscale=scale(), xgap=1, ygap=1, zmin=0,
        zmax=max(1e-9, float(np.nanmax(values, initial=0))), hoverongaps=False, texttemplate="%{z:.0%}",
        colorbar={"title": {"text": score, "side": "right"}, "tickformat": ".0%", "thickness": 12},
        hovertemplate=f"{titles[1]} %{{y}}, {titles[0]} %{{x}}: %{{z:.1%}}<extra></extra>",
    )  # fmt: skip
    for name, (at_x, at_y) in (marked or {}).items():
        figure.add_scatter(
            x=[f"{at_x:g}"], y=[f"{at_y:g}"], mode="markers", name=name, hovertemplate=f"{name}<extra></extra>",
            marker={"symbol": "square-open", "size": 30, "line": {"width": 3}, "color": "#111111" if name == "best" else "#FFFFFF"},
        )  # fmt: skip
    styled(figure, x=titles[0], y=titles[1], height=150 + 34 * len(y))
    levels = {"type": "category", "showgrid": False}
    figure.update_xaxes(**levels, categoryarray=across)
    return figure.update_yaxes(**levels, categoryarray=down)
