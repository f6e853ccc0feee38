"""Gaussian mixtures, fitted by expectation-maximisation: a class may be written in several ways.

p(x) = Σ_k w_k N(x; μ_k, Σ_k), in the space of the principal components or of the pixels themselves.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.5.
    [2] Bishop, Pattern Recognition and Machine Learning, 2006, sections 9.2 (EM) and 12.2 (noise beside the components).
    [3] Hastie & Tibshirani, Discriminant Analysis by Gaussian Mixtures, 1996 (a mixture for each class).
    [4] Schwarz, Estimating the Dimension of a Model, 1978 (BIC).
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
from genlab.nn.gaussians import GaussianClasses
from genlab.nn.mixture import Mixture, assign_to_centres, expect, maximise

CARD = Card(
    title="Gaussian mixture",
    family="density",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.5",
    year=2023,
    link="https://en.wikipedia.org/wiki/EM_algorithm_and_GMM_model",
    summary=(
        "One bell for each way of writing a digit. EM guesses which bell made which image (E-step), then moves "
        "every bell to the images it is held responsible for (M-step), again and again; each round makes the "
        "images more likely. With labels every class has a mixture of its own, and so it classifies as well."
    ),
    equations=(
        Equation("Density", r"p(x)=\sum_k\pi_k\,\mathcal N(x;\mu_k,\Sigma_k)", "[2] (9.7)"),
        Equation("E-step: responsibilities", r"\gamma_k(x)=\frac{\pi_k\,\mathcal N(x;\mu_k,\Sigma_k)}{\sum_j\pi_j\,\mathcal N(x;\mu_j,\Sigma_j)}", "[1] 3.5, [2] (9.23)"),
        Equation("M-step", r"\pi_k=\frac{N_k}{N},\quad\mu_k=\frac1{N_k}\sum_n\gamma_{nk}x_n,\quad\Sigma_k=\frac1{N_k}\sum_n\gamma_{nk}(x_n-\mu_k)(x_n-\mu_k)^{\!\top}", "[2] (9.24)-(9.26)"),
        Equation("Outside the components", r"\log p(x)=\log p(z)-\frac{\lVert x-\bar x-Bz\rVert^2}{2\sigma^2}-\frac{V-d}{2}\log 2\pi\sigma^2,\quad z=B^{\!\top}(x-\bar x)", "[2] 12.2"),
        Equation("Missing pixels", r"\mathbb{E}[x_M\mid x_K]=\sum_k\gamma_k(x_K)\bigl(\mu_{k,M}+\Sigma_{k,MK}\Sigma_{k,KK}^{-1}(x_K-\mu_{k,K})\bigr)", "[2] (2.81)"),
        Equation("Choice of K", r"\mathrm{BIC}=-2\log L+m\log N", "[4]"),
    ),
    departures=(
        "The seed's M-step prints a mean of X_n × X_n and a covariance about μ_n and μ_m; here are the means and covariances that maximise the likelihood.",
        "Principal components first (a choice), with one variance for every direction left out, so that log p(x) stays a density over all pixels.",
        "A small variance is added to every covariance, without which a component may shrink onto one image; a large one can make the curve dip.",
        "Samples leave out the grain of the directions outside the components, and are cut off at 0 and 1.",
        "With labels the components of an image's own class alone are responsible for it, so EM minimises −log p(x, class).",
    ),
    scalars={
        "loss": Scalar("what EM minimises: −log p(x), or −log p(x, class) with a mixture for each class; nats an image"),
        "log_likelihood": Scalar("log p(x) of the training images, nats an image", "higher"),
        "components": Scalar("components in use in each mixture", "neither"),
        "accuracy": Scalar("fraction of training images whose most probable class is theirs", "higher"),
    },
    presets={
        "quick": {"epochs": 15},
        "default": {"epochs": 50},
        "paper": {"epochs": 100, "components": 10, "by_class": False, "pca": 0, "covariance": "diagonal"},
    },
)  # fmt: skip


class GMMParameters(Parameters):
    """Mixture, space and stopping rule."""

    components: int = parameter(
        5, "Components of each mixture (the most, where BIC chooses).", minimum=1, maximum=500, symbol="K"
    )
    covariance: Literal["full", "diagonal", "spherical", "tied"] = parameter(
        "full", "Shape of a component; tied components all share one."
    )
    pca: int = parameter(
        50, "Principal components to work in; 0 works on the pixels.", minimum=0, maximum=1000, symbol="d"
    )
    by_class: bool = parameter(True, "A mixture for each class, where there are labels.")
    select_by_bic: bool = parameter(False, "Try 1 to K components and keep the number with the lowest BIC.")
    start: Literal["far_apart", "random"] = parameter(
        "far_apart", "First centres: images far apart as in k-means++, or any images.", advanced=True
    )
    regularisation: float = parameter(
        0.03, "Variance added to every component in every direction.", minimum=1e-9, maximum=10, log=True
    )
    tolerance: float = parameter(1e-3, "Stop when an iteration gains fewer nats an image than this.", minimum=0, maximum=10, advanced=True)  # fmt: skip


@register("gmm", CARD)
class GMM(GaussianClasses, Fits):
    """Mixtures of Gaussians by EM; a density over pixels in [0, 1]."""

    Parameters = GMMParameters
    gain: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: GMMParameters) -> None:
        p = parameters
        super().__init__(
            shape, classes if p.by_class else 0, p,
            components=p.components, kind=p.covariance, pca=p.pca, title=CARD.title,
        )  # fmt: skip
        self.p = p
        self.register_buffer("gain", torch.tensor(math.inf, dtype=torch.float64))

    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """EM from a fresh start, or on from the present components; stops when it gains no more."""
        labels = self.fit_prior(batch)
        if not start:
            self.space.fit(batch.images)
        z, outside = self.space.project(batch.images)
        own = self._class_of_component() == labels[:, None]
        if not start:
            self.keep(self._first_mixture(z, own, iterations))
            self.gain.fill_(math.inf)
        if self.gain < self.p.tolerance:
            return
        ascent = self._ascend(self.mixture, z, own)
        for _, (mixture, logs, objective, gain) in zip(range(start, iterations), ascent, strict=False):
            self.keep(mixture)
            self.gain.fill_(gain)
            yield self._scalars(logs, outside, objective, labels)
            if gain < self.p.tolerance:
                return

    def validation_step(self, batch: Batch) -> dict[str, Tensor]:
        """The same scalars of held-out images, but for the number of components."""
        z, outside = self.space.project(batch.images)
        labels, logs = self.labels_of(batch), self.mixture.log_components(z)
        _, objective = expect(logs, self._class_of_component() == labels[:, None])
        told = self._scalars(logs, outside, objective, labels)
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in told.items() if name != "components"}

    def responsibilities(self, images: Tensor) -> Tensor:
        """p(component | x), (N, groups x components): the E-step, with no label known."""
        return self.mixture.log_components(self.space.project(images)[0]).softmax(1)

    def _first_mixture(self, z: Tensor, own: Tensor, iterations: int) -> Mixture:
        """Where EM starts: K components, or the K of the lowest BIC among trial fits of 1 to K."""
        if not self.p.select_by_bic:
            return self._start(z, own, self.p.components)
        starts = [self._start(z, own, count) for count in range(1, self.p.components + 1)]
        return min(starts, key=lambda start: self._bic(start, z, own, iterations))

    def _start(self, z: Tensor, own: Tensor, count: int) -> Mixture:
        """A first M-step, from every image belonging to the nearest of `count` centres of its class."""
        shared = torch.zeros_like(own, dtype=z.dtype).view(len(z), self.groups, -1)
        member = own.view_as(shared)[:, :, 0]
        for group in member.any(0).nonzero()[:, 0].tolist():
            rows = member[:, group].nonzero()[:, 0]
            nearest = assign_to_centres(z[rows], count, far_apart=self.p.start == "far_apart")
            shared[rows, group, nearest] = 1
        return maximise(z, shared.flatten(1), self.p.covariance, self.p.regularisation)

    def _bic(self, start: Mixture, z: Tensor, own: Tensor, iterations: int) -> float:
        """BIC = −2 log L + m log N of a trial fit from `start`."""
        bic = math.inf
        for _, (mixture, _, objective, gain) in zip(range(iterations), self._ascend(start, z, own), strict=False):
            numbers = mixture.free_parameters(self.p.covariance)
            bic = -2 * objective * len(z) + numbers * math.log(len(z))
            if gain < self.p.tolerance:
                break
        return bic

    def _ascend(self, mixture: Mixture, z: Tensor, own: Tensor) -> Iterator[tuple[Mixture, Tensor, float, float]]:
        """EM without end: after each round the mixture, its `log_components`, its log-likelihood and the gain."""
        shared, objective = expect(mixture.log_components(z), own)
        while True:
            mixture = maximise(z, shared, self.p.covariance, self.p.regularisation)
            logs = mixture.log_components(z)
            before, (shared, objective) = objective, expect(logs, own)
            yield mixture, logs, objective, objective - before

    def _scalars(self, logs: Tensor, outside: Tensor, objective: float, labels: Tensor) -> dict[str, float]:
        joint = self.by_group(logs)
        rest = outside.mean().item()
        scalars = {
            "loss": -(objective + rest),
            "log_likelihood": joint.logsumexp(1).mean().item() + rest,
            "components": float((~self.log_weights.isneginf()).sum()) / self.groups,
        }
        if self.classes:
            scalars["accuracy"] = (joint.argmax(1) == labels).double().mean().item()
        return scalars

    def _class_of_component(self) -> Tensor:
        return torch.arange(self.groups, device=self.means.device).repeat_interleave(self.p.components)
