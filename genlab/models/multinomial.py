"""Multinomial: every possible image is a category of its own, and its probability is how often it was seen.

θ_i = (n_i + a) / (N + a K), with K = levels^pixels possible images: a number that only its logarithm can hold.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.1.
    [2] Manning, Raghavan & Schütze, Introduction to Information Retrieval, 2008, chapter 13 (smoothing).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.batch import Batch
from genlab.core.capabilities import Fits
from genlab.core.cards import Card, Equation, Example, Scalar
from genlab.core.errors import BadInputError
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.density import ClassConditional, draw_categories, in_blocks, quantise
from genlab.nn.tennis import cells, days

CARD = Card(
    title="Multinomial",
    family="density",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.1",
    year=2023,
    link="https://en.wikipedia.org/wiki/Additive_smoothing",
    summary=(
        "Counts whole images: each one that could exist is a category. It learns the training images by heart and "
        "nothing else, so every image it has not seen gets the same tiny probability, a fresh digit no more than "
        "noise, and what it draws is either a training image or noise. That is why every other model assumes something."
    ),
    equations=(
        Equation("Possible images", r"K=L^{V}", "[1] 3.1: 3 · 3 · 2 · 2 = 36"),
        Equation("Smoothed estimate", r"\hat\theta_{c,i}=\frac{n_{c,i}+a}{N_c+a\,K}", "[1] 3.1, smoothed as in [2] (13.7)"),
        Equation("An image never seen", r"\hat\theta_{c,i}=\frac{a}{N_c+a\,K}\quad\text{whatever it shows}", "[1] 3.1.1"),
        Equation("Two ways to draw", r"p(x\mid c)=\frac{N_c}{N_c+aK}\cdot\frac{n_{c,i}}{N_c}+\frac{aK}{N_c+aK}\cdot\frac1K", "memorised, or uniform noise"),
    ),
    departures=(
        "The seed prints (n_i + 1)/(N + 1), whose sum over all categories is (N + K)/(N + 1); here the denominator is N + aK, and the sum is one.",
        "The seed calls the estimate maximum likelihood; with smoothing it is the mean of a posterior under a Dirichlet prior.",
        "One imagined image of every kind, as printed, outweighs any training set, since K is 2^64 for the smallest digits: the default spreads one image over all kinds.",
        "With more than two levels, each level's mass is spread evenly over its part of [0, 1], so that the score is a density.",
    ),
    scalars={
        "loss": Scalar("−log p(x) of the training images, nats an image"),
        "accuracy": Scalar("fraction of training images whose most probable class is theirs", "higher"),
        "distinct": Scalar("different images among the training images, after rounding to levels", "neither"),
        "noise": Scalar("share of drawn images that are noise, averaged over the classes' priors"),
    },
    presets={"quick": {}, "default": {}, "paper": {"spread": "each"}},
    examples=(
        Example("Play Tennis, the 14 days", "Fourteen days with four features, and whether tennis was played: figure 3.1 of the paper.", days()),
        Example("Play Tennis, the 36 cells", "Every possible day, how often it was seen (n), the printed estimate (n + 1)/15, which adds up to 3.33, and (n + 1)/50, which adds up to one. The 22 days never seen all get the same.", cells()),
    ),
)  # fmt: skip
LARGEST = 2**29  # values that may be kept


class MultinomialParameters(Parameters):
    """How pixels are read and how many images are imagined."""

    levels: int = parameter(2, "Grey levels a pixel is rounded to; 2 thresholds it at one half.", minimum=2, maximum=256, symbol="L")  # fmt: skip
    smoothing: float = parameter(1.0, "Images imagined beside those that were seen.", minimum=1e-10, maximum=1e6, log=True, symbol="a")  # fmt: skip
    spread: Literal["together", "each"] = parameter(
        "together", "Imagine so many images together, spread over all possible ones, or so many of each possible one."
    )


@register("multinomial", CARD)
class Multinomial(ClassConditional, Fits):
    """The distinct training images and how often each class had them."""

    Parameters = MultinomialParameters
    patterns: Tensor
    counts: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: MultinomialParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.levels = parameters.levels
        self.pixel_measure = "binary" if self.levels == 2 else "density"
        self.log_images = self.shape.values * math.log(self.levels)  # log K
        self.log_smoothing = math.log(parameters.smoothing) - self.log_images * (parameters.spread == "together")
        self.register_buffer("patterns", torch.zeros(0, self.shape.values, dtype=torch.uint8))
        self.register_buffer("counts", torch.zeros(0, self.groups, dtype=torch.float64))
        self.register_load_state_dict_pre_hook(_make_room)

    @property
    def log_total(self) -> Tensor:
        """The denominators log(N_c + a K), (groups,)."""
        return torch.logaddexp(
            self.counts.sum(0).log(), self.log_prior.new_tensor(self.log_smoothing + self.log_images)
        )

    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """Count once, so there is one iteration."""
        if start:
            return
        labels = self.fit_prior(batch)
        rows = quantise(batch.images, self.levels).to(torch.uint8)
        patterns, which = torch.unique(rows, dim=0, return_inverse=True)
        if patterns.numel() > LARGEST:
            raise BadInputError(
                f"Multinomial keeps every distinct image, and {len(patterns):,} of {self.shape} take "
                f"{patterns.numel() / 2**20:,.0f} MiB, more than {LARGEST / 2**20:,.0f}; choose fewer or smaller images."
            )
        self.patterns = patterns
        self.counts = torch.bincount(which * self.groups + labels, minlength=len(patterns) * self.groups).to(
            self.counts
        ).view(-1, self.groups)  # fmt: skip
        noise = (self.log_prior + self.log_smoothing + self.log_images - self.log_total).exp().sum().item()
        yield {**self.summary(batch.images, labels), "distinct": float(len(patterns)), "noise": noise}

    def log_joint(self, images: Tensor) -> Tensor:
        """The joint log π_c + log(n_{c,i} + a) − log(N_c + aK), (N, groups) nats."""
        rows = quantise(images, self.levels).to(torch.uint8)
        _, which = torch.unique(torch.cat([self.patterns, rows]), dim=0, return_inverse=True)
        known, asked = which[: len(self.patterns)], which[len(self.patterns) :]
        counts = self.counts.new_zeros(len(which) + 1, self.groups).index_copy_(0, known, self.counts)[asked]
        logs = torch.logaddexp(counts.log(), counts.new_tensor(self.log_smoothing)) - self.log_total
        return self.log_prior + logs + (self.log_images if self.pixel_measure == "density" else 0)

    def draw(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Draw from θ^(1 / temperature), normalised: a memorised image or noise; temperature 0 takes the most frequent."""
        if temperature or not len(self.counts):
            steps = F.softplus(self.counts.T.log() - self.log_smoothing) / (temperature or 1)  # log ((n + a) / a)^(1/T)
            more = steps + (-torch.expm1(-steps)).log()  # log (((n + a) / a)^(1/T) − 1): what exceeds uniform noise
            weights = F.pad(more, (0, 1), value=self.log_images).softmax(1)
        else:
            weights = F.one_hot(self.counts.argmax(0), len(self.counts)).to(self.counts)
        chosen = draw_categories(weights, labels, generator)
        size, device = (len(labels), self.shape.values), labels.device if generator is None else generator.device
        noise = torch.randint(self.levels, size, generator=generator, device=device).to(self.patterns)
        own = len(self.patterns) + torch.arange(len(labels), device=labels.device)
        rows = torch.cat([self.patterns, noise])[torch.where(chosen < len(self.patterns), chosen, own)]
        return (rows.to(torch.get_default_dtype()) / (self.levels - 1)).view(-1, *self.shape)

    def expect(self, images: Tensor, known: Tensor) -> Tensor:
        """Averages the memorised images that agree at all known pixels, and mid grey for the possible others."""
        patterns = self.patterns.to(self.counts)
        shares = self.log_prior - self.log_total
        seen = (shares + self.counts.log()).logsumexp(1)
        unseen = shares.logsumexp(0) + self.log_smoothing  # one image, however it goes on
        values = F.pad(patterns / (self.levels - 1), (0, 0, 0, 1), value=0.5)

        def block(both: Tensor) -> Tensor:
            levels, known = both.chunk(2, dim=1)
            asked = levels * known
            apart = asked.square().sum(1, keepdim=True) - 2 * asked @ patterns.T + known @ patterns.square().T
            others = unseen + (1 - known).sum(1, keepdim=True) * math.log(self.levels)
            return torch.cat([seen.where(apart == 0, -math.inf), others], dim=1).softmax(1) @ values

        both = torch.cat([quantise(images, self.levels), known.flatten(1)], dim=1).to(patterns)
        return in_blocks(block, both, len(values) + both.shape[1])


def _make_room(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before a checkpoint is loaded: as many rows as it has distinct images."""
    for name in ("patterns", "counts"):
        rows = state.get(prefix + name, ())
        buffer = getattr(module, name)
        setattr(module, name, buffer.new_zeros(len(rows), *buffer.shape[1:]))
