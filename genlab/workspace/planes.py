"""A plane through a run's latent space, with the codes that lie on it and beside it, and how far its pictures can be trusted."""

from __future__ import annotations

import math
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from genlab.core.errors import BadInputError
from genlab.latent.planes import Frame, extent_of, frame_through, grid_of, kernel_width, usual_distance
from genlab.nn.inference import posterior, prior_codes, through
from genlab.workspace.analyse import Analyse
from genlab.workspace.results import LatentPlane

CLOSE = 1e-5  # codes this near to a corner are the corner
REACH = 3.0  # standard deviations of a normal prior that a plane of two dimensions shows at least
CELLS = 24  # of a plane from side to side, where its pictures are looked at
LINEAR = 2e-5  # relative error of a sum in float32

_usual_distances: WeakKeyDictionary[Any, dict[tuple[Any, ...], float]] = WeakKeyDictionary()


class Planes(Analyse):
    """Mix-in of `Run`: planes through its latent space."""

    def latent_plane(
        self, corners: Any = None, *, among: Literal["images", "prior"] = "images", limit: int = 2000, seed: int = 0
    ) -> LatentPlane:
        """The plane through three images or codes; without any, the whole of two latent dimensions.

        Up to `limit` training images say where codes lie, but for the three; with `among="prior"`, and without an
        encoder, draws from the prior do.
        """
        self._need("show a plane of its latent space", "decodes")
        model: Any = self.model()
        if corners is None and model.latent_dim != 2:
            raise BadInputError(
                f"{self.title} has {model.latent_dim} latent dimensions; choose three images or codes to lay a plane through."
            )
        codes, indices = self._known_codes(among, limit, seed)
        usual = self._usual(codes, indices, limit, seed)
        placed = np.empty((0, 2))
        if corners is None:
            frame = Frame(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
            low, high = np.quantile(codes, [0.005, 0.995], axis=0)
            extent = extent_of(np.stack([low, high]), least=REACH)
        else:
            given = self.codes(corners)
            if len(given) != 3:
                raise BadInputError(f"A plane goes through three codes, and {len(given)} were given.")
            frame = frame_through(given)
            others = (np.abs(codes[:, None] - given).max(2) > CLOSE).all(
                1
            )  # a corner would be a dense place of its own
            codes, indices = codes[others], None if indices is None else indices[others]
            placed = frame.places(given)[:, :2]
            extent = extent_of(placed)
        labels = None
        if indices is not None and self.images.labels is not None:
            labels = np.asarray(self.images.labels[indices])
        return LatentPlane(frame, extent, placed, frame.places(codes), indices, labels, kernel_width(codes), usual)

    def round_trip(self, plane: LatentPlane, *, steps: int = CELLS) -> np.ndarray:
        r"""How far a code comes back when its picture is encoded again, at steps x steps places of a plane.

        $r(z)=\sqrt{\frac1D\sum_d (\mu_d(g(z))-z_d)^2/\sigma_d^2(g(z))}$ for the posterior $\mathcal N(\mu,\sigma^2)$ of the
        picture $g(z)$, in its standard deviations, (steps, steps), the first row at the top; for codes without a variance
        $\lVert f(g(z))-z\rVert$, in usual distances between codes (`plane.usual`). Near or below 1 the encoder takes the
        picture for what it is; far above, it reads another code in it, because the decoder shows nothing new there or what
        the encoder never saw. It compares the two networks with each other and not with images: a wrong picture that is
        encoded to its own code has 0, as every picture of an invertible model has but for what is clipped to [0, 1].
        """
        self._need("rebuild images", "encodes", "decodes")
        model: Any = self.model()
        codes = plane.frame.codes(grid_of(plane.extent, steps)).astype(np.float32)
        mean, log_var = posterior(model, through(model, model.decode, codes))
        apart = mean.astype(np.float64) - codes
        if log_var is None:
            away = np.linalg.norm(apart, axis=1) / plane.usual
        else:
            away = np.sqrt((np.square(apart) * np.exp(-log_var.astype(np.float64))).mean(1))
        return away.reshape(steps, steps)

    def has_pixel_entropy(self) -> bool:
        """Whether the run has a p(x|z) of binary pixels, and so an entropy that differs from code to code."""
        from genlab.nn.importance import NormalLatent

        model: Any = self.model()
        return isinstance(model, NormalLatent) and _reads_bits(model)

    def pixel_entropy(self, plane: LatentPlane, *, steps: int = CELLS) -> np.ndarray:
        r"""How unsure the decoder says it is of its pixels: the entropy of p(x|z) at steps x steps places of a plane.

        $H(z)=-\frac1N\sum_i p_i\log_2 p_i+(1-p_i)\log_2(1-p_i)$ in bits a value, (steps, steps), the first row at the top,
        for a decoder that gives the probability $p_i$ of each of N binary values. As −log p(x|z) is linear in x there, it is
        −log p(x|z) of the picture x = p itself. It knows of no place where the decoder is sure and wrong, and where images
        are grey, a grey that is right counts as unsure. Raises `BadInputError` for a run without such a p(x|z), or one whose
        pixels are normal with a fixed variance and so as unsure everywhere.
        """
        if not self.has_pixel_entropy():
            raise BadInputError(
                f"{self.title} gives no Bernoulli likelihood of a code, so there is no entropy of its pixels; "
                "pick a run whose likelihood is Bernoulli, such as a VAE."
            )
        model: Any = self.model()
        codes = plane.frame.codes(grid_of(plane.extent, steps))
        own = through(model, lambda batch: model.negative_log_likelihood(batch, model.decode(batch)), codes)
        return own.astype(np.float64).reshape(steps, steps) / (math.log(2) * model.shape.values)

    def _known_codes(self, among: str, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Codes that show where there are any: of training images with their indices, else draws from the prior."""
        if among == "images" and self.can("encodes"):
            indices, encoded = self.encoded()
            chosen = np.arange(len(indices))
            if len(chosen) > limit:
                chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), limit, replace=False))
            return encoded.mean[chosen].astype(np.float64), indices[chosen]
        self._need("draw codes from a prior", "has_prior")
        return prior_codes(self.model(), limit, seed).astype(np.float64), None

    def _usual(self, codes: np.ndarray, indices: np.ndarray | None, *chosen: int) -> float:
        """The usual distance between known codes, found once for all planes among them."""
        kept = _usual_distances.setdefault(self.model(), {})
        key = (None if indices is None else self.images.hash, *chosen)
        if key not in kept:
            kept[key] = usual_distance(codes)
        return kept[key]


def _reads_bits(model: Any) -> bool:
    """Whether −log p(x|z) of the code 0 is linear in x, as it is for independent binary values."""
    import torch

    code = np.zeros((1, model.latent_dim))

    def at(grey: float) -> float:
        image = torch.full((1, *model.shape), grey)
        return float(through(model, lambda batch: model.negative_log_likelihood(batch, image.to(batch)), code)[0])

    return math.isclose(at(0.5), (at(0.0) + at(1.0)) / 2, rel_tol=LINEAR)
