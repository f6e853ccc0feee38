"""The exploring half of a run: sample, encode, decode, walk through latent space and sample triplets there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.figures.images import Images
from genlab.latent import TripletSettings, sample_triplet_codes, walks
from genlab.latent.traverse import order, traversal
from genlab.nn.inference import drawn, posterior, samples, through
from genlab.workspace.inputs import codes_for, pixels_for
from genlab.workspace.likelihood import Probable
from genlab.workspace.memorised import Remembers
from genlab.workspace.planes import Planes
from genlab.workspace.radii import SearchesRadii
from genlab.workspace.recognise import Recognises
from genlab.workspace.results import Encoded, Traversal, Triplets
from genlab.workspace.travel import Travels

if TYPE_CHECKING:
    import torch

    from genlab.data.imageset import ImageSet

SHOWN = 16  # dimensions that a traversal shows unless told which


class Explore(Probable, Remembers, Recognises, SearchesRadii, Planes, Travels):
    """Mix-in of `Run`: it needs `model()`, `images`, `config`, `title`, `directory`, `shipped`, `lab` and `can()` from there.

    Images go in as `Images`, arrays or tensors (N, C, H, W) or (C, H, W) in [0, 1]; codes as (N, D) or (D,).
    What a run cannot do raises `BadInputError` with a sentence that says what it lacks and what to pick instead.
    """

    def sample(
        self,
        count: int = 64,
        *,
        labels: int | str | Sequence[int | str] | None = None,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Images:
        """New images; with `labels` (class numbers or names) of those classes.

        One label gives `count` images of it, a sequence one image for each of its entries. `temperature`
        scales the spread of the noise.
        """
        if count < 1:
            raise BadInputError(f"At least one image must be asked for, and {count} is not.")
        if labels is not None:
            self._need("draw images of a chosen class", "samples_by_label")
            chosen = [labels] * count if isinstance(labels, int | str) else labels
            return self._sample_labels([self._class_number(label) for label in chosen], seed, temperature)
        if not self.can("samples"):
            self._need("draw new images", "samples_by_label")
            return self._sample_labels([index % self.model().classes for index in range(count)], seed, temperature)
        array = samples(self.model(), count, seed, temperature)
        return Images(array, f"{count} new images from {self.title}, seed {seed}, temperature {temperature:g}")

    def encode(self, images: Any) -> Encoded:
        """Codes of images: posterior means (and log-variances), the same every time."""
        self._need("turn images into codes", "encodes")
        return Encoded(*posterior(self.model(), pixels_for(self.model(), images, self.title)))

    def decode(self, codes: Any) -> Images:
        """Images of codes (N, D) or (D,)."""
        self._need("turn codes into images", "decodes")
        model: Any = self.model()
        codes = codes_for(model, codes, self.title)
        return Images(through(model, model.decode, codes), f"{len(codes)} decoded codes, {self.title}")

    def reconstruct(self, images: Any) -> Images:
        """Each image through encoder (its posterior mean) and decoder."""
        self._need("rebuild images", "encodes", "decodes")
        rebuilt = self.decode(self.encode(images).mean)
        return Images(rebuilt.array, f"Reconstructions of {len(rebuilt)} images by {self.title}, from their mean codes")

    def translates_from(self, *, back: bool = False) -> ImageSet:
        """The image set whose kind of images `translate` takes: the first, with `back` the second."""
        self._need("translate images", "translates")
        images = self.second if back else self.images
        assert images is not None  # such a run is never made without its second set
        return images

    def translate(self, images: Any, *, back: bool = False) -> Images:
        """Images of the first set's kind as images of the second's; `back` goes the other way."""
        self._need("translate images", "translates")
        model: Any = self.model()
        given = pixels_for(model, images, self.title)
        translated = through(model, lambda batch: model.translate(batch, back=back), given)
        sets = [data.title for data in (self.config.data, self.config.second) if data]
        source, target = sets[::-1] if back else sets
        return Images(translated, f"{len(given)} images of “{source}” as “{target}”, by {self.title}")

    def codes(self, points: Any) -> np.ndarray:
        """Codes (N, D) of images, of codes, or of a whole number: the prior's draw with that seed."""
        if isinstance(points, int | np.integer):
            self._need("draw codes from a prior", "has_prior")
            model: Any = self.model()
            drawer = lambda rows, generator: model.sample_prior(len(rows), generator=generator)  # noqa: E731
            return drawn(model, drawer, range(1), int(points)).astype(np.float64)
        if isinstance(points, Images) or np.ndim(points) > 2:
            if not self.can("encodes"):
                raise BadInputError(
                    f"{self.title} has no encoder, so it cannot place an image among its codes; give whole numbers "
                    "(seeds) to walk between draws from its prior, or pick a run that encodes, such as a VAE."
                )
            return self.encode(points).mean.astype(np.float64)
        return codes_for(self.model(), points, self.title)

    def interpolate(self, a: Any = 0, b: Any = 1, *, steps: int = 10, kind: str = "slerp") -> Images:
        """A walk of `steps` images from `a` to `b`, both ends included; N pairs give N rows.

        `a` and `b` are images, codes, or whole numbers: the prior's draw with that seed, which is how a
        model without an encoder interpolates. `kind` is "lerp" or "slerp".
        """
        self._need("interpolate", "decodes")
        if steps < 2:
            raise BadInputError(f"A walk needs at least 2 steps, and {steps} were asked for.")
        ends = [self.codes(end) for end in (a, b)]
        if len(ends[0]) != len(ends[1]) and 1 not in map(len, ends):
            raise BadInputError(f"A walk joins pairs, and there are {len(ends[0])} starts for {len(ends[1])} ends.")
        walk = walks.interpolation(kind)(ends[0], ends[1], np.linspace(0, 1, steps))
        named = [f"the prior's draw {end}" if isinstance(end, int) else "a given image or code" for end in (a, b)]
        caption = f"{kind} from {named[0]} to {named[1]} in {steps} steps, {self.title}"
        if not self.can("encodes"):
            caption += "; it has no encoder, so the walk runs through its prior"
        return Images(self.decode(walk.reshape(-1, walk.shape[-1])).array, caption)

    def walk(self, points: Any, *, steps: int = 10, kind: str = "slerp", closed: bool = False) -> Images:
        """A path through two or more images, codes or seeds of the prior, `steps` images from each to the next."""
        self._need("walk through its latent space", "decodes")
        codes = walks.path(self._codes_of_all(points), steps, kind=kind, closed=closed)
        return Images(self.decode(codes).array, f"{kind} walk through {len(points)} points, {self.title}")

    def attribute(self, with_it: Any, without_it: Any) -> np.ndarray:
        """The direction (D,) of an attribute: mean code of images with it minus that of images without."""
        return walks.direction(self.codes(with_it), self.codes(without_it))

    def edit(self, images: Any, direction: Any, strengths: Sequence[float] = (-1, 0, 1)) -> Images:
        """Each image (or code) moved along a direction by each strength: one row an image."""
        moved = walks.along(self.codes(images), codes_for(self.model(), direction, self.title)[0], strengths)
        listed = ", ".join(f"{strength:g}" for strength in strengths)
        caption = f"Codes moved along a direction by {listed}, {self.title}"
        return Images(self.decode(moved.reshape(-1, moved.shape[-1])).array, caption)

    def mix_styles(self, coarse: Any, fine: Any, level: int) -> Images:
        """The styles of all codes of `coarse` below a level with those of all codes of `fine` from there on.

        `coarse` and `fine` are codes, or seeds of the prior. One row for each of `coarse`, one column for each of
        `fine`; `level` runs from 0 (all of `fine`) to the model's `style_levels` (all of `coarse`).
        """
        self._need("mix styles", "mixes_styles")
        model: Any = self.model()
        if not 0 <= level <= model.style_levels:
            raise BadInputError(
                f"{self.title} has the style levels 0 to {model.style_levels}, and {level} was asked for."
            )
        rows, columns = self._codes_of_all(coarse), self._codes_of_all(fine)
        pairs = np.stack([np.repeat(rows, len(columns), 0), np.tile(columns, (len(rows), 1))], axis=1)
        mixed = through(model, lambda both: model.mix_styles(both[:, 0], both[:, 1], level), pairs)
        caption = f"Style of {len(rows)} codes (rows) below level {level}, of {len(columns)} others (columns) from there on, {self.title}"
        return Images(mixed, caption)

    def traverse(
        self, code: Any = None, *, dimensions: Sequence[int] | None = None, steps: int = 9, span: float = 3.0
    ) -> Traversal:
        """One code (or image; default: the mean code) moved along each dimension from -span to +span.

        Dimensions come in the order of their mean KL, the 16 most used first, unless `dimensions` names them. Where
        codes are points, the span is in standard deviations of each dimension's codes around their mean.
        """
        self._need("traverse its latent space", "decodes")
        size = self._latent_dim()
        importance, centre, spread, start, kl = np.zeros(size), np.zeros(size), np.ones(size), np.zeros(size), None
        if self.can("encodes"):
            statistics = self.latent_statistics()
            start, kl = statistics.mean, statistics.kl
            importance = statistics.variance if kl is None else kl
            if kl is None:
                centre, spread = statistics.mean, np.sqrt(statistics.variance)
        chosen = np.asarray(order(importance)[:SHOWN] if dimensions is None else list(dimensions), dtype=np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= size):
            raise BadInputError(
                f"{self.title} has the latent dimensions 0 to {size - 1}, and {chosen.tolist()} were asked for."
            )
        values = centre[chosen, None] + spread[chosen, None] * np.linspace(-span, span, steps)
        codes = traversal(start if code is None else self.codes(code)[0], chosen, values)
        caption = f"One latent dimension a row from {-span:g} to {span:g}, the most used first, {self.title}"
        images = Images(self.decode(codes.reshape(-1, size)).array, caption)
        return Traversal(images, chosen, values, None if kl is None else kl[chosen])

    def plane(self, *, steps: int = 15, span: float = 3.0) -> Images:
        """The decoded plane of a two-dimensional latent space: steps² images, first row z2 = span, along z1."""
        self._need("show its decoded plane", "decodes")
        size = self._latent_dim()
        if size != 2:
            raise BadInputError(
                f"{self.title} has {size} latent dimensions; only a run trained with latent_dim=2 has a plane to show."
            )
        caption = f"The latent plane from {-span:g} to {span:g}, decoded, {self.title}"
        return Images(self.decode(walks.plane(steps, span)).array, caption)

    def triplets(
        self, anchors: Any, settings: TripletSettings | None = None, *, seed: int = 0, draws: int = 1
    ) -> Triplets:
        """Positives and negatives sampled around each anchor (Algorithm 3 of the thesis), decoded.

        With one seed the uniform draws stay the same, so that moving a radius moves the same triplet.
        """
        self._need("sample triplets", "encodes_normal", "decodes")
        anchors = Images(pixels_for(self.model(), anchors, self.title), f"Anchors, {self.title}")
        encoded = self.encode(anchors)
        mean, log_var = (np.repeat(np.float64(array), draws, axis=0) for array in encoded)  # type: ignore[arg-type]
        global_mean = self.latent_statistics().mean
        values = (settings or TripletSettings()).model_dump()
        codes = sample_triplet_codes(mean, log_var, global_mean, generator=np.random.default_rng(seed), **values)
        count = len(anchors)
        decoded = self.decode(np.concatenate([encoded.mean, *codes])).array
        rebuilt, positive, negative = np.split(decoded, [count, count + count * draws])
        roles = {"positive": (codes[0], positive), "negative": (codes[1], negative)}
        seen = np.repeat(rebuilt, draws, axis=0)
        return Triplets(
            anchors,
            Images(rebuilt, f"Reconstructions of the anchors, {self.title}"),
            Images(positive, f"Positives, seed {seed}, {self.title}"),
            Images(negative, f"Negatives, seed {seed}, {self.title}"),
            np.asarray(encoded.mean, dtype=np.float64),
            *codes,
            distances={
                "code": {role: np.linalg.norm(code - mean, axis=1) for role, (code, _) in roles.items()},
                "pixel": {role: np.sqrt(((image - seen) ** 2).mean((1, 2, 3))) for role, (_, image) in roles.items()},
            },
            global_mean=global_mean,
            draws=draws,
        )

    def _codes_of_all(self, points: Any) -> np.ndarray:
        """Codes (N, D) of several points: as in `codes`, or a list of seeds."""
        if isinstance(points, list | tuple) and all(isinstance(point, int) for point in points):
            points = np.concatenate([self.codes(seed) for seed in points] or [np.empty((0, 1))])
        return self.codes(points) if len(points) else np.empty((0, 1))

    def _latent_dim(self) -> int:
        model: Any = self.model()
        return model.latent_dim

    def _sample_labels(self, labels: list[int], seed: int, temperature: float) -> Images:
        import torch

        model: Any = self.model()

        def draw(chosen: Any, generator: torch.Generator) -> torch.Tensor:
            numbers = torch.tensor(chosen, device=model.device)
            return model.sample_labels(numbers, temperature=temperature, generator=generator)

        array = drawn(model, draw, labels, seed)
        names = self.config.data.class_names
        shown = [names[label] if label < len(names) else str(label) for label in dict.fromkeys(labels)]
        return Images(array, f"{len(labels)} new images of {', '.join(shown)} from {self.title}, seed {seed}")

    def _class_number(self, label: int | str) -> int:
        names = tuple(self.config.data.class_names)
        if isinstance(label, str) and label in names:
            return names.index(label)
        classes = self.model().classes
        if str(label).isdecimal() and int(label) < classes:
            return int(label)
        raise UnknownNameError(f"class of {self.title}", str(label), names or map(str, range(classes)))
