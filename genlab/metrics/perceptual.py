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
MOST = 60  # images, as each costs some hundredths of a second
AT_ONCE = 16


@cache
def _network() -> Any:
    from stlpips_pytorch.stlpips import LPIPS

    from genlab.core.seeding import aside

    with aside(0):  # weights that are replaced at once must not use up anybody's noise
        return LPIPS(net="alex", variant="shift_tolerant", verbose=False).eval().requires_grad_(False)


def perceptual_distances(a: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """ST-LPIPS of images (N, C, H, W) in [0, 1] from those of each of `others`, (N, C, H, W) or (1, C, H, W): (N,) each.

    It is 0 for images that are the same. Grey images count as colour ones. The features of `a` are computed once.
    """
    import torch

    with torch.inference_mode():
        single = {place: _layers(other) for place, other in enumerate(others) if len(other) == 1}
        parts = []
        for start in range(0, len(a), AT_ONCE):
            batch = slice(start, start + AT_ONCE)
            ours = _layers(a[batch])
            parts.append([_apart(ours, single.get(k) or _layers(other[batch])) for k, other in enumerate(others)])
    return [torch.cat(column).double().numpy() for column in zip(*parts, strict=True)]


def _layers(images: np.ndarray) -> list[Any]:
    """AlexNet's five maps, of unit length at every place."""
    import torch
    from torch.nn.functional import interpolate, normalize

    colour = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).expand(-1, 3, -1, -1)
    larger = max(1.0, SIDE / min(colour.shape[2:]))
    size = [round(larger * side) for side in colour.shape[2:]]
    enlarged = interpolate(colour, size, mode="bilinear", align_corners=False) if larger > 1 else colour
    network = _network()
    return [normalize(maps, dim=1, eps=1e-10) for maps in network.net(network.scaling_layer(2 * enlarged - 1))]


def _apart(ours: list[Any], theirs: list[Any]) -> Any:
    """The weighted squared differences, averaged over places and added over layers (N,)."""
    layers = zip(_network().lins, ours, theirs, strict=True)
    return sum(weigh((x - y).square()).mean((1, 2, 3)) for weigh, x, y in layers)


@metric(
    "lpips",
    "Perceptual distance (ST-LPIPS)",
    "How unlike up to 60 images and their reconstructions look, by weighted differences of AlexNet's features; the shift-tolerant, "
    "blur-pooling variant of LPIPS, whose values are not those of LPIPS itself.",
    r"\sum_l\tfrac{1}{H_lW_l}\sum_{h,w}\|w_l\odot(\hat y^l_{hw}-\hat y'^l_{hw})\|^2",
    direction="lower",
    range=(0, None),
    needs=("encodes", "decodes"),
    source="Zhang et al. 2018, (1); Ghildyal & Liu 2022",
    enough=50,
    packages=("stlpips_pytorch", "torchsummary", "IPython"),
    extra="lpips",
)
def lpips(subject: Subject) -> Found:
    """Mean distance of reconstructions, against that of the mean training image."""
    chosen = np.random.default_rng(subject.seed).permutation(len(subject.images))[:MOST]
    images = subject.images[chosen]
    values, baseline = perceptual_distances(images, subject.reconstructions[chosen], mean_image(subject)[:1])
    details = {"network": "AlexNet, shift-tolerant"}
    return Found(values.mean(), len(values), {"mean_image": float(baseline.mean())}, details)
