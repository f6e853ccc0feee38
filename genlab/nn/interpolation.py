"""From one code to another: straight and great-circle paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError

Interpolation = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(1 − t) a + t b: the straight line. a and b (…, D), t (T,) or (…, T) -> (…, T, D).

    >>> lerp(np.zeros(2), np.ones(2), np.array([0.0, 0.25])).tolist()
    [[0.0, 0.0], [0.25, 0.25]]
    """
    a, b, t = _prepared(a, b, t)
    return (1 - t) * a + t * b


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The great-circle arc from a's direction to b's at constant angular speed, while the norm changes linearly.

    direction(t) = u cos tω + w sin tω, with u = a/|a|, w the part of b/|b| across u, normalised, and
    ω = 2 atan2(|u − v|, |u + v|), v = b/|b|, which stays exact near 0 and π. Codes of a normal prior lie near a
    sphere, where a straight line would cut through the empty middle. Where b points the other way, every great
    circle is as short: the arc turns towards the axis on which a is smallest. A zero vector has no direction and
    gives the straight line. a and b (…, D), t (T,) or (…, T) -> (…, T, D).

    >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 3.0]), np.array([0.5])).round(3).tolist()
    [[1.414, 1.414]]
    """
    a, b, t = _prepared(a, b, t)
    lengths = [np.linalg.norm(end, axis=-1, keepdims=True) for end in (a, b)]
    u, v = (end / np.where(length > 0, length, 1) for end, length in zip((a, b), lengths, strict=True))
    omega = 2 * np.arctan2(np.linalg.norm(u - v, axis=-1, keepdims=True), np.linalg.norm(u + v, axis=-1, keepdims=True))
    across = v - (u * v).sum(-1, keepdims=True) * u
    size = np.linalg.norm(across, axis=-1, keepdims=True)
    w = np.where(size > 1e-9, across / np.where(size > 1e-9, size, 1), _perpendicular(u))
    arc = (u * np.cos(t * omega) + w * np.sin(t * omega)) * ((1 - t) * lengths[0] + t * lengths[1])
    return np.where((lengths[0] > 0) & (lengths[1] > 0), arc, (1 - t) * a + t * b)


KINDS: dict[str, Interpolation] = {"lerp": lerp, "slerp": slerp}


def interpolation(kind: str) -> Interpolation:
    """`lerp` or `slerp` by name."""
    if kind not in KINDS:
        raise UnknownNameError("kind of interpolation", kind, KINDS)
    return KINDS[kind]


def _prepared(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = (np.asarray(end, dtype=np.float64)[..., None, :] for end in (a, b))
    if a.shape[-1] != b.shape[-1]:
        raise BadInputError(
            f"A walk joins codes of one size, and these have {a.shape[-1]} and {b.shape[-1]} dimensions."
        )
    return a, b, np.asarray(t, dtype=np.float64)[..., None]


def _perpendicular(u: np.ndarray) -> np.ndarray:
    """A unit vector across u (…, D), the same for the same u; zeros where D = 1."""
    axis = np.eye(u.shape[-1])[np.abs(u).argmin(-1)]
    across = axis - (u * axis).sum(-1, keepdims=True) * u
    size = np.linalg.norm(across, axis=-1, keepdims=True)
    return across / np.where(size > 1e-9, size, 1)
