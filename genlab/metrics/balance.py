"""The Balance Metric of [1], equation (17), and the simple pictures it must be read beside.

References:
    [1] Nguyen, Artificial Intelligence: Adversarial Variational Autoencoders (AVA), 2022-2023, equation (17).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from genlab.core.errors import BadInputError

Norm = Literal["raw", "unit"]
Sign = Literal["signed", "absolute"]
CHUNK = 2**18  # values compared at a time
BUDGET = 2**26  # values compared for one baseline, which sets how many images stand for all
NOISE = 8  # pictures of uniform noise that make its baseline


class BalanceReport(TypedDict):
    """BM of generated images with what it must be read beside; distances are in the same norm."""

    bm: float
    norm: str
    sign: str
    rmse: float
    fraction_above_one: float
    baselines: dict[str, float]


def balance_metric(generated: Any, images: Any, norm: Norm = "raw", sign: Sign = "absolute") -> float:
    """BM = mean over generated k, images i and pixels j of d(1 − d), d_kij = ‖generated_kj − image_ij‖ ([1] (17)).

    Arrays or tensors (K, C, H, W) or (C, H, W), and (N, C, H, W), in [0, 1]. The norm runs over channels: "raw" is
    Euclidean, 0 to √C, as in the paper; "unit" divides it by √C, so that d(1 − d) is from 0 to ¼. "signed" is
    equation (17), negative where d > 1; "absolute" sums |d(1 − d)|, as the authors' published program does, and
    gives their tables. Raises `BadInputError` for shapes or values that do not fit.

    >>> balance_metric(np.full((1, 2, 2), 0.5), np.zeros((3, 1, 2, 2)))
    0.25
    >>> round(balance_metric(np.ones((3, 2, 2)), np.zeros((1, 3, 2, 2)), sign="signed"), 4)
    -1.2679
    """
    generated, images = _images(generated), _images(images)
    _check(generated, images, norm, sign)
    (bm,) = _means_over_pairs([_balance(sign)], generated, images, norm)
    return bm


def balance_report(
    generated: Any, images: Any, norm: Norm = "raw", sign: Sign = "absolute", *, seed: int = 0
) -> BalanceReport:
    """BM of generated images, their RMSE, the fraction of d > 1, and the BM of simple pictures on the same images.

    The baselines are the images' mean and median, the images against each other (up to 200 of them, fewer of large ones), mid grey,
    uniform noise, white, black, and the mean image shifted so that every d is about one half.
    """
    generated, images = _images(generated), _images(images)
    _check(generated, images, norm, sign)
    bm, squares, above = _means_over_pairs(
        [_balance(sign), lambda d: d * d, lambda d: (d > 1).astype(np.float32)], generated, images, norm
    )
    channels = images.shape[1] if norm == "raw" else 1
    return {
        "bm": bm,
        "norm": norm,
        "sign": sign,
        "rmse": float(np.sqrt(squares / channels)),
        "fraction_above_one": above,
        "baselines": balance_baselines(images, norm, sign, seed=seed),
    }


def balance_baselines(images: Any, norm: Norm = "raw", sign: Sign = "absolute", *, seed: int = 0) -> dict[str, float]:
    """BM of simple pictures against images (N, C, H, W): what any model's BM has to be compared with."""
    images = _images(images)
    shape = images.shape[1:]
    draw = np.random.default_rng(seed)
    count = min(len(images), affordable(images, 200))
    some = images[np.sort(draw.choice(len(images), count, replace=False))]
    mean = images.mean(0, dtype=np.float64)
    shift = 0.5 / np.sqrt(shape[0]) if norm == "raw" else 0.5
    pictures = {
        "mean_image": mean,
        "median_image": np.median(images, axis=0),
        "training_images": some,
        "mid_grey": np.full(shape, 0.5),
        "uniform_noise": draw.random((NOISE, *shape)),
        "white": np.ones(shape),
        "black": np.zeros(shape),
        "shifted_mean": np.where(mean > 0.5, mean - shift, mean + shift),
    }
    return {name: balance_metric(np.clip(picture, 0, 1), images, norm, sign) for name, picture in pictures.items()}


def affordable(images: np.ndarray, most: int) -> int:
    """How many pictures can be compared with all of `images` in about a second: at least 8, at most `most`."""
    return int(np.clip(BUDGET // images.size, 8, most))


def _balance(sign: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function d(1 − d), or its size."""
    return (lambda d: np.abs(d * (1 - d))) if sign == "absolute" else (lambda d: d * (1 - d))


def _means_over_pairs(
    functions: Sequence[Callable[[np.ndarray], np.ndarray]], generated: np.ndarray, images: np.ndarray, norm: str
) -> list[float]:
    """Mean of each function of d over all pairs and pixels; at most `CHUNK` values are held at a time."""
    scale = 1 / np.sqrt(images.shape[1]) if norm == "unit" else 1.0
    rows = max(1, CHUNK // images[0].size)
    totals = np.zeros(len(functions))
    for one in generated:
        for start in range(0, len(images), rows):
            difference = images[start : start + rows] - one
            d = np.sqrt(np.einsum("nchw,nchw->nhw", difference, difference)) * scale
            d = d.astype(difference.dtype, copy=False)
            totals += [function(d).sum(dtype=np.float64) for function in functions]
    return (totals / (len(generated) * len(images) * images[0, 0].size)).tolist()


def _images(images: Any) -> np.ndarray:
    """Arrays or tensors as (N, C, H, W), in their own precision."""
    if hasattr(images, "detach"):
        images = images.detach().cpu().numpy()
    array = np.asarray(getattr(images, "array", images))
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    return array[None] if array.ndim == 3 else array


def _check(generated: np.ndarray, images: np.ndarray, norm: str, sign: str) -> None:
    if norm not in ("raw", "unit") or sign not in ("signed", "absolute"):
        raise BadInputError(f"norm is raw or unit and sign is signed or absolute, not {norm!r} and {sign!r}.")
    if generated.ndim != 4 or images.ndim != 4 or not len(generated) or not len(images):
        raise BadInputError("The Balance Metric compares images of shape (C, H, W) or (N, C, H, W), at least one each.")
    if generated.shape[1:] != images.shape[1:]:
        raise BadInputError(
            f"Generated images of shape {generated.shape[1:]} cannot be compared with images of shape {images.shape[1:]}; "
            "bring both to one size and the same colours."
        )
    for name, array in (("generated image", generated), ("image", images)):
        if not (array.min() >= -1e-6 and array.max() <= 1 + 1e-6):
            raise BadInputError(f"Every {name}'s values must lie in [0, 1]; divide 8-bit values by 255.")
