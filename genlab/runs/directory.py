"""One run on disk, as everybody but its worker sees it."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from genlab.core.events import EpochFinished, Event
from genlab.runs.checkpoints import Checkpoint, newest_intact
from genlab.runs.config import RunConfig, RunState, read_config, read_state, write_state
from genlab.runs.events import read_events, without_taken_back
from genlab.runs.files import write_atomically
from genlab.runs.locking import is_alive


class RunDirectory:
    """The folder of one run: what it is, how it stands, what happened, and what is left to ask of its worker."""

    def __init__(self, path: Path, config: RunConfig | None = None) -> None:
        self.path = path
        if config is not None:
            self.config = config

    @cached_property
    def config(self) -> RunConfig:
        """What the run is."""
        return read_config(self.path)

    @property
    def name(self) -> str:
        """What a person calls it: the name given since, or the one it was made with."""
        try:
            return (self.path / "name.txt").read_text().strip() or self.config.name
        except FileNotFoundError:
            return self.config.name

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters and settings with all amendments made when the run was resumed."""
        parameters, settings = dict(self.config.parameters), dict(self.config.settings)
        path = self.path / "amendments.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            amendment = json.loads(line)
            parameters |= amendment["parameters"]
            settings |= amendment["settings"]
        return parameters, settings

    def amend(self, parameters: dict[str, Any], settings: dict[str, Any]) -> None:
        """Record a change that the run goes on with; the configuration itself is never rewritten."""
        path = self.path / "amendments.jsonl"
        before = path.read_bytes() if path.exists() else b""
        amendment = {"time": time.time(), "parameters": parameters, "settings": settings}
        write_atomically(path, before + json.dumps(amendment).encode() + b"\n")

    @property
    def state(self) -> RunState:
        """How the run stands; one whose worker is gone is interrupted, whatever was written last."""
        state = read_state(self.path)
        if state.status == "running" and not is_alive(state.pid, state.pid_started):
            return state.model_copy(
                update={"status": "interrupted", "message": state.message or "The worker ended without saying why."}
            )
        return state

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def artefacts(self) -> Path:
        """The folder of previews and logs."""
        return self.path / "artefacts"

    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that is whole."""
        return newest_intact(self.checkpoints)

    def events(self, offset: int = 0) -> tuple[list[Event], int]:
        """Events from a byte offset on, and where to go on from."""
        return read_events(self.path / "events.jsonl", offset)

    def epochs(self) -> list[EpochFinished]:
        """The finished epochs, each once, however often the run went back to a checkpoint."""
        return [event for event in without_taken_back(self.events()[0]) if isinstance(event, EpochFinished)]

    def ask(self, wish: str) -> None:
        """Leave a wish for the worker: "pause" or "stop"."""
        write_atomically(self.path / "control", wish.encode())

    def asked(self) -> str:
        """The wish that was left, or an empty string."""
        try:
            return (self.path / "control").read_text()
        except FileNotFoundError:
            return ""

    def clear_wish(self) -> None:
        """Forget the wish."""
        (self.path / "control").unlink(missing_ok=True)

    def set_state(self, state: RunState) -> None:
        """Replace the state."""
        write_state(self.path, state)


def create_run(folder: Path, config: RunConfig) -> RunDirectory:
    """Make a run's folder with its configuration and the state "queued"; it appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{config.id}.tmp"
    for name in ("", "checkpoints", "artefacts"):
        (temporary / name).mkdir(parents=True, exist_ok=True)
    write_atomically(temporary / "config.json", config.model_dump_json(indent=1).encode())
    write_state(temporary, RunState(status="queued"))
    final = folder / config.id
    temporary.rename(final)
    return RunDirectory(final)


def new_id(model: str) -> str:
    r"""A run's id: when, which model, and four letters of chance; it sorts by time.

    >>> import re
    >>> bool(re.fullmatch(r"20\d{6}-\d{6}-vae-[0-9a-f]{4}", new_id("vae")))
    True
    """
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{model}-{secrets.token_hex(2)}"


def unique_name(wanted: str, taken: Sequence[str]) -> str:
    """The wanted name, with the first free number behind it when somebody has it.

    >>> unique_name("vae on digits", ["vae on digits", "vae on digits 2"])
    'vae on digits 3'
    """
    if wanted not in taken:
        return wanted
    stem = re.sub(r" \d+$", "", wanted)
    return next(name for number in range(2, len(taken) + 3) if (name := f"{stem} {number}") not in taken)
