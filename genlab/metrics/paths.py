"""How evenly images change along a walk from one code to another.

References:
    [1] Karras, Laine & Aila, A Style-Based Generator Architecture for Generative Adversarial Networks, 2019, 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject
from genlab.nn.interpolation import interpolation

STEP = 1e-3  # ε: small enough for a derivative, large enough for single precision
Walk = Callable[[np.ndarray], np.ndarray]


def squared_speeds(walk: Walk, features: Walk, places: np.ndarray) -> np.ndarray:
    """‖f(x(t + ε)) − f(x(t))‖² / ε² at `places` t (N,), where `walk` gives the images (N, …) there and `features` f. [1] (2).

    >>> squared_speeds(lambda t: 3 * t[:, None], lambda x: x, np.array([0.0, 0.5])).round(6).tolist()
    [9.0, 9.0]
    """
    apart = features(walk(places + STEP)) - features(walk(places))
    return np.square(apart).sum(1) / STEP**2


@metric(
    "path_length",
    "Path length of interpolations",
    "How fast features change on average along walks between drawn codes, squared. A model that jumps from one kind of image to "
    "another within a short way has long paths; one whose samples are all alike has short ones, so read it beside diversity.",
    r"\mathbb E\Big[\tfrac{1}{\epsilon^2}\|f(g(z_t))-f(g(z_{t+\epsilon}))\|^2\Big],\quad z_t\text{ from }z_1\text{ to }z_2,\ t\sim U(0,1)",
    direction="lower",
    range=(0, None),
    needs=("has_prior", "decodes"),
    source="Karras, Laine & Aila 2019, 4.1, on other features",
    enough=300,
)
def path_length(subject: Subject) -> Found:
    """Mean squared speed of as many walks as images, in the first feature space, beside that of fading real images."""
    from genlab.nn.inference import prior_codes, through

    space, count = subject.spaces[0], len(subject.images)
    kind = "slerp" if _spherical(subject.model) else "lerp"
    codes = prior_codes(subject.model, 2 * count, subject.seed)
    random = np.random.default_rng(subject.seed)
    places = random.uniform(0, 1 - STEP, count)

    def decoded(at: np.ndarray) -> np.ndarray:
        walk = interpolation(kind)(codes[:count], codes[count:], at[:, None])
        return through(subject.model, subject.model.decode, walk[:, 0])

    values = squared_speeds(decoded, space.of, places)
    pairs = random.integers(0, len(subject.training), (2, count))

    def faded(at: np.ndarray) -> np.ndarray:
        share = at[:, None, None, None]
        return (1 - share) * subject.training[pairs[0]] + share * subject.training[pairs[1]]

    baselines = {"fading_images": float(squared_speeds(faded, space.of, places).mean())}
    details = {
        "features": space.name,
        "kind": kind,
        "step": STEP,
        "standard_error": float(values.std() / math.sqrt(count)),
        "median": float(np.median(values)),
    }
    remark = f"Features: {space.name}; {kind} between codes of the prior; a walk through real images fades one into the other."
    return Found(values.mean(), count, baselines, details, remark)


def _spherical(model: Any) -> bool:
    """Whether codes are drawn from N(0, I), and so lie near a sphere."""
    from genlab.nn.normal import StandardNormalPrior

    return type(model).sample_prior is StandardNormalPrior.sample_prior
