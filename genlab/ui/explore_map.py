"""A scatter drawn as a plain SVG picture, for a place where it follows a slider: a chart library redraws too slowly."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from genlab.figures.palette import NEUTRAL

WIDTH, HEIGHT = 700, 430
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 46
MOST_TICKS = 6

Place = Callable[[np.ndarray], np.ndarray]


def scatter_svg(
    points: np.ndarray, marked: Mapping[str, np.ndarray], inks: Mapping[str, str], axes: Sequence[str], text: str
) -> str:
    """Points (N, 2) in grey and named groups of marks (M, 2) in their inks on top; `text` is the colour of words."""
    every = np.concatenate([points, *marked.values()])
    low, high = every.min(0), every.max(0)
    margin = np.where(high > low, (high - low) * 0.04, 1.0)
    low, high = low - margin, high + margin

    def place(group: np.ndarray) -> np.ndarray:
        x, y = ((np.atleast_2d(group) - low) / (high - low)).T
        return np.column_stack([LEFT + x * (WIDTH - LEFT - RIGHT), TOP + (1 - y) * (HEIGHT - TOP - BOTTOM)]).round(1)

    dots = "".join(f'<circle cx="{x:g}" cy="{y:g}" r="2.5"/>' for x, y in place(points).tolist())
    marks = "".join(
        f'<circle cx="{x:g}" cy="{y:g}" r="6.5" fill="{inks[name]}" stroke="#fff" stroke-width="1.5"/>'
        for name, group in marked.items()
        for x, y in place(group).tolist()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{text}">{_frame(low, high, place, axes)}'
        f"{_legend({'images': NEUTRAL, **{name: inks[name] for name in marked}})}"
        f'<g fill="{NEUTRAL}" fill-opacity="0.55">{dots}</g>{marks}</svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, evenly apart and at most six.

    >>> ticks(-1.2, 3.4), ticks(0.02, 0.07)
    ([-1.0, 0.0, 1.0, 2.0, 3.0], [0.02, 0.03, 0.04, 0.05, 0.06, 0.07])
    """
    size = 10.0 ** np.floor(np.log10((high - low) / MOST_TICKS))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) < MOST_TICKS)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in np.arange(first, last + 1)]


def _frame(low: np.ndarray, high: np.ndarray, place: Place, axes: Sequence[str]) -> str:
    """Grid lines with their numbers, and what the axes are."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    xs = [(f"{x:g}", place(np.array([x, low[1]]))[0, 0]) for x in ticks(low[0], high[0])]
    ys = [(f"{y:g}", place(np.array([low[0], y]))[0, 1]) for y in ticks(low[1], high[1])]
    lines = "".join([f"M{at} {TOP}V{bottom}" for _, at in xs] + [f"M{LEFT} {at}H{right}" for _, at in ys])
    words = [f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{number}</text>' for number, at in xs]
    words += [f'<text x="{LEFT - 7}" y="{at + 4}" text-anchor="end">{number}</text>' for number, at in ys]
    below, beside = (html.escape(axis) for axis in axes[:2])
    words.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{below}</text>')
    turned = f'transform="translate(13 {(TOP + bottom) / 2}) rotate(-90)"'
    words.append(f'<text {turned} text-anchor="middle">{beside}</text>')
    return f'<path d="{lines}" stroke="{NEUTRAL}" stroke-opacity="0.3" fill="none"/>{"".join(words)}'


def _legend(inks: Mapping[str, str]) -> str:
    entries = (
        f'<circle cx="{LEFT + 8 + 110 * place}" cy="14" r="6" fill="{ink}"/>'
        f'<text x="{LEFT + 20 + 110 * place}" y="18">{html.escape(name)}</text>'
        for place, (name, ink) in enumerate(inks.items())
    )
    return "".join(entries)
