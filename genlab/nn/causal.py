"""A small causal transformer over grids of codes: the probability of each code given all codes before it.

References:
    [1] Vaswani et al., Attention Is All You Need, 2017 (masked self-attention, 3.2.3).
    [2] van den Oord, Kalchbrenner & Kavukcuoglu, Pixel Recurrent Neural Networks, 2016 (raster order, (1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CausalPrior(nn.Module):
    """log p(k) = Σ_i log p(k_i | k_1 … k_{i−1}) of code indices (N, T), in raster order ([2] (1)).

    The T places are those of one grid after another, `sizes[0]` of the first, `sizes[1]` of the second; each grid has
    its own K codes and its own output layer.

    >>> prior = CausalPrior([4], codes=5, hidden=8)
    >>> prior(torch.zeros(3, 4, dtype=torch.long)).shape
    torch.Size([3, 4, 5])
    """

    offsets: Tensor
    blocks: Sequence[CausalBlock]

    def __init__(self, sizes: Sequence[int], codes: int, hidden: int, depth: int = 2) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.codes = codes
        levels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(self.sizes))
        self.register_buffer("offsets", levels * codes, persistent=False)
        self.embedding = nn.Embedding(len(sizes) * codes + 1, hidden)  # the last row begins every sequence
        self.position = nn.Parameter(torch.empty(sum(sizes), hidden))
        self.blocks = nn.ModuleList(CausalBlock(hidden) for _ in range(depth))  # type: ignore[assignment]
        self.norm = nn.LayerNorm(hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, codes) for _ in sizes)
        nn.init.normal_(self.embedding.weight, 0.0, 0.1)
        nn.init.normal_(self.position, 0.0, 0.1)

    def forward(self, indices: Tensor) -> Tensor:
        """Logits (N, T, K) of every code, given those before it."""
        begin = indices.new_full((len(indices), 1), self.embedding.num_embeddings - 1)
        before = torch.cat([begin, (indices + self.offsets)[:, :-1]], dim=1)
        states = self.embedding(before) + self.position
        for block in self.blocks:
            states = block(states)
        parts = self.norm(states).split(self.sizes, dim=1)
        return torch.cat([head(part) for head, part in zip(self.heads, parts, strict=True)], dim=1).float()

    def negative_log_likelihood(self, indices: Tensor) -> Tensor:
        """−log p(k) in nats (N,)."""
        return F.cross_entropy(self(indices).transpose(1, 2), indices, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw indices (count, T), place after place for all at once; keys and values of earlier places are kept.

        k_i = argmax(logits + temperature · g), g from a Gumbel distribution, is a draw from softmax(logits / temperature).
        """
        caches = [block.cache(count, len(self.position)) for block in self.blocks]
        drawn = torch.full((count,), self.embedding.num_embeddings - 1, device=self.position.device)
        indices = []
        for place, (offset, position) in enumerate(zip(self.offsets.tolist(), self.position, strict=True)):
            state = (self.embedding(drawn) + position)[:, None]
            for block, cache in zip(self.blocks, caches, strict=True):
                state = block(state, cache, place)
            logits = self.heads[offset // self.codes](self.norm(state[:, 0])).float()
            indices.append((logits + temperature * gumbel_like(logits, generator)).argmax(1))
            drawn = indices[-1] + offset
        return torch.stack(indices, dim=1)


class CausalBlock(nn.Module):
    """Masked self-attention and a dense layer, each added to what comes in, after a layer norm: (N, T, F) to the same.

    With a `cache` only the state of one place comes in, and the keys and values of earlier places are taken from there.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.heads = math.gcd(hidden, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.attention = nn.Linear(hidden, 3 * hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.dense = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.ReLU(), nn.Linear(4 * hidden, hidden))

    def cache(self, count: int, places: int) -> Tensor:
        """Room for keys and values: (2, count, heads, places, F / heads)."""
        weight = self.mix.weight
        return weight.new_zeros(2, count, self.heads, places, weight.shape[0] // self.heads)

    def forward(self, states: Tensor, cache: Tensor | None = None, place: int = 0) -> Tensor:
        """The states (N, T, F) of all places or, with a cache, of this one (N, 1, F)."""
        parts = self.attention(self.norms[0](states)).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if cache is not None:
            cache[0, :, :, place], cache[1, :, :, place] = key[:, :, 0], value[:, :, 0]
            key, value = cache[:, :, :, : place + 1]
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=cache is None)
        states = states + self.mix(seen.transpose(1, 2).flatten(2))
        return states + self.dense(self.norms[1](states))


def gumbel_like(tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Noise −log(−log u) of a tensor's shape, u uniform; a generator's own device is respected."""
    device = tensor.device if generator is None else generator.device
    uniform = torch.rand(tensor.shape, generator=generator, device=device, dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp(min=1e-300))).to(tensor)
