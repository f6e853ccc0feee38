"""Gaussian discriminant analysis: each class is one Gaussian, with a covariance of its own or one that all share.

p(x) = Σ_c π_c N(x; μ_c, Σ_c), in the space of the principal components or of the pixels themselves.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.4.
    [2] Bishop, Pattern Recognition and Machine Learning, 2006, sections 4.2 (class densities) and 12.2 (noise).
    [3] Friedman, Regularized Discriminant Analysis, 1989 (shrinkage).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.core.batch import Batch
from genlab.core.capabilities import Fits
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.gaussians import GaussianClasses
from genlab.nn.mixture import maximise

CARD = Card(
    title="Gaussian discriminant analysis",
    family="density",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.4",
    year=2023,
    link="https://doi.org/10.1080/01621459.1989.10478752",
    summary=(
        "One bell for each class, which knows how pixels vary together. Where all classes share one covariance, the "
        "border between two of them is a plane and the posterior a sigmoid, as in logistic regression; where each "
        "has its own, the border bends. Missing pixels follow from the known ones by a line fitted in closed form."
    ),
    equations=(
        Equation("Prior and mean", r"\hat\pi_c=\frac{N_c}{N},\quad\hat\mu_c=\frac1{N_c}\sum_{i:\,y_i=c}x_i", "[1] 3.4"),
        Equation("Shared covariance", r"\hat\Sigma=\frac1N\sum_i(x_i-\hat\mu_{y_i})(x_i-\hat\mu_{y_i})^{\!\top}", "[1] 3.4"),
        Equation("Covariance of a class", r"\hat\Sigma_c=\frac1{N_c}\sum_{i:\,y_i=c}(x_i-\hat\mu_c)(x_i-\hat\mu_c)^{\!\top}", "[1] 3.4"),
        Equation("Shrinkage", r"\Sigma\leftarrow(1-s)\,\Sigma+s\,\frac{\operatorname{tr}\Sigma}{d}\,I", "[3] (18)"),
        Equation("The posterior is a sigmoid", r"p(a\mid x)=\sigma\Bigl(\log\tfrac{\pi_a\,\mathcal N(x;\mu_a,\Sigma_a)}{\pi_b\,\mathcal N(x;\mu_b,\Sigma_b)}\Bigr)=\sigma(w^{\!\top}x+w_0)\ \text{if}\ \Sigma_a=\Sigma_b", "[1] 3.4.1, [2] (4.57), (4.65)"),
        Equation("The line", r"w=\Sigma^{-1}(\mu_a-\mu_b),\quad w_0=\tfrac12\mu_b^{\!\top}\Sigma^{-1}\mu_b-\tfrac12\mu_a^{\!\top}\Sigma^{-1}\mu_a+\log\tfrac{\pi_a}{\pi_b}", "[2] (4.66)-(4.67)"),
        Equation("Missing pixels", r"\mathbb{E}[x_M\mid x_K,c]=\mu_{c,M}+\Sigma_{c,MK}\Sigma_{c,KK}^{-1}(x_K-\mu_{c,K})", "[2] (2.81)"),
    ),
    departures=(
        "The seed divides the scatter of one class by the number of all images; here a class's own covariance is divided by its own count.",
        "The seed holds that all classes share one covariance; that is a choice, and a covariance for each class the default.",
        "Principal components first (a choice), with one variance for every direction left out, so that log p(x) stays a density over all pixels.",
        "Covariances are shrunk towards a multiple of the identity, without which pixels that never vary allow no inverse.",
        "Samples leave out the grain of the directions outside the components, and are cut off at 0 and 1, as are filled-in pixels.",
    ),
    scalars={
        "loss": Scalar("−log p(x) of the training images, nats an image (a density, so it may be negative)"),
        "accuracy": Scalar("fraction of training images whose most probable class is theirs", "higher"),
    },
    presets={"quick": {}, "default": {}, "paper": {"covariance": "shared", "shrinkage": 0.0}},
)  # fmt: skip
FLOOR = 1e-9  # variance below which no direction falls, whatever the images


class GDAParameters(Parameters):
    """Whose covariance, how much of it is trusted, and in which space."""

    covariance: Literal["per_class", "shared"] = parameter(
        "per_class", "A covariance for each class (borders bend), or one for all (borders are planes)."
    )
    shrinkage: float = parameter(0.1, "How far covariances are drawn towards a sphere: 0 not at all, 1 wholly.", minimum=0, maximum=1, symbol="s")  # fmt: skip
    pca: int = parameter(50, "Principal components to work in; 0 works on the pixels.", minimum=0, maximum=1000, symbol="d")  # fmt: skip


@register("gda", CARD)
class GDA(GaussianClasses, Fits):
    """A Gaussian for each class; a density over pixels in [0, 1]."""

    Parameters = GDAParameters

    def __init__(self, shape: Shape, classes: int, parameters: GDAParameters) -> None:
        kind = "tied" if parameters.covariance == "shared" else "full"
        super().__init__(shape, classes, parameters, components=1, kind=kind, pca=parameters.pca, title=CARD.title)
        self.kind, self.shrinkage = kind, parameters.shrinkage

    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """Priors, means and covariances in closed form, so there is one iteration."""
        if start:
            return
        labels = self.fit_prior(batch)
        self.space.fit(batch.images)
        z, _ = self.space.project(batch.images)
        fitted = maximise(z, F.one_hot(labels, self.groups).to(z), self.kind, FLOOR)
        self.keep(fitted._replace(covariances=shrunk(fitted.covariances, self.shrinkage)))
        yield self.summary(batch.images, labels)


def shrunk(covariances: Tensor, share: float) -> Tensor:
    """(1 − s) Σ + s tr(Σ)/d I for matrices (…, d, d).

    >>> shrunk(torch.tensor([[3.0, 1.0], [1.0, 1.0]]), 0.5).tolist()
    [[2.5, 0.5], [0.5, 1.5]]
    """
    size = covariances.shape[-1]
    level = covariances.diagonal(dim1=-2, dim2=-1).mean(-1)
    sphere = torch.eye(size, dtype=covariances.dtype, device=covariances.device) * level[..., None, None]
    return (1 - share) * covariances + share * sphere
