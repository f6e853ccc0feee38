"""What each rung of the ladder gets wrong, in numbers: neighbours that know nothing of one another, latent spaces with
holes, kinds of images left out, gradients that vanish.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, sections 3.3.2, 3.6.2 and 4.1.5.
    [2] Goodfellow et al., Generative Adversarial Nets, 2014, section 3 (the two losses of the generator).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    from genlab.core.batch import Batches
    from genlab.core.settings import TrainingSettings
    from genlab.nn.game import TwoPlayerGame

FITTED = 1000  # training images that principal components and codes are taken from
SURE = 0.9  # a probability of one class from which on an image counts as clear
INSIDE = 0.99  # of N(0, I) lies in the ball that codes are compared with
FAR = 0.95  # of held-out codes have a training code within the distance that counts as near
WALKS, STEPS = 100, 21  # pairs of images, and steps of a walk between their codes
LOSSES = ("minimax", "non_saturating")
AHEAD = (0, 1, 2, 5, 10, 20, 50, 100, 200)  # steps that the discriminator has taken alone
JUDGED = 256  # generated images that the gradient is taken over

Features = Callable[[np.ndarray], np.ndarray]


def neighbour_correlation(images: np.ndarray, labels: np.ndarray | None = None) -> float:
    """Correlation of horizontally neighbouring pixels of images (N, C, H, W), each less its own mean over the images, or
    over those of the same of the labels (N,).

    >>> same = np.random.default_rng(0).random((50, 1, 1, 1)).repeat(4, axis=3)
    >>> round(neighbour_correlation(same), 6)
    1.0
    """
    rest = np.array(images, dtype=np.float64)
    groups = np.zeros(len(rest), int) if labels is None else np.asarray(labels)
    for group in np.unique(groups):
        rest[groups == group] -= rest[groups == group].mean(0)
    left, right = rest[..., :-1], rest[..., 1:]
    return float((left * right).sum() / math.sqrt((left**2).sum() * (right**2).sum() + 1e-12))


def class_probabilities(images: np.ndarray, run: Any) -> np.ndarray:
    """How the small classifier of a run's image set reads images (N, C, H, W): probabilities (N, classes)."""
    return run.classifier()().probabilities(images)  # type: ignore[no-any-return]


def kinds(shares: Sequence[float]) -> float:
    """How many classes are drawn in effect: exp of the entropy of their shares; all alike, as many as there are.

    >>> round(kinds([0.5, 0.5, 0.0]), 6), kinds([1.0, 0.0])
    (2.0, 1.0)
    """
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))


def class_shares(images: np.ndarray, run: Any) -> list[float]:
    """The share of images (N, C, H, W) that the small classifier takes for each class."""
    read = class_probabilities(images, run).argmax(1)
    return (np.bincount(read, minlength=len(run.images.class_names)) / len(read)).tolist()


def unsure(images: np.ndarray, run: Any) -> float:
    """The share of images to which the small classifier gives no class a probability of 0.9."""
    return float((class_probabilities(images, run).max(1) < SURE).mean())


def latent_space(run: Any) -> dict[str, float]:
    """Where the codes of held-out images lie, and what is decoded from N(0, I), between the codes and at them.

    `outside`: share of held-out codes outside the ball that holds 99 % of N(0, I). `holes`: share of draws from N(0, I)
    that are farther from any training code than 95 % of held-out codes are. `jump`: largest over mean step of pixels
    along walks between codes. `unsure_…`: share of decoded images that are of no clear class. Fréchet distance and
    coverage are on pixels-PCA.
    """
    from scipy.stats import chi2

    from genlab.metrics.features import pca_features
    from genlab.metrics.fidelity import coverage, frechet_distance

    known, draws = run.images, np.random.default_rng(0)
    fitted = known.tensor(draws.permutation(known.splits["train"])[:FITTED]).numpy()  # sets are often sorted by class
    images = known.tensor(known.splits["validation"][: FITTED // 2]).numpy()
    codes, training_codes = (run.encode(each).mean.astype(np.float64) for each in (images, fitted))
    drawn = np.random.default_rng(0).standard_normal(codes.shape)
    others = codes[draws.permutation(len(codes))]
    of = pca_features(fitted).of
    decoded = {"prior": drawn, "between": (codes + others) / 2, "codes": codes}
    seen = {name: run.decode(some).array for name, some in decoded.items()}
    numbers = {
        "prior_frechet": frechet_distance(of(images), of(seen["prior"])),
        "codes_frechet": frechet_distance(of(images), of(seen["codes"])),
        "prior_coverage": coverage(of(images), of(seen["prior"])),
        "code_deviation": float(codes.std(0).mean()),
        "outside": float((np.square(codes).sum(1) > chi2(codes.shape[1]).ppf(INSIDE)).mean()),
        "holes": holes(training_codes, codes, drawn),
        "jump": jump(lambda some: run.decode(some).array, codes[:WALKS], others[:WALKS]),
    }
    if run.classifier() is not None:
        numbers |= {f"unsure_{name}": unsure(pictures, run) for name, pictures in seen.items()}
    return numbers


def holes(training: np.ndarray, held_out: np.ndarray, drawn: np.ndarray) -> float:
    """The share of drawn codes (K, D) farther from any training code (N, D) than 95 % of held-out codes (M, D) are.

    >>> line = np.arange(10.0)[:, None]
    >>> holes(line, line + 0.1, np.array([[3.0], [3.05], [20.0], [-5.0]]))
    0.5
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(training)
    return float((tree.query(drawn)[0] > np.quantile(tree.query(held_out)[0], FAR)).mean())


def jump(decode: Features, starts: np.ndarray, ends: np.ndarray) -> float:
    """Largest step over mean step of straight walks between codes (N, D), measured on what is decoded; mean over walks.

    It is 1 where images change evenly all the way, and as many as there are steps where all changes at once.

    >>> walk = np.array([[0.0]]), np.array([[1.0]])
    >>> round(jump(lambda z: z, *walk), 6), round(jump(lambda z: np.float64(z > 0.49), *walk), 6)
    (1.0, 20.0)
    """
    places = np.linspace(0, 1, STEPS)[:, None, None]
    walks = (1 - places) * starts + places * ends
    images = np.asarray(decode(walks.reshape(-1, starts.shape[1])), dtype=np.float64).reshape(*walks.shape[:2], -1)
    steps = np.linalg.norm(np.diff(images, axis=0), axis=2)
    moving = steps.max(0) > 0
    return float((steps.max(0)[moving] / steps.mean(0)[moving]).mean()) if moving.any() else 1.0


def generator_gradients(generator: nn.Module, critic: nn.Module, codes: torch.Tensor) -> dict[str, float]:
    """How strongly both losses pull at a generator: ‖∇_θ L‖ over all its weights, for images of codes (N, D).

    With logits s_i and D = σ(s), ∇_θ E log(1 − D) = −E D ∇_θ s and ∇_θ(−E log D) = −E (1 − D) ∇_θ s: the first falls with
    `d_fake`, the mean of D.
    """
    import torch

    from genlab.nn.adversarial import generator_loss, judged

    weights = list(generator.parameters())
    logits = critic(generator(codes))
    found = {"d_fake": float(judged("minimax", logits))}
    for loss in LOSSES:
        slopes = torch.autograd.grad(generator_loss(loss, logits), weights, retain_graph=True)  # type: ignore[arg-type]
        found[loss] = float(torch.stack([slope.norm() for slope in slopes]).norm())
    return found


def gradients_ahead(
    game: TwoPlayerGame, data: Batches, settings: TrainingSettings, marks: Sequence[int]
) -> dict[str, list[float]]:
    """`generator_gradients` after each of `marks` steps in which the discriminator alone has moved: one list a number.

    Both players are left in training mode, as they are when the generator learns.
    """
    import torch

    from genlab.core.seeding import aside
    from genlab.training.loop import Training

    found: dict[str, list[float]] = {"steps": []}
    with aside(settings.seed):
        training = Training(game, data, settings.model_copy(update={"epochs": max(marks) + 1}))  # type: ignore[arg-type]
        training.resting.add("generator")
        codes = torch.randn(JUDGED, game.latent_dim, device=training.device)
        for _ in training.events():
            if training.step in marks and training.step not in found["steps"]:
                numbers = generator_gradients(game.generator.train(), game.critic.train(), codes)
                for name, number in {"steps": training.step, **numbers}.items():
                    found.setdefault(name, []).append(number)
            if training.step >= max(marks):
                break
    return found


def ahead_of_run(run: Any) -> dict[str, dict[str, list[float]]]:
    """`gradients_ahead` of a GAN's run, from its players as they began (`untrained`) and as they ended (`trained`)."""
    from genlab.core.registry import find
    from genlab.core.seeding import aside
    from genlab.core.settings import TrainingSettings

    settings, found = TrainingSettings(**run.config.settings), {}
    for state in ("untrained", "trained"):
        with aside(settings.seed):
            game = find(run.config.model).create(run.images.shape, len(run.images.class_names), **run.config.parameters)
        if state == "trained":
            game.load_state_dict(run.model().state_dict())
        found[state] = gradients_ahead(game, run.images.batches(), settings, AHEAD)  # type: ignore[arg-type]
    return found
