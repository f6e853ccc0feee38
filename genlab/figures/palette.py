"""One look for every figure: colours that colour-blind readers can part, on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe and Ito's blue, orange and green, then seven found by search: every pair differs by 13 or more in CIEDE2000
# to normal, protanope and deuteranope eyes, and every colour stands out from white and from the dark page.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#C36100",
    "#B183A3",
    "#7AB4F9",
    "#814F67",
    "#AC313D",
    "#93C989",
    "#E8ABBC",
)
NEUTRAL = "#8A8F98"  # baselines and guides, seen on light and dark alike
SEQUENTIAL = ("#3F5FA3", "#3A7FA8", "#4B9C93", "#7DB06F", "#B3BA52", "#D9B945")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star")
DASHES = ("solid", "dot", "dashdot", "longdash")


def colour(index: int) -> str:
    """The colour of the index-th category; they repeat after ten, which symbols and dashes tell apart.

    >>> colour(0) == colour(10)
    True
    """
    return PALETTE[index % len(PALETTE)]


def symbol(index: int) -> str:
    """The marker of the index-th category: circles for the first ten, then others."""
    return SYMBOLS[index // len(PALETTE) % len(SYMBOLS)]


def dash(index: int) -> str:
    """The line of the index-th category: solid for the first ten, then others."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def scale(colours: Sequence[str] = SEQUENTIAL) -> list[list[float | str]]:
    """A Plotly colour scale, evenly spaced from dark (low) to light (high)."""
    return [[index / (len(colours) - 1), hexadecimal] for index, hexadecimal in enumerate(colours)]


def styled(figure: Figure, *, x: str = "", y: str = "", height: int = 380, legend: bool = True) -> Figure:
    """Give a figure the common look: transparent ground, axis titles with their units, one font.

    Colours of text are left to the page, which knows whether it is light or dark.
    """
    axis = {"gridcolor": "rgba(138,143,152,0.25)", "zerolinecolor": "rgba(138,143,152,0.45)", "automargin": True}
    figure.update_layout(
        template={"layout": {"colorway": list(PALETTE)}},
        height=height,
        margin={"l": 60, "r": 24, "t": 24, "b": 50},
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
        hoverlabel={"namelength": -1},
        uirevision="keep",
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    if x:
        figure.update_xaxes(title_text=x)
    if y:
        figure.update_yaxes(title_text=y)
    return figure
