"""Stopping when there is nothing more to gain, and going on from such a stop to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import images
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, Fits
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished, Finished
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.registry import models
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.nn.game import TwoPlayerGame
from genlab.training.device import resolve_device
from genlab.training.loop import Training
from genlab.ui.train_form import settings_of

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


VALIDATED = {name: entry for name, entry in models().items() if entry.stops_early}


def test_those_that_stop_early_are_those_that_tell_a_validation_loss() -> None:
    assert {"vae", "conditional_vae", "cyclegan", "glow", "vq_vae", "ava5", "recognition"} <= set(VALIDATED)
    for name in set(models()) - set(VALIDATED):
        model = models()[name].model
        assert issubclass(model, Fits | TwoPlayerGame), name


@pytest.mark.parametrize("name", ["gan", "wgan", "info_gan", "naive_bayes", "gmm"])
def test_where_it_cannot_work_it_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    lab = genlab.Workspace(tmp_path)
    with pytest.raises(
        BadInputError, match=r"tells no validation loss for early stopping to watch; set early_stopping to 0\.$"
    ):
        lab.prepare(name, images(lab), early_stopping=3)
    assert not len([run for run in lab.runs if not run.shipped])
    assert "early_stopping" not in settings_of(models()[name])
    assert "early_stopping" in settings_of(models()["vae"])


def test_a_set_that_holds_nothing_out_is_refused_too(tmp_path: Path) -> None:
    lab = genlab.Workspace(tmp_path)
    pictures = images(lab, count=2)
    assert len(pictures.splits["validation"]) == 0
    with pytest.raises(BadInputError, match="hold none out"):
        lab.prepare("vae", pictures, early_stopping=3)
    assert lab.prepare("vae", pictures).status == "queued"


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
