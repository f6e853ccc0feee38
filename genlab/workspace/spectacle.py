"""What is seen of a model of points in the unit square: its samples, its net, its field, and where theory would have it.

References:
    [1] Goodfellow et al., Generative Adversarial Nets, 2014, (2): D* = p / (p + q), (6): its value.
    [2] Srivastava et al., VEEGAN, 2017, 4.1 (modes that are covered, samples of high quality).
    [3] Kahng et al., GAN Lab, 2019 (the net of the generator over the field of the discriminator).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.core.capabilities import Encodes, EncodesNormal, ImportanceWeighted, Scores
from genlab.core.model import Model
from genlab.core.seeding import derived_seed
from genlab.data.clouds import MODES, SHAPE
from genlab.nn.game import LOGARITHMIC, TwoPlayerGame
from genlab.nn.gaussians import GaussianClasses
from genlab.nn.importance import iwae_bound
from genlab.nn.normal import StandardNormalPrior
from genlab.workspace.theatre import Scene

SAMPLES = 512
CELLS = 40  # of the field, along each side
MESHES = 20  # knots of the net along each side; a curve has more
PULLED = 96  # samples whose pull is shown
RINGS = 24  # images whose posterior is shown
ROUND = 33  # corners of a ring
DRAWS = 8  # codes that bound the density of a place
DENSE = 5.0  # times the uniform density: shown in a colour of half its strength
WIDTH = 0.035  # standard deviation of the kernel that makes densities of points
FLOOR = 0.3  # share of a uniform density under which a place counts as empty


class Spectacle:
    """Looks at the models of one scene with the same noise, the same places and the same eyes each time."""

    def __init__(self, scene: Scene, model: Model) -> None:
        self.scene, self.seed = scene, derived_seed(scene.seed, 6)
        self.probable = scene.values.get("loss") in LOGARITHMIC[1]
        self.places = places()
        self.real = torch.from_numpy(scene.points)
        self.codes = None
        if isinstance(model, StandardNormalPrior):
            self.codes = model.sample_prior(SAMPLES, generator=self._noise())
        self.p = smoothed(self.real)

    @torch.no_grad()
    def look(self, model: Model) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """What was measured, and the parts of the picture; the model is left as it was."""
        learning = model.training
        model.eval()
        samples = self.samples(model)
        parts = {"samples": samples, "field": self.field(model)}
        q = smoothed(samples)
        measured = self.measured(samples, q)
        if isinstance(model, TwoPlayerGame):
            parts["pulls"] = self.pulls(model, samples[:PULLED])
        if self.probable:
            floor = FLOOR / CELLS**2
            parts["best"] = (self.p + floor) / (self.p + q + 2 * floor)
            measured["loss_best"] = math.log(4) - 2 * measured["divergence"]  # [1] (6), for the smoothed densities
        if isinstance(model, StandardNormalPrior) and model.latent_dim <= 2:
            parts["net"] = self.points(model.decode(knots(model.latent_dim))).unflatten(0, net_shape(model.latent_dim))
        if isinstance(model, Encodes) and model.latent_dim == 2:
            parts["codes"] = model.encode(images_of(self.real[:SAMPLES])).mean
        if isinstance(model, EncodesNormal) and model.latent_dim <= 2:
            parts["rings"], parts["weights"] = self.posteriors(model)
        if isinstance(model, GaussianClasses):
            parts["rings"], parts["weights"] = ellipses(model)
        model.train(learning)
        return measured, {name: part.numpy() for name, part in parts.items()}

    def samples(self, model: Any) -> Tensor:
        """(S, 2): the same codes, or the same noise, each time."""
        if self.codes is not None:
            return self.points(model.decode(self.codes))
        return self.points(model.sample(SAMPLES, generator=self._noise()))

    def field(self, model: Model) -> Tensor:
        """A number in [0, 1] for each place: the discriminator's verdict, or a density p as p / (p + DENSE).

        A score that is no probability is shown between its lowest and its highest value on the square.
        """
        if not isinstance(model, TwoPlayerGame):
            density = self.log_density(model, self.places).exp()
            return (density / (density + DENSE)).nan_to_num(1.0).float()
        scores = model.critic(images_of(self.places))
        if self.probable:
            return torch.sigmoid(scores)
        return (scores - scores.min()) / (scores.max() - scores.min()).clamp(min=1e-9)

    def log_density(self, model: Model, points: Tensor) -> Tensor:
        """Log p at points (N, 2), in nats: exact, or the importance-weighted bound from `DRAWS` codes."""
        if isinstance(model, Scores):
            return model.log_likelihood(images_of(points))
        if not isinstance(model, ImportanceWeighted):
            raise TypeError(f"{type(model).__name__} has no density")
        return iwae_bound(model, images_of(points), DRAWS, self._noise())

    @torch.enable_grad()
    def pulls(self, game: TwoPlayerGame, samples: Tensor) -> Tensor:
        """Where each sample (N, 2) would go to lower the generator's loss: minus its gradient there."""
        at = samples.clone().requires_grad_()
        loss = game.contested(game.critic(images_of(at))) * len(at)
        (slope,) = torch.autograd.grad(loss, at)
        return -slope

    def posteriors(self, model: Any) -> tuple[Tensor, Tensor]:
        """One standard deviation around the codes of some images, decoded: closed curves (R, P, 2), all of weight 1."""
        codes = model.encode(images_of(self.real[:: len(self.real) // RINGS][:RINGS]))
        mean, deviation = codes.mean, (0.5 * codes.log_var).exp()
        rings = mean[:, None] + deviation[:, None] * circle()[:, : model.latent_dim]
        return self.points(model.decode(rings.flatten(0, 1))).unflatten(0, (-1, ROUND)), torch.ones(RINGS)

    def measured(self, samples: Tensor, q: Tensor) -> dict[str, float]:
        """How far samples are from the cloud, and where its modes are known, how many have one ([2])."""
        found = {"divergence": jensen_shannon(self.p, q)}
        if self.scene.cloud in MODES:
            centres, deviation = MODES[self.scene.cloud]
            apart = torch.cdist(samples.double(), torch.from_numpy(centres))
            nearest = apart.min(1)
            good = nearest.values < 3 * deviation
            found["modes"] = float(len(nearest.indices[good].unique()))
            found["quality"] = good.double().mean().item()
        return found

    def points(self, images: Tensor) -> Tensor:
        """(N, 2) float32 of images (N, 1, 1, 2)."""
        return images.flatten(1).float()

    def _noise(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


def images_of(points: Tensor) -> Tensor:
    """Points (N, 2) as images (N, 1, 1, 2)."""
    return points.view(-1, *SHAPE)


def places() -> Tensor:
    """The middle of every cell of the field (CELLS², 2), row by row from the top.

    >>> [round(value, 4) for value in places()[0].tolist()] == [0.5 / CELLS, 1 - 0.5 / CELLS]
    True
    """
    middle = (torch.arange(CELLS, dtype=torch.float64) + 0.5) / CELLS
    y, x = torch.meshgrid(middle.flip(0), middle, indexing="ij")
    return torch.stack([x, y], dim=-1).view(-1, 2).float()


def net_shape(dimensions: int) -> tuple[int, int]:
    """Rows and columns of the net: a curve of codes of one dimension has a single column."""
    return (MESHES**2 // 4, 1) if dimensions == 1 else (MESHES, MESHES)


def knots(dimensions: int) -> Tensor:
    """Codes at quantiles of the standard normal, so that every mesh between them holds as many draws ([3]).

    >>> [tuple(knots(dimensions).shape) for dimensions in (1, 2)]
    [(100, 1), (400, 2)]
    """
    count = net_shape(dimensions)[0]
    line = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).float()
    return torch.cartesian_prod(*[line] * dimensions).view(-1, dimensions)


def circle() -> Tensor:
    """The unit circle, closed, (ROUND, 2)."""
    angle = torch.linspace(0, 2 * math.pi, ROUND)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def ellipses(model: GaussianClasses) -> tuple[Tensor, Tensor]:
    """One and two standard deviations around each component, (2K, P, 2), and the components' weights (2K,)."""
    mixture = model.mixture
    factors = torch.diag_embed(mixture.covariances.sqrt()) if mixture.axis_aligned else mixture.factors()
    spread = (factors.expand(len(mixture.means), -1, -1) @ circle().to(factors).T).mT
    rings = torch.cat([mixture.means[:, None] + radius * spread for radius in (1, 2)])
    weights = mixture.log_weights.exp()
    return model.space.restore(rings.flatten(0, 1)).unflatten(0, (-1, ROUND)).float(), weights.repeat(2).float()


def smoothed(points: Tensor) -> Tensor:
    """The share of points (N, 2) in each cell (CELLS²,), under a Gaussian kernel; they add up to one.

    The kernel is a product of one in x and one in y, so that the whole field is one product of matrices.
    """
    middle = places().view(CELLS, CELLS, 2)
    across = torch.exp(-0.5 * ((middle[0, :, 0] - points[:, :1]) / WIDTH).square())
    down = torch.exp(-0.5 * ((middle[:, 0, 1] - points[:, 1:]) / WIDTH).square())
    density = (down.T @ across).flatten()
    return density / density.sum()


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q) / 2, in nats: 0 when equal, log 2 when apart.

    >>> apart = jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    >>> abs(apart - math.log(2)) < 1e-6
    True
    """
    middle = (p + q) / 2
    return 0.5 * (torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)).nan_to_num().sum().item()
