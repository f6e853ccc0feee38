"""The laboratory: image sets, runs, training and comparing."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.jobs.images import find_images
from genlab.jobs.models import with_triplets
from genlab.jobs.queue import pump, start_now
from genlab.runs.config import FORMAT, DataReference, RunConfig
from genlab.runs.directory import RunDirectory, create_run, new_id, unique_name
from genlab.runs.sharing import unpack
from genlab.workspace.datasets import Datasets
from genlab.workspace.roots import app_root
from genlab.workspace.run import Run

if TYPE_CHECKING:
    from genlab.core.registry import Entry
    from genlab.data import ImageSet
    from genlab.jobs.executors import Executor
    from genlab.workspace.estimate import Estimate


class Workspace:
    """A folder with image sets and runs.

    >>> lab = Workspace()
    >>> "digits-8" in lab.datasets
    True
    """

    def __init__(self, path: str | Path | None = None) -> None:
        chosen = path or os.environ.get("GENLAB_HOME") or Path.home() / "genlab"
        self.root = Path(chosen).expanduser().resolve()
        self.datasets = Datasets(self.root)
        self.runs = Runs(self)

    def train(
        self,
        model: str,
        data: str | Path | ImageSet,
        *,
        second: str | Path | ImageSet | None = None,
        preset: str = "default",
        name: str = "",
        at_once: bool = False,
        **values: Any,
    ) -> Run:
        """Train a model on an image set, in a process of its own; returns as soon as that is begun.

        A model that translates learns from a `second` set too, of images of the same shape. The run waits
        while others train, unless it is to start `at_once`. `values` are parameters of the model and
        settings of the training; they go before the preset's. Raises `BadInputError` with one sentence
        for anything that cannot work.
        """
        run = self.prepare(model, data, second=second, preset=preset, name=name, **values)
        self.runs.start_now(run) if at_once else self.runs.pump()
        return run

    def prepare(
        self,
        model: str,
        data: str | Path | ImageSet,
        *,
        second: str | Path | ImageSet | None = None,
        preset: str = "default",
        name: str = "",
        **values: Any,
    ) -> Run:
        """Make a run's directory, queued and checked, without starting it."""
        from genlab.core.registry import find

        entry = find(model)
        parameters, settings = self.plan(model, preset, self._found(values))
        images, other = self._sets(entry, data, second)
        images.check_trainable()
        if settings["early_stopping"] and not all(len(each.splits["validation"]) for each in (images, other) if each):
            raise BadInputError(
                "Early stopping watches held-out images, and these sets hold none out; set early_stopping to 0."
            )
        if entry.model.learns_from == "identities":
            images.check_identities()
        import torch

        with torch.random.fork_rng():
            network = entry.create(
                images.shape, len(images.class_names), **parameters
            )  # refuses shapes it does not take
            with_triplets(images.batches(), network)  # refuses a run that cannot sample any
        learned_from = " and ".join(data.name for data in (images, other) if data)
        config = RunConfig(
            format=FORMAT,
            id=new_id(model),
            name=unique_name(name or f"{model} on {learned_from}", [run.name for run in self.runs]),
            model=model,
            title=entry.card.title,
            parameters=parameters,
            settings=settings,
            preset=preset,
            data=_reference(images),
            second=other and _reference(other),
            capabilities=entry.capabilities,
            created=time.time(),
            versions=_versions(),
        )
        return Run(self, create_run(self.root / "runs", config).path)

    def _found(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values in which another run that triplets come from is a folder, as the worker looks for it."""
        name = values.get("triplets_from")
        if not name or (Path(name) / "config.json").is_file():
            return values
        return {**values, "triplets_from": str(self.runs[name].directory)}

    def plan(self, model: str, preset: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """All parameters and all settings that a run would have, checked and completed with defaults."""
        from genlab.core.parameters import validate
        from genlab.core.registry import find
        from genlab.core.settings import TrainingSettings

        entry = find(model)
        preset_own, preset_shared = entry.preset(preset)
        own, shared = entry.split(values)
        parameters = entry.validate({**preset_own, **own}).model_dump()
        settings = validate(TrainingSettings, {**preset_shared, **shared}, of="the training").model_dump()
        if problem := entry.wrong_settings(settings):
            raise BadInputError(problem)
        return {key: value for key, value in parameters.items() if key not in entry.fixed}, settings

    def estimate(
        self,
        model: str,
        data: str | Path | ImageSet,
        *,
        second: str | Path | ImageSet | None = None,
        preset: str = "default",
        **values: Any,
    ) -> Estimate:
        """What a run would take: parameters, steps, memory, and seconds measured on a few real steps."""
        from genlab.core.registry import find
        from genlab.workspace.estimate import estimate

        parameters, settings = self.plan(model, preset, self._found(values))
        images, other = self._sets(find(model), data, second)
        return estimate(model, images, parameters, settings, other)

    def _sets(
        self, entry: Entry, data: str | Path | ImageSet, second: str | Path | ImageSet | None
    ) -> tuple[ImageSet, ImageSet | None]:
        """The image set and, for a model that learns from two, the second one; refuses one too few or too many."""
        if problem := entry.wrong_sets(second is not None):
            raise BadInputError(problem)
        images = self.datasets.resolve(data)
        if second is None:
            return images, None
        other = self.datasets.resolve(second)
        images.check_pair(other)
        return images, other

    def compare(self, runs: Sequence[Run | str], metrics: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One row a run: what it is, how it ended, and its metrics where they are defined."""
        rows = []
        for run in (run if isinstance(run, Run) else self.runs[run] for run in runs):
            last = (run.scalars() or [{}])[-1]
            row: dict[str, Any] = {
                "run": run.id,
                "name": run.name,
                "model": run.config.model,
                "data": run.config.data.name,
                **({"second": run.config.second.name} if run.config.second else {}),
            }
            row |= {"epochs": last.get("epoch", 0), "seconds": last.get("seconds", 0.0), "loss": last.get("loss")}
            rows.append(
                {**row, **{key: measured.value for key, measured in run.evaluate(metrics, lenient=True).items()}}
            )
        return rows

    def images_of(self, data: DataReference) -> ImageSet:
        """The image set that a run refers to, wherever it is now; its content must be the same."""
        try:
            return find_images(data, self.datasets.folder)
        except BadInputError:
            if data.name in self.datasets:  # a bundled set is made when it is first used
                images = self.datasets[data.name]
                if images.hash == data.hash:
                    return images
            raise


class Runs:
    """The runs of a laboratory, newest first, and behind them the ones that came with genlab."""

    def __init__(self, lab: Workspace) -> None:
        self.lab = lab

    def __iter__(self) -> Iterator[Run]:
        for config in self._configs():
            yield Run(self.lab, self.folder / config.id, config=config)
        yield from self.shipped()

    def _configs(self) -> list[RunConfig]:
        return pump(self.lab.root) if self.folder.is_dir() else []

    @property
    def folder(self) -> Path:
        """Where the run directories lie."""
        return self.lab.root / "runs"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return any(key in (run.id, run.name) for run in self)

    def __getitem__(self, key: str) -> Run:
        """A run by its id or its name; the newest of a name."""
        every = list(self)
        for run in every:
            if key == run.id:
                return run
        for run in every:
            if key == run.name:
                return run
        raise UnknownNameError("run", key, [run.name for run in every])

    def shipped(self) -> list[Run]:
        """The runs that came with genlab."""
        folders = sorted((app_root() / "checkpoints").glob("*/config.json"))
        return [Run(self.lab, path.parent, shipped=True) for path in folders]

    def deleted(self) -> list[Run]:
        """Runs in the trash, the last deleted first."""
        folders = (self.lab.root / "trash" / "runs").glob("*/config.json")
        newest = sorted(folders, key=lambda path: path.parent.stat().st_ctime, reverse=True)
        return [Run(self.lab, path.parent) for path in newest]

    def add(self, file: str | Path) -> Run:
        """Take in a run that `Run.export` wrote."""
        return Run(self.lab, unpack(Path(file), self.folder))

    def pump(self) -> None:
        """Start queued runs while there is room."""
        self._configs()

    def start_now(self, run: Run, executor: Executor | None = None) -> None:
        """Start a queued run at once, past the queue; by the local executor, where no other is named."""
        start_now(self.lab.root, RunDirectory(run.directory), executor)


def _reference(images: ImageSet) -> DataReference:
    return DataReference(
        name=images.name,
        title=images.title,
        hash=images.hash,
        path=str(Path(images.directory).resolve()),
        shape=tuple(images.shape),
        class_names=images.class_names,
        count=images.count,
        synthetic=images.synthetic,
        source=images.source,
    )


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("genlab", "torch", "numpy")}
    return {**packages, "python": platform.python_version(), "platform": platform.platform()}
