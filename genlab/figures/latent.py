"""Pictures of latent spaces: KL of each dimension, the decoded plane, and how far triplets reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from genlab.figures.images import Images
from genlab.figures.palette import NEUTRAL, PALETTE, colour, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ROLES = {"anchor": PALETTE[0], "positive": PALETTE[2], "negative": PALETTE[3]}


def kl_bars(kl: np.ndarray, *, active: np.ndarray | None = None, most: int = 64) -> Figure:
    """Mean KL of each dimension (D,) in nats, the largest first, at most `most` of them; inactive ones are grey."""
    from plotly.graph_objects import Figure

    order = np.argsort(-np.asarray(kl), kind="stable")[:most]
    lively = np.ones(len(kl), dtype=bool) if active is None else np.asarray(active)
    figure = Figure()
    figure.add_bar(
        x=[f"z{index}" for index in order],
        y=np.asarray(kl)[order],
        marker_color=[colour(0) if lively[index] else NEUTRAL for index in order],
        hovertemplate="%{x}: %{y:.4f} nats<extra></extra>",
    )
    return styled(
        figure, x=f"latent dimension ({int(lively.sum())} of {len(kl)} active)", y="mean KL / nats", legend=False
    )


def decoded_plane(images: Images, *, span: float, marked: np.ndarray | None = None) -> Figure:
    """The plane of a two-dimensional latent space: steps² images, first row z2 = +span, over axes z1 and z2.

    `marked` (M, 2) are codes shown as points on the plane.
    """
    import base64

    from plotly.graph_objects import Figure

    steps = round(len(images) ** 0.5)
    sheet = base64.b64encode(images.png_bytes(columns=steps, gap=0, scale=1)).decode()
    height, width = steps * images.array.shape[2], steps * images.array.shape[3]
    cell = 2 * span / (steps - 1) if steps > 1 else 2 * span  # the outermost images are centred on ±span
    reach = span + cell / 2 if steps > 1 else span
    figure = Figure()
    figure.add_image(
        source=f"data:image/png;base64,{sheet}",
        x0=-reach + reach / width,
        dx=2 * reach / width,
        y0=reach - reach / height,
        dy=-2 * reach / height,
        hovertemplate="z1 %{x:.2f}, z2 %{y:.2f}<extra></extra>",
    )
    if marked is not None:
        ink = {"color": colour(1), "size": 9, "line": {"color": "white", "width": 1}}
        figure.add_scatter(x=marked[:, 0], y=marked[:, 1], mode="markers", marker=ink, name="codes")
    styled(figure, x="z1", y="z2", height=620, legend=False)
    figure.update_xaxes(range=[-reach, reach], constrain="domain")
    return figure.update_yaxes(range=[-reach, reach], scaleanchor="x", scaleratio=height / width)


def triplet_distances(distances: Mapping[str, np.ndarray], *, title: str) -> Figure:
    """Distance from the anchor of every "positive" and "negative" (N,); lines join those of one triplet."""
    from plotly.graph_objects import Figure

    figure = Figure()
    positive, negative = (np.asarray(distances[role]) for role in ("positive", "negative"))
    gaps = np.full(len(positive), np.nan)
    rows = np.arange(1, len(positive) + 1)
    figure.add_scatter(
        x=np.column_stack([positive, negative, gaps]).ravel(),
        y=np.column_stack([rows, rows, gaps]).ravel(),
        mode="lines",
        line={"color": NEUTRAL, "width": 1},
        showlegend=False,
        hoverinfo="skip",
    )
    for role, values in (("positive", positive), ("negative", negative)):
        marker = {"color": ROLES[role], "size": 9, "symbol": "circle" if role == "positive" else "diamond"}
        figure.add_scatter(
            x=values, y=rows, mode="markers", name=role, marker=marker,
            hovertemplate=f"triplet %{{y}}<br>{role} at %{{x:.4g}}<extra></extra>",
        )  # fmt: skip
    styled(figure, x=title, y="triplet", height=min(640, 160 + 14 * len(rows)))
    figure.update_xaxes(rangemode="tozero")
    return figure.update_yaxes(autorange="reversed", dtick=max(1, len(rows) // 10))


def displacement_bars(anchor: np.ndarray, positive: np.ndarray, negative: np.ndarray, *, most: int = 64) -> Figure:
    """How far one triplet moves along each dimension (D,): positive − anchor and negative − anchor."""
    from plotly.graph_objects import Figure

    moves = {"positive": positive - anchor, "negative": negative - anchor}
    order = np.argsort(-np.abs(moves["negative"]), kind="stable")[:most]
    figure = Figure()
    for role, move in moves.items():
        figure.add_bar(x=[f"z{index}" for index in order], y=move[order], name=role, marker_color=ROLES[role])
    styled(figure, x="latent dimension, largest negative displacement first", y="displacement from the anchor")
    return figure.update_layout(barmode="group")


def explained_variance(explained: np.ndarray) -> Figure:
    """Share of the codes' variance along each principal axis (K,), with the running sum."""
    from plotly.graph_objects import Figure

    axis = [f"PC {index}" for index in range(1, len(explained) + 1)]
    figure = Figure()
    figure.add_bar(x=axis, y=explained, name="this axis", marker_color=colour(0))
    figure.add_scatter(x=axis, y=np.cumsum(explained), name="up to here", line_color=colour(1))
    styled(figure, x="principal axis", y="share of variance")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
