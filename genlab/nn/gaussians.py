"""Classes that are Gaussians, one or several each, over the principal components of images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.core.errors import BadInputError
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape
from genlab.nn.completion import complete
from genlab.nn.density import ClassConditional, draw_categories
from genlab.nn.mixture import Mixture
from genlab.nn.principal import PrincipalSpace

LARGEST = 2**30  # bytes that covariances may take


class GaussianClasses(ClassConditional):
    """Base of models that are p(x, c) = Σ_k w_k N(z; μ_k, Σ_k) over the components k of class c.

    `components` is their number in each class, `kind` the shape of a covariance and `pca` the number of principal
    axes, 0 for the pixels themselves. Subclasses fit `log_weights`, which are joint, `means` and `covariances`.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(
        self, shape: Shape, classes: int, parameters: Parameters, *, components: int, kind: str, pca: int, title: str
    ) -> None:
        super().__init__(shape, classes, parameters)
        self.space = PrincipalSpace(self.shape.values, pca)
        self.components = components
        count, dimensions = self.groups * components, self.space.dimensions
        covariances = _covariances(kind, count, dimensions, title)
        double = torch.float64
        self.register_buffer("log_weights", torch.full((count,), -math.log(count), dtype=double))
        self.register_buffer("means", torch.zeros(count, dimensions, dtype=double))
        self.register_buffer("covariances", covariances)

    @property
    def mixture(self) -> Mixture:
        """All components of all classes; their weights are joint, π_c w_k|c, and add up to one."""
        rank = int(self.space.rank)
        covariances = self.covariances[..., :rank]
        if covariances.ndim == 3:
            covariances = covariances[:, :rank]
        return Mixture(self.log_weights, self.means[:, :rank], covariances)

    def keep(self, mixture: Mixture) -> None:
        """Take over what was fitted."""
        for kept, new in zip(self.mixture, mixture, strict=True):  # views of the buffers
            kept.copy_(new)

    def log_joint(self, images: Tensor) -> Tensor:
        """The joint log π_c + log p(x|c), (N, groups) nats, over all pixels."""
        z, outside = self.space.project(images)
        return self.by_group(self.mixture.log_components(z)) + outside[:, None]

    def by_group(self, logs: Tensor) -> Tensor:
        """Components (N, groups x components) summed within their class, (N, groups) nats."""
        return logs.view(len(logs), self.groups, -1).logsumexp(2)

    def draw(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Draw a component of each class and a point of it; the temperature scales the spread about its mean."""
        weights = self.log_weights.view(self.groups, -1).softmax(1).nan_to_num()
        components = labels * self.components + draw_categories(weights, labels, generator)
        x = self.mixture.draw(components, temperature, generator)
        return self.space.restore(x).clamp(0, 1).view(-1, *self.shape).to(torch.get_default_dtype())

    def expect(self, images: Tensor, known: Tensor) -> Tensor:
        """Σ_k p(k|known pixels) E[x|k, known pixels], (N, values)."""
        return complete(self.mixture, self.space, images, known)


def _covariances(kind: str, count: int, dimensions: int, title: str) -> Tensor:
    """Unit covariances of a kind; refuses those that would not fit into memory."""
    double = torch.float64
    if kind in ("diagonal", "spherical"):
        return torch.ones(count, dimensions, dtype=double)
    matrices = 1 if kind == "tied" else count
    if matrices * dimensions**2 * 8 > LARGEST:
        raise BadInputError(
            f"{title} takes {kind} covariances of at most {LARGEST / 2**30:.0f} GiB, and {matrices} of "
            f"{dimensions} dimensions are more; set pca to 50."
        )
    return torch.eye(dimensions, dtype=double).repeat(matrices, 1, 1)
