"""Gaussian naive Bayes: every pixel is a normal of its own, independent of the others given the class.

p(x) = Σ_c π_c Π_k N(x_k; μ_{c,k}, σ²_{c,k}).

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.3.
    [2] Bishop, Pattern Recognition and Machine Learning, 2006, section 4.2 (Gaussian class densities).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.capabilities import Fits
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.completion import log_known
from genlab.nn.density import ClassConditional, in_blocks
from genlab.nn.mixture import Mixture
from genlab.nn.normal import normal_like

CARD = Card(
    title="Gaussian naive Bayes",
    family="density",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.3",
    year=2023,
    link="https://en.wikipedia.org/wiki/Naive_Bayes_classifier#Gaussian_naive_Bayes",
    summary=(
        "Naive Bayes for grey levels: each pixel of each class has a mean and a variance. Where the classes "
        "share one variance, the border between two of them is a plane; where each has its own, it bends. "
        "A pixel that never varies would be infinitely certain, so a little variance is added everywhere."
    ),
    equations=(
        Equation("Mean", r"\hat\mu_{c,k}=\frac{1}{N_c}\sum_{i:\,y_i=c}x_{i,k}", "[1] 3.3"),
        Equation("Variance of a class", r"\hat\sigma^2_{c,k}=\frac{1}{N_c}\sum_{i:\,y_i=c}(x_{i,k}-\hat\mu_{c,k})^2+\epsilon", "[1] 3.3"),
        Equation("Shared variance", r"\hat\sigma^2_{k}=\frac{1}{N}\sum_{i}(x_{i,k}-\hat\mu_{y_i,k})^2+\epsilon", "[1] 3.3"),
        Equation("Missing pixels", r"\mathbb{E}[x_k\mid x_{\text{known}}]=\sum_c p(c\mid x_{\text{known}})\,\hat\mu_{c,k}", "Bayes' rule"),
        Equation("Added variance", r"\epsilon=s\,\max_k\mathrm{Var}(x_k)", "the smoothing s of scikit-learn"),
    ),
    departures=(
        "The seed gives all classes one covariance and yet calls the model naive; here a variance per class is the default and the shared one a choice.",
        "The seed's variance sums over the images of class 1 and divides by all n; here each sum is divided by its own count.",
        "The seed's covariance is an outer product; independent pixels need its diagonal alone.",
        "Samples are cut off at 0 and 1, while the density is of normals that are not.",
    ),
    scalars={
        "loss": Scalar("−log p(x) of the training images, nats an image (a density, so it may be negative)"),
        "accuracy": Scalar("fraction of training images whose most probable class is theirs", "higher"),
    },
    presets={"quick": {}, "default": {}, "paper": {"variance": "shared", "var_smoothing": 1e-9}},
)  # fmt: skip


class GaussianNaiveBayesParameters(Parameters):
    """Whose variance, and how much of it is added."""

    variance: Literal["per_class", "shared"] = parameter("per_class", "A variance for each class, or one for all.")
    var_smoothing: float = parameter(0.1, "Variance added everywhere, as a part of the most varied pixel's.", minimum=0, maximum=10, symbol="s")  # fmt: skip


@register("gaussian_naive_bayes", CARD)
class GaussianNaiveBayes(ClassConditional, Fits):
    """Means and variances of each pixel in each class; a density over pixels in [0, 1]."""

    Parameters = GaussianNaiveBayesParameters
    means: Tensor
    variances: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: GaussianNaiveBayesParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = parameters
        size = (self.groups, self.shape.values)
        self.register_buffer("means", torch.full(size, 0.5, dtype=torch.float64))
        self.register_buffer("variances", torch.ones(size, dtype=torch.float64))

    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """Average once, so there is one iteration; a class without images takes the moments of all."""
        if start:
            return
        labels = self.fit_prior(batch)
        x = batch.images.flatten(1).to(self.means)
        overall_mean, overall = x.mean(0), x.var(0, correction=0)
        counts = torch.bincount(labels, minlength=self.groups).to(x)[:, None]
        means = torch.zeros_like(self.means).index_add_(0, labels, x) / counts
        squares = (x - means[labels]).square_()
        if self.p.variance == "shared":
            variances = squares.mean(0).expand_as(means)
        else:
            variances = torch.zeros_like(means).index_add_(0, labels, squares) / counts
        seen = counts > 0
        self.means.copy_(torch.where(seen, means, overall_mean))
        variances = torch.where(seen, variances, overall) + self.p.var_smoothing * overall.max()
        self.variances.copy_(variances.clamp(min=torch.finfo(x.dtype).tiny))
        yield self.summary(batch.images, labels)

    def log_joint(self, images: Tensor) -> Tensor:
        """The joint log π_c + Σ_k log N(x_k; μ_{c,k}, σ²_{c,k}), (N, groups) nats."""
        constants = self.log_prior - 0.5 * (self.variances.log() + math.log(2 * math.pi)).sum(1)

        def block(some: Tensor) -> Tensor:
            squares = (some.flatten(1).to(self.means)[:, None] - self.means).square_()
            return constants - 0.5 * torch.einsum("nck,ck->nc", squares, 1 / self.variances)

        return in_blocks(block, images, self.groups * self.shape.values)

    def draw(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Draw x_k = μ_{c,k} + temperature · σ_{c,k} ε, cut off at 0 and 1."""
        means, deviations = self.means[labels], self.variances[labels].sqrt()
        images = means + temperature * deviations * normal_like(means, generator)
        return images.clamp(0, 1).view(-1, *self.shape).to(torch.get_default_dtype())

    def expect(self, images: Tensor, known: Tensor) -> Tensor:
        """Σ_c p(c|known pixels) μ_c, (N, values): given its class, a pixel tells nothing about another."""
        logs = log_known(Mixture(self.log_prior, self.means, self.variances), images.flatten(1), known.flatten(1))
        return logs.softmax(1) @ self.means
