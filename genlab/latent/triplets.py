"""Sampling triplets in latent space: Algorithm 3 of [1], for all anchors and dimensions at once.

Around an anchor's code, every dimension takes one step of `radius` times the size of its log-variance, towards
the mean of all codes with a given probability and away from it otherwise: a small radius gives the positive, a
larger one the negative.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from genlab.core.errors import BadInputError
from genlab.nn.triplet_settings import Step, StochasticRadius, TripletSettings

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", "np.ndarray", "torch.Tensor")
BLOCK = 2**16  # numbers in a block
LARGE = 2**22  # numbers from which on one compiled pass beats NumPy's many; the first takes a second more, to compile


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
    (`numpy.random.Generator` or `torch.Generator`) unless given. NumPy arrays come back as arrays, tensors as
    tensors on their device, without gradients. `step="sigma"` steps by σ instead. A stochastic radius multiplies both radii of a triplet by
    one factor uniform in 1 ± `radius_spread`, so that the positive stays nearer. Raises `BadInputError` for
    shapes that do not fit.

    >>> mean, log_var = np.array([[1.0, -1.0]]), np.array([[-2.0, -4.0]])
    >>> near, far = sample_triplet_codes(mean, log_var, np.zeros(2), positive_toward_mean=1, negative_toward_mean=1)
    >>> near, far
    (array([[ 0.7, -0.4]]), array([[0.4, 0.2]]))
    """
    codes, log_variances, middle = map(_array, (mean, log_var, global_mean))
    draws = [
        _uniform(codes.shape, mean, generator) if given is None else _array(given)
        for given in (positive_draws, negative_draws)
    ]
    _check_shapes(codes, log_variances, middle, *draws)
    sizes = log_variances if step == "log_var" else np.exp(0.5 * log_variances)
    if stochastic_radius != "off":
        spread_over = codes.shape if stochastic_radius == "per_dimension" else (len(codes), 1)
        factors = 1 + radius_spread * (2 * _uniform(spread_over, mean, generator) - 1)
        sizes = (np.abs(sizes) * factors).astype(codes.dtype, copy=False)
    radii = np.array([positive_radius, negative_radius], dtype=codes.dtype)
    towards = np.array([positive_toward_mean, negative_toward_mean], dtype=codes.dtype)
    outs = [
        u if given is None and u.dtype == codes.dtype else np.empty_like(codes)  # our own draws are not needed again
        for given, u in zip((positive_draws, negative_draws), draws, strict=True)
    ]
    fill = _fill_in_blocks
    if codes.size >= LARGE:
        from genlab.latent.triplet_kernel import fill_triplets as fill  # numba and its compiler take a second
    fill(codes, sizes, middle, radii, towards, *draws, *outs)
    return _as(outs[0], mean), _as(outs[1], mean)


def inward_steps(mean: np.ndarray, log_var: np.ndarray, global_mean: np.ndarray, step: Step = "log_var") -> np.ndarray:
    """The step of radius 1 towards the mean of all codes in each dimension (N, D), of anchors with this posterior.

    >>> inward_steps(np.array([[1.0, -1.0]]), np.array([[-2.0, -4.0]]), np.zeros(2)).tolist()
    [[-2.0, 4.0]]
    """
    return _inward(log_var if step == "log_var" else np.exp(0.5 * log_var), mean, global_mean)


def uniform_draws(
    rows: int, dimensions: int, settings: TripletSettings, generator: np.random.Generator
) -> dict[str, np.ndarray | None]:
    """What `sample_triplet_codes` takes from a generator for so many rows: `positive` and `negative` in [0, 1), (N, D),
    and the `factors` of a stochastic radius, (N, 1) or (N, D), or None.
    """
    positive, negative = generator.random((rows, dimensions)), generator.random((rows, dimensions))
    factors = None
    if settings.stochastic_radius != "off":
        wide = dimensions if settings.stochastic_radius == "per_dimension" else 1
        factors = 1 + settings.radius_spread * (2 * generator.random((rows, wide)) - 1)
    return {"positive": positive, "negative": negative, "factors": factors}


def _inward(sizes: np.ndarray, codes: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """|sizes| with the sign of the way to the middle: − where a code lies above it, + otherwise."""
    inward: np.ndarray = (middle + 0.0) - codes  # a middle of −0 becomes +0, so that a tie counts as below
    return np.copysign(sizes, inward, out=inward)


def _fill_in_blocks(
    codes: np.ndarray,
    sizes: np.ndarray,
    middle: np.ndarray,
    radii: np.ndarray,
    towards: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
) -> None:
    """What `fill_triplets` of `triplet_kernel` computes, in blocks of rows that stay in the processor's cache between operations."""
    rows_each = max(1, BLOCK // max(1, codes.shape[1]))
    for start in range(0, len(codes), rows_each):
        rows = slice(start, start + rows_each)
        inward = _inward(sizes[rows], codes[rows], middle)
        for out, radius, toward_mean, draws in zip((positive, negative), radii, towards, (u, v), strict=True):
            z = np.subtract(toward_mean, draws[rows], out=out[rows])  # + where u ≤ p, and at a tie
            np.copysign(radius, z, out=z)
            z *= inward
            z += codes[rows]


def _check_shapes(mean: np.ndarray, log_var: np.ndarray, global_mean: np.ndarray, *draws: np.ndarray) -> None:
    if mean.ndim != 2:
        raise BadInputError(f"Codes must have the shape (N, D), and mean has {mean.shape}.")
    named = [("log_var", log_var, mean.shape), ("global_mean", global_mean, mean.shape[1:])]
    named += [(name, u, mean.shape) for name, u in zip(("positive_draws", "negative_draws"), draws, strict=True)]
    for name, given, shape in named:
        if given.shape != shape:
            raise BadInputError(f"{name} has the shape {given.shape}, and it must be {shape}.")


def _is_tensor(values: Any) -> bool:
    return type(values).__module__.partition(".")[0] == "torch"  # asks without importing torch


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if _is_tensor(values) else values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _as(array: np.ndarray, like: Any) -> Any:
    if not _is_tensor(like):
        return array
    import torch

    return torch.from_numpy(array).to(like.device)


def _uniform(shape: tuple[int, ...], like: Any, generator: Any) -> np.ndarray:
    """Draws in [0, 1) from the generator given, else from the library that `like` belongs to."""
    if isinstance(generator, np.random.Generator) or not (_is_tensor(like) or _is_tensor(generator)):
        return (generator or np.random.default_rng()).random(shape)
    import torch

    dtype = like.dtype if _is_tensor(like) else torch.float64
    device = generator.device if generator is not None else like.device
    return torch.rand(shape, generator=generator, dtype=dtype, device=device).cpu().numpy()
