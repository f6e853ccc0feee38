"""What a model finds probable: likelihoods of sets, confusions of classes, and the border between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.figures.palette import NEUTRAL, colour, styled, symbol

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BINS = 40
FURTHEST = 12.0  # log-odds beyond which a posterior is 0 or 1 to the eye; images beyond stand at the edge
PLACES = {
    "training": 0,
    "held out": 1,
    "the same": 2,
    "something else": 1,
}  # in the palette, so that a set keeps its colour; any other set comes next
CORNERS = 500  # of a curve, at most, that are drawn
TAILS = (0.5, 99.5)  # percentiles between which the bins lie; the rest is counted in the outermost ones


def likelihood_histogram(
    values: Mapping[str, np.ndarray],
    *,
    title: str,
    span_of: Sequence[str] = (),
    marked: Mapping[str, float] | None = None,
    unit: str = "nats",
    counted: str = "images",
) -> Figure:
    """Shares of each set's images by their log-likelihood (N,) in common bins; `marked` are single images.

    Other numbers than likelihoods have another `unit`, and of other things than images `counted` names them.

    The bins span the sets named in `span_of` (default: all of them) but for their outermost hundredth; what lies
    beyond is counted in the first and the last bin.
    """
    from plotly.graph_objects import Figure

    edges = bin_edges([values[name] for name in span_of or values])
    middles = (edges[1:] + edges[:-1]) / 2
    figure = Figure()
    highest = 0.0
    for name, numbers in values.items():
        counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
        shares = counts / max(1, len(numbers))
        highest = max(highest, float(shares.max()))
        figure.add_bar(
            x=middles, y=shares, name=name, marker_color=colour(PLACES.get(name, 2)), opacity=0.6, width=np.diff(edges),
            hovertemplate=f"{name}<br>%{{y:.1%}} at %{{x:,.5g}} {unit}<extra></extra>",
        )  # fmt: skip
    for place, (name, value) in enumerate((marked or {}).items()):
        at = float(np.clip(value, edges[0], edges[-1]))
        line = {"color": colour(place + 3), "width": 3, "dash": "dash"}
        figure.add_scatter(
            x=[at, at], y=[0, highest], mode="lines", name=name, line=line,
            hovertemplate=f"{name}<br>{value:,.5g} {unit}<extra></extra>",
        )  # fmt: skip
    styled(figure, x=title, y=f"share of the {counted}")
    figure.update_layout(barmode="overlay", bargap=0)
    return figure.update_yaxes(tickformat=".0%", rangemode="tozero")


def roc_curve(
    accepted: np.ndarray, found: np.ndarray, at: tuple[float, float], *, name: str, area: float, threshold: float
) -> Figure:
    """Parts of the same pairs that are found (T,) over parts of other pairs that are taken for the same (T,), and one threshold.

    The grey diagonal is chance.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="chance, area 0.5", line={"color": NEUTRAL, "width": 2, "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    kept = np.unique(np.linspace(0, len(found) - 1, min(len(found), CORNERS)).round().astype(int))
    figure.add_scatter(
        x=accepted[kept], y=found[kept], mode="lines", name=f"{name}, area {area:.3f}", line={"color": colour(0), "width": 3},
        hovertemplate="%{y:.1%} of the same found<br>%{x:.1%} of the others taken for the same<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[at[0]], y=[at[1]], mode="markers", name=f"threshold {threshold:.2f}",
        marker={"size": 12, "color": colour(3), "symbol": "diamond"},
        hovertemplate=f"threshold {threshold:.3g}<br>%{{y:.1%}} of the same found<br>%{{x:.1%}} of the others taken for the same<extra></extra>",
    )  # fmt: skip
    styled(figure, x="share of the others that are taken for the same", y="share of the same that are found")
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    return figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])


def bin_edges(sets: Sequence[np.ndarray]) -> np.ndarray:
    """Edges of equal bins over the central part of every set.

    >>> bin_edges([np.zeros(5)])[[0, -1]].tolist()
    [-1.0, 1.0]
    """
    tails = [np.percentile(numbers, TAILS) for numbers in sets]
    low, high = float(min(tail[0] for tail in tails)), float(max(tail[1] for tail in tails))
    if high <= low:
        low, high = low - 1, high + 1
    return np.linspace(low, high, BINS + 1)


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Images by class (rows) and by the class they were given (columns); colour is the share of the row."""
    from plotly.graph_objects import Figure

    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    names = list(names)
    figure = Figure()
    figure.add_heatmap(
        x=names, y=names, z=share, text=counts, showscale=False, zmin=0, zmax=1, xgap=1, ygap=1,
        colorscale=[[0, "rgba(0,114,178,0)"], [1, "rgba(0,114,178,0.95)"]],
        hovertemplate="%{y} given as %{x}: %{text} images, %{z:.1%}<extra></extra>",
    )  # fmt: skip
    for strong in (True, False):  # white on strong ground, else in the page's own colour; nothing where there is none
        rows, columns = np.nonzero((counts > 0) & ((share > 0.5) == strong))
        figure.add_scatter(
            x=[names[column] for column in columns], y=[names[row] for row in rows], mode="text", hoverinfo="skip",
            text=[f"{counts[row, column]:,}" for row, column in zip(rows, columns, strict=True)],
            textfont={"color": "white"} if strong else None,
        )  # fmt: skip
    styled(figure, x="class given by the model", y="class of the image", height=120 + 34 * len(names), legend=False)
    order = {"type": "category", "categoryorder": "array", "categoryarray": names, "showgrid": False}
    figure.update_xaxes(**order)
    return figure.update_yaxes(**order, autorange="reversed")


def decision_regions(
    points: np.ndarray,
    labels: np.ndarray,
    grid: np.ndarray,
    *,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    pair: tuple[int, int] | None = None,
    indices: np.ndarray | None = None,
) -> Figure:
    """The plane in the colours of its most probable classes from the log joint `grid` (Y, X, classes), and points on it.

    With a `pair` of classes, their two regions alone, with lines where the posterior of the first is 10, 50 and 90 %.
    """
    from plotly.graph_objects import Figure

    shown = list(range(len(names))) if pair is None else list(pair)
    ink = dict(zip(shown, range(len(shown)), strict=True))
    region = grid[:, :, shown].argmax(2)
    steps = [[(place + end) / len(shown), colour(place)] for place in range(len(shown)) for end in (0, 1)]
    figure = Figure()
    figure.add_heatmap(
        x=x, y=y, z=region, colorscale=steps, zmin=-0.5, zmax=len(shown) - 0.5, opacity=0.25, showscale=False,
        hoverinfo="skip",
    )  # fmt: skip
    if pair is not None:
        figure.add_contour(
            x=x, y=y, z=posterior(grid[:, :, pair[0]] - grid[:, :, pair[1]]), showscale=False, hoverinfo="skip",
            contours={"start": 0.1, "end": 0.9, "size": 0.4, "coloring": "none", "showlabels": True, "labelformat": ".0%"},
            line={"color": NEUTRAL, "width": 2}, showlegend=False,
        )  # fmt: skip
    numbers = np.arange(len(points)) if indices is None else indices
    for label in shown:
        mine = labels == label
        figure.add_scatter(
            x=points[mine, 0], y=points[mine, 1], mode="markers", name=names[label], customdata=numbers[mine][:, None],
            marker={"size": 6, "color": colour(ink[label]), "symbol": symbol(ink[label])},
            hovertemplate=f"image %{{customdata[0]}}<br>{names[label]}<extra></extra>",
        )  # fmt: skip
    return styled(figure, x="principal axis 1", y="principal axis 2", height=520)


def sigmoid_of_odds(odds: np.ndarray, first: np.ndarray, names: tuple[str, str]) -> Figure:
    """The posterior of the first class over the log-odds: one curve for every model, and each image (N,) on it.

    `first` (N,) says which images are of the first class. Images beyond log-odds of ±12 stand at the edge.
    """
    from plotly.graph_objects import Figure

    reach = min(FURTHEST, max(4.0, float(np.abs(odds).max(initial=0.0))))
    line = np.linspace(-reach, reach, 200)
    figure = Figure()
    style: dict[str, Any] = {"color": NEUTRAL, "width": 2}
    figure.add_scatter(x=line, y=posterior(line), mode="lines", name="sigmoid", line=style, hoverinfo="skip")
    for place, (name, mine) in enumerate(zip(names, (first, ~first), strict=True)):
        own = odds[mine]
        figure.add_scatter(
            x=np.clip(own, -reach, reach), y=posterior(own), mode="markers", name=name, customdata=own[:, None],
            marker={"size": 8, "color": colour(place), "symbol": "circle" if place == 0 else "diamond", "opacity": 0.6},
            hovertemplate=f"{name}<br>log-odds %{{customdata[0]:.3g}}, posterior %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    styled(figure, x=f"log-odds of {names[0]} against {names[1]} / nats", y=f"posterior of {names[0]}")
    return figure.update_yaxes(range=[-0.05, 1.05], tickformat=".0%")


def posterior(odds: np.ndarray) -> np.ndarray:
    """The sigmoid 1 / (1 + exp(−odds)), without overflow.

    >>> posterior(np.array([0.0, 1000.0, -1000.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(odds)))
