"""The stream that leaves a training loop: frozen, JSON-safe records that page, bar and run directory all read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic


class Event(pydantic.BaseModel):
    """Base of all events; `time` is seconds since the epoch, filled in by the writer."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    time: float = 0.0


class Started(Event):
    """Training begins, or goes on after a pause, at `step`."""

    kind: Literal["started"] = "started"
    step: int
    epoch: int
    steps: int
    epochs: int
    steps_per_epoch: int
    device: str
    precision: str


class Progressed(Event):
    """Means of the scalars since the last such event, and the players' last learning rates where these change."""

    kind: Literal["progressed"] = "progressed"
    step: int
    epoch: int
    scalars: Mapping[str, float]
    learning_rates: Mapping[str, float] = {}
    images_per_second: float
    seconds_left: float


class EpochFinished(Event):
    """Means over one epoch (counted from 1), and over the validation images after it."""

    kind: Literal["epoch"] = "epoch"
    step: int
    epoch: int
    scalars: Mapping[str, float]
    validation: Mapping[str, float] = {}
    seconds: float


class Diagnosed(Event):
    """A disease of training appeared, or is `cured`: what is wrong and what to try, in words.

    `changes` are the parameters and settings, with other values, that the remedy names.
    """

    kind: Literal["diagnosed"] = "diagnosed"
    step: int
    epoch: int
    disease: str
    message: str
    remedy: str = ""
    changes: Mapping[str, Any] = {}
    cured: bool = False


class Sampled(Event):
    """A preview was written: `what` says of what, such as "samples" or "translations"; `path` is in the run."""

    kind: Literal["sampled"] = "sampled"
    step: int
    epoch: int
    what: str
    path: str


class Evaluated(Event):
    """Metrics were computed, each a value with its sample size and baselines."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    metrics: Mapping[str, Any]


class Checkpointed(Event):
    """A checkpoint is safe on disk."""

    kind: Literal["checkpointed"] = "checkpointed"
    step: int
    epoch: int
    path: str


class Paused(Event):
    """Training stopped at a checkpoint and can go on."""

    kind: Literal["paused"] = "paused"
    step: int
    epoch: int


class Finished(Event):
    """Training is over: the budget was spent, a person stopped it, or there was nothing more to gain."""

    kind: Literal["finished"] = "finished"
    step: int
    epoch: int
    seconds: float
    reason: Literal["budget", "stopped", "converged"] = "budget"


class Failed(Event):
    """Training could not go on: what happened, in which term, and what to try."""

    kind: Literal["failed"] = "failed"
    step: int
    epoch: int
    message: str
    term: str = ""
    remedy: str = ""


AnyEvent = Annotated[
    Started | Progressed | EpochFinished | Diagnosed | Sampled | Evaluated | Checkpointed | Paused | Finished | Failed,
    pydantic.Field(discriminator="kind"),
]

_adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(AnyEvent)


def parse(line: str | bytes) -> Event:
    """Read one event from its JSON line."""
    event: Event = _adapter.validate_json(line)
    return event
