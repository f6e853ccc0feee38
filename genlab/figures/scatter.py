"""Points in a plane or in space: projections of codes, whose selection leads back to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.figures.palette import NEUTRAL, colour, scale, styled, symbol

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MANY = 3000  # points above which the browser draws with its graphics card


def projection_scatter(
    points: np.ndarray,
    *,
    axes: Sequence[str] = ("axis 1", "axis 2", "axis 3"),
    indices: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    values: np.ndarray | None = None,
    values_title: str = "",
    marked: Sequence[tuple[str, np.ndarray]] = (),
) -> Figure:
    """Points (N, 2) or (N, 3), coloured by class `labels` (N,) or by numbers `values` (N,).

    Each point carries its image's index as `customdata[0]`, which a selection returns. `marked` are named
    groups of further points, (M, 2 or 3) each, drawn large on top: an anchor, its positives, a walk.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    index = np.arange(len(points)) if indices is None else np.asarray(indices)
    if values is not None:
        bar = {"title": {"text": values_title, "side": "right"}, "thickness": 12}
        marker = {"color": values, "colorscale": scale(), "colorbar": bar, "showscale": True}
        hover = f"image %{{customdata[0]}}<br>{values_title} %{{marker.color:.4g}}<extra></extra>"
        figure.add_trace(_points(points, index, "images", marker, hover))
    elif labels is None:
        hover = "image %{customdata[0]}<extra></extra>"
        figure.add_trace(_points(points, index, "images", {"color": colour(0)}, hover))
    else:
        for place, label in enumerate(np.unique(labels)):
            chosen = labels == label
            name = class_names[label] if 0 <= label < len(class_names) else str(label)
            hover = f"image %{{customdata[0]}}<br>{name}<extra></extra>"
            marker = {"color": colour(place), "symbol": symbol(place)}
            figure.add_trace(_points(points[chosen], index[chosen], name, marker, hover))
    for place, (name, group) in enumerate(marked):
        _mark(figure, name, np.atleast_2d(group), place)
    return _axes(figure, axes, points.shape[1], legend=labels is not None or bool(marked))


def _points(points: np.ndarray, index: np.ndarray, name: str, marker: dict[str, Any], hover: str) -> Any:
    from plotly import graph_objects as go

    solid = points.shape[1] == 3
    kind = go.Scatter3d if solid else go.Scattergl if len(points) > MANY else go.Scatter
    if solid and marker.get("symbol") not in (None, "circle", "diamond", "square", "cross"):
        marker = {**marker, "symbol": "x"}
    coordinates = dict(zip("xyz", np.asarray(points).T, strict=False))
    return kind(
        **coordinates,
        mode="markers",
        name=name,
        customdata=index[:, None],
        hovertemplate=hover,
        marker={"size": 3 if solid else 6, "opacity": 0.75, **marker},
    )


def _mark(figure: Figure, name: str, group: np.ndarray, place: int) -> None:
    solid = group.shape[1] == 3
    symbols = ("diamond", "circle", "square", "cross", "x")
    marker = {
        "size": 7 if solid else 13,
        "symbol": symbols[place % len(symbols)],
        "color": "white",
        "line": {"color": "black", "width": 2},
    }
    coordinates = dict(zip("xyz", group.T, strict=False))
    add = figure.add_scatter3d if solid else figure.add_scatter
    add(**coordinates, mode="markers", name=name, marker=marker, hovertemplate=f"{name}<extra></extra>")


def _axes(figure: Figure, axes: Sequence[str], dimensions: int, legend: bool) -> Figure:
    styled(figure, height=560, legend=legend)
    if dimensions == 3:
        bare = {"showbackground": False, "gridcolor": NEUTRAL, "zerolinecolor": NEUTRAL}
        scene = {f"{axis}axis": {**bare, "title": {"text": name}} for axis, name in zip("xyz", axes, strict=False)}
        return figure.update_layout(scene=scene, margin={"l": 0, "r": 0, "b": 0})
    figure.update_layout(dragmode="lasso", clickmode="event+select")
    figure.update_xaxes(title_text=axes[0])
    return figure.update_yaxes(title_text=axes[1])
