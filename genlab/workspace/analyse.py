"""Looking at a run's latent space and measuring it: statistics, projections, neighbours, likelihoods, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.neighbours import nearest
from genlab.latent.project import among, project
from genlab.nn.inference import bounds, through
from genlab.nn.usage import kl
from genlab.workspace.codes import encode_indices, read, split_codes, split_indices, split_statistics
from genlab.workspace.inputs import pixels_for
from genlab.workspace.results import Encoded, LatentStatistics, Likelihoods, Neighbours, Projection

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.data.imageset import ImageSet
    from genlab.metrics import Measurement
    from genlab.metrics.features import Features
    from genlab.runs.config import RunConfig

Progress = Callable[[float, str], None]
CLASSIFIED = 10_000  # images that a classifier learns from, at most
CHUNK = 2048  # training images read at a time

INSTEAD = {
    "samples": "a VAE, a GAN or a naive Bayes",
    "samples_by_label": "a model that was trained with labels, such as naive Bayes",
    "encodes": "a model with an encoder, such as a VAE",
    "encodes_normal": "a model whose codes have a variance, such as a VAE",
    "embeds": "a model that learned which images show the same, such as recognition",
    "decodes": "a model with a decoder, such as a VAE or a GAN",
    "has_prior": "a model with a prior over codes, such as a VAE or a GAN",
    "scores": "a model with an exact likelihood, such as naive Bayes",
    "bounds": "a model with a likelihood or a bound of it, such as a VAE or naive Bayes",
    "classifies": "a model that gives a posterior over classes, such as naive Bayes",
    "imputes": "a model of whole images, such as a Gaussian mixture or naive Bayes",
    "mixes_styles": "a model that decodes level by level, such as a StyleGAN",
    "translates": "a model that learned from two image sets, such as a CycleGAN",
}


class Analyse:
    """The measuring part of `Explore`."""

    if TYPE_CHECKING:
        lab: Any
        directory: Path
        shipped: bool

        def model(self, step: int | None = None) -> Model:
            """The run's model."""
            ...

        def can(self, *capabilities: str | tuple[str, ...]) -> bool:
            """Whether the run's model can do all of these; of those in a tuple, one."""
            ...

        def codes(self, points: Any) -> np.ndarray:
            """Codes of images, codes or seeds."""
            ...

        @property
        def title(self) -> str:
            """What captions call the run."""
            ...

        @property
        def config(self) -> RunConfig:
            """What the run was made with."""
            ...

        @property
        def images(self) -> ImageSet:
            """What the run was trained on."""
            ...

        @property
        def second(self) -> ImageSet | None:
            """The second set, where it was trained on two."""
            ...

    def encoded(self, split: str = "train") -> tuple[np.ndarray, Encoded]:
        """Indices and codes of a whole split ("train", "validation" or "all"), computed once."""
        self._need("turn images into codes", "encodes")
        return split_indices(self.images, split), split_codes(self.model(), self.images, split, self._cache())

    def latent_statistics(self, split: str = "train") -> LatentStatistics:
        """Mean, variance, KL per dimension and active units over a split."""
        self._need("turn images into codes", "encodes")
        return split_statistics(self.model(), self.images, split, self._cache())

    def project(
        self,
        method: str = "pca",
        *,
        dimensions: int = 2,
        limit: int = 2000,
        split: str = "train",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Projection:
        """Posterior means of up to `limit` images laid out by "pca", "tsne" or "umap" in 2 or 3 dimensions."""
        self._need("place images in a latent space", "encodes")
        images = self.images
        indices = split_indices(images, split)
        if len(indices) > limit:
            indices = np.sort(np.random.default_rng(seed).choice(indices, limit, replace=False))
        codes = encode_indices(self.model(), images, indices)
        layout = project(codes.mean, method, dimensions, seed=seed, progress=progress)
        name = {"pca": "principal axis", "tsne": "t-SNE", "umap": "UMAP"}[method]
        titles = [f"{name} {number}" for number in range(1, dimensions + 1)]
        if layout.pca is not None:
            titles = [
                f"{title} ({share:.0%} of variance)"
                for title, share in zip(titles, [*layout.pca.explained, 0, 0], strict=False)
            ]
        return Projection(
            layout.points,
            indices,
            None if images.labels is None else np.asarray(images.labels[indices]),
            {**_scalars(images, indices, codes), **{key: value[indices] for key, value in images.factors.items()}},
            tuple(titles),
            method,
            codes.mean,
            layout,
        )

    def place(self, projection: Projection, points: Any) -> np.ndarray:
        """Where images or codes (M) lie in a projection (M, 2 or 3): exactly for PCA, by UMAP's own transformation, and
        for t-SNE, which has none, at the weighted mean of the nearest neighbours' places.
        """
        return among(projection.layout, projection.codes, self.codes(points))

    def neighbours(self, points: Any, *, count: int = 8, split: str = "train") -> Neighbours:
        """The images of the run's set whose codes lie nearest to images or codes."""
        indices, codes = self.encoded(split)
        rows, distances = nearest(codes.mean, self.codes(points), count)
        return Neighbours(indices[rows], distances)

    def likelihoods(self, images: Any = None, *, limit: int = 1000, seed: int = 0) -> Likelihoods:
        """The log p(x) of images (default: validation images) in nats: exact, or its lower bound with one draw each."""
        self._need("score images", "scores" if self.can("scores") else "bounds")
        model: Any = self.model()
        if images is None:
            images = read(self.images, some_of(held_out(self.images), limit, seed))
        array = pixels_for(model, images, self.title)
        if self.can("scores"):
            return Likelihoods(through(model, model.log_likelihood, array), "exact", model.pixel_measure)
        return Likelihoods(bounds(model, array, seed), "bound", model.pixel_measure)

    def evaluate(
        self,
        metrics: Sequence[str] | None = None,
        *,
        against: Any = None,
        limit: int = 1000,
        seed: int = 0,
        lenient: bool = False,
        features: str | None = None,
    ) -> dict[str, Measurement]:
        """Metrics by name (default: all that apply), on up to `limit` validation images or images of `against`.

        `against` is an image set, or the name or path of one. `lenient` leaves out named metrics that do not
        apply, where a `BadInputError` would say why. `features` names the feature space that samples are compared in:
        "small classifier" (the default where there are labels), "pixels-PCA" or "EfficientNet-Lite0".
        """
        from genlab.metrics import Subject, evaluate

        images = self.images if against is None else self._image_set(against)
        indices = held_out(images) if against is None else np.arange(images.count)
        indices = some_of(indices, limit, seed)
        training = some_of(np.sort(self.images.splits["train"]), limit, seed) if against is None else indices
        subject = Subject(
            self.model(),
            pixels_for(self.model(), read(images, indices), self.title),
            labels=None if images.labels is None else np.asarray(images.labels[indices]),
            factors={name: values[indices] for name, values in images.factors.items()},
            training=read(images, training),
            seed=seed,
            classifier=self.classifier(),
            library=self._library,
            features=features,
        )
        return evaluate(subject, metrics, title=self.title, lenient=lenient)

    def _library(self) -> Iterator[np.ndarray]:
        """All training images, some at a time."""
        indices = split_indices(self.images, "train")
        return (read(self.images, indices[start : start + CHUNK]) for start in range(0, len(indices), CHUNK))

    def classifier(self) -> Callable[[], Features] | None:
        """Features of a small classifier of the run's images, kept under their hash; None where they have no classes."""
        images, labels, classes = self.images, self.images.labels, len(self.images.class_names)
        if labels is None or classes < 2:
            return None

        def features() -> Features:
            from genlab.metrics.features import classifier_features

            def labelled() -> tuple[np.ndarray, np.ndarray]:
                chosen = some_of(np.sort(images.splits["train"]), CLASSIFIED, 0)
                return np.asarray(images.images[chosen]), np.asarray(labels[chosen])

            folder = Path(self.lab.root) / "features" / images.hash
            return classifier_features(labelled, images.shape.channels, classes, folder)

        return features

    def _cache(self) -> Path | None:
        return None if self.shipped else Path(self.directory) / "artefacts" / "cache"

    def _image_set(self, against: Any) -> ImageSet:
        """An image set as it is, or by its name or path in the run's laboratory."""
        if hasattr(against, "splits"):
            return against
        return self.lab.datasets.resolve(against)

    def _need(self, purpose: str, *capabilities: str) -> None:
        """Refuse politely what the run's model cannot do."""
        for capability in capabilities:
            if not self.can(capability):
                raise BadInputError(f"{self.title} cannot {purpose}; pick {INSTEAD[capability]}.")


def held_out(images: ImageSet) -> np.ndarray:
    """The validation images; where there are none, the training images."""
    indices = np.sort(images.splits["validation"])
    return indices if len(indices) else split_indices(images, "train")


def some_of(indices: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """At most `limit` of ascending indices, drawn with a seed and ascending again."""
    return (
        indices if len(indices) <= limit else np.sort(np.random.default_rng(seed).choice(indices, limit, replace=False))
    )


def _scalars(images: ImageSet, indices: np.ndarray, codes: Encoded) -> dict[str, np.ndarray]:
    """Numbers of each image to colour points by."""
    scalars = {"code norm": np.linalg.norm(codes.mean, axis=1), "brightness": read(images, indices).mean((1, 2, 3))}
    if codes.log_var is not None:
        scalars["KL / nats"] = kl(codes.mean, codes.log_var).sum(1)
    return scalars
