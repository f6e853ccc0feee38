"""The vector-quantised autoencoder: an image becomes a grid of codes from a codebook, and a prior learns which grids occur.

z(x) is the encoder's map, k_i = argmin_k ‖z_i − e_k‖ the code of place i, and the decoder sees e_k alone. With two
levels a coarse grid is quantised first, and the fine one sees it. The file is longer than most models because it holds two
trainings, of the autoencoder and of the prior over its codes, without which it would not sample.

References:
    [1] van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, 2017.
    [2] Razavi, van den Oord & Vinyals, Generating Diverse High-Fidelity Images with VQ-VAE-2, 2019.
    [3] Zeghidour et al., SoundStream: An End-to-End Neural Audio Codec, 2021, III.C (revival of unused codes).
    [4] Vaswani et al., Attention Is All You Need, 2017 (the prior's network).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Bounds, Decodes, Descends, Encodes, HasPrior, Samples
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.causal import CausalPrior
from genlab.nn.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood
from genlab.nn.normal import Point
from genlab.nn.optimisers import adam
from genlab.nn.quantiser import Quantised, Quantiser, perplexity

CARD = Card(
    title="Vector-quantised VAE",
    family="variational",
    paper="van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning",
    year=2017,
    link="https://arxiv.org/abs/1711.00937",
    summary=(
        "An image is written as a small grid of entries from a codebook, like a mosaic of shapes that the model has "
        "learned. Rebuilding is sharp, because nothing is averaged over a cloud of codes. A second network, the prior, "
        "learns which entries follow which; drawing a grid from it, entry by entry, and decoding it gives a new image. "
        "With two levels a coarse grid holds the layout and a fine one the detail (VQ-VAE-2)."
    ),
    equations=(
        Equation("Quantisation", r"k_i=\arg\min_k\|z_i(x)-e_k\|_2", "[1] (1), (2)"),
        Equation("Objective", r"L=-\log p(x|z_q)+\beta\sum_i\|z_i-\mathrm{sg}(e_{k_i})\|^2", "[1] (3)"),
        Equation("Straight-through estimator", r"z_q=z+\mathrm{sg}(e_k-z)", "[1] 3.2"),
        Equation("Codebook", r"N_k\leftarrow\gamma N_k+(1-\gamma)n_k,\quad m_k\leftarrow\gamma m_k+(1-\gamma)\sum z_i,\quad e_k=m_k/N_k", "[1] (6)-(8)"),
        Equation("Prior", r"\log p(k)=\sum_i\log p(k_i\,|\,k_1,\dots,k_{i-1})", "[1] 3.3"),
        Equation("Evidence lower bound", r"\log p(x)\ge\log p(x|z_q)+\log p(k)", "[1] 3.2"),
        Equation("Perplexity", r"\exp\Big(-\sum_k f_k\log f_k\Big),\quad f_k=n_k/\textstyle\sum_j n_j", "[1] 4"),
    ),
    departures=(
        "The prior is trained beside the autoencoder, on codes that pass no gradient back, instead of afterwards: one "
        "run gives both, and the prior follows codes that still move.",
        "Sides are halved three times and not twice, so that 28 pixels become 3x3 entries, which a small prior learns "
        "quickly; the preset `paper` halves twice, rebuilds more sharply and leaves the prior 49 entries to learn.",
        "The prior is a small causal transformer instead of a PixelCNN: it keeps what it has computed, so that a grid is "
        "drawn in as many quick steps as it has places.",
        "Codes that win less than a part of their even share move to vectors of the batch that are badly served; without "
        "this most of the codebook stays unused.",
        "The counts are not smoothed: an average over vectors is exact, and a code that never won any stays where it is.",
        "The squared error is replaced by the sum over pixels of a likelihood, so that the bound is in nats; "
        "grey levels are scored by the Bernoulli likelihood as if they were probabilities.",
        "An image has one grid of codes, and none is drawn: importance weighting over any number of codes gives the evidence "
        "lower bound again, so that the metrics that weigh codes are not offered.",
        "The code of an image is its grid of codebook entries, flattened; any other code is quantised before it is decoded.",
        "The encoder is certain of its codes, so the bound has no entropy: its KL is −log p(k), the prior's cost of the grid.",
    ),
    scalars={
        "loss": Scalar("autoencoder's loss and prior's loss added, nats an image"),
        "loss_autoencoder": Scalar("reconstruction + β · commitment"),
        "loss_prior": Scalar("−log p(k): nats that the prior needs for an image's codes"),
        "reconstruction": Scalar("−log p(x|z_q), nats an image"),
        "commitment": Scalar("Σ ‖z − e‖² over places: how far the encoder's map is from the codes, an image"),
        "perplexity": Scalar("codes in even use that would say as much in one batch; of the fine grid where there are two", "higher"),
        "perplexity_top": Scalar("the same of the coarse grid", "higher"),
        "revived": Scalar("codes that were moved to new vectors in a step", "neither"),
    },
    presets={
        "quick": {"epochs": 12, "batch_size": 32},
        "default": {"epochs": 40, "batch_size": 32},
        "paper": {"epochs": 100, "halvings": 2, "width": 128, "codes": 512, "code_dim": 64, "learning_rate": 2e-4, "batch_size": 128},
    },
    sizes="any size from 8x8 (16x16 with two levels; fewer halvings take smaller ones), grey or colour",
)  # fmt: skip


class VQVAEParameters(Parameters):
    """Grids, codebook, likelihood and prior of a VQ-VAE."""

    levels: int = parameter(1, "Grids of codes: 1, or 2 for a coarse one above a fine one.", minimum=1, maximum=2)
    halvings: int = parameter(
        3, "How often image sides are halved on the way to the finest grid.", minimum=1, maximum=5
    )
    codes: int = parameter(256, "Entries of each codebook.", minimum=2, maximum=8192, log=True, symbol="K")
    code_dim: int = parameter(16, "Dimensions of an entry.", minimum=1, maximum=256, symbol="D")
    width: int = parameter(
        16, "Channels of the first convolution; the others have twice as many.", minimum=4, maximum=256
    )
    blocks: int = parameter(2, "Residual blocks on each way.", minimum=0, maximum=8)
    likelihood: Literal["bernoulli", "gaussian"] = parameter("bernoulli", "How a pixel is scored given its codes.")
    sigma: float = parameter(
        0.1, "Standard deviation of the Gaussian likelihood.", minimum=0.001, maximum=10, symbol=r"\sigma_x"
    )
    beta: float = parameter(
        0.25, "Weight of the commitment of the encoder to its codes.", minimum=0, maximum=100, symbol=r"\beta"
    )
    decay: float = parameter(
        0.97, "Decay of the averages that the codes are.", minimum=0, maximum=0.99999, symbol=r"\gamma", advanced=True
    )
    revival: float = parameter(
        0.1, "Part of an even share of vectors below which a code is moved; 0 never moves one.", minimum=0, maximum=0.9
    )
    hidden: int = parameter(64, "Units of the prior's layers; best a multiple of 4.", minimum=4, maximum=1024)
    depth: int = parameter(2, "Layers of attention in the prior.", minimum=1, maximum=12)
    learning_rate: float = parameter(2e-3, "Step size of Adam for the autoencoder.", minimum=1e-6, maximum=1, log=True)
    prior_learning_rate: float = parameter(3e-3, "Step size of Adam for the prior.", minimum=1e-6, maximum=1, log=True)


@register("vq_vae", CARD)
class VQVAE(Model, Descends, Encodes, Decodes, HasPrior, Samples, Bounds):
    """Convolutions around a quantiser (or two), and a causal prior over the codes."""

    Parameters = VQVAEParameters
    quantisers: Sequence[Quantiser]

    def __init__(self, shape: Shape, classes: int, parameters: VQVAEParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.pixel_measure = "bernoulli" if p.likelihood == "bernoulli" else "density"
        sides = halved(self.shape, p.halvings + p.levels - 1)
        self.grids = sides[p.halvings :][::-1]  # the coarse one first
        self.places = [height * width for height, width in self.grids]
        self.latent_dim = sum(self.places) * p.code_dim
        wide = 2 * p.width
        self.encoder = nn.Sequential(
            Down(shape.channels, p.width if p.halvings > 1 else wide),
            *(Down(p.width if level == 1 else wide, wide) for level in range(1, p.halvings)),
            *(Residual(wide) for _ in range(p.blocks)),
        )
        self.to_code = nn.ModuleList([nn.Conv2d(wide, p.code_dim, 1)])
        seen = p.code_dim
        if p.levels == 2:
            self.coarse_encoder = nn.Sequential(Down(wide, wide), *(Residual(wide) for _ in range(p.blocks)))
            self.coarse_decoder = nn.Sequential(
                nn.Conv2d(p.code_dim, wide, 3, padding=1),
                *(Residual(wide) for _ in range(p.blocks)),
                Up(wide, wide, self.grids[1]),
            )
            self.enlarge = Up(p.code_dim, wide, self.grids[1])
            self.to_code.append(nn.Conv2d(2 * wide, p.code_dim, 1))
            seen += wide
        self.decoder = nn.Sequential(
            nn.Conv2d(seen, wide, 3, padding=1),
            *(Residual(wide) for _ in range(p.blocks)),
            *(Up(wide, p.width if level == 1 else wide, sides[level]) for level in range(p.halvings - 1, 0, -1)),
            Up(p.width if p.halvings > 1 else wide, shape.channels, sides[0]),
        )
        quantisers = [Quantiser(p.codes, p.code_dim, decay=p.decay, revival=p.revival) for _ in self.grids]
        self.quantisers = nn.ModuleList(quantisers)  # type: ignore[assignment]
        self.prior = CausalPrior(self.places, p.codes, p.hidden, p.depth)

    def quantise(self, images: Tensor) -> list[Quantised]:
        """The grids of codes of images (N, C, H, W), the coarse one first; the fine one sees the coarse one ([2] 3.1)."""
        features = self.encoder(images)
        if self.p.levels == 1:
            return [self.quantisers[0](self.to_code[0](features))]
        coarse = self.quantisers[0](self.to_code[0](self.coarse_encoder(features)))
        both = torch.cat([features, self.coarse_decoder(coarse.maps)], dim=1)
        return [coarse, self.quantisers[1](self.to_code[1](both))]

    def logits(self, maps: Sequence[Tensor]) -> Tensor:
        """The decoder's output (N, C, H, W), before the sigmoid, of quantised maps, the coarse one first."""
        both = [self.enlarge(maps[0]), maps[1]] if self.p.levels == 2 else list(maps)
        return self.decoder(torch.cat(both, dim=1))

    def entries(self, indices: Tensor) -> Tensor:
        """The codebook entries (N, latent_dim) of indices (N, places), place after place."""
        parts = indices.split(self.places, dim=1)
        looked_up = [quantiser.lookup(part) for quantiser, part in zip(self.quantisers, parts, strict=True)]
        return torch.cat(looked_up, dim=1).flatten(1)

    def encode(self, images: Tensor) -> Point:
        """The entries that stand for images, (N, latent_dim)."""
        return Point(self.entries(torch.cat([grid.indices for grid in self.quantise(images)], dim=1)))

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, latent_dim), each place of which becomes its nearest entry."""
        maps = []
        for part, quantiser, (height, width) in zip(
            codes.unflatten(1, (-1, self.p.code_dim)).split(self.places, dim=1),
            self.quantisers,
            self.grids,
            strict=True,
        ):
            entries = quantiser.lookup(quantiser.nearest(part.flatten(0, 1)))
            maps.append(entries.view(-1, height, width, self.p.code_dim).permute(0, 3, 1, 2))
        return torch.sigmoid(self.logits(maps))

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes (count, latent_dim); a temperature of 0 takes the likeliest entry of each place."""
        return self.entries(self.prior.sample(count, temperature=temperature, generator=generator))

    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw images (count, C, H, W) in [0, 1]."""
        return self.decode(self.sample_prior(count, temperature=temperature, generator=generator))

    def terms(self, images: Tensor, grids: Sequence[Quantised]) -> dict[str, Tensor]:
        """`reconstruction`, `commitment` and `kl` = −log p(k) of each image (N,)."""
        logits = self.logits([grid.maps for grid in grids])
        if self.p.likelihood == "bernoulli":
            log_likelihood = bernoulli_log_likelihood(logits, images)
        else:
            log_likelihood = gaussian_log_likelihood(torch.sigmoid(logits), images, self.p.sigma)
        commitment = torch.cat([grid.distances for grid in grids], dim=1).sum(1)
        kl = self.prior.negative_log_likelihood(torch.cat([grid.indices for grid in grids], dim=1))
        return {"reconstruction": -log_likelihood, "commitment": commitment, "kl": kl}

    def bound_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`reconstruction` and `kl` (N,) in nats; ELBO = −(their sum).

        Sound, since p(x) = Σ_k p(k) p(x|k) ≥ p(k) p(x|k) for any one grid k: the encoder's, which needs no draw.
        """
        terms = self.terms(images, self.quantise(images))
        return {"reconstruction": terms["reconstruction"], "kl": terms["kl"]}

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Two players: the autoencoder, and the prior, which sees its codes alone."""
        own = [weight for name, weight in self.named_parameters() if not name.startswith("prior.")]
        return {
            "autoencoder": adam(own, self.p.learning_rate),
            "prior": adam(self.prior.parameters(), self.p.prior_learning_rate),
        }

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """Autoencoder and prior move on one pass; then the codes follow the vectors."""
        grids = self.quantise(batch.images)
        terms = {name: term.mean() for name, term in self.terms(batch.images, grids).items()}
        minimise(autoencoder=terms["reconstruction"] + self.p.beta * terms["commitment"], prior=terms["kl"])
        revived = [quantiser.update(grid) for quantiser, grid in zip(self.quantisers, grids, strict=True)]
        logged = {name: terms[name].detach() for name in ("reconstruction", "commitment")}
        return {**logged, **self.use(grids), "revived": torch.stack(revived).sum()}

    def use(self, grids: Sequence[Quantised]) -> dict[str, Tensor]:
        """`perplexity` of the finest grid and, where there are two, `perplexity_top` of the coarse one."""
        names = ("perplexity", "perplexity_top")
        return {
            name: perplexity(grid.indices, self.p.codes) for name, grid in zip(names, reversed(grids), strict=False)
        }

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same losses on held-out images."""
        grids = self.quantise(batch.images)
        terms = {name: term.mean() for name, term in self.terms(batch.images, grids).items()}
        prior = terms.pop("kl")
        loss = terms["reconstruction"] + self.p.beta * terms["commitment"]
        return {"loss": loss + prior, "loss_autoencoder": loss, "loss_prior": prior, **terms, **self.use(grids)}


def halved(shape: Shape, times: int) -> list[tuple[int, int]]:
    """Heights and widths from the image down, halved (rounding down); raises `BadInputError` where nothing is left."""
    least = 2**times
    if min(shape.height, shape.width) < least:
        raise BadInputError(
            f"VQ-VAE takes images of at least {least}x{least} pixels when sides are halved {times} times, and these "
            f"are {shape}; choose fewer halvings or levels, or enlarge them."
        )
    return [(shape.height >> level, shape.width >> level) for level in range(times + 1)]


class Down(nn.Sequential):
    """A 4x4 convolution that halves the sides, and ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Conv2d(before, after, 4, 2, 1), nn.ReLU())


class Up(nn.Module):
    """ReLU, and a transposed 4x4 convolution to twice the sides, or one more where `sides` are odd."""

    def __init__(self, before: int, after: int, sides: tuple[int, int]) -> None:
        super().__init__()
        odd = (sides[0] % 2, sides[1] % 2)
        self.layer = nn.ConvTranspose2d(before, after, 4, 2, 1, output_padding=odd)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, `after`, *`sides`)."""
        return self.layer(torch.relu(maps))


class Residual(nn.Module):
    """x + 1x1(ReLU(3x3(ReLU(x)))), with half as many channels between ([1] 4.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = max(1, channels // 2)
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, half, 3, padding=1), nn.ReLU(), nn.Conv2d(half, channels, 1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same size."""
        return maps + self.layers(maps)
