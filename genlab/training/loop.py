"""The one training loop: it yields events and does nothing else; whoever listens saves, shows or stops."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from genlab.core.batch import Batch, Batches, Step
from genlab.core.capabilities import Descends, Fits
from genlab.core.errors import FailedRunError, GenlabError
from genlab.core.events import EpochFinished, Event, Finished, Progressed, Started
from genlab.core.model import Model
from genlab.core.seeding import aside, derived_seed, seed_everything
from genlab.core.settings import TrainingSettings
from genlab.training.augment import augmented
from genlab.training.average import WeightAverage
from genlab.training.device import autocast, resolve_device, resolve_precision
from genlab.training.doctor import Doctor
from genlab.training.players import Minimiser, check_ownership, decay_weights
from genlab.training.schedule import Schedule
from genlab.training.tally import Steps, Tally, first_not_finite


class NotFiniteError(FailedRunError):
    """A scalar became NaN or infinite: `term` names it, `step` counts the step that made it, from 1."""

    def __init__(self, term: str, step: int) -> None:
        super().__init__(f"The term {term!r} stopped being a finite number in step {step}.")
        self.term = term
        self.step = step


class Training:
    """One model, its data and its settings, ready to be iterated.

    `for event in training.events(): …` trains; between two events everything stands still, so that
    `state()` is exact: a run restored from it goes on to the bit as if it had not stopped. On steps
    with nothing to report the loop yields None, so that the listener can stop at any step.
    """

    def __init__(self, model: Model, data: Batches, settings: TrainingSettings) -> None:
        self.settings = settings
        self.data = data
        self.device = resolve_device(settings.device, double=isinstance(model, Fits))
        self.precision = resolve_precision(settings.precision, self.device)
        self.model = model.to(self.device)
        self.step = 0
        self.epoch = 0  # finished epochs
        self.seconds = 0.0
        self.recent, self.whole = Steps(), Tally()  # since the last report, and over the epoch up to there
        self.lowest, self.waited = math.inf, 0  # best validation loss, and epochs since
        self.players: dict[str, torch.optim.Optimizer] = {}
        self.resting: set[str] = set()  # players that do not move until the listener takes them out again
        if isinstance(model, Descends):
            self.players = model.players()
            check_ownership(model, self.players)
            decay_weights(self.players, settings.decoupled_weight_decay)
        moved = [weight for weight in model.parameters() if weight.requires_grad]
        self.average = WeightAverage(moved, settings.weight_average) if settings.weight_average else None
        self.schedule = Schedule(self.players, settings, self.steps_per_epoch)
        self.doctor = Doctor(model, data, settings, self.device)
        seed_everything(derived_seed(settings.seed, 1))

    @property
    def steps_per_epoch(self) -> int:
        """Optimisation steps in one epoch, at least one; a fit counts one step an iteration."""
        if isinstance(self.model, Fits):
            return 1
        return self.data.steps(self.settings.batch_size)

    @property
    def gains_nothing(self) -> bool:
        """Whether the validation loss has not improved for as many epochs as `early_stopping` allows."""
        return 0 < self.settings.early_stopping <= self.waited

    def events(self) -> Iterator[Event | None]:
        """Train to the end of the budget; raises `NotFiniteError` when a scalar is not a number."""
        yield Started(
            step=self.step,
            epoch=self.epoch,
            steps=self.settings.epochs * self.steps_per_epoch,
            epochs=self.settings.epochs,
            steps_per_epoch=self.steps_per_epoch,
            device=str(self.device),
            precision=self.precision,
        )
        if isinstance(self.model, Fits):
            yield from self._fit(self.model)
        elif isinstance(self.model, Descends):
            yield from self._descend(self.model)
        else:
            raise GenlabError(f"{type(self.model).__name__} neither fits nor descends.")
        reason: Literal["budget", "converged"] = "budget" if self.epoch >= self.settings.epochs else "converged"
        yield Finished(step=self.step, epoch=self.epoch, seconds=self.seconds, reason=reason)

    def _fit(self, model: Fits) -> Iterator[Event]:
        yield from self.doctor.tell()
        batch = self.data.all("train", self.device)
        began = time.perf_counter()
        iterations = self.settings.epochs
        for scalars in model.fit(batch, iterations=iterations, start=self.step):
            took = time.perf_counter() - began
            self._refuse_not_finite(scalars)
            self.step += 1
            self.epoch += 1
            self.seconds += took
            yield self._progress(scalars, len(batch.images) / max(took, 1e-9), took)
            yield self._finish_epoch(model, scalars)
            yield from self.doctor.tell()
            began = time.perf_counter()

    def _descend(self, model: Descends) -> Iterator[Event | None]:
        yield from self.doctor.tell()  # what a stop between an epoch's end and its diagnosis left
        minimise = Minimiser(self.players, self.settings.gradient_clip, self.resting)
        per_epoch = self.steps_per_epoch
        log_every = max(1, min(50, per_epoch // 10))
        while self.epoch < self.settings.epochs and not self.gains_nothing:
            self.model.train()
            began, since = time.perf_counter(), self.step
            done = self.step - self.epoch * per_epoch
            batches = self.data.epoch(self.settings.seed, self.epoch, self.settings.batch_size, self.device, done)
            for batch in batches:
                self._take_step(model, batch, Step(self.step, self.epoch, per_epoch), minimise)
                done += 1
                if done % log_every and done < per_epoch:
                    yield None
                    continue
                means = self._report()
                took, count = time.perf_counter() - began, self.step - since
                self.seconds += took
                began, since = time.perf_counter(), self.step
                yield self._progress(means, count * self.settings.batch_size / max(took, 1e-9), took / count)
            self.seconds += time.perf_counter() - began
            means, self.whole = self.whole.means(), Tally()
            self._refuse_not_finite(means)
            self.epoch += 1
            yield self._finish_epoch(model, means)
            yield from self.doctor.tell()

    def _take_step(self, model: Descends, batch: Batch, where: Step, minimise: Minimiser) -> None:
        """Move the players once, and note the scalars without waiting for them."""
        if self.schedule.changes:
            self.schedule.apply(self.step)
        batch = augmented(batch, self.settings, self.step)
        if self.average:
            self.average.lend()
        with autocast(self.precision, self.device):
            logged = model.training_step(batch, where, minimise)
        if self.average:
            self.average.take_back()
        self.recent.add(_scalars(minimise.take_losses(), logged))
        self.step += 1

    def _report(self) -> dict[str, float]:
        """Means since the last report, which join those of the epoch; raises at the step that spoilt one."""
        recent, self.recent = self.recent, Steps()
        tally = Tally()
        tally.add_all(recent)
        means = tally.means()
        if first_not_finite(means):
            place, term = recent.first_not_finite()
            raise NotFiniteError(term or first_not_finite(means), self.step - len(recent.rows) + place + 1)
        self.whole.add_all(recent)
        return means

    def _finish_epoch(self, model: Descends | Fits, means: Mapping[str, float]) -> EpochFinished:
        validation = self.validate(model)
        if "loss" in validation:
            self.waited = 0 if validation["loss"] < self.lowest else self.waited + 1
            self.lowest = min(self.lowest, validation["loss"])
        self.doctor.visit(self.step, self.epoch, means, validation)
        return EpochFinished(
            step=self.step,
            epoch=self.epoch,
            scalars=means,
            validation=validation,
            seconds=self.seconds,
        )

    def validate(self, model: Descends | Fits) -> dict[str, float]:
        """Mean validation scalars over the held-out images, with noise of their own; a fit takes them all at once."""
        tally, count = Tally(), self.data.count("validation")
        if not count:
            return {}
        size = count if isinstance(model, Fits) else self.settings.batch_size
        self.model.eval()
        with aside(derived_seed(self.settings.seed, 2)), torch.no_grad():
            for batch in self.data.in_order("validation", size, self.device):
                scalars = model.validation_step(batch)
                if not scalars:
                    break
                tally.add(scalars, weight=len(batch.images))
        self.model.train()
        return tally.means()

    def _progress(self, scalars: Mapping[str, float], rate: float, per_step: float) -> Progressed:
        left = self.settings.epochs * self.steps_per_epoch - self.step
        return Progressed(
            step=self.step,
            epoch=self.epoch,
            scalars=scalars,
            learning_rates=self.schedule.rates(),
            images_per_second=rate,
            seconds_left=max(0, left) * per_step,
        )

    def _refuse_not_finite(self, scalars: Mapping[str, float]) -> None:
        term = first_not_finite(scalars)
        if term:
            raise NotFiniteError(term, self.step)

    def state(self) -> dict[str, Any]:
        """Everything but the model's weights that going on needs: tensors and plain values only."""
        return {
            "players": {name: player.state_dict() for name, player in self.players.items()},
            "generators": _generators(self.device),
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "lowest": self.lowest,
            "waited": self.waited,
            "recent": self.recent.state(),
            "whole": self.whole.state(),
            "doctor": self.doctor.state(),
            "average": self.average.state() if self.average else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`; the model's weights are restored beside it."""
        for name, player in self.players.items():
            chosen = [{key: value for key, value in group.items() if key != "params"} for group in player.param_groups]
            player.load_state_dict(state["players"][name])
            for group, values in zip(player.param_groups, chosen, strict=True):
                group.update(values)  # a rate that was changed since the checkpoint holds
        for device, generator in state["generators"].items():
            if device == "cpu":
                torch.set_rng_state(generator.cpu())
            elif device == self.device.type:
                torch.get_device_module(device).set_rng_state(generator.cpu())
        self.step, self.epoch = state["step"], state["epoch"]
        self.seconds = state["seconds"]
        self.lowest, self.waited = state["lowest"], state["waited"]
        self.recent.load(state["recent"], self.device)
        self.whole.load(state["whole"], self.device)
        self.doctor.load(state.get("doctor", {}))
        if self.average:
            self.average.load(state.get("average", {}))


def _scalars(losses: Mapping[str, Tensor], logged: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One player's loss is `loss`; several are `loss_<player>`, and `loss` is their sum unless given."""
    if len(losses) == 1:
        return {"loss": next(iter(losses.values())), **logged}
    named = {f"loss_{name}": loss for name, loss in losses.items()}
    if "loss" not in logged:
        named = {"loss": torch.stack(list(losses.values())).sum(), **named}
    return {**named, **logged}


def _generators(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device.type).get_rng_state()
    return states
