"""A run as people handle it: watch it, steer it, explore what it learned."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import BadInputError, FailedRunError
from genlab.core.events import EpochFinished, Event, Progressed
from genlab.runs.checkpoints import refuse_weights_only
from genlab.runs.config import RunConfig, RunState
from genlab.runs.directory import RunDirectory
from genlab.runs.events import Illness, illnesses
from genlab.runs.files import copy_file, write_atomically
from genlab.runs.sharing import pack
from genlab.workspace.exhibit import write_exhibit
from genlab.workspace.explore import Explore
from genlab.workspace.export import decoder_file
from genlab.workspace.loading import load_model
from genlab.workspace.progress import Bar
from genlab.workspace.resuming import check_changes

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.data import ImageSet
    from genlab.workspace.workspace import Workspace

ENDED = ("finished", "failed", "paused", "interrupted")


class Run(Explore):
    """A handle on a run's directory; nothing is read before it is asked for.

    >>> import genlab
    >>> [run.name for run in genlab.Workspace().runs if not run.shipped]
    []
    """

    def __init__(
        self, lab: Workspace, directory: Path, *, shipped: bool = False, config: RunConfig | None = None
    ) -> None:
        self.lab = lab
        self.directory = directory
        self.shipped = shipped
        self._files = RunDirectory(directory, config)
        self._step: int | None = None

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status})"

    @property
    def id(self) -> str:
        """What no other run is called."""
        return self.directory.name

    @property
    def config(self) -> RunConfig:
        """Model, parameters, data, seed and versions, as they were when the run was made."""
        return self._files.config

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._files.name

    @property
    def title(self) -> str:
        """The name, as captions say it."""
        return self.name if self._step is None else f"{self.name} at step {self._step}"

    @property
    def state(self) -> RunState:
        """How it stands."""
        return self._files.state

    @property
    def status(self) -> str:
        """queued, running, paused, interrupted, failed or finished."""
        return self.state.status

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What its model can do."""
        return self.config.capabilities

    def can(self, *capabilities: str | tuple[str, ...]) -> bool:
        """Whether its model has all of these capabilities; of those in a tuple, one will do."""
        groups = [{names} if isinstance(names, str) else set(names) for names in capabilities]
        return all(not group.isdisjoint(self.capabilities) for group in groups)

    @cached_property
    def images(self) -> ImageSet:
        """The image set it was trained on; `BadInputError` when it is gone."""
        return self.lab.images_of(self.config.data)

    @cached_property
    def second(self) -> ImageSet | None:
        """The second image set it was trained on, where its model learns from two; `BadInputError` when it is gone."""
        return self.lab.images_of(self.config.second) if self.config.second else None

    # watching

    def events(self, kind: str | None = None) -> list[Event]:
        """Everything that happened, or one kind of it ("epoch", "sampled", …)."""
        events, _ = self._files.events()
        return [event for event in events if kind is None or getattr(event, "kind", "") == kind]

    def tail(self, offset: int = 0) -> tuple[list[Event], int]:
        """What happened after a byte offset, and the offset to ask with next time."""
        return self._files.events(offset)

    def epochs(self) -> list[EpochFinished]:
        """The finished epochs, each once, however often the run was interrupted and went back to a checkpoint."""
        return self._files.epochs()

    def scalars(self) -> list[dict[str, float]]:
        """One row an epoch: step, epoch, seconds, each scalar, and each validation scalar as `validation_…`."""
        return [
            {"step": event.step, "epoch": event.epoch, "seconds": event.seconds, **event.scalars}
            | {f"validation_{name}": value for name, value in event.validation.items()}
            for event in self.epochs()
        ]

    def illnesses(self) -> list[Illness]:
        """What went wrong while it trained, in words, and what to try; `cured` is None where it still holds."""
        return illnesses(self.events())

    def wait(self, progress: bool | Callable[[Progressed], None] = False, timeout: float | None = None) -> Run:
        """Wait until it ends; `progress` shows a bar on standard error, or is called with each `Progressed`.

        Raises `FailedRunError` when it failed and `TimeoutError` when `timeout` seconds passed first.
        """
        began, offset, looked = time.monotonic(), 0, 0.0
        bar = Bar() if progress is True else None
        while True:
            status = self.status  # before the events, so that the last ones are shown
            events, offset = self.tail(offset)
            for event in events:
                if bar:
                    bar.show(event)
                elif callable(progress) and isinstance(event, Progressed):
                    progress(event)
            if status in ENDED:
                break
            if timeout is not None and time.monotonic() - began > timeout:
                raise TimeoutError(f"{self.name} is still {status} after {timeout:g} seconds.")
            if status == "queued" and time.monotonic() - looked > 1:
                looked = time.monotonic()
                self.lab.runs.pump()
                if bar:
                    bar.waiting("waiting for a run before it to end")
            time.sleep(0.05)
        if bar:
            bar.end()
        if status == "failed":
            state = self.state
            raise FailedRunError(" ".join(filter(None, (state.message, state.remedy))))
        return self

    # steering

    def pause(self) -> None:
        """Ask it to save a checkpoint and leave; `resume` goes on from there."""
        self._ask("pause")

    def stop(self) -> None:
        """Ask it to save a checkpoint and end for good."""
        self._ask("stop")

    def _ask(self, wish: str) -> None:
        self._refuse_shipped(wish)
        state = self.state
        if state.status == "queued":
            status = "paused" if wish == "pause" else "finished"
            self._files.set_state(state.model_copy(update={"status": status, "message": "It never began."}))
        elif state.status == "running":
            self._files.ask(wish)
        elif wish == "stop" and state.status in ("paused", "interrupted"):
            self._files.set_state(state.model_copy(update={"status": "finished", "message": "Stopped while at rest."}))
        else:
            raise BadInputError(f"{self.name} is {state.status}, so there is nothing to {wish}.")

    def resume(self, *, at_once: bool = False, **changes: Any) -> Run:
        """Go on from the newest good checkpoint, with changed settings or parameters where given.

        `run.resume(epochs=40)` lengthens the budget, `run.resume(learning_rate=1e-4)` lowers the rate. What
        would make it another run (seed, batch size, the network) is refused. `at_once` passes the queue.
        """
        self.queue(**changes)
        self.lab.runs.start_now(self) if at_once else self.lab.runs.pump()
        return self

    def queue(self, **changes: Any) -> None:
        """Put a run that rests back into the queue, changed as `resume` says, and start nothing."""
        self._refuse_shipped("resume")
        state = self.state
        if state.status in ("running", "queued"):
            raise BadInputError(f"{self.name} is already {state.status}.")
        refuse_weights_only(self._files.checkpoints)
        own, shared = check_changes(self._files, changes)
        if own or shared:
            self._files.amend(own, shared)
        self._files.clear_wish()
        self._files.set_state(state.model_copy(update={"status": "queued", "message": "", "remedy": ""}))

    def again(self, **changes: Any) -> Run:
        """Train a new run with the same images and the same values, but for what is changed."""
        parameters, settings = self._files.effective()
        values = {**parameters, **settings, **changes}
        return self.lab.train(self.config.model, self.images, second=self.second, preset=self.config.preset, **values)

    def delete(self) -> None:
        """Move it to the trash; `restore` brings it back."""
        self._refuse_shipped("delete")
        state = self.state
        if state.status == "running":
            raise BadInputError(f"{self.name} is running; stop it before you delete it.")
        if state.status == "queued":
            self.pause()
        self._move(self.lab.root / "trash" / "runs")

    def restore(self) -> None:
        """Bring it back from the trash."""
        if self.directory.parent != self.lab.root / "trash" / "runs":
            raise BadInputError(f"{self.name} is not in the trash.")
        self._move(self.lab.root / "runs")

    def _move(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / self.id
        if target.exists():
            raise BadInputError(f"{target} exists already; move it away first.")
        self.directory.rename(target)
        self.directory = target
        self._files = RunDirectory(target)

    @property
    def notes(self) -> str:
        """What a person wrote about it."""
        path = self.directory / "notes.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def note(self, text: str) -> None:
        """Keep a note with the run."""
        self._refuse_shipped("annotate")
        write_atomically(self.directory / "notes.txt", text.encode())

    def rename(self, name: str) -> None:
        """Call it something else; ids never change."""
        self._refuse_shipped("rename")
        if not name.strip():
            raise BadInputError("A run's name cannot be empty; type at least one letter.")
        write_atomically(self.directory / "name.txt", name.strip().encode())

    def export(self, file: str | Path) -> Path:
        """Write the run as a zip that can be shared: configuration, events, weights and previews, no pickles.

        A name that ends in .onnx takes its decoder alone, as a graph that needs no Python (`decoder`).
        """
        if Path(file).suffix == ".onnx":
            return copy_file(self.decoder(), Path(file))
        return pack(self.directory, Path(file))

    def decoder(self, step: int | None = None) -> Path:
        """The ONNX file of its decoder, which pages run in the browser: `codes` (N, D) to `images` (N, C, H, W).

        Exported and compared with PyTorch on the first call, then kept. Raises `BadInputError` where there is none.
        """
        return decoder_file(self, step)

    def exhibit(self, target: str | Path, corners: Any = None, names: Sequence[str] = ()) -> Path:
        """Explores a plane of its latent space in any browser, without Python and without a network.

        A folder for a server of files, or where the name ends in .html one file that opens by a double click.
        The plane goes through three images or codes with their names; without any it is that of two latent dimensions.
        """
        return write_exhibit(self, Path(target), corners, names)

    def record(self) -> str:
        """What one must know to repeat the run, as JSON."""
        config = self.config.model_dump()
        parameters, settings = self._files.effective()
        return json.dumps({**config, "parameters": parameters, "settings": settings}, indent=2)

    def _refuse_shipped(self, wish: str) -> None:
        if self.shipped:
            raise BadInputError(
                f"{self.name} came with genlab and cannot be changed; train a run of your own to {wish}."
            )

    # its model

    def model(self, step: int | None = None) -> Model:
        """The trained model in evaluation mode, of the newest good checkpoint or of the one at a step.

        Loaded once per process. Raises `BadInputError` when there is no checkpoint yet.
        """
        return load_model(self._files, self._step if step is None else step)

    def at(self, step: int) -> Run:
        """The run as it was at the checkpoint of a step (`steps`): everything that explores it uses that model."""
        then = Run(self.lab, self.directory, shipped=self.shipped, config=self.config)
        then._step = step
        return then

    def _cache(self) -> Path | None:
        """Codes are kept on disk for the newest weights alone."""
        return super()._cache() if self._step is None else None
