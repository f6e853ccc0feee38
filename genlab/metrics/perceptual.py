"""How unlike two images look, by what a network that was trained on photographs and on people's judgements makes of them.

The network is the shift-tolerant, blur-pooling variant of LPIPS on AlexNet, whose weights are in its package: values differ from
those of LPIPS itself, and compare with each other alone.

References:
    [1] Zhang, Isola, Efros, Shechtman & Wang, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, 2018.
    [2] Ghildyal & Liu, Shift-tolerant Perceptual Similarity Metric, 2022.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from genlab.metrics.reconstruction import mean_image
from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject

SIDE = 64  # pixels of the patches that people judged [1]; images with a shorter side are enlarged
MOST = 100  # images, as each costs some hundredths of a second
AT_ONCE = 16


@cache
def _network() -> Any:
    from stlpips_pytorch.stlpips import LPIPS

    from genlab.core.seeding import aside

    with aside(0):  # weights that are replaced at once must not use up anybody's noise
        return LPIPS(net="alex", variant="shift_tolerant", verbose=False).eval().requires_grad_(False)


def perceptual_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ST-LPIPS of each pair of images (N, C, H, W) in [0, 1]: (N,), 0 for images that are the same. Grey ones count as colour ones."""
    import torch
    from torch.nn.functional import interpolate

    def prepared(images: np.ndarray) -> torch.Tensor:
        colour = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).expand(-1, 3, -1, -1)
        larger = SIDE / min(colour.shape[2:])
        size = [round(larger * side) for side in colour.shape[2:]]
        return interpolate(colour, size, mode="bilinear", align_corners=False) if larger > 1 else colour

    with torch.inference_mode():
        parts = [
            _network()(prepared(a[i : i + AT_ONCE]), prepared(b[i : i + AT_ONCE]), normalize=True).flatten()
            for i in range(0, len(a), AT_ONCE)
        ]
    return torch.cat(parts).double().numpy()


@metric(
    "lpips",
    "Perceptual distance (ST-LPIPS)",
    "How unlike up to 100 images and their reconstructions look, by weighted differences of AlexNet's features; the shift-tolerant, "
    "blur-pooling variant of LPIPS, whose values are not those of LPIPS itself.",
    r"\sum_l\tfrac{1}{H_lW_l}\sum_{h,w}\|w_l\odot(\hat y^l_{hw}-\hat y'^l_{hw})\|^2",
    direction="lower",
    range=(0, None),
    needs=("encodes", "decodes"),
    enough=50,
    packages=("stlpips_pytorch", "torchsummary", "IPython"),
    extra="lpips",
)
def lpips(subject: Subject) -> Found:
    """Mean distance of reconstructions, against that of the mean training image."""
    chosen = np.random.default_rng(subject.seed).permutation(len(subject.images))[:MOST]
    images = subject.images[chosen]
    values = perceptual_distances(subject.reconstructions[chosen], images)
    baseline = perceptual_distances(mean_image(subject)[chosen], images).mean()
    return Found(values.mean(), len(values), {"mean_image": float(baseline)}, {"network": "AlexNet, shift-tolerant"})
