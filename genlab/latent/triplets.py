"""Sampling triplets in latent space: Algorithm 3 of [1], for all anchors and dimensions at once.

Around an anchor's code, every dimension takes one step of `radius` times the size of its log-variance, towards
the mean of all codes with a given probability and away from it otherwise: a small radius gives the positive, a
larger one the negative.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pydantic

from genlab.core.errors import BadInputError
from genlab.core.parameters import Parameters, parameter

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", "np.ndarray", "torch.Tensor")
Step = Literal["log_var", "sigma"]
StochasticRadius = Literal["off", "per_draw", "per_dimension"]


class TripletSettings(Parameters):
    """How far positives and negatives lie from their anchor, and how often they turn towards the mean.

    The fields are the keywords of `sample_triplet_codes`; `TRIPLET_PRESETS` has the values of the thesis and of its code.
    """

    positive_radius: float = parameter(
        0.15, "Distance of the positive from the anchor, in steps.", minimum=0, maximum=2, step=0.01, symbol="r_p"
    )
    negative_radius: float = parameter(
        0.30, "Distance of the negative from the anchor, in steps.", minimum=0, maximum=4, step=0.01, symbol="r_n"
    )
    positive_toward_mean: float = parameter(
        0.95, "Probability that a dimension of the positive moves towards the mean of all codes.", minimum=0, maximum=1, step=0.01, symbol="p_p"
    )  # fmt: skip
    negative_toward_mean: float = parameter(
        0.85, "Probability that a dimension of the negative moves towards the mean of all codes.", minimum=0, maximum=1, step=0.01, symbol="p_n"
    )  # fmt: skip
    step: Step = parameter(
        "log_var", "What one step is: |log σ²| as in the thesis (0 where σ = 1), or the standard deviation σ."
    )
    stochastic_radius: StochasticRadius = parameter(
        "off", "Vary both radii by one random factor: the same for a whole triplet, or another in each dimension."
    )
    radius_spread: float = parameter(
        0.5, "The random factor of the radii is uniform from 1 − spread to 1 + spread.", minimum=0, maximum=1, step=0.05
    )

    @pydantic.model_validator(mode="after")
    def _positive_is_nearer(self) -> TripletSettings:
        if self.positive_radius >= self.negative_radius:
            raise ValueError(
                f"The positive must lie nearer to the anchor than the negative, and its radius {self.positive_radius:g} "
                f"is not below {self.negative_radius:g}; lower the positive radius or raise the negative one."
            )
        return self

    @property
    def agreement(self) -> float:
        """Expected share of dimensions in which positive and negative move the same way, in [0, 1].

        >>> round(TripletSettings().agreement, 3)
        0.815
        """
        p, q = self.positive_toward_mean, self.negative_toward_mean
        return p * q + (1 - p) * (1 - q)


TRIPLET_PRESETS = {
    "thesis": TripletSettings(),
    "code": TripletSettings(positive_radius=0.10, negative_toward_mean=0.90),
}
"""The values that the thesis prints (5.3), and those that its published code runs with."""


def sample_triplet_codes(
    mean: Array,
    log_var: Array,
    global_mean: Array,
    *,
    positive_radius: float = 0.15,
    negative_radius: float = 0.30,
    positive_toward_mean: float = 0.95,
    negative_toward_mean: float = 0.85,
    positive_draws: Array | None = None,
    negative_draws: Array | None = None,
    generator: Any = None,
    step: Step = "log_var",
    stochastic_radius: StochasticRadius = "off",
    radius_spread: float = 0.5,
) -> tuple[Array, Array]:
    """Positive and negative codes (N, D) of anchors (Algorithm 3 of [1]).

    z ∓ r |log σ²| in each dimension: towards `global_mean` (D,), the mean of all posterior means, where the
    uniform draw u ≤ p, and away from it otherwise; a code that equals the global mean counts as below it.
    `mean` and `log_var` (N, D) are the anchors' posterior. Draws (N, D) in [0, 1) are taken from `generator`
    unless given. NumPy arrays come back as arrays (with a `numpy.random.Generator`), tensors as tensors (with a
    `torch.Generator`). `step="sigma"` steps by σ instead. A stochastic radius multiplies both radii of a triplet by
    one factor uniform in 1 ± `radius_spread`, so that the positive stays nearer. Raises `BadInputError` for
    shapes that do not fit.

    >>> mean, log_var = np.array([[1.0, -1.0]]), np.array([[-2.0, -4.0]])
    >>> near, far = sample_triplet_codes(mean, log_var, np.zeros(2), positive_toward_mean=1, negative_toward_mean=1)
    >>> near, far
    (array([[ 0.7, -0.4]]), array([[0.4, 0.2]]))
    """
    arrays = _Arrays(mean)
    mean, log_var, global_mean = map(arrays.read, (mean, log_var, global_mean))
    for name, given, shape in (("log_var", log_var, mean.shape), ("global_mean", global_mean, mean.shape[-1:])):
        if given.shape != shape:
            raise BadInputError(f"{name} has the shape {tuple(given.shape)}, and it must be {tuple(shape)}.")
    size = abs(log_var) if step == "log_var" else arrays.library.exp(0.5 * log_var)
    outward = arrays.library.where(mean > global_mean, size, -size)

    def codes(radius: float, toward_mean: float, draws: Array | None) -> Array:
        u = arrays.uniform(mean, generator) if draws is None else arrays.read(draws)
        if u.shape != mean.shape:
            raise BadInputError(f"The draws have the shape {tuple(u.shape)}, and it must be {tuple(mean.shape)}.")
        offset = float(radius) * outward
        return mean + arrays.library.where(u <= toward_mean, -offset, offset)

    if stochastic_radius != "off":
        scope = mean if stochastic_radius == "per_dimension" else mean[..., :1]
        outward = outward * (1 + radius_spread * (2 * arrays.uniform(scope, generator) - 1))
    positive = codes(positive_radius, positive_toward_mean, positive_draws)
    return positive, codes(negative_radius, negative_toward_mean, negative_draws)


class _Arrays:
    """NumPy or torch, whichever the caller's codes are made of; torch is imported only for its own tensors."""

    def __init__(self, codes: Any) -> None:
        self.tensors = type(codes).__module__.partition(".")[0] == "torch"
        self.library: Any = np
        if self.tensors:
            import torch

            self.library = torch

    def read(self, values: Any) -> Any:
        return self.library.asarray(values)

    def uniform(self, like: Any, generator: Any) -> Any:
        """Uniform draws in [0, 1) of the shape of `like`."""
        if not self.tensors:
            return (generator or np.random.default_rng()).random(like.shape)
        device = like.device if generator is None else generator.device
        draws = self.library.rand(like.shape, generator=generator, dtype=like.dtype, device=device)
        return draws.to(like.device)
