"""Vector quantisation: each vector becomes the nearest of K codes, and the codes follow the vectors.

References:
    [1] van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, 2017.
    [2] Zeghidour et al., SoundStream: An End-to-End Neural Audio Codec, 2021, III.C (revival of unused codes).
    [3] Arthur & Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Quantised(NamedTuple):
    """Maps replaced by codes: `maps` (N, D, H, W), whose gradient passes straight through to the input, `indices`
    (N, H·W), `distances` (N, H·W) = ‖z − e‖², differentiable in z, and the detached `vectors` z (N·H·W, D).
    """

    maps: Tensor
    indices: Tensor
    distances: Tensor
    vectors: Tensor


class Quantiser(nn.Module):
    """A codebook e (K, D) moved by exponential averages instead of gradients ([1] appendix A.1).

    N_k ← γ N_k + (1 − γ) n_k, m_k ← γ m_k + (1 − γ) Σ z, e_k = m_k / N_k, where n_k vectors z of a batch chose
    code k. Codes that hold less than `revival` of an even share of the vectors are dead and move to vectors of the
    batch ([2]), far ones first ([3]); 0 leaves them where they are. `forward` changes nothing, `update` moves the codes.

    >>> quantiser = Quantiser(codes=2, dimensions=1)
    >>> _ = quantiser.codebook.copy_(torch.tensor([[0.0], [1.0]]))
    >>> quantiser(torch.tensor([[[[0.2, 0.9]]]])).indices.tolist()
    [[0, 1]]
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dimensions: int, *, decay: float = 0.97, revival: float = 0.1) -> None:
        super().__init__()
        self.decay = decay
        self.revival = revival
        self.register_buffer("codebook", torch.randn(codes, dimensions))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dimensions))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Indices (M,) of the codes nearest to vectors (M, D): argmin ‖z − e_k‖² = argmin ‖e_k‖² − 2 z·e_k ([1] (1))."""
        norms = self.codebook.square().sum(1)
        return torch.addmm(norms, vectors.to(norms), self.codebook.T, alpha=-2).argmin(1)

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes (…, D) of indices (…)."""
        return F.embedding(indices, self.codebook)

    def forward(self, maps: Tensor) -> Quantised:
        """Quantise every place of maps (N, D, H, W); the copy z + sg(e − z) has the value e and the gradient of z."""
        places = maps.permute(0, 2, 3, 1).to(self.codebook.dtype)
        vectors = places.detach().flatten(0, 2)
        indices = self.nearest(vectors).view(places.shape[:-1])
        codes = self.lookup(indices)
        distances = (places - codes).square().sum(-1)
        straight = places + (codes - places).detach()
        return Quantised(straight.permute(0, 3, 1, 2), indices.flatten(1), distances.flatten(1), vectors)

    @torch.no_grad()
    def update(self, quantised: Quantised) -> Tensor:
        """Move the codes towards the vectors that chose them, and revive dead ones; returns how many were revived."""
        vectors, indices = quantised.vectors, quantised.indices.flatten()
        chosen = torch.bincount(indices, minlength=len(self.codebook)).to(self.counts)
        self.counts.lerp_(chosen, 1 - self.decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, indices, vectors), 1 - self.decay)
        used = self.counts > 1e-6  # a code that was never chosen has no mean
        self.codebook.copy_(torch.where(used[:, None], self.sums / self.counts.clamp(min=1e-6)[:, None], self.codebook))
        even = len(vectors) / len(self.codebook)
        dead = (self.counts < self.revival * even).nonzero().flatten()
        if len(dead):
            far = quantised.distances.detach().flatten() + 1e-12
            drawn = torch.multinomial(far, len(dead), replacement=len(dead) > len(far))
            self.codebook[dead] = vectors[drawn]
            given = 2 * self.revival * even  # half of it fades before the code counts as dead again
            self.counts[dead] = given
            self.sums[dead] = given * vectors[drawn]
        return torch.tensor(float(len(dead)))


def perplexity(indices: Tensor, codes: int) -> Tensor:
    """Exponential of the entropy of the codes' frequencies: K where all are used alike, 1 where only one is.

    >>> round(perplexity(torch.tensor([0, 0, 3, 3]), codes=4).item(), 6)
    2.0
    """
    frequencies = torch.bincount(indices.flatten(), minlength=codes).double() / indices.numel()
    return torch.special.entr(frequencies).sum().exp().float()
