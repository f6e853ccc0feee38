"""A hierarchical VAE: codes at several resolutions, each explained by the coarser ones above it (NVAE-style, small).

p(z) = p(z₁) p(z₂|z₁) …, q(z|x) = q(z₁|x) q(z₂|z₁, x) …; with z_l = μ_l + σ_l e_l under the prior, the prior of e is N(0, I).
The file is longer than most models because its network, cells that look down and up, is its own and stands here whole.

References:
    [1] Vahdat & Kautz, NVAE: A Deep Hierarchical Variational Autoencoder, 2020.
    [2] Sønderby et al., Ladder Variational Autoencoders, 2016 (the top-down posterior).
    [3] Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016 (free bits).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, EncodesNormal, ImportanceWeighted
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.blocks import channel_plan, halvings
from genlab.nn.importance import in_draws
from genlab.nn.likelihoods import bernoulli_log_likelihood
from genlab.nn.normal import DiagonalNormal, StandardNormalPrior, standard_log_prob
from genlab.nn.optimisers import adam

CARD = Card(
    title="Hierarchical VAE (NVAE-style)",
    family="variational",
    paper="Vahdat & Kautz, NVAE: A Deep Hierarchical Variational Autoencoder",
    year=2020,
    link="https://arxiv.org/abs/2007.03898",
    summary=(
        "One code has to say everything at once. Here codes come at several resolutions: a coarse one first decides what "
        "the image is, then finer ones fill in what is left, each knowing those above it. The encoder looks at the "
        "image bottom-up, and corrects on the way down what the model would have expected by itself."
    ),
    equations=(
        Equation("Prior and posterior", r"p(z)=\prod_l p(z_l|z_{<l}),\quad q(z|x)=\prod_l q(z_l|z_{<l},x)", "[1] 3.1"),
        Equation("Bound", r"\log p(x)\ge\mathbb E_{q(z|x)}[\log p(x|z)]-\sum_l\mathbb E_{q(z_{<l}|x)}\mathrm{KL}(q(z_l|x,z_{<l})\,\|\,p(z_l|z_{<l}))", "[1] (1)"),
        Equation("Residual normal", r"p=\mathcal N(\mu_l,\sigma_l),\quad q=\mathcal N(\mu_l+\sigma_l\,\Delta\mu_l,\ \sigma_l\,\Delta\sigma_l)", "[1] 3.2"),
        Equation("Its KL", r"\mathrm{KL}=\tfrac12(\Delta\mu_l^2+\Delta\sigma_l^2-\log\Delta\sigma_l^2-1)", "[1] (2)"),
        Equation("Objective", r"L=R+\beta\,w\,[\max(\lambda,\mathrm{KL}_1)+\textstyle\sum_{l>1}\mathrm{KL}_l]", "[1] appendix A, [3] (15)"),
        Equation("Codes", r"e_l=(z_l-\mu_l(z_{<l}))/\sigma_l(z_{<l}),\quad p(e)=\mathcal N(0,I)", ""),
        Equation("Residual cell", r"h+W_2\,\mathrm{swish}(\mathrm{norm}(W_1\,\mathrm{swish}(\mathrm{norm}(h))))", "[1] figure 3"),
    ),
    departures=(
        "One group of codes at each of a few resolutions and one cell beside it; NVAE has up to 36 groups and two or three cells for each.",
        "Cells normalise each image's features instead of the batch's, and have no depthwise convolutions and no "
        "squeeze-and-excitation; there are no normalising flows in the posterior: they pay off in networks that are far deeper.",
        "The coarsest level is a single place with more channels than the finer ones have, so that one code decides the "
        "whole shape: given the codes above them, places of a level are drawn independently of each other.",
        "Δμ is counted in units of the prior's σ, so that the KL does not divide by it.",
        "Free bits keep the coarsest level in use; NVAE balances the levels' KL while it warms up.",
        "No spectral regularisation; log-variances are kept within bounds by a tanh instead.",
        "Codes are the noise e that the prior turns into z, all levels side by side, the coarsest first: then the prior of "
        "codes is N(0, I), and sampling, walks and traversals are those of any VAE.",
        "The code of an image takes the mean of each level, given the means above it; its variance and KL are those along "
        "that path, whereas the bound is computed with drawn codes.",
        "Grey levels are scored by the Bernoulli likelihood, as NVAE does for MNIST, though they are not binarised here.",
    ),
    scalars={
        "loss": Scalar("R + β·w·KL, nats an image; while training, the coarsest level's KL counts as λ at least"),
        "reconstruction": Scalar("R = −log p(x|z), nats an image"),
        "kl": Scalar("KL of all levels, nats an image", "neither"),
        **{f"kl_{level}": Scalar(f"KL of level {level} (1 is the coarsest), nats an image; near 0 means that the level is ignored", "neither") for level in range(1, 5)},
    },
    presets={
        "quick": {"epochs": 9, "width": 8, "batch_size": 64, "kl_warmup": 2.0, "free_bits": 15.0, "learning_rate": 2e-3},
        "default": {"epochs": 40, "batch_size": 64, "kl_warmup": 3.0, "free_bits": 15.0, "learning_rate": 2e-3},
        "paper": {"epochs": 400, "levels": 2, "coarse_channels": 20, "latent_channels": 20, "width": 32, "batch_size": 200, "kl_warmup": 120.0},
    },
)  # fmt: skip


class HierarchicalVAEParameters(Parameters):
    """Levels, width and weights of a hierarchical VAE."""

    levels: int = parameter(2, "Resolutions that have a code of their own.", minimum=1, maximum=4, symbol="L")
    coarse_channels: int = parameter(
        16, "Numbers of the coarsest level's code at each of its places.", minimum=1, maximum=512
    )
    latent_channels: int = parameter(1, "Numbers of a finer level's code at each of its places.", minimum=1, maximum=64)
    width: int = parameter(
        16, "Channels at half the image's resolution; they double with each halving.", minimum=4, maximum=128
    )
    beta: float = parameter(1.0, "Weight of the KL term.", minimum=0, maximum=100, symbol=r"\beta")
    kl_warmup: float = parameter(0.0, "Epochs over which the KL's weight w grows from 0 to 1.", minimum=0, maximum=1000)
    free_bits: float = parameter(
        0.0, "Nats of the coarsest level's KL that are not penalised; they keep it in use.", minimum=0, maximum=100, symbol=r"\lambda"
    )  # fmt: skip
    learning_rate: float = parameter(1e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)


class NormSwish(nn.GroupNorm):
    """swish(norm(h)), each image's features normalised over channels and places together, then scaled by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, h: Tensor) -> Tensor:
        """Features (N, C, H, W) of the same shape."""
        return F.silu(super().forward(h))


class Cell(nn.Module):
    """h + W₂ swish(norm(W₁ swish(norm(h)))), `kernel` wide convolutions; W₂ starts at 0: a new cell changes nothing."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, kernel, padding=kernel // 2) for _ in range(2))
        for weight in second.parameters():
            nn.init.zeros_(weight)
        self.change = nn.Sequential(NormSwish(channels), first, NormSwish(channels), second)

    def forward(self, h: Tensor) -> Tensor:
        """Features (N, C, H, W) of the same shape."""
        return h + self.change(h)


class Level(nn.Module):
    """One resolution: the way up to it, the way down from it and, where it has a code, prior, posterior and merge."""

    def __init__(self, finer: int, channels: int, codes: int, odd: tuple[int, int], kernel: int) -> None:
        super().__init__()
        self.codes = codes
        self.up = nn.Sequential(nn.Conv2d(finer, channels, 4, 2, 1), Cell(channels, kernel))
        widen = nn.ConvTranspose2d(channels, finer, 4, 2, 1, output_padding=odd)
        self.down = nn.Sequential(Cell(channels, kernel), NormSwish(channels), widen)
        if codes:
            both, cell = nn.Conv2d(2 * channels, channels, 1), Cell(channels, kernel)
            self.prior = nn.Sequential(NormSwish(channels), nn.Conv2d(channels, 2 * codes, 1))
            self.posterior = nn.Sequential(both, cell, NormSwish(channels), nn.Conv2d(channels, 2 * codes, 1))
            self.merge = nn.Conv2d(codes, channels, 1)


class Inferred(NamedTuple):
    """A way down with an image in view: logits of the image, and codes and their posterior (N, latent_dim)."""

    logits: Tensor
    codes: Tensor
    posterior: DiagonalNormal


@register("hierarchical_vae", CARD)
class HierarchicalVAE(Model, Descends, EncodesNormal, StandardNormalPrior, ImportanceWeighted):
    """Bottom-up features, then a top-down pass that draws the code of each level."""

    Parameters = HierarchicalVAEParameters
    pixel_measure = "bernoulli"

    def __init__(self, shape: Shape, classes: int, parameters: HierarchicalVAEParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        sizes = halvings(self.shape, smallest=1)
        if p.levels >= len(sizes):
            raise BadInputError(
                f"{CARD.title} takes at most {len(sizes) - 1} levels for images of {self.shape}; lower levels."
            )
        channels = [self.shape.channels, *channel_plan(p.width, len(sizes) - 1)]
        codes = [p.coarse_channels, *[p.latent_channels] * (p.levels - 1), *[0] * (len(sizes) - 1 - p.levels)]
        self.levels: Any = nn.ModuleList()  # coarsest first, as the way down goes
        for finer, own in zip(range(len(sizes) - 2, -1, -1), codes, strict=True):
            odd = (sizes[finer][0] % 2, sizes[finer][1] % 2)
            kernel = 1 if max(sizes[finer + 1]) == 1 else 3
            self.levels.append(Level(channels[finer], channels[finer + 1], own, odd, kernel))
        self.start = nn.Parameter(torch.zeros(1, channels[-1], *sizes[-1]))
        self.maps = [(own, *size) for own, size in zip(codes, sizes[:0:-1], strict=True) if own]
        self.parts = [math.prod(size) for size in self.maps]
        self.latent_dim = sum(self.parts)

    def features(self, images: Tensor) -> list[Tensor]:
        """The way up: features of each level that has a code, coarsest first."""
        found, h = [], images
        for level in reversed(self.levels):
            h = level.up(h)
            found.append(h)
        return found[::-1][: self.p.levels]

    def descend(self, take: Callable[[Level, Tensor], Tensor], count: int) -> Tensor:
        """Logits (count, C, H, W) of a way down on which `take(level, h)` gives the code e of each level that has one."""
        h = self.start.expand(count, -1, -1, -1)
        for level in self.levels:
            if level.codes:
                prior = self.normal(level.prior(h))
                h = h + level.merge(prior.mean + torch.exp(0.5 * prior.log_var) * take(level, h))
            h = level.down(h)
        return h

    def infer(self, features: list[Tensor], draw: Callable[[DiagonalNormal], Tensor]) -> Inferred:
        """The way down with q(e_l|e_{<l}, x) at each level, of which `draw` takes a code."""
        seen, posteriors, codes = iter(features), [], []

        def take(level: Level, h: Tensor) -> Tensor:
            posteriors.append(self.normal(level.posterior(torch.cat([h, next(seen)], dim=1))))
            codes.append(draw(posteriors[-1]))
            return codes[-1]

        logits = self.descend(take, len(features[0]))
        mean, log_var, drawn = (
            torch.cat([part.flatten(1) for part in parts], dim=1) for parts in (*zip(*posteriors, strict=True), codes)
        )
        return Inferred(logits, drawn, DiagonalNormal(mean, log_var))

    def normal(self, outputs: Tensor) -> DiagonalNormal:
        """Mean and log-variance, the latter within (−8, 8), from outputs (N, 2 c, H, W)."""
        mean, raw = outputs.to(self.start.dtype).chunk(2, dim=1)
        return DiagonalNormal(mean, 8 * torch.tanh(raw / 8))

    def encode(self, images: Tensor) -> DiagonalNormal:
        """Mean and log-variance of e, (N, latent_dim) each, along the path of the means."""
        return self.infer(self.features(images), lambda posterior: posterior.mean).posterior

    def decode(self, codes: Tensor) -> Tensor:
        """The mean of p(x|z): images (N, C, H, W) in [0, 1] of codes e (N, latent_dim)."""
        parts = zip(codes.split(self.parts, dim=1), self.maps, strict=True)
        maps = iter([part.reshape(-1, *shape) for part, shape in parts])
        return torch.sigmoid(self.descend(lambda level, h: next(maps), codes.shape[0]))

    def bound_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`reconstruction`, `kl` and each level's `kl_1`, `kl_2`, … (N,) in nats, with one draw of all codes an image."""
        inferred = self.infer(self.features(images), lambda posterior: posterior.sample(generator))
        levels = [part.sum(1) for part in inferred.posterior.kl().split(self.parts, dim=1)]
        reconstruction = -bernoulli_log_likelihood(inferred.logits, images)
        named = {f"kl_{place}": kl for place, kl in enumerate(levels, start=1)}
        return {"reconstruction": reconstruction, "kl": torch.stack(levels).sum(0), **named}

    def log_weights(self, images: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Log p(x|e) + log p(e) − log q(e|x) for `count` draws of all codes: (count, N) nats."""

        def weigh(images: Tensor, draws: int) -> Tensor:
            features = [part.repeat(draws, 1, 1, 1) for part in self.features(images)]
            inferred = self.infer(features, lambda posterior: posterior.sample(generator))
            log_images = bernoulli_log_likelihood(inferred.logits, images.repeat(draws, 1, 1, 1))
            log_ratio = standard_log_prob(inferred.codes) - inferred.posterior.log_prob(inferred.codes)
            return (log_images + log_ratio).view(draws, -1)

        return in_draws(weigh, images, count)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: both ways together."""
        return {"vae": adam(self.parameters(), self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """L = R + β·w·(max(λ, KL_1) + Σ_{l>1} KL_l), of the batch's means; w grows linearly from 0 to 1."""
        terms = {name: term.mean() for name, term in self.bound_terms(batch.images).items()}
        w = min(1.0, step.epochs_done / self.p.kl_warmup) if self.p.kl_warmup else 1.0
        unused = F.relu(self.p.free_bits - terms["kl_1"])  # max(λ, KL_1) − KL_1
        minimise(vae=terms["reconstruction"] + self.p.beta * w * (terms["kl"] + unused))
        return {name: term.detach() for name, term in terms.items()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The objective at its full weights on held-out images."""
        terms = {name: term.mean() for name, term in self.bound_terms(batch.images).items()}
        return {"loss": terms["reconstruction"] + self.p.beta * terms["kl"], **terms}
