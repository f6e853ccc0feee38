"""The worker: trains the run in one directory and touches nothing else."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from genlab.core.capabilities import Descends, Fits
from genlab.core.errors import GenlabError
from genlab.core.events import Checkpointed, EpochFinished, Event, Failed, Finished, Paused, Progressed, Started
from genlab.jobs.executors import LAUNCHED, THREADS
from genlab.jobs.images import find_images
from genlab.jobs.models import with_triplets
from genlab.jobs.queue import INDEX, pump
from genlab.runs.checkpoints import (
    checkpoints,
    load_training,
    newest_intact,
    put_weights,
    refuse_weights_only,
    save_checkpoint,
    sweep,
)
from genlab.runs.config import RunState
from genlab.runs.directory import RunDirectory
from genlab.runs.events import EventLog
from genlab.runs.files import in_words
from genlab.runs.locking import only_worker, process_started

if TYPE_CHECKING:
    from genlab.jobs.previews import Previews
    from genlab.training.loop import Training

SECONDS_BETWEEN_CHECKPOINTS = 60.0
SECONDS_BETWEEN_LOOKS = 0.3
SHARE_OF_SAVING = 0.1  # of the time, at most, that checkpoints at the ends of epochs may take
RESERVE = 2**16  # bytes kept free for a last word when the disk is full


class Worker:
    """Trains one run: listens to its training, writes what it says, and obeys what was asked of it."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.state = run.state.model_copy(
            update={"status": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
        )
        self.wish = ""
        self.looked = self.saved = time.monotonic()
        self.save_took = 0.0
        self.saved_step = self.drawn_step = -1
        self.loss = math.inf  # of the last finished epoch
        self.told = 0.0

    def train(self) -> str:
        """Train until the budget is spent or somebody stops it; returns the final status."""
        training: Training | None = None
        try:
            self._set(status="running", message="", remedy="")
            self._reserve.write_bytes(b"\xff" * RESERVE)
            self.log = EventLog(self.run.path / "events.jsonl")
            training = self._prepare()
            return self._follow(training)
        except GenlabError as error:
            return self._fail(training, str(error), getattr(error, "term", ""), getattr(error, "step", 0))
        except OSError as error:
            return self._fail(training, str(in_words(error, "what the run had to record")))
        except Exception as error:
            with contextlib.suppress(OSError):
                (self.run.artefacts / "traceback.txt").write_text(traceback.format_exc())
            return self._fail(training, f"{type(error).__name__}: {error}")
        finally:
            self._reserve.unlink(missing_ok=True)
            if hasattr(self, "log"):
                self.log.close()

    @property
    def _reserve(self) -> Path:
        return self.run.path / ".reserve"

    def _prepare(self) -> Training:
        from genlab.core.registry import find
        from genlab.core.seeding import seed_everything
        from genlab.core.settings import TrainingSettings
        from genlab.training.loop import Training

        config = self.run.config
        parameters, chosen = self.run.effective()
        settings = TrainingSettings(**chosen)
        folder = self.run.path.parent.parent / "datasets"
        images = find_images(config.data, folder)
        images.check_trainable()
        second = find_images(config.second, folder) if config.second else None
        seed_everything(settings.seed)
        model = find(config.model).create(images.shape, len(images.class_names), **parameters)
        training = Training(model, with_triplets(images.batches_with(second, model.learns_from), model), settings)
        self._go_on(training)
        return training

    def _go_on(self, training: Training) -> None:
        """Continue from the newest good checkpoint, where there is one; damaged newer ones are removed."""
        sweep(self.run.checkpoints)
        refuse_weights_only(self.run.checkpoints)
        checkpoint = newest_intact(self.run.checkpoints, resumable=True)
        if checkpoint is not None:
            for other in checkpoints(self.run.checkpoints):
                if other.step > checkpoint.step:
                    shutil.rmtree(other.path, ignore_errors=True)
            put_weights(training.model, checkpoint)
            training.load_state(load_training(checkpoint))
            self.saved_step = checkpoint.step

    def _follow(self, training: Training) -> str:
        from genlab.jobs.previews import Previews

        previews = Previews(self.run, training)
        for event in training.events():
            if event is not None:
                self._write(event, training)
            if isinstance(event, EpochFinished):
                self._after_epoch(event, training, previews)
            if isinstance(event, Finished):
                self._draw(previews)
                self._checkpoint(training, self.loss)
                return self._finish(training)
            if isinstance(event, Progressed) and isinstance(training.model, Fits):
                continue  # its iteration is told in two events, and is whole after the second
            if self._wished():
                return self._leave(training)
            if time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
                self._checkpoint(training)
        raise GenlabError("The training ended without saying so.")

    def _write(self, event: Event, training: Training) -> None:
        self.log.append(event)
        if isinstance(event, Started):
            self._set(device=event.device, step=training.step, epoch=training.epoch, seconds=training.seconds)
        elif isinstance(event, EpochFinished) or time.monotonic() - self.told > 1:
            self._set(step=training.step, epoch=training.epoch, seconds=training.seconds)
            self.told = time.monotonic()

    def _after_epoch(self, event: EpochFinished, training: Training, previews: Previews) -> None:
        self._refuse_spoilt(training)
        settings = training.settings
        last = event.epoch == settings.epochs
        self.loss = (event.validation or event.scalars).get("loss", math.inf)
        if last or event.epoch % previews.every == 0 or event.epoch == 1:
            self._draw(previews)
        affordable = time.monotonic() - self.saved >= self.save_took / SHARE_OF_SAVING
        if last or (event.epoch % settings.checkpoint_every == 0 and affordable):
            self._checkpoint(training, self.loss)

    def _draw(self, previews: Previews) -> None:
        step = previews.training.step
        if step not in (self.drawn_step, 0):
            self.drawn_step = step
            for preview in previews.draw():
                self.log.append(preview)

    def _checkpoint(self, training: Training, loss: float = math.inf) -> None:
        if training.step == self.saved_step:
            return
        self._refuse_spoilt(training)
        where = {"step": training.step, "epoch": training.epoch}
        began = time.monotonic()
        saved = save_checkpoint(self.run.checkpoints, training.model, training.state(), loss=loss, **where)
        self.saved, self.saved_step = time.monotonic(), training.step
        self.save_took = self.saved - began
        self.log.append(Checkpointed(**where, path=str(saved.path.relative_to(self.run.path))))

    def _refuse_spoilt(self, training: Training) -> None:
        """A step may spoil the weights after its loss was still finite: those never replace good ones."""
        from genlab.training.loop import NotFiniteError

        if isinstance(training.model, Descends):
            for name, weight in training.model.named_parameters():
                if not bool(weight.isfinite().all()):
                    raise NotFiniteError(f"weights of {name}", training.step)

    def _wished(self) -> bool:
        if time.monotonic() - self.looked > SECONDS_BETWEEN_LOOKS:
            self.looked = time.monotonic()
            self.wish = self.wish or self.run.asked()
        return bool(self.wish)

    def _leave(self, training: Training) -> str:
        self._checkpoint(training)
        if self.wish == "stop":
            return self._finish(training, stopped=True)
        self.log.append(Paused(step=training.step, epoch=training.epoch))
        self.run.clear_wish()
        self._set(status="paused", step=training.step, epoch=training.epoch, seconds=training.seconds)
        return "paused"

    def _finish(self, training: Training, *, stopped: bool = False) -> str:
        message = "Stopped before its budget was spent." if stopped else ""
        if stopped:
            end = Finished(step=training.step, epoch=training.epoch, seconds=training.seconds, reason="stopped")
            self.log.append(end)
        self.run.clear_wish()
        where = {"step": training.step, "epoch": training.epoch, "seconds": training.seconds}
        self._set(status="finished", message=message, **where)
        return "finished"

    def _fail(self, training: Training | None, message: str, term: str = "", step: int = 0) -> str:
        self._reserve.unlink(missing_ok=True)
        where = {"step": 0, "epoch": 0}
        if training is not None:
            where = {"step": step or training.step, "epoch": training.epoch}
        remedy = self._remedy(term)
        with contextlib.suppress(OSError):
            if hasattr(self, "log"):
                self.log.append(Failed(**where, message=message, term=term, remedy=remedy))
        self._set(status="failed", message=message, remedy=remedy, **where)
        return "failed"

    def _remedy(self, term: str) -> str:
        """What to try when a term was no number any more: the present learning rate, and a tenth of it."""
        rate = self.run.effective()[0].get("learning_rate")
        if not term or not rate:
            return ""
        good = newest_intact(self.run.checkpoints, resumable=True)
        place = f"Resume from the good checkpoint of epoch {good.epoch}" if good else "No epoch had ended: begin again"
        return f"{place} with a lower learning rate, {rate / 10:g} instead of {rate:g}."

    def _set(self, **changes: object) -> None:
        self.state = RunState.model_validate({**self.state.model_dump(), **changes})
        self.run.set_state(self.state)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """On SIGTERM or SIGINT: checkpoint at the next step, then leave as paused."""
        self.wish = "pause"


def main(arguments: list[str]) -> int:
    """Train the run in the directory that is named; 0 when it finished or paused, 1 when it failed."""
    if len(arguments) != 1:
        print("usage: python -m genlab.train RUN_DIRECTORY", file=sys.stderr)
        return 2
    run = RunDirectory(Path(arguments[0]).resolve())
    try:
        run.config  # noqa: B018 - refuses a folder that is no run
        _await_starter(run)
        with only_worker(run.path):
            status = _train(run)
    except GenlabError as error:
        print(error, file=sys.stderr)
        return 2
    lab = run.path.parent.parent
    if (lab / INDEX).exists():
        pump(lab)
    return 1 if status == "failed" else 0


def _train(run: RunDirectory) -> str:
    worker = Worker(run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.interrupt)
    if THREADS in os.environ and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(int(os.environ[THREADS]))
    return worker.train()


def _await_starter(run: RunDirectory) -> None:
    """Whoever launched this process writes the state first; wait for that, so that the state has one writer."""
    end = time.monotonic() + 10 if LAUNCHED in os.environ else 0
    while time.monotonic() < end and run.state.pid != os.getpid():
        time.sleep(0.01)
