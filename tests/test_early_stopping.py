"""Stopping when there is nothing more to gain, and going on from such a stop to the bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished, Finished
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.training.device import resolve_device
from genlab.training.loop import Training

VALIDATION = [5.0, 4.0, 4.5, 3.0, 3.0, 3.5, 2.0, 1.0]


class Scripted(Model, Descends):
    """A model whose validation loss after each epoch is written down."""

    Parameters = Parameters

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.weight = nn.Parameter(torch.ones(1))
        self.register_buffer("epochs", torch.tensor(0))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        return {"one": torch.optim.SGD(self.parameters(), lr=0.1)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, Tensor]:
        minimise(one=self.weight.square().sum())
        return {}

    def validation_step(self, batch: Batch) -> dict[str, Tensor]:
        self.epochs += 1
        return {"loss": torch.tensor(VALIDATION[int(self.epochs) - 1])}


def data(validation: int = 4) -> ArrayBatches:
    images = np.zeros((12, 1, 8, 8), dtype=np.uint8)
    return ArrayBatches(images, None, {"train": np.arange(8), "validation": np.arange(8, 8 + validation)})


def train(patience: int, validation: int = 4) -> tuple[int, str]:
    settings = TrainingSettings(epochs=8, batch_size=4, early_stopping=patience)
    events = [event for event in Training(Scripted(), data(validation), settings).events() if event is not None]
    assert isinstance(events[-1], Finished)
    return sum(isinstance(event, EpochFinished) for event in events), events[-1].reason


@pytest.mark.parametrize(("patience", "epochs", "reason"), [
    (0, 8, "budget"), (1, 3, "converged"), (2, 6, "converged"), (3, 8, "budget"),
])  # fmt: skip
def test_it_waits_as_many_epochs_as_it_is_told(patience: int, epochs: int, reason: str) -> None:
    assert train(patience) == (epochs, reason)


def test_without_validation_images_it_never_stops_early() -> None:
    assert train(1, validation=0) == (8, "budget")


@pytest.mark.parametrize("stop_at", [3, 5, 10])
def test_patience_is_resumed_too(stop_at: int) -> None:
    settings = TrainingSettings(epochs=8, batch_size=4, early_stopping=2)
    first = Training(Scripted(), data(), settings)
    epochs = 0
    for event in first.events():
        epochs += isinstance(event, EpochFinished)
        if first.step == stop_at and (stop_at % 2 or isinstance(event, EpochFinished)):
            break
    second = Training(Scripted(), data(), settings)
    second.model.load_state_dict(first.model.state_dict())
    second.load_state(first.state())
    rest = [event for event in second.events() if event is not None]
    assert epochs + sum(isinstance(event, EpochFinished) for event in rest) == 6
    assert rest[-1].reason == "converged"
    third = Training(Scripted(), data(), settings)
    third.model.load_state_dict(second.model.state_dict())
    third.load_state(second.state())
    assert [event.kind for event in third.events() if event is not None] == ["started", "finished"]


def test_a_fit_that_is_done_says_that_it_converged() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8)).astype(np.uint8)
    batches = ArrayBatches(images, None, {"train": np.arange(20)})
    model = genlab.create("naive_bayes", (1, 8, 8))
    events = [event for event in Training(model, batches, TrainingSettings(epochs=5)).events() if event is not None]
    assert (events[-1].epoch, events[-1].reason) == (1, "converged")


def test_float64_models_are_kept_off_devices_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", double=True).type == "cpu"
    assert resolve_device("cpu", double=True).type == "cpu"
    with pytest.raises(BadInputError, match="float64, which mps devices lack"):
        resolve_device("mps", double=True)
