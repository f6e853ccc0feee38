"""How well images are rebuilt: mean squared error, PSNR and SSIM, against rebuilding all by the mean image.

References:
    [1] Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to structural similarity, 2004.
"""

from __future__ import annotations

import numpy as np

from genlab.core.errors import BadInputError
from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

FLOOR = 1e-10  # mean squared error below which PSNR stops growing, at 100 dB
CHUNK = 16  # images at a time, few enough for the processor's cache


def mean_squared_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean over values of (a − b)², for each image (N,)."""
    return np.square(a - b, dtype=np.float64).mean((1, 2, 3))


def peak_signal_to_noise(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """10 log₁₀(1 / MSE) for each image (N,), in dB, at most 100.

    >>> peak_signal_to_noise(np.full((1, 1, 2, 2), 0.1), np.zeros((1, 1, 2, 2))).round(6).tolist()
    [20.0]
    """
    return -10 * np.log10(np.maximum(mean_squared_errors(a, b), FLOOR))


def structural_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of each pair of images (N,), from −1 to 1 ([1] (13)), averaged over positions and channels.

    Means, variances and covariance are taken in 7x7 windows (smaller for images below 7 pixels), with
    C₁ = 0.01², C₂ = 0.03² and the sample covariance: scikit-image's form of it.
    """
    return np.concatenate([_ssim(a[i : i + CHUNK], b[i : i + CHUNK]) for i in range(0, len(a), CHUNK)])


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    import torch
    from torch.nn.functional import avg_pool2d

    side = min(7, *a.shape[2:])
    side -= 1 - side % 2  # windows have a centre
    if side < 3:
        raise BadInputError(f"SSIM needs images of at least 3x3 pixels, and these are {a.shape[2]}x{a.shape[3]}.")
    x, y = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)) for array in (a, b))

    def mean(values: torch.Tensor) -> torch.Tensor:
        return avg_pool2d(avg_pool2d(values, (side, 1), stride=1), (1, side), stride=1)

    mx, my, sample = mean(x), mean(y), side**2 / (side**2 - 1)
    vx, vy, vxy = (
        sample * (mean(p * q) - mp * mq) for p, q, mp, mq in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return similarity.mean((1, 2, 3)).numpy()


def mean_image(subject: Subject) -> np.ndarray:
    """The mean training image, as often as there are images to rebuild: a view (N, C, H, W)."""
    mean = subject.training.mean(0, dtype=np.float64)
    return np.broadcast_to(mean, subject.images.shape)


@metric(
    "mse",
    "Reconstruction error",
    "Mean squared difference between images and their reconstructions from the mean code; pixels lie in [0, 1].",
    r"\mathrm{MSE}=\tfrac{1}{N\,CHW}\sum\,(x-x')^2",
    direction="lower",
    range=(0, 1),
    needs=("encodes", "decodes"),
    source="Standard definition",
)
def mse(subject: Subject) -> Found:
    """Mean squared error, against that of the mean training image."""
    errors = mean_squared_errors(subject.reconstructions, subject.images)
    baseline = mean_squared_errors(mean_image(subject), subject.images).mean()
    return Found(errors.mean(), len(errors), {"mean_image": float(baseline)})


@metric(
    "psnr",
    "Peak signal-to-noise ratio",
    "Logarithm of how small each reconstruction's mean squared error is, averaged over images; at most 100 dB.",
    r"\mathrm{PSNR}=\tfrac1N\sum_i 10\log_{10}\tfrac{1}{\mathrm{MSE}_i}",
    direction="higher",
    range=(0, 100),
    unit="dB",
    needs=("encodes", "decodes"),
    source="Standard definition",
)
def psnr(subject: Subject) -> Found:
    """Mean PSNR, against that of the mean training image."""
    values = peak_signal_to_noise(subject.reconstructions, subject.images)
    baseline = peak_signal_to_noise(mean_image(subject), subject.images).mean()
    return Found(values.mean(), len(values), {"mean_image": float(baseline)})


@metric(
    "ssim",
    "Structural similarity",
    "Likeness of brightness, contrast and structure in small windows between images and their reconstructions.",
    r"\mathrm{SSIM}=\frac{(2\mu_x\mu_y+C_1)(2\sigma_{xy}+C_2)}{(\mu_x^2+\mu_y^2+C_1)(\sigma_x^2+\sigma_y^2+C_2)}",
    direction="higher",
    range=(-1, 1),
    needs=("encodes", "decodes"),
    source="Wang, Bovik, Sheikh & Simoncelli 2004, (13)",
)
def ssim(subject: Subject) -> Found:
    """Mean SSIM, against that of the mean training image."""
    values = structural_similarity(subject.reconstructions, subject.images)
    baseline = structural_similarity(mean_image(subject), subject.images).mean()
    return Found(values.mean(), len(values), {"mean_image": float(baseline)})
