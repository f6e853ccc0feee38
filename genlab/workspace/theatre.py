"""The training theatre: the package's own models learn a cloud of points step by step, as far as anybody asks.

A moment of a play is told by its scene and its history, the turns taken so far. As every step is a function of these
alone, nothing is lost when somebody goes back and on another way, or when the memory of moments is full: what is
forgotten is played again.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.parameters import ParameterInfo, describe, validate
from genlab.core.settings import TrainingSettings
from genlab.data.clouds import as_images, cloud, drawn_cloud

if TYPE_CHECKING:
    from genlab.workspace.stage import Stage

POINTS = 1024
DRAWN = "drawn"
TURNS = {"b": (), "d": ("generator",), "g": ("discriminator",)}
"""Letters of a history, and the players who rest: all move, the discriminator alone, the generator alone."""
MOST_STEPS = 20_000
MOST_AT_ONCE = 2000  # steps that one question may ask for
KEPT = 300  # moments that are remembered
OVER = "There is nothing more to gain: another round would change next to nothing."


class Role(NamedTuple):
    """How a model comes on: the values that fit two dimensions, and the parameters that a person may change."""

    values: Mapping[str, Any]
    shown: tuple[str, ...]


_learning = {"learning_rate": 3e-3, "batch_size": 128}
CAST = {
    "gan": Role(
        {**_learning, "learning_rate": 1e-3, "critic_learning_rate": 4e-3, "latent_dim": 2, "hidden": 32, "critic_hidden": 32, "batch_norm": False, "dropout": 0.0},
        ("loss", "latent_dim", "learning_rate", "critic_learning_rate", "critic_steps", "r1", "hidden", "batch_size"),
    ),
    "vae": Role(
        {**_learning, "latent_dim": 2, "hidden": 64, "depth": 2, "likelihood": "gaussian", "sigma": 0.04},
        ("latent_dim", "sigma", "beta", "learning_rate", "hidden", "batch_size"),
    ),
    "nice": Role(
        {**_learning, "couplings": 6, "hidden": 64, "prior": "normal"},
        ("couplings", "hidden", "learning_rate", "batch_size"),
    ),
    "realnvp": Role({**_learning, "width": 16}, ("width", "bound", "learning_rate", "batch_size")),
    "gmm": Role(
        {"components": 8, "start": "random", "regularisation": 1e-4, "tolerance": 1e-6},
        ("components", "covariance", "start", "regularisation"),
    ),
}  # fmt: skip


LIMITS = {
    "batch_size": (64, 512),  # at most twenty steps an epoch, so that every single one is reported
    "hidden": (4, 256),
    "width": (1, 64),
    "latent_dim": (1, 16),
    "components": (1, 64),
    "couplings": (2, 16),
}
"""Narrower than the models' own: what is played has to be fast, and every moment that is remembered small."""


class Scene(NamedTuple):
    """What is played: a model with all its values, on images (N, 1, 1, 2), with a batch size and a seed."""

    model: str
    values: Mapping[str, Any]
    cloud: str
    images: np.ndarray
    batch_size: int
    seed: int

    @property
    def name(self) -> str:
        """A short name for just this scene."""
        told = repr((self.model, sorted(self.values.items()), self.cloud, self.batch_size, self.seed))
        return hashlib.blake2b(told.encode() + self.images.tobytes(), digest_size=8).hexdigest()

    @property
    def points(self) -> np.ndarray:
        """The cloud as the model sees it, (N, 2) float32 in [0, 1]."""
        return self.images.reshape(-1, 2).astype(np.float32) / 255


class Frames(NamedTuple):
    """What is seen at some moments: `steps` (T,), named `scalars` (T,), `parts` of a picture (T, …).

    `said` is a sentence where there was no step left to take, else empty.
    """

    steps: list[int]
    scalars: dict[str, list[float]]
    parts: dict[str, np.ndarray]
    said: str


def choices(model: str) -> dict[str, ParameterInfo]:
    """The parameters of a model that a person may change in the theatre (imports torch)."""
    from genlab.core.registry import find

    known = {**find(_known(model)).parameters, **describe(TrainingSettings)}
    found = {name: known[name] for name in CAST[model].shown}
    for name in found.keys() & LIMITS.keys():
        low, high = LIMITS[name]
        found[name] = found[name]._replace(minimum=low, maximum=high)
    return found


def scene(model: str = "gan", cloud_name: str = "ring", *, seed: int = 0, strokes: Any = (), **values: Any) -> Scene:
    """A model on a cloud; `values` change what `choices` names, `strokes` are what was drawn for the cloud "drawn".

    Raises `BadInputError` in one sentence for a value out of bounds and for what is not shown here.
    """
    from genlab.core.registry import find

    known = choices(model)
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError(f"parameter of {model} in the theatre", name, known)
        low, high = LIMITS.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            raise BadInputError(
                f"Parameter {name!r} must be from {low} to {high} in the theatre, and {value!r} is not."
            )
    own, shared = find(model).split({**CAST[model].values, **values})
    settings = validate(TrainingSettings, {**shared, "seed": seed}, of="the theatre")
    points = drawn_cloud(strokes, POINTS, seed) if cloud_name == DRAWN else cloud(cloud_name, POINTS, seed)
    complete = find(model).validate(own).model_dump()
    return Scene(model, complete, cloud_name, as_images(points), settings.batch_size, seed)  # type: ignore[attr-defined]


def _known(model: str) -> str:
    if model not in CAST:
        raise UnknownNameError("model in the theatre", model, CAST)
    return model


class Theatre:
    """Plays any scene from any moment, and remembers the moments where questions ended.

    >>> theatre = Theatre()
    >>> theatre.play(scene("gmm", "spiral"), steps=3).steps
    [1, 2, 3]
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.moments: dict[tuple[str, str], Any] = {}  # (scene, history) -> state, the oldest first
        self.lock = threading.Lock()  # training draws its noise from PyTorch's one generator

    def play(self, scene: Scene, history: str = "", turn: str = "b", steps: int = 0, every: int = 1) -> Frames:
        """Go on from a history by `steps` times `turn`, with a frame after every `every` of them.

        No steps give the frame of the moment itself. A history is a string of the letters of `TURNS`. Raises
        `FailedRunError` where a loss stops being a number.
        """
        import torch

        _refuse(scene, history + turn, steps, every)
        with self.lock, torch.random.fork_rng(devices=[]):
            stage = self._at(scene, history)
            seen, taken, said = [] if steps else [stage.look()], 0, ""
            while taken < steps and not said:
                count = min(every, steps - taken)
                moved = stage.take(turn, count)
                taken += moved
                said = "" if moved == count else OVER
                if moved:
                    seen.append(stage.look())
            self._keep(scene, history + turn * taken, stage)
        return _together(seen, said)

    def _at(self, scene: Scene, history: str) -> Stage:
        """A stage at the end of a history: from the latest moment that is remembered, the rest is played again."""
        from genlab.workspace.stage import Stage

        known = [past for name, past in self.moments if name == scene.name and history.startswith(past)]
        past = max(known, key=len, default="")
        stage = Stage(scene, self.moments.get((scene.name, past)))
        for turn, several in itertools.groupby(history[len(past) :]):
            stage.take(turn, len(list(several)))
        return stage

    def _keep(self, scene: Scene, history: str, stage: Stage) -> None:
        self.moments[scene.name, history] = stage.state()
        while len(self.moments) > self.kept:
            self.moments.pop(next(iter(self.moments)))


def _refuse(scene: Scene, turns: str, steps: int, every: int) -> None:
    letters = "".join(TURNS) if scene.model == "gan" else "b"
    if not re.fullmatch(f"[{letters}]*", turns):
        raise BadInputError(f"Turns of {scene.model} are written with the letters {', '.join(letters)}.")
    if not (0 <= steps <= MOST_AT_ONCE and every >= 1):
        raise BadInputError(f"Ask for 0 to {MOST_AT_ONCE} steps at once.")
    if len(turns) - 1 + steps > MOST_STEPS:
        raise BadInputError(
            f"A play ends after {MOST_STEPS:,} steps; start another one, or train a run on the Train page."
        )


def _together(seen: Sequence[tuple[int, dict[str, float], dict[str, np.ndarray]]], said: str) -> Frames:
    """Frames side by side: one array for each part."""
    steps, scalars, parts = zip(*seen, strict=True) if seen else ((), (), ())
    names = dict.fromkeys(name for row in scalars for name in row)
    return Frames(
        list(steps),
        {name: [row.get(name, float("nan")) for row in scalars] for name in names},
        {name: np.stack([part[name] for part in parts]) for name in (parts[0] if parts else ())},
        said,
    )
