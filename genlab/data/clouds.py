"""Clouds of points in the unit square: toy distributions, each point an image of one row and two pixels.

What a model of images does with a thousand dimensions can be seen whole in two, so that the models take these as they
are: the first pixel of an image is the point's x, the second its y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.shapes import Shape

SHAPE = Shape(1, 1, 2)
JITTER = 0.012  # standard deviation of points about a stroke drawn by hand
MOST_CORNERS = 5000  # of all strokes together


class Modes(NamedTuple):
    """Centres (K, 2) of equally likely Gaussians with one standard deviation in every direction."""

    centres: np.ndarray
    deviation: float


_turn = 2 * np.pi * np.arange(8) / 8
_steps = np.linspace(0.14, 0.86, 5)
MODES = {
    "ring": Modes(0.5 + 0.36 * np.column_stack([np.cos(_turn), np.sin(_turn)]), 0.018),
    "grid": Modes(np.stack(np.meshgrid(_steps, _steps), axis=-1).reshape(-1, 2), 0.014),
}
"""Clouds whose modes are known, so that those which a model has found can be counted."""


def _gaussians(name: str, count: int, draws: np.random.Generator) -> np.ndarray:
    centres, deviation = MODES[name]
    return centres[draws.integers(len(centres), size=count)] + deviation * draws.normal(size=(count, 2))


def _moons(count: int, draws: np.random.Generator) -> np.ndarray:
    angle, lower = np.pi * draws.random(count), draws.random(count) < 0.5
    x = np.where(lower, 0.625 - 0.25 * np.cos(angle), 0.375 + 0.25 * np.cos(angle))
    y = np.where(lower, 0.57 - 0.3 * np.sin(angle), 0.43 + 0.3 * np.sin(angle))
    return np.column_stack([x, y]) + 0.02 * draws.normal(size=(count, 2))


def _sine(count: int, draws: np.random.Generator) -> np.ndarray:
    x = draws.uniform(0.1, 0.9, count)
    return np.column_stack([x, 0.5 + 0.25 * np.sin(2.5 * np.pi * (x - 0.1))]) + 0.015 * draws.normal(size=(count, 2))


def _spiral(count: int, draws: np.random.Generator) -> np.ndarray:
    angle = 4 * np.pi * np.sqrt(draws.uniform(0.02, 1, count))  # the root keeps the arms evenly dense
    places = angle[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return 0.5 + 0.4 / (4 * np.pi) * places + 0.01 * draws.normal(size=(count, 2))


CLOUDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "ring": lambda count, draws: _gaussians("ring", count, draws),
    "moons": _moons,
    "sine": _sine,
    "spiral": _spiral,
    "grid": lambda count, draws: _gaussians("grid", count, draws),
}


def cloud(name: str, count: int = 1024, seed: int = 0) -> np.ndarray:
    """`count` points (count, 2) of a named cloud, all in [0, 1].

    >>> points = cloud("ring", 100)
    >>> points.shape, bool(points.min() >= 0), bool(points.max() <= 1)
    ((100, 2), True, True)
    """
    if name not in CLOUDS:
        raise UnknownNameError("cloud", name, CLOUDS)
    return CLOUDS[name](count, np.random.default_rng(seed)).clip(0, 1)


def drawn_cloud(strokes: Sequence[Sequence[Sequence[float]]], count: int = 1024, seed: int = 0) -> np.ndarray:
    """`count` points (count, 2) about lines drawn by hand, spread evenly along them with a little jitter.

    A stroke is the list of its corners (x, y) in [0, 1]; one of a single corner is a dot, as much as a line as long as
    it is thick. Raises `BadInputError` for what is no such list.

    >>> drawn_cloud([[(0.2, 0.5), (0.8, 0.5)]], 4).shape
    (4, 2)
    """
    lines = [_line(stroke) for stroke in strokes]
    if not lines or sum(map(len, lines)) > MOST_CORNERS:
        raise BadInputError(f"Draw at least one stroke, and at most {MOST_CORNERS:,} corners in all.")
    starts = np.concatenate([line[:-1] for line in lines])
    ways = np.concatenate([np.diff(line, axis=0) for line in lines])
    lengths = np.maximum(np.hypot(*ways.T), 1e-9)
    dots = np.array([len(line) == 2 and not np.diff(line, axis=0).any() for line in lines])
    lengths[np.cumsum([len(line) - 1 for line in lines])[dots] - 1] = 4 * JITTER
    draws = np.random.default_rng(seed)
    which = draws.choice(len(starts), size=count, p=lengths / lengths.sum())
    along = starts[which] + draws.random((count, 1)) * ways[which]
    return (along + JITTER * draws.normal(size=(count, 2))).clip(0, 1)


def _line(stroke: Sequence[Sequence[float]]) -> np.ndarray:
    """Corners (P, 2) of a stroke, at least two: a dot is a line from itself to itself."""
    try:
        corners = np.array(stroke, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        corners = np.empty((0, 2))
    if not len(corners) or not (np.isfinite(corners).all() and corners.min() >= 0 and corners.max() <= 1):
        raise BadInputError("A stroke is a list of corners (x, y) from 0 to 1; draw it again.")
    return corners if len(corners) > 1 else corners.repeat(2, axis=0)


def as_images(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) in [0, 1] as 8-bit images (N, 1, 1, 2), as every image set holds its pixels.

    >>> as_images(np.array([[0.0, 1.0]])).tolist()
    [[[[0, 255]]]]
    """
    return np.rint(points * 255).astype(np.uint8).reshape(-1, *SHAPE)
