"""Sprites: white shapes on black whose every generative factor is known."""

from __future__ import annotations

import numpy as np

from genlab.data.imageset import Content

SHAPES = ("square", "ellipse", "heart")
SIDE = 32
_FINE = 4  # sub-pixels along each side of a pixel
_AT_ONCE = 250


def sprites(count: int = 3000, *, seed: int = 0) -> Content:
    """`count` grey 32x32 sprites, anti-aliased, with factors shape, scale, rotation, x and y.

    The factors are independent and uniform: shape in {0, 1, 2}, scale in [5, 9] pixels, rotation in
    [0, 2π), and the centre (x, y) in [10.5, 21.5] pixels from the left and the top. The class is the shape.

    >>> content = sprites(6)
    >>> content.images.shape, sorted(content.factors)
    ((6, 1, 32, 32), ['rotation', 'scale', 'shape', 'x', 'y'])
    """
    random = np.random.default_rng(seed)
    shape = random.permutation(np.arange(count) % len(SHAPES))
    factors = {
        "shape": shape,
        "scale": random.uniform(5, 9, count),
        "rotation": random.uniform(0, 2 * np.pi, count),
        "x": random.uniform(10.5, 21.5, count),
        "y": random.uniform(10.5, 21.5, count),
    }
    images = np.empty((count, 1, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        images[part, 0] = draw(**{name: values[part] for name, values in factors.items()})
    return Content(images, shape, SHAPES, factors)


def draw(shape: np.ndarray, scale: np.ndarray, rotation: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels (N, 32, 32) uint8 of sprites given by their factors, each (N,)."""
    fine = (np.arange(SIDE * _FINE) + 0.5) / _FINE
    across = (fine[None, None, :] - x[:, None, None]) / scale[:, None, None]
    down = (fine[None, :, None] - y[:, None, None]) / scale[:, None, None]
    cosine, sine = np.cos(rotation)[:, None, None], np.sin(rotation)[:, None, None]
    u = cosine * across + sine * down
    v = cosine * down - sine * across
    covered = np.empty(u.shape, dtype=bool)
    for index, inside in enumerate((_in_square, _in_ellipse, _in_heart)):
        chosen = shape == index
        covered[chosen] = inside(u[chosen], v[chosen])
    pixels = covered.reshape(len(shape), SIDE, _FINE, SIDE, _FINE).mean(axis=(2, 4))
    return np.round(pixels * 255).astype(np.uint8)


def _in_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.8


def _in_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u**2 + (v / 0.55) ** 2 <= 1


def _in_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The sextic (u² + w²  − 1)³ ≤ u² w³ with w upwards."""
    wide, up = 1.2 * u, 0.15 - 1.2 * v
    return (wide**2 + up**2 - 1) ** 3 <= wide**2 * up**3
