"""The worker: trains the run in one directory and touches nothing else."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from genlab.core.errors import GenlabError
from genlab.core.events import Checkpointed, EpochFinished, Event, Failed, Finished, Paused, Progressed, Started
from genlab.jobs.queue import pump, slots
from genlab.runs.checkpoints import load_training, load_weights, save_checkpoint
from genlab.runs.config import RunState
from genlab.runs.directory import RunDirectory, process_started
from genlab.runs.events import EventLog

if TYPE_CHECKING:
    from genlab.jobs.previews import Previews
    from genlab.training.loop import Training

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_BETWEEN_LOOKS = 0.3


class Worker:
    """Trains one run: listens to its training, writes what it says, and obeys what was asked of it."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.log = EventLog(run.path / "events.jsonl")
        self.state = RunState(status="running", pid=os.getpid(), pid_started=process_started(os.getpid()))
        self.wish = ""
        self.looked = self.saved = time.monotonic()
        self.told = 0.0

    def train(self) -> str:
        """Train until the budget is spent or somebody stops it; returns the final status."""
        run = self.run
        run.clear_wish()
        self._set(status="running")
        training: Training | None = None
        try:
            training = self._prepare()
            return self._follow(training)
        except GenlabError as error:
            return self._fail(training, str(error), getattr(error, "term", ""))
        except OSError as error:
            return self._fail(training, f"{error.strerror or error}: {error.filename or run.path}.")
        except Exception as error:
            (run.artefacts / "traceback.txt").write_text(traceback.format_exc())
            return self._fail(training, f"{type(error).__name__}: {error}")
        finally:
            self.log.close()

    def _prepare(self) -> Training:
        from genlab.core.registry import find
        from genlab.core.seeding import seed_everything
        from genlab.core.settings import TrainingSettings
        from genlab.data import open_set
        from genlab.training.loop import Training

        config = self.run.config
        parameters, chosen = self.run.effective()
        settings = TrainingSettings(**chosen)
        images = open_set(Path(config.data.path))
        if images.hash != config.data.hash:
            raise GenlabError(
                f"The image set {config.data.name!r} is not the one this run began with; import it again."
            )
        images.check_trainable()
        seed_everything(settings.seed)
        model = find(config.model).create(images.shape, len(images.class_names), **parameters)
        training = Training(model, images.batches(), settings)
        checkpoint = self.run.checkpoint()
        if checkpoint is not None:
            model.load_state_dict(load_weights(checkpoint))
            training.load_state(load_training(checkpoint))
        return training

    def _follow(self, training: Training) -> str:
        from genlab.jobs.previews import Previews

        previews = Previews(self.run, training)
        for event in training.events():
            if event is not None:
                self._write(event, training)
            if isinstance(event, EpochFinished):
                self._after_epoch(event, training, previews)
            if isinstance(event, Finished):
                self._set(status="finished", message="", remedy="")
                return "finished"
            if self._wished():
                return self._leave(training)
        raise GenlabError("The training ended without saying so.")

    def _write(self, event: Event, training: Training) -> None:
        self.log.append(event)
        if isinstance(event, Started):
            self._set(device=event.device)
        if isinstance(event, EpochFinished) or time.monotonic() - self.told > 1:
            self._set(step=training.step, epoch=training.epoch, seconds=training.seconds)
            self.told = time.monotonic()

    def _after_epoch(self, event: EpochFinished, training: Training, previews: Previews) -> None:
        settings = training.settings
        last = event.epoch == settings.epochs
        if last or event.epoch % previews.every == 0 or event.epoch == 1:
            for preview in previews.draw():
                self.log.append(preview)
        waited = time.monotonic() - self.saved
        if last or event.epoch % settings.checkpoint_every == 0 or waited > SECONDS_BETWEEN_CHECKPOINTS:
            self._checkpoint(training, event.validation or event.scalars)

    def _checkpoint(self, training: Training, scalars: Mapping[str, float]) -> None:
        checkpoint = save_checkpoint(
            self.run.checkpoints,
            training.model,
            training.state(),
            step=training.step,
            epoch=training.epoch,
            loss=scalars.get("loss", float("inf")),
        )
        self.saved = time.monotonic()
        path = str(checkpoint.path.relative_to(self.run.path))
        self.log.append(Checkpointed(step=training.step, epoch=training.epoch, path=path))

    def _wished(self) -> bool:
        if time.monotonic() - self.looked > SECONDS_BETWEEN_LOOKS:
            self.looked = time.monotonic()
            self.wish = self.wish or self.run.asked()
        return bool(self.wish)

    def _leave(self, training: Training) -> str:
        self._checkpoint(training, training.whole.means())
        self.run.clear_wish()
        where = {"step": training.step, "epoch": training.epoch}
        if self.wish == "stop":
            self.log.append(Finished(**where, seconds=training.seconds, reason="stopped"))
            self._set(status="finished", **where, message="Stopped before its budget was spent.")
            return "finished"
        self.log.append(Paused(**where))
        self._set(status="paused", **where)
        return "paused"

    def _fail(self, training: Training | None, message: str, term: str = "") -> str:
        step, epoch = (training.step, training.epoch) if training is not None else (0, 0)
        remedy = ""
        rate = self.run.effective()[0].get("learning_rate")
        if term and rate:
            remedy = (
                f"Resume from the last good checkpoint with a lower learning rate: {rate / 10:g} instead of {rate:g}."
            )
        try:
            self.log.append(Failed(step=step, epoch=epoch, message=message, term=term, remedy=remedy))
        finally:
            self._set(status="failed", step=step, epoch=epoch, message=message, remedy=remedy)
        return "failed"

    def _set(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        self.run.set_state(self.state)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """On SIGTERM or SIGINT: checkpoint at the next step, then leave as paused."""
        self.wish = "pause"


def main(arguments: list[str]) -> int:
    """Train the run in the directory that is named; 0 when it finished or paused, 1 when it failed."""
    import torch

    directory = RunDirectory(Path(arguments[0]).resolve())
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // slots()))
    worker = Worker(directory)
    signal.signal(signal.SIGTERM, worker.interrupt)
    signal.signal(signal.SIGINT, worker.interrupt)
    status = worker.train()
    pump(directory.path.parent.parent)
    return 1 if status == "failed" else 0
