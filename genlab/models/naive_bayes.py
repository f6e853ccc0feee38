"""Naive Bayes: every pixel is independent of the others once the class is known.

p(x) = Σ_c π_c Π_k θ_{c,k,x_k}, with θ estimated by counting and additive smoothing.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.2.
    [2] Manning, Raghavan & Schütze, Introduction to Information Retrieval, 2008, chapter 13 (smoothing).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.core.batch import Batch
from genlab.core.capabilities import Fits
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.density import BLOCK, ClassConditional, draw_categories, in_blocks, quantise

CARD = Card(
    title="Naive Bayes",
    family="density",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.2",
    year=2023,
    link="https://doi.org/10.1007/978-0-387-30164-8_576",
    summary=(
        "For each class, count how often each pixel is on. To classify, ask which class makes the image "
        "least surprising; to generate, switch each pixel on with its own probability. As the pixels do "
        "not know of each other, samples look like a noisy average of the class: that is the lesson."
    ),
    equations=(
        Equation("Naive assumption", r"p(x\mid c)=\prod_{k=1}^{K}p(x_k\mid c)", "[1] 3.2"),
        Equation("Smoothed estimate", r"\hat\theta_{c,k,l}=\frac{n_{c,k,l}+a}{N_{c,k}+a\,L}", "[1] 3.2, smoothed as in [2] (13.7)"),
        Equation("Class of an image", r"p(c\mid x)\propto\pi_c\prod_k\hat\theta_{c,k,x_k}", "[2] (13.3)"),
        Equation("Missing pixels", r"\mathbb{E}[x_k\mid x_{\text{known}}]=\sum_c p(c\mid x_{\text{known}})\,\mathbb{E}[x_k\mid c]", "Bayes' rule"),
    ),
    departures=(
        "The seed prints the estimate n/N, which gives an image with one unseen pixel value no mass at all; here it is smoothed.",
        "The seed assumes P(x_i|x_j) = P(x_i) without a class; with labels the pixels are independent given the class, which is what makes it Bayes.",
        "The seed calls the features binary and yet counts levels l: both are here, two levels (a threshold at one half) or more.",
        "With more than two levels, each level's mass is spread evenly over its part of [0, 1], so that the score is a density.",
    ),
    scalars={
        "loss": Scalar("−log p(x) of the training images, nats an image"),
        "accuracy": Scalar("fraction of training images whose most probable class is theirs", "higher"),
    },
    presets={"quick": {}, "default": {}, "paper": {"smoothing": 1e-10}},
)  # fmt: skip


class NaiveBayesParameters(Parameters):
    """How pixels are read and how counts are smoothed."""

    levels: int = parameter(2, "Grey levels a pixel is rounded to; 2 thresholds it at one half.", minimum=2, maximum=256, symbol="L")  # fmt: skip
    smoothing: float = parameter(1.0, "Images imagined for every level of every pixel.", minimum=1e-10, maximum=1000, log=True, symbol="a")  # fmt: skip


@register("naive_bayes", CARD)
class NaiveBayes(ClassConditional, Fits):
    """Bernoulli (2 levels) or categorical pixels; a pixel that is NaN is missing and left out."""

    Parameters = NaiveBayesParameters
    log_theta: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: NaiveBayesParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.levels, self.smoothing = parameters.levels, parameters.smoothing
        self.pixel_measure = "binary" if self.levels == 2 else "density"
        size = (self.groups, self.shape.values, self.levels)
        self.register_buffer("log_theta", torch.full(size, -math.log(self.levels), dtype=torch.float64))

    def quantise(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The level of each value (N, values), from 0 to L − 1, and whether it is known (not NaN)."""
        return quantise(images, self.levels), ~images.flatten(1).isnan()

    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """Count once, so there is one iteration: θ = (n + a) / (N + a L)."""
        if start:
            return
        labels = self.fit_prior(batch)
        counts = torch.zeros_like(self.log_theta).flatten()
        size = max(1, BLOCK // self.shape.values)
        for images, classes in zip(batch.images.split(size), labels.split(size), strict=True):
            levels, known = self.quantise(images)
            cell = self._cells(levels) + classes[:, None] * self.shape.values * self.levels
            counts += torch.bincount(cell[known], minlength=len(counts))
        smoothed = counts.view_as(self.log_theta) + self.smoothing
        self.log_theta.copy_(smoothed.log() - smoothed.sum(2, keepdim=True).log())
        yield self.summary(batch.images, labels)

    def log_joint(self, images: Tensor) -> Tensor:
        """The joint log π_c + Σ_k log θ_{c,k,x_k} over the known pixels, (N, groups) nats."""
        table = self.log_theta.flatten(1).T.contiguous()  # one row for each level of each pixel

        def block(some: Tensor) -> Tensor:
            levels, known = self.quantise(some)
            weights = known.to(table)
            logs = F.embedding_bag(self._cells(levels), table, mode="sum", per_sample_weights=weights)
            if self.pixel_measure == "density":
                logs += weights.sum(1, keepdim=True) * math.log(self.levels)
            return logs

        return in_blocks(block, images, self.shape.values) + self.log_prior

    def draw(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Draw each pixel from θ^(1 / temperature), normalised; temperature 0 takes the likeliest level."""
        logs = self.log_theta.flatten(0, 1)
        likeliest = F.one_hot(logs.argmax(1), self.levels)
        theta = (logs / temperature).softmax(1) if temperature else likeliest
        pixels = torch.arange(self.shape.values, device=labels.device)
        levels = draw_categories(theta, labels[:, None] * self.shape.values + pixels, generator)
        return (levels / (self.levels - 1)).view(-1, *self.shape)

    def expect(self, images: Tensor, known: Tensor) -> Tensor:
        """Σ_c p(c|known pixels) E[x_k|c] of every pixel, (N, values)."""
        posterior = self.log_joint(images.masked_fill(~known, math.nan)).softmax(1)
        values = torch.linspace(0, 1, self.levels).to(self.log_theta)
        return posterior @ (self.log_theta.exp() @ values)

    def _cells(self, levels: Tensor) -> Tensor:
        """Where each level of each pixel stands in a table of values x levels rows."""
        return levels + self.levels * torch.arange(self.shape.values, device=levels.device)
