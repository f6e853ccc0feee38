"""Varied copies of training images, for sets so small that a network would learn them by heart.

All images of a batch are moved at once on their device; what is drawn comes from a generator of its own, seeded by
the step, so that a resumed run sees the same copies and the training's noise is as it would be without them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.core.batch import Batch
from genlab.core.seeding import derived_seed
from genlab.core.settings import TrainingSettings


def augmented(batch: Batch, settings: TrainingSettings, step: int) -> Batch:
    """The batch with its images, of both sets where there are two, varied as the settings say; labels stay."""
    kind, amount = settings.augmentation, settings.augmentation_amount
    if kind == "none":
        return batch
    draws = torch.Generator().manual_seed(derived_seed(settings.seed, 3, step))
    images = vary(batch.images, kind, amount, draws)
    second = None if batch.second is None else vary(batch.second, kind, amount, draws)
    return batch._replace(images=images, second=second)


def vary(images: Tensor, kind: str, amount: float, draws: torch.Generator) -> Tensor:
    """Images (N, C, H, W), each moved by draws of its own; what comes in at an edge repeats the edge.

    "mirror": left to right with probability ½. "shift": by whole pixels, up to `amount` of each side. "affine":
    shifted so, turned by up to `amount` of a quarter turn, and scaled by e^u with |u| ≤ `amount`; "mirror_affine": both.
    "photograph": both, seen aslant, and each colour channel multiplied by 1 + u.
    `draws` lives on the processor, so that every device moves images alike.

    >>> image = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> vary(image, "shift", 0.0, torch.Generator()).equal(image)
    True
    """
    if kind.startswith(("mirror", "photograph")):
        turned = torch.rand(len(images), 1, 1, 1, generator=draws) < 0.5
        images = torch.where(turned.to(images.device), images.flip(3), images)
    if kind == "shift":
        return _shift(images, amount, draws)
    if kind.endswith("affine"):
        return _affine(images, amount, draws)
    if kind == "photograph":
        return _tinted(_affine(images, amount, draws, aslant=True), amount, draws)
    return images


def _tinted(images: Tensor, amount: float, draws: torch.Generator) -> Tensor:
    """Each channel of each image times 1 + u with |u| ≤ `amount`, as another light would have it; at most 1."""
    gains = 1 + amount * (2 * torch.rand(*images.shape[:2], 1, 1, generator=draws) - 1)
    return (images * gains.to(images)).clamp(max=1)


def _shift(images: Tensor, amount: float, draws: torch.Generator) -> Tensor:
    """Whole pixels, read from where they come from; places beyond an edge read the edge."""
    rows, columns = (_places(len(images), size, amount, draws).to(images.device) for size in images.shape[2:])
    taken = images.gather(2, rows[:, None, :, None].expand_as(images))
    return taken.gather(3, columns[:, None, None, :].expand_as(images))


def _places(count: int, size: int, amount: float, draws: torch.Generator) -> Tensor:
    """For each image (count,), the row or column that each of `size` places is read from."""
    most = int(amount * size)
    moves = torch.randint(-most, most + 1, (count, 1), generator=draws)
    return (torch.arange(size) + moves).clamp_(0, size - 1)


def _affine(images: Tensor, amount: float, draws: torch.Generator, *, aslant: bool = False) -> Tensor:
    """Turned about the centre, scaled and shifted, between pixels by linear interpolation.

    `aslant` divides the place (x, y) that is read by 1 + g·x + h·y with |g|, |h| ≤ `amount`/2: a view in perspective.
    """
    turn, scale, right, down = (2 * torch.rand(4, len(images), generator=draws) - 1) * amount
    angle, scale = turn * math.pi / 2, torch.exp(scale)
    height, width = images.shape[2:]
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    # in units of half a side, so that a turn must be told how long the sides are; a whole side is 2
    matrix = torch.stack(
        (cosine, -sine * height / width, 2 * right, sine * width / height, cosine, 2 * down), dim=1
    ).reshape(-1, 2, 3)
    grid = F.affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    if aslant:
        tilt = (torch.rand(len(images), 1, 1, 2, generator=draws) - 0.5) * amount
        straight = F.affine_grid(torch.eye(2, 3)[None], [1, 1, height, width], align_corners=False)
        grid = grid / (1 + (straight * tilt).sum(3, keepdim=True).to(images))
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
