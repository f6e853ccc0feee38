"""A run that is not on disk, tiny models and pictures: what the tests of exploring share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

import genlab
from genlab.core.capabilities import Encodes, Samples, SamplesByLabel, Scores, capabilities
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape
from genlab.nn.normal import Point, StandardNormalPrior
from genlab.workspace.explore import Explore

rng = np.random.default_rng(5)


class Set(SimpleNamespace):
    """Just what exploring reads of an image set."""

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray | None = None) -> Set:
        index = np.arange(len(images))
        return cls(
            images=images, labels=labels, count=len(images), hash=f"{hash(images.tobytes()) & 0xFFFFFFFFFFFF:x}",
            splits={"train": index[index % 5 > 0], "validation": index[index % 5 == 0]}, factors={"size": index / 7},
            shape=Shape(*images.shape[1:]), class_names=() if labels is None else ("cat", "dog"),
        )  # fmt: skip


class FakeRun(Explore):
    def __init__(self, model: Model, images: Set, directory: Path, shipped: bool = False) -> None:
        self._model, self._images, self._shipped = model.eval(), images, shipped
        self._directory, self.title = directory, "tiny run"
        self.config = SimpleNamespace(data=SimpleNamespace(class_names=("cat", "dog")))
        self.lab = SimpleNamespace(root=directory)
        self.encodings = 0

    def model(self, step=None):
        return self._model

    @property
    def images(self):
        return self._images

    @property
    def directory(self):
        return self._directory

    @property
    def shipped(self):
        return self._shipped

    def can(self, *names: str | tuple[str, ...]) -> bool:
        able = set(capabilities(type(self._model)))
        return all(able & ({name} if isinstance(name, str) else set(name)) for name in names)


def pictures(count: int = 30, shape=(1, 8, 8)) -> Set:
    return Set.of(rng.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % 2)


class Generator(Model, StandardNormalPrior, SamplesByLabel):
    """A decoder with a prior and no encoder."""

    Parameters = Parameters

    def __init__(self, latent_dim: int = 2) -> None:
        super().__init__(Shape(1, 8, 8), 2, Parameters())
        self.latent_dim = latent_dim
        self.layer = torch.nn.Linear(latent_dim, 64)

    def decode(self, codes):
        return torch.sigmoid(self.layer(codes)).view(-1, 1, 8, 8)

    def sample_labels(self, labels, *, temperature=1.0, generator=None):
        noise = torch.rand(len(labels), 1, 8, 8, generator=generator) * 0.1
        return noise + 0.5 * labels.view(-1, 1, 1, 1)


class Replay(Model, Samples):
    """Gives images that it was handed, as if it had drawn them."""

    Parameters = Parameters

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(Shape(*images.shape[1:]), 0, Parameters())
        self.register_buffer("images", torch.from_numpy(images).float())

    def sample(self, count, *, temperature=1.0, generator=None):
        return self.images[:count]


class Auto(Generator, Encodes):
    """Codes are the first pixels: points without a variance."""

    def encode(self, images):
        return Point(images.flatten(1)[:, : self.latent_dim] * 4)


class Density(Model, Scores):
    Parameters = Parameters

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.register_buffer("zero", torch.zeros(1))

    def log_likelihood(self, images):
        return -images.flatten(1).sum(1)


def floats(run: FakeRun, count: int) -> np.ndarray:
    return run.images.images[:count].astype(np.float32) / 255


def tiny_run(directory: Path) -> FakeRun:
    """A VAE with three latent dimensions on 8x8 noise."""
    torch.manual_seed(0)
    return FakeRun(genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16), pictures(), directory)
