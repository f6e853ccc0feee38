"""One model on one cloud at one moment: the package's own training loop, held between two steps."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from genlab.core.events import Progressed
from genlab.core.registry import find
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.clouds import SHAPE
from genlab.data.loader import ArrayBatches
from genlab.training.loop import Training
from genlab.workspace.spectacle import Spectacle
from genlab.workspace.theatre import TURNS, Scene

EPOCHS = 100_000  # more than anybody plays


class Stage:
    """Takes the steps of a scene one by one, and shows what is there to be seen.

    Everything is drawn from PyTorch's one generator, as in any training: whoever has other use for it keeps a copy.
    `state` is what an earlier stage of the same scene gave.
    """

    def __init__(self, scene: Scene, state: Any = None) -> None:
        seed_everything(scene.seed)
        self.model = find(scene.model).create(SHAPE, 0, **scene.values)
        settings = TrainingSettings(
            epochs=EPOCHS, batch_size=scene.batch_size, seed=scene.seed, device="cpu", precision="float32"
        )
        data = ArrayBatches(scene.images, None, {"train": np.arange(len(scene.images))})
        self.training = Training(self.model, data, settings)
        self.spectacle = Spectacle(scene, self.model)
        self.scalars: dict[str, float] = {}
        if state is not None:
            weights, training, self.scalars = copy.deepcopy(state)
            self.model.load_state_dict(weights)
            self.training.load_state(training)
        self.events = self.training.events()

    def take(self, turn: str, count: int = 1) -> int:
        """Up to `count` steps in which the players whose turn it is not rest; returns how many there were to take."""
        self.training.resting.clear()
        self.training.resting.update(TURNS[turn])
        before = self.training.step
        for event in self.events if count else ():
            if isinstance(event, Progressed):
                self.scalars = dict(event.scalars)
            if self.training.step == before + count:
                break
        return self.training.step - before

    def look(self) -> tuple[int, dict[str, float], dict[str, np.ndarray]]:
        """The step, its scalars and the parts of the picture; nothing of the training is disturbed."""
        measured, parts = self.spectacle.look(self.model)
        return self.training.step, {**self.scalars, **measured}, parts

    def state(self) -> Any:
        """All that a stage needs to go on to the bit as if it had not stopped."""
        return copy.deepcopy((self.model.state_dict(), self.training.state(), self.scalars))
