"""Principal components, exactly, and a density of all pixels beside them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genlab.nn.density import in_blocks


def principal_axes(centred: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
    """Orthonormal axes (d, V) of centred rows (N, V), their variances (d,) and the variance left over.

    d ≤ `count` and leaves at least one direction of variance out, so that what is left over per
    remaining direction, Σ_{i>d} λ_i / (V − d), is above zero wherever the rows allow it.

    >>> rows = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]], dtype=torch.float64)
    >>> axes, variances, left = principal_axes(rows, 2)
    >>> axes.abs().round(decimals=6).tolist(), variances.tolist(), left
    ([[1.0, 0.0, 0.0]], [4.5], 0.25)
    """
    rows, values = centred.shape
    wide = rows < values
    gram = centred @ centred.T if wide else centred.T @ centred
    spectrum, vectors = torch.linalg.eigh(gram / rows)
    spectrum, vectors = spectrum.flip(0).clamp(min=0), vectors.flip(1)
    rank = int((spectrum > 1e-10 * spectrum[0]).sum())
    kept = max(1, min(count, rank - 1))
    directions = centred.T @ vectors[:, :kept] if wide else vectors[:, :kept]
    axes = torch.linalg.qr(directions).Q.T  # orthonormal even where rounding was not
    left = spectrum[kept:].sum().item() / max(1, values - kept)
    return axes, spectrum[:kept], left


class PrincipalSpace(nn.Module):
    """Centred images seen along `count` principal axes, or pixel by pixel where `count` is 0.

    What the axes leave out is scored by one variance for every other direction, so that
    log p(x) = log p(z) + log N(x − x̄ − Bz; 0, σ² I) is a density over all pixels
    (Bishop, Pattern Recognition and Machine Learning, 2006, 12.2). Everything is float64.
    """

    centre: Tensor
    axes: Tensor
    noise: Tensor
    rank: Tensor

    def __init__(self, values: int, count: int) -> None:
        super().__init__()
        self.values = values
        self.reduced = 0 < count < values
        self.dimensions = count if self.reduced else values
        self.register_buffer("centre", torch.full((values,), 0.5, dtype=torch.float64))
        self.register_buffer("noise", torch.ones((), dtype=torch.float64))  # σ² of every direction left out
        self.register_buffer("rank", torch.tensor(self.dimensions))  # axes that the images could fill
        if self.reduced:
            self.register_buffer("axes", torch.eye(count, values, dtype=torch.float64))

    def fit(self, images: Tensor) -> None:
        """Take the centre and the principal axes of images (N, C, H, W)."""
        x = images.flatten(1).to(self.centre)
        self.centre.copy_(x.mean(0))
        if self.reduced:
            axes, _, left = principal_axes(x - self.centre, self.dimensions)
            self.rank.fill_(len(axes))
            self.axes[: len(axes)] = axes
            self.noise.fill_(max(left, 1e-6))  # no density without bound where the axes leave nothing out

    def project(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates z = Bᵀ(x − x̄), (N, rank), and the log-density of what they leave out, (N,) nats."""
        rank = int(self.rank)

        def block(some: Tensor) -> Tensor:
            centred = some.flatten(1).to(self.centre) - self.centre
            if not self.reduced:
                return torch.cat([centred, centred.new_zeros(len(some), 1)], dim=1)
            z = centred @ self.axes[:rank].T
            rest = (centred.square().sum(1) - z.square().sum(1)).clamp(min=0)
            constant = (self.values - rank) * (2 * math.pi * self.noise).log()
            return torch.cat([z, -0.5 * (rest / self.noise + constant)[:, None]], dim=1)

        both = in_blocks(block, images, self.values)
        return both[:, :-1], both[:, -1]

    def restore(self, z: Tensor) -> Tensor:
        """x̄ + Bz, (N, values): the images of coordinates (N, rank)."""
        return self.centre + (z @ self.axes[: z.shape[1]] if self.reduced else z)
