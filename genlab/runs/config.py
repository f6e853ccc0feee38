"""What a run is (`config.json`, never changed) and how it stands (`state.json`, replaced whole)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import pydantic

from genlab.core.errors import BadInputError
from genlab.runs.files import write_atomically

FORMAT = 1

Status = Literal["queued", "running", "paused", "interrupted", "failed", "finished"]


class DataReference(pydantic.BaseModel):
    """The image set a run was trained on: enough to find it again and to know that it is the same."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    name: str
    title: str
    hash: str
    path: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...] = ()
    count: int
    synthetic: bool = False
    source: str = ""


class RunConfig(pydantic.BaseModel):
    """Model, parameters, data, seed and versions of one run: `config.json`."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    format: int = FORMAT
    id: str
    name: str
    model: str
    title: str
    parameters: dict[str, Any]
    settings: dict[str, Any]
    preset: str
    data: DataReference
    second: DataReference | None = None
    capabilities: tuple[str, ...]
    created: float
    versions: dict[str, str]

    @property
    def data_title(self) -> str:
        """What pages call that which was learned from: the title of the image set, or of both."""
        return self.data.title if self.second is None else f"{self.data.title} ⇄ {self.second.title}"

    def without_paths(self) -> RunConfig:
        """The same, silent on the folders where the images were: elsewhere they are found by name and hash."""
        forgotten = {"data": self.data.model_copy(update={"path": ""})}
        if self.second is not None:
            forgotten["second"] = self.second.model_copy(update={"path": ""})
        return self.model_copy(update=forgotten)


class RunState(pydantic.BaseModel):
    """How a run stands: `state.json`."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    status: Status
    pid: int = 0
    pid_started: float = 0.0
    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    device: str = ""
    message: str = ""
    remedy: str = ""
    updated: float = 0.0


def read_config(directory: Path) -> RunConfig:
    """Read `config.json`; raises `BadInputError` when it is absent, damaged or from a newer genlab."""
    path = directory / "config.json"
    try:
        document = pydantic.TypeAdapter(dict[str, Any]).validate_json(path.read_bytes())
        check_format(int(document.get("format", 0)), FORMAT, path)
        return RunConfig.model_validate(document)
    except FileNotFoundError:
        raise BadInputError(f"{directory} is not a run: it has no config.json.") from None
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read as a run's configuration; restore it from a copy.") from error


def check_format(found: int, known: int, path: Path) -> None:
    """Refuse a file that a newer version wrote."""
    if found > known:
        raise BadInputError(
            f"{path} was written by a newer genlab (format {found}, this one reads up to {known}); update genlab."
        )


def read_state(directory: Path) -> RunState:
    """Read `state.json`; a run without one is interrupted."""
    try:
        return RunState.model_validate_json((directory / "state.json").read_bytes())
    except (OSError, pydantic.ValidationError):
        return RunState(status="interrupted", message="The run's state file is missing or damaged.")


def write_state(directory: Path, state: RunState) -> None:
    """Replace `state.json` whole."""
    stamped = state.model_copy(update={"updated": time.time()})
    write_atomically(directory / "state.json", stamped.model_dump_json(indent=1).encode())
