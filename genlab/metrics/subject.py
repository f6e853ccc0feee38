"""What metrics measure: a trained model and images, with everything that several metrics share computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.metrics.features import Features, View


class Subject:
    """A model in evaluation mode, held-out `images` (N, C, H, W) in [0, 1] with their `labels` (N,) or None and the
    `factors` (N,) each that they were generated from, if any, and some `training` images for baselines; `seed` fixes
    every draw. `classifier` gives features that a network learned from the labels of the model's training images; `library`
    all training images in chunks, as float32 (by default `training`); `features` names the feature space to measure in.
    """

    def __init__(
        self,
        model: Model,
        images: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        factors: Mapping[str, np.ndarray] | None = None,
        training: np.ndarray | None = None,
        seed: int = 0,
        classifier: Callable[[], Features] | None = None,
        library: Callable[[], Iterable[np.ndarray]] | None = None,
        features: str | None = None,
    ) -> None:
        if not len(images):
            raise BadInputError("There are no images to measure on; choose a set with at least one.")
        self.model: Any = model
        self.images = images
        self.labels = labels
        self.factors = factors or {}
        self.training = images if training is None or not len(training) else training
        self.seed = seed
        self.classifier = classifier
        self.library = library or (lambda: [self.training])
        self.features = features
        self.weighted: dict[int, np.ndarray] = {}  # bounds of some images by how many weighted codes they took

    @cached_property
    def capabilities(self) -> tuple[str, ...]:
        """What the model can do."""
        from genlab.core.capabilities import capabilities

        return capabilities(type(self.model))

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior means and log-variances (N, D) of the images."""
        from genlab.nn.inference import posterior

        return posterior(self.model, self.images)

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Unit vectors (N, D) of the images."""
        from genlab.nn.inference import through

        return through(self.model, self.model.embed, self.images)

    @property
    def identities(self) -> np.ndarray:
        """Numbers (N,) of what each image shows: the factor "identity" where it is known, else the label."""
        return np.asarray(self.factors.get("identity", self.labels))

    @cached_property
    def reconstructions(self) -> np.ndarray:
        """The images from their mean codes."""
        from genlab.nn.inference import through

        return through(self.model, self.model.decode, self.codes[0])

    @cached_property
    def bounds(self) -> np.ndarray:
        """The evidence lower bound of each image (N,) in nats."""
        from genlab.nn.inference import bounds

        return bounds(self.model, self.images, self.seed)

    @cached_property
    def log_likelihoods(self) -> np.ndarray:
        """The exact log-likelihood of each image (N,) in nats."""
        from genlab.nn.inference import through

        return through(self.model, self.model.log_likelihood, self.images)

    def samples(self, count: int) -> np.ndarray:
        """The first `count` of the model's samples for this seed."""
        from genlab.nn.inference import samples

        if count > len(self._samples):
            self._samples = samples(self.model, count, self.seed)
        return self._samples[:count]

    @cached_property
    def spaces(self) -> list[Features]:
        """The feature spaces to measure in, the one that was asked for first, else the best one."""
        from genlab.metrics.features import feature_spaces

        return feature_spaces(self.training, self.classifier, self.features)

    @cached_property
    def views(self) -> list[View]:
        """Images, as many samples, and stand-ins for samples in every feature space, the first one first."""
        from genlab.metrics.features import view

        drawn = self.samples(len(self.images))
        return [view(space, self.images, drawn, self.training, self.seed) for space in self.spaces]

    _samples = np.empty((0, 1, 1, 1), dtype=np.float32)
