"""What every registered model keeps, whatever it is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from small import small
from torch import Tensor

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import (
    Bounds,
    Classifies,
    Decodes,
    Descends,
    Embeds,
    Encodes,
    EncodesNormal,
    Fits,
    HasPrior,
    Imputes,
    Samples,
    SamplesByLabel,
    Scores,
    Translates,
)
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished
from genlab.core.model import Model
from genlab.core.parameters import describe
from genlab.core.registry import PRESETS, find, models
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches, PairedBatches
from genlab.training.loop import Training
from genlab.training.players import Minimiser

NAMES = list(models())
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 100)]


@cache
def taken(name: str) -> list[tuple[int, int, int]]:
    """The shapes that a model is built for; the others it refuses in words."""
    found = []
    for shape in [*SHAPES, (1, 32, 32)]:
        with contextlib.suppress(BadInputError):
            small(name, shape)
            found.append(shape)
    return found


def smallest_shape(name: str) -> tuple[int, int, int]:
    return (1, 8, 8) if (1, 8, 8) in taken(name) else (1, 32, 32)


def images_of(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Real digits, enlarged to the shape by repetition."""
    from sklearn.datasets import load_digits

    digits = load_digits().images[:count]
    rows = np.arange(shape[1]) * 8 // shape[1]
    columns = np.arange(shape[2]) * 8 // shape[2]
    grey = digits[:, rows][:, :, columns] * 255 / 16
    return np.repeat(grey[:, None], shape[0], axis=1).astype(np.uint8)


def data_of(shape: tuple[int, int, int], count: int = 48) -> ArrayBatches:
    labels = np.arange(count) % 3
    splits = {"train": np.arange(count - 8), "validation": np.arange(count - 8, count)}
    return ArrayBatches(images_of(shape, count), labels, splits, classes=3)


def batch_of(shape: tuple[int, int, int], count: int = 12) -> Batch:
    batch = data_of(shape, count + 8).all("train", torch.device("cpu"))
    return batch._replace(second=1 - batch.images)


def inverted(data: ArrayBatches) -> ArrayBatches:
    """A second set for models that learn from two: the negatives of the first one's images, one fewer."""
    splits = {split: places[1:] for split, places in data._splits.items()}
    return ArrayBatches(255 - data._images, None, splits)


def epochs_of(model: Model, data: ArrayBatches, epochs: int) -> list[EpochFinished]:
    dealt = PairedBatches(data, inverted(data)) if isinstance(model, Translates) else data
    events = Training(model, dealt, TrainingSettings(epochs=epochs, batch_size=20)).events()
    return [event for event in events if isinstance(event, EpochFinished)]


@cache
def fitted(name: str) -> Model:
    shape = smallest_shape(name)
    model = small(name, shape)
    epochs_of(model, data_of(shape), 2)
    return model.eval()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_builds_and_takes_a_step_or_says_which_sizes_it_takes(name: str, shape: tuple[int, int, int]) -> None:
    if shape not in taken(name):
        assert shape != (3, 32, 32)
        with pytest.raises(BadInputError, match="takes"):
            small(name, shape)
        return
    model = small(name, shape)
    finished = epochs_of(model, data_of(shape, 28), 1)
    assert np.isfinite(list(finished[-1].scalars.values())).all()
    assert "loss" in finished[-1].scalars
    if isinstance(model, Samples):
        images = model.eval().sample(2, generator=torch.Generator().manual_seed(0))
        assert images.shape == (2, *shape)
        assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_images_are_enough_or_are_refused_in_words(name: str) -> None:
    shape = smallest_shape(name)
    data = ArrayBatches(images_of(shape, 24), None, {"train": np.arange(24)})
    with contextlib.suppress(BadInputError):
        finished = epochs_of(small(name, shape, classes=0), data, 1)
        assert np.isfinite(finished[-1].scalars["loss"])
        return
    with pytest.raises(BadInputError, match="labels"):  # what learns from labels alone says so at once
        small(name, shape, classes=0)


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(find(name).model, Descends)])
def test_every_loss_reaches_all_of_its_player_and_nothing_else(name: str) -> None:
    shape = smallest_shape(name)
    model = small(name, shape).train()
    assert isinstance(model, Descends)
    players = model.players()
    minimise = Minimiser(players)
    owner = {id(p): player for player, own in minimise.owned.items() for p in own}
    assert set(owner) == {id(p) for p in model.parameters() if p.requires_grad}

    def watching(**losses: Tensor) -> None:
        before = {id(p): p.detach().clone() for p in model.parameters()}
        minimise(**losses)
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue
            moved = not torch.equal(before[id(parameter)], parameter)
            if owner[id(parameter)] in losses:
                assert parameter.grad is not None
                assert torch.isfinite(parameter.grad).all()
            else:
                assert not moved, f"{owner[id(parameter)]} moved while {list(losses)} were minimised"

    seen: set[str] = set()

    def spying(**losses: Tensor) -> None:
        watching(**losses)
        seen.update(losses)

    for index in range(12):  # players that move every k-th step get their turn
        model.training_step(batch_of(shape), Step(index, 0, 12), spying)
    assert seen == set(players)


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(find(name).model, Descends)])
def test_training_lowers_the_objective_of_what_minimises_one(name: str) -> None:
    shape = smallest_shape(name)
    model = small(name, shape)
    if len(model.players()) > 1:  # a game has no single objective to fall
        pytest.skip("a game between players has no single objective that must fall")
    finished = epochs_of(model, data_of(shape), 4)
    assert finished[-1].scalars["loss"] < finished[0].scalars["loss"]


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(find(name).model, Fits)])
def test_fitting_never_raises_the_negative_log_likelihood(name: str) -> None:
    shape = smallest_shape(name)
    losses = [event.scalars["loss"] for event in epochs_of(small(name, shape), data_of(shape), 6)]
    assert losses
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(losses))


def outputs(model: Model) -> dict[str, Tensor]:
    """Everything the model can do, on fixed inputs and noise."""
    images = batch_of(tuple(model.shape), 6).images

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    told: dict[str, Callable[[], Any]] = {}
    with torch.no_grad():
        if isinstance(model, Samples):
            told["sample"] = lambda: model.sample(4, generator=generator())
        if isinstance(model, SamplesByLabel):
            told["sample_labels"] = lambda: model.sample_labels(torch.tensor([0, 1, 2]), generator=generator())
        if isinstance(model, Encodes):
            told["mean"] = lambda: model.encode(images).mean
        if isinstance(model, Embeds):
            told["embedding"] = lambda: model.embed(images)
        if isinstance(model, EncodesNormal):
            told["log_var"] = lambda: model.encode(images).log_var
        if isinstance(model, HasPrior):
            told["prior"] = lambda: model.sample_prior(5, generator=generator())
        if isinstance(model, Encodes) and isinstance(model, Decodes):
            told["reconstruction"] = lambda: model.decode(model.encode(images).mean)
        if isinstance(model, Scores):
            told["log_likelihood"] = lambda: model.log_likelihood(images)
        if isinstance(model, Bounds):
            told["kl"] = lambda: model.bound_terms(images, generator())["kl"]
            told["bound_reconstruction"] = lambda: model.bound_terms(images, generator())["reconstruction"]
        if isinstance(model, Classifies):
            told["classify"] = lambda: model.classify(images)
        if isinstance(model, Translates):
            told["translation"] = lambda: model.translate(images)
            told["translation_back"] = lambda: model.translate(images, back=True)
        if isinstance(model, Imputes):
            told["impute"] = lambda: model.impute(images, images > 0.5)
        return {key: compute() for key, compute in told.items()}


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_finite_of_the_right_shape_and_repeatable(name: str) -> None:
    model = fitted(name)
    first, second = outputs(model), outputs(model)
    image = tuple(model.shape)
    shapes = {"sample": (4, *image), "sample_labels": (3, *image), "reconstruction": (6, *image), "impute": (6, *image)}
    shapes |= dict.fromkeys(("translation", "translation_back"), (6, *image))
    shapes |= dict.fromkeys(("log_likelihood", "kl", "bound_reconstruction"), (6,))
    if isinstance(model, Decodes):
        shapes |= {"mean": (6, model.latent_dim), "log_var": (6, model.latent_dim), "prior": (5, model.latent_dim)}
    for key, value in first.items():
        assert torch.isfinite(value).all(), key
        assert torch.equal(value, second[key]), key
        if key in shapes:
            assert tuple(value.shape) == shapes[key], key
    if "embedding" in first:
        assert first["embedding"].shape == (6, model.latent_dim)
        torch.testing.assert_close(first["embedding"].norm(dim=1), torch.ones(6))
    if "kl" in first:
        assert (first["kl"] >= 0).all()
    if "classify" in first:
        torch.testing.assert_close(first["classify"].exp().sum(1).double(), torch.ones(6).double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_does_the_same(name: str, tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    model = fitted(name)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    torch.manual_seed(99)
    again = genlab.core.registry.find(name).model(model.shape, model.classes, model.parameters_used)
    again.load_state_dict(load_file(tmp_path / "w.safetensors"))
    expected, got = outputs(model), outputs(again.eval())
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights(name: str) -> None:
    shape = smallest_shape(name)
    first, second = small(name, shape).state_dict(), small(name, shape).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_complete_and_its_presets_are_valid(name: str) -> None:
    entry = find(name)
    assert entry.card.equations
    assert len(entry.card.summary) > 80
    assert entry.card.link.startswith("https://")
    for info in describe(entry.model.Parameters).values():
        assert info.description.endswith((".", "?")), info.name
        if info.type in ("int", "float"):
            assert info.minimum is not None, info.name
            assert info.maximum is not None, info.name
            assert info.minimum <= info.default <= info.maximum, info.name
    for preset in PRESETS:
        own, shared = entry.preset(preset)
        entry.validate(own)
        TrainingSettings(**shared)
    logged = epochs_of(small(name, smallest_shape(name)), data_of(smallest_shape(name)), 1)[-1]
    undescribed = {*logged.scalars, *logged.validation} - set(entry.card.scalars)
    assert not undescribed
