"""Generative classifiers: one density of the image for each class, weighed by how often the class occurs.

p(x) = Σ_c π_c p(x|c): without labels there is a single class, and p(x) is its density.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.capabilities import Classifies, Imputes, Samples, SamplesByLabel, Scores
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape

BLOCK = 2**22  # numbers that one block of a computation may hold


class ClassConditional(Model, Scores, Samples, SamplesByLabel, Classifies, Imputes):
    """Base of models that are p(c) and p(x|c); everything fitted is a buffer, float64 where it is a number.

    Subclasses give `log_joint`, `draw` and `expect`. `groups` is the number of classes, or 1 without labels.
    """

    log_prior: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: Parameters) -> None:
        super().__init__(shape, classes, parameters)
        self.groups = max(1, classes)
        prior = torch.full((self.groups,), -math.log(self.groups), dtype=torch.float64)
        self.register_buffer("log_prior", prior)

    @abstractmethod
    def log_joint(self, images: Tensor) -> Tensor:
        """The joint log π_c + log p(x|c), (N, groups) nats."""

    @abstractmethod
    def draw(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        """One image for each class in `labels` (N,), as (N, C, H, W)."""

    @abstractmethod
    def expect(self, images: Tensor, known: Tensor) -> Tensor:
        """Σ_c p(c|known pixels) E[x|c, known pixels], (N, values); what stands at unknown pixels is never looked at."""

    def impute(self, images: Tensor, known: Tensor) -> Tensor:
        """Each missing pixel becomes its expectation given the known ones, kept in [0, 1]; NaN pixels are missing too."""
        known = known & ~images.isnan()
        expected = self.expect(images.nan_to_num(), known).clamp(0, 1)
        return torch.where(known, images, expected.view_as(images).to(images.dtype))

    def log_likelihood(self, images: Tensor) -> Tensor:
        """The marginal log p(x) = log Σ_c π_c p(x|c), (N,) nats."""
        return self.log_joint(images).logsumexp(1)

    def classify(self, images: Tensor) -> Tensor:
        """The posterior log p(c|x) by Bayes' rule, (N, classes); raises `BadInputError` when there are no classes."""
        self._need_classes()
        return self.log_joint(images).log_softmax(1)

    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw a class from the prior, then an image of it; the temperature acts on the image alone."""
        first_row = torch.zeros(count, dtype=torch.long, device=self.log_prior.device)
        labels = draw_categories(self.log_prior.exp()[None], first_row, generator)
        return self.draw(labels, temperature, generator)

    def sample_labels(
        self, labels: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one image of each class; raises `BadInputError` for a class that was never seen."""
        self._need_classes()
        labels = labels.to(self.log_prior.device)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise BadInputError(f"Labels must be from 0 to {self.classes - 1}.")
        unseen = labels[self.log_prior[labels].isneginf()]
        if len(unseen):
            raise BadInputError(
                f"Class {int(unseen[0])} had no training images, so there is nothing to draw; choose another class."
            )
        return self.draw(labels, temperature, generator)

    def fit_prior(self, batch: Batch) -> Tensor:
        """Set π_c = N_c / N and return the class of each image, (N,): all 0 where there are no labels."""
        labels = self.labels_of(batch)
        counts = torch.bincount(labels, minlength=self.groups).to(self.log_prior)
        self.log_prior.copy_((counts / len(labels)).log())
        return labels

    def labels_of(self, batch: Batch) -> Tensor:
        """The class of each image, (N,): all 0 where there are no labels."""
        if batch.labels is None or not self.classes:
            return torch.zeros(len(batch.images), dtype=torch.long, device=batch.images.device)
        return batch.labels

    def validation_step(self, batch: Batch) -> dict[str, Tensor]:
        """`loss` and `accuracy` on held-out images."""
        told = self.summary(batch.images, self.labels_of(batch))
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in told.items()}

    def summary(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """`loss` (mean −log p(x), nats) and, where there are several classes, `accuracy` on these images."""
        joint = self.log_joint(images)
        scalars = {"loss": -joint.logsumexp(1).mean().item()}
        if self.classes:
            scalars["accuracy"] = (joint.argmax(1) == labels).double().mean().item()
        return scalars

    def _need_classes(self) -> None:
        if not self.classes:
            raise BadInputError(
                "This model was fitted without labels, so it knows no classes; fit it on a labelled image set."
            )


def quantise(images: Tensor, levels: int) -> Tensor:
    """The level of each value, (N, values) whole numbers from 0 to `levels` − 1; NaN is level 0.

    >>> quantise(torch.tensor([[0.0, 0.49, 0.5, 1.0]]), 2).tolist()
    [[0, 0, 1, 1]]
    """
    return (images.flatten(1).nan_to_num() * levels).floor().clamp(0, levels - 1).long()


def in_blocks(function: Callable[[Tensor], Tensor], rows: Tensor, numbers_a_row: int) -> Tensor:
    """`function(rows)`, computed on blocks of rows so that memory stays bounded.

    >>> in_blocks(lambda block: 2 * block, torch.arange(3), numbers_a_row=BLOCK)
    tensor([0, 2, 4])
    """
    size = max(1, BLOCK // numbers_a_row)
    return torch.cat([function(block) for block in rows.split(size)])


def draw_categories(probabilities: Tensor, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw one category for each entry of `rows`, from that row of `probabilities` (R, L); any shape of rows.

    All cumulative distributions stand in one sorted list, row r between r and r + 1, so that a
    single search inverts them all.

    >>> certain = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> draw_categories(certain, torch.tensor([1, 0, 1]))
    tensor([2, 0, 2])
    """
    levels = probabilities.shape[1]
    cumulated = probabilities.double().cumsum(1)
    cumulated = cumulated / cumulated[:, -1:] + torch.arange(len(probabilities), device=rows.device)[:, None]
    uniform = torch.rand(
        rows.shape,
        generator=generator,
        dtype=torch.float64,
        device=rows.device if generator is None else generator.device,
    )
    found = torch.searchsorted(cumulated.flatten(), rows + uniform.to(rows.device), right=True)
    # rounding can carry r + u to r + 1, one row too far
    return (found - rows * levels).clamp(max=levels - 1)
