"""What a run finds probable: sets of images beside each other, missing pixels, classes and the border between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from genlab.core.errors import BadInputError
from genlab.figures.images import Images
from genlab.nn.inference import through
from genlab.workspace.analyse import Analyse, held_out, some_of
from genlab.workspace.codes import read
from genlab.workspace.inputs import pixels_for
from genlab.workspace.results import Anomaly, Boundary, Completion, Confusion, ScoredSets

if TYPE_CHECKING:
    from genlab.core.model import Model

Part = Literal["left", "right", "top", "bottom", "centre", "random"]
REFIT = 3000  # training images that a refit in the plane is given
MARGIN = 0.08  # of the plane beyond the outermost point


def known_pixels(shape: tuple[int, int, int], part: str, share: float = 0.5, seed: int = 0) -> np.ndarray:
    """Where pixels stay known, (C, H, W): `part` is hidden, a `share` of the height, the width, or of all pixels.

    All channels of a pixel go together; "centre" is a rectangle of that share of the area.

    >>> known_pixels((1, 1, 4), "left").astype(int).tolist()
    [[[0, 0, 1, 1]]]
    """
    if part not in get_args(Part):
        raise BadInputError(f"The part to hide is one of {', '.join(get_args(Part))}, and {part!r} is not.")
    if not 0 < share < 1:
        raise BadInputError(f"The share to hide lies between 0 and 1, and {share:g} does not.")
    _, height, width = shape
    rows, columns = np.mgrid[:height, :width]
    if part == "random":
        rank = np.random.default_rng(seed).permutation(height * width).reshape(height, width)
        hidden = rank < max(1, round(share * height * width))
    elif part == "centre":
        sides = [max(1, min(size - 1, round(np.sqrt(share) * size))) for size in (height, width)]
        top, beside = ((size - side) // 2 for size, side in zip((height, width), sides, strict=True))
        hidden = (rows >= top) & (rows < top + sides[0]) & (columns >= beside) & (columns < beside + sides[1])
    else:
        along, size = (columns, width) if part in ("left", "right") else (rows, height)
        depth = min(size - 1, max(1, round(share * size)))
        hidden = along < depth if part in ("left", "top") else along >= size - depth
    return np.broadcast_to(~hidden, shape).copy()


def share_below(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Share of `reference` that is lower than each value; ties are not lower.

    >>> share_below(np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    return np.searchsorted(np.sort(reference), values, side="left") / len(reference)


class Probable(Analyse):
    """Mix-in of `Run`: likelihoods of sets, anomaly scores, missing pixels and classes."""

    def likelihood_sets(self, against: Any = None, *, limit: int = 500, seed: int = 0) -> ScoredSets:
        """The log p(x) of up to `limit` training images, held-out images and images of the set `against`, in nats.

        `against` is an image set, or the name or path of one; its images are brought to the run's size and colours.
        Where a model only bounds log p(x), the values are evidence lower bounds with one draw of the code each.
        """
        from genlab.data.fitting import fit_arrays

        own = self.images
        sets = {
            "training": (own, some_of(np.sort(own.splits["train"]), limit, seed)),
            "held out": (own, some_of(held_out(own), limit, seed)),
        }
        if against is not None:
            other = self._image_set(against)
            sets[other.title] = (other, some_of(np.arange(other.count), limit, seed))
        scored = {
            name: self.likelihoods(fit_arrays(np.asarray(images.images[indices]), self.model().shape), seed=seed)
            for name, (images, indices) in sets.items()
        }
        values = {name: found.values for name, found in scored.items()}
        indices = {name: indices for name, (_, indices) in sets.items()}
        return ScoredSets(values, indices, scored["held out"].kind, scored["held out"].measure)

    def typicality(self, images: Any, *, limit: int = 500, seed: int = 0) -> np.ndarray:
        """The share of held-out images that are less probable than each image, (N,): near 0 it is an anomaly."""
        reference = self.likelihoods(read(self.images, some_of(held_out(self.images), limit, seed)), seed=seed)
        return share_below(self.likelihoods(images, seed=seed).values, reference.values)

    def anomaly(self, images: Any, *, limit: int = 500, seed: int = 0) -> Anomaly:
        """How strange images are: the share of up to `limit` held-out images that the run finds more probable.

        Where it neither gives nor bounds a likelihood, the share of those that it rebuilds better (squared error).
        """
        reference = read(self.images, some_of(held_out(self.images), limit, seed))
        if self.can(("scores", "bounds")):
            known = self.likelihoods(reference, seed=seed)
            found = self.likelihoods(images, seed=seed).values
            return Anomaly(share_below(-found, -known.values), "bound" if known.kind == "bound" else "likelihood")
        given = pixels_for(self.model(), images, self.title)
        errors = [np.square(self.reconstruct(some).array - some).sum((1, 2, 3)) for some in (given, reference)]  # type: ignore[attr-defined]
        return Anomaly(share_below(*errors), "error")

    def impute(self, images: Any, known: Any) -> Images:
        """Images with the pixels where `known` (C, H, W) or (N, C, H, W) is False replaced by their expectation."""
        import torch

        self._need("fill in missing pixels", "imputes")
        model: Any = self.model()
        array = pixels_for(model, images, self.title)
        given = np.asarray(known, dtype=bool)
        if given.shape not in (array.shape, array.shape[1:]):
            raise BadInputError(f"The known pixels of {self.title}'s images have the shape {array.shape[1:]}, and these {given.shape}.")  # fmt: skip
        both = np.concatenate([array, np.broadcast_to(given, array.shape)], axis=1)

        def filled(batch: torch.Tensor) -> torch.Tensor:
            pixels, mask = batch.chunk(2, dim=1)
            return model.impute(pixels, mask > 0.5)

        return Images(
            through(model, filled, both), f"{len(array)} images with missing pixels filled in by {self.title}"
        )

    def complete(self, images: Any, part: Part = "left", *, share: float = 0.5, seed: int = 0) -> Completion:
        """Hide a part of images ("left", "right", "top", "bottom", "centre" or "random" pixels) and have it filled in."""
        model = self.model()
        array = pixels_for(model, images, self.title)
        known = known_pixels(model.shape, part, share, seed)
        filled = self.impute(array, known)
        mean = read(self.images, some_of(np.sort(self.images.splits["train"]), 1000, 0)).mean(0)

        def errors(guess: np.ndarray) -> np.ndarray:
            return np.sqrt(np.square(guess - array)[:, ~known].mean(1, dtype=np.float64))

        hidden = f"{part} hidden" if part != "random" else f"{share:.0%} of the pixels hidden, seed {seed}"
        masked = Images(np.where(known, array, np.float32(0.5)), f"The {hidden}")
        return Completion(Images(array), masked, filled, known, errors(filled.array), errors(mean))

    def classify(self, images: Any) -> np.ndarray:
        """The posterior p(class|x) of each image, (N, classes)."""
        self._need("say what class an image has", "classifies")
        model: Any = self.model()
        return np.exp(through(model, model.classify, pixels_for(model, images, self.title)))

    def confusion(self, *, limit: int = 2000, seed: int = 0) -> Confusion:
        """Up to `limit` held-out images by their class and the class the run gives them."""
        indices, labels = self._labelled(limit, seed)
        given = self.classify(read(self.images, indices)).argmax(1)
        names = tuple(self.images.class_names)
        counts = np.bincount(labels * len(names) + given, minlength=len(names) ** 2).reshape(len(names), -1)
        frequent = np.bincount(np.asarray(self.images.labels)[self.images.splits["train"]]).argmax()
        return Confusion(counts, names, float((given == labels).mean()), float((labels == frequent).mean()))

    def boundary(self, *, limit: int = 500, steps: int = 120, seed: int = 0) -> Boundary:
        """The run's model fitted anew on the first two principal axes, its log joint over that plane and at held-out images.

        It is another model than the run's, which works in more dimensions; for models that take principal components.
        """
        import torch

        model = self._in_the_plane(seed)
        indices, labels = self._labelled(limit, seed)
        pixels = torch.from_numpy(read(self.images, indices))
        points = model.space.project(pixels)[0].numpy()
        low, high = points.min(0), points.max(0)
        margin = MARGIN * np.maximum(high - low, 1e-6)
        x, y = (np.linspace(low[axis] - margin[axis], high[axis] + margin[axis], steps) for axis in range(2))
        plane = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
        grid = model.by_group(model.mixture.log_components(plane)).numpy().reshape(steps, steps, -1)
        joint = model.by_group(model.mixture.log_components(torch.from_numpy(points))).numpy()
        accuracy = float((joint.argmax(1) == labels).mean())
        return Boundary(points, indices, labels, joint, x, y, grid, accuracy)

    def has_boundary(self) -> bool:
        """Whether `boundary` has something to show: a classifier over principal components, and two directions or more."""
        return self.can("classifies") and "pca" in self.config.parameters and self.model().classes > 1

    def _in_the_plane(self, seed: int) -> Any:
        import torch

        from genlab.core.batch import Batch
        from genlab.core.registry import find

        self._need("say what class an image has", "classifies")
        if not self.has_boundary():
            raise BadInputError(
                f"{self.title} works on no principal components, so there is no plane to show; pick a gda or a gmm."
            )
        images = self.images
        indices = some_of(np.sort(images.splits["train"]), REFIT, seed)
        values = {**self.config.parameters, "pca": 2}
        model: Model = find(self.config.model).create(images.shape, len(images.class_names), **values)
        batch = Batch(torch.from_numpy(read(images, indices)), torch.from_numpy(np.asarray(images.labels)[indices]))
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            for _ in model.fit(batch, iterations=self.config.settings.get("epochs", 50)):  # type: ignore[operator]
                pass
        return model

    def _labelled(self, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices and classes of held-out images."""
        if self.images.labels is None:
            raise BadInputError(
                f"The images of {self.title} have no classes to compare with; pick a run on labelled images."
            )
        indices = some_of(held_out(self.images), limit, seed)
        return indices, np.asarray(self.images.labels)[indices]
