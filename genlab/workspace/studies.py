"""Runs a study: trains the cells of its grid that are missing, measures them, and writes the report again.

Everything done is in `studies/NAME/study.json` beside the runs; starting again goes on from there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genlab.jobs.executors import LocalExecutor
from genlab.runs.files import write_atomically
from genlab.runs.locking import is_alive, only_worker, process_started
from genlab.studies.report import write_report
from genlab.studies.study import Cell, Report, Result, Study, find_study

if TYPE_CHECKING:
    from genlab.data import ImageSet
    from genlab.jobs.executors import Executor
    from genlab.workspace.run import Run
    from genlab.workspace.workspace import Workspace

LOOK = 0.1  # seconds between two looks at the runs
WRITE = 2.0  # seconds between two times that computed cells are written


class Progress(NamedTuple):
    """How far a study is: cells done, failed, training now, and in all; seconds left, once a cell is done that took some."""

    done: int
    failed: int
    running: int
    cells: int
    seconds_left: float | None = None


class StudyRun:
    """One study on one image set, quick or full, in a laboratory.

    >>> import genlab
    >>> StudyRun(genlab.Workspace(), "vae-gan-batchnorm", quick=True).quick
    True
    """

    def __init__(
        self, lab: Workspace, study: str | Study, *, quick: bool = False, data: str | Path | ImageSet | None = None
    ) -> None:
        self.lab = lab
        self.study = find_study(study) if isinstance(study, str) else study
        self.quick = quick
        self.images = lab.datasets.resolve(data or self.study.data)
        cells = self.study.grid(quick, self.images.batches().count())
        self.cells = [
            cell for cell in cells if cell.data != self.images.name
        ]  # else that set would be trained on twice
        self._keyed = {cell.key: cell for cell in self.cells}
        kind = "quick" if quick else "full"
        self.folder = lab.root / "studies" / f"{self.study.name}-{kind}-{self.images.name}"
        self._record = self._read()

    def run(self, *, jobs: int = 1, progress: Callable[[Progress], None] | None = None) -> Report:
        """Train what is missing, `jobs` runs at once, and conclude. Interrupted, it loses only what was running.

        A cell whose run failed is a gap in the tables, as are those that build on it; all are tried again the next time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_worker(self.folder, patience=0):
            self._record = self._read() | {"pid": os.getpid(), "pid_started": process_started(os.getpid())}
            self._record["begun"] = {"at": time.time(), "done": len(self.results())}
            self._train(jobs, progress or (lambda now: None))
        return self.report()

    def _train(self, jobs: int, progress: Callable[[Progress], None]) -> None:
        waiting = self._missing()
        self._compute([cell for cell in waiting if not cell.model], progress)
        waiting = [cell for cell in waiting if cell.model]
        executor = LocalExecutor(jobs)
        running: list[tuple[Cell, Run]] = []
        failed = set[str]()
        while waiting or running:
            failed |= {cell.key for cell in waiting if not failed.isdisjoint(cell.builds_on.values())}
            waiting = [cell for cell in waiting if cell.key not in failed]
            unfinished = {cell.key for cell in waiting} | {cell.key for cell, _ in running}
            ready = [cell for cell in waiting if unfinished.isdisjoint(cell.builds_on.values())]
            for cell in ready[: jobs - len(running)]:
                waiting.remove(cell)
                running.append((cell, self._begin(cell, executor)))
            for cell, run in [pair for pair in running if pair[1].status not in ("running", "queued")]:
                running.remove((cell, run))
                if not self._take(cell, run):
                    failed.add(cell.key)
            done = len(self.cells) - len(waiting) - len(running) - len(failed)
            progress(Progress(done, len(failed), len(running), len(self.cells), self._seconds_left(done, len(failed))))
            if running:
                time.sleep(LOOK)

    def _compute(self, cells: list[Cell], progress: Callable[[Progress], None]) -> None:
        """Have the study compute its own cells, of which there may be many: they are written once in `WRITE` seconds."""
        if not cells or not self.study.compute:
            return
        before, written = len(self.results()), time.monotonic()
        try:
            for done, (cell, numbers) in enumerate(self.study.compute(self.images, cells), before + 1):
                self._note(cell, {"run": "", "numbers": numbers})
                if time.monotonic() > written + WRITE:
                    self._write()
                    written = time.monotonic()
                progress(Progress(done, 0, 0, len(self.cells), self._seconds_left(done, 0)))
        finally:
            self._write()

    def _missing(self) -> list[Cell]:
        """The cells without numbers and, for those that build on it, a cell whose run is gone."""
        missing = {cell.key for cell in self.cells if "numbers" not in self._cell(cell)}
        for cell in reversed(self.cells):  # they build on earlier ones alone
            if cell.key in missing:
                foundations = (self._keyed[key] for key in cell.builds_on.values())
                missing |= {each.key for each in foundations if self._cell(each).get("run") not in self.lab.runs}
        return [cell for cell in self.cells if cell.key in missing]

    def start(self, *, jobs: int = 1) -> None:
        """Run it in a process of its own, which goes on when this one ends; what it prints goes to `study.log`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "genlab", "study", self.study.name, "--data", str(self.images.directory)]
        command += ["--jobs", str(jobs), *(["--quick"] if self.quick else [])]
        with (self.folder / "study.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "GENLAB_HOME": str(self.lab.root)},
            )  # fmt: skip
        threading.Thread(target=process.wait, daemon=True, name=f"reaper of {self.folder.name}").start()
        self._record = self._read() | {"pid": process.pid, "pid_started": process_started(process.pid)}
        self._write()

    def pause(self) -> None:
        """Begin no more runs, where it runs in a process of its own; those that train now go on to their end."""
        if self.active:
            os.kill(self._read()["pid"], signal.SIGTERM)

    @property
    def active(self) -> bool:
        """Whether a process is at work on it."""
        record = self._read()
        return is_alive(record.get("pid", 0), record.get("pid_started", 0.0))

    def progress(self) -> Progress:
        """How far it is, as its file says."""
        self._record = self._read()
        known = [self._cell(cell) for cell in self.cells]
        done = sum("numbers" in cell for cell in known)
        begun = [cell["run"] for cell in known if cell and "numbers" not in cell]
        states = [self.lab.runs[run].status for run in begun if run in self.lab.runs]
        failed = states.count("failed")
        left = self._seconds_left(done, failed) if self.active else None
        return Progress(done, failed, states.count("running"), len(self.cells), left)

    def _seconds_left(self, done: int, failed: int) -> float | None:
        """What the cells that are left take, if they take as long as those that were done since it was begun."""
        begun = self._record.get("begun", {"at": 0.0, "done": done})
        if done <= begun["done"]:
            return None
        return float(time.time() - begun["at"]) / (done - begun["done"]) * (len(self.cells) - done - failed)

    def results(self) -> list[Result]:
        """The cells that are finished and measured, in the order of the grid."""
        kept = [(cell, self._cell(cell)) for cell in self.cells]
        return [Result(cell, known["run"], known["numbers"]) for cell, known in kept if "numbers" in known]

    def report(self) -> Report:
        """What the results so far say; written to `report.md` and `report.html` too."""
        results = self.results()
        report = self.study.conclude(results, self.lab.runs.__getitem__)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_report(self.folder, self.study, report, self.made)
        return report

    @property
    def made(self) -> str:
        """What the report is made of, in a sentence."""
        return (
            f"{len(self.results())} of {len(self.cells)} runs on {self.images.title} ({self.images.count:,} images"
            f"{', synthetic' if self.images.synthetic else ''}), {'quick' if self.quick else 'full'} grid."
        )

    def _begin(self, cell: Cell, executor: Executor) -> Run:
        """The cell's run: the one that was begun before, where it can go on, or a new one."""
        known = self._cell(cell).get("run")
        if known and known in self.lab.runs:
            run = self.lab.runs[known]
            if run.status in ("paused", "interrupted"):
                run.queue()
            if run.status == "queued":
                self.lab.runs.start_now(run, executor)
            if run.status != "failed":
                return run
        data = cell.data or self.images
        built_on = {name: self._cell(self._keyed[key])["run"] for name, key in cell.builds_on.items()}
        name = f"{self.study.name}: {cell.key}"
        run = self.lab.prepare(cell.model, data, preset=cell.preset, name=name, **cell.values, **built_on)
        self._keep(cell, {"run": run.id})
        self.lab.runs.start_now(run, executor)
        return run

    def _take(self, cell: Cell, run: Run) -> bool:
        """Measure a run that has ended; whether it gave numbers."""
        ways = {"finished": self.study.measure, "failed": self.study.measure_failed}
        measure = ways.get(run.status)
        numbers = measure(run) if measure else None
        if numbers is None:
            return False
        self._keep(cell, {"run": run.id, "numbers": numbers})
        return True

    @property
    def _file(self) -> Path:
        return self.folder / "study.json"

    def _read(self) -> dict[str, Any]:
        """What was kept on these very images; nothing where the file is absent, damaged or of other images."""
        empty = {"study": self.study.name, "quick": self.quick, "data": self.images.hash, "cells": {}}
        try:
            record: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return empty
        return record if record.get("data") == self.images.hash else empty

    def _cell(self, cell: Cell) -> dict[str, Any]:
        """What is kept of a cell, as long as it is trained the same way."""
        known: dict[str, Any] = self._record["cells"].get(cell.key, {})
        return known if known.get("plan") == self._plan(cell) else {}

    def _keep(self, cell: Cell, known: dict[str, Any]) -> None:
        self._note(cell, known)
        self._write()

    def _note(self, cell: Cell, known: dict[str, Any]) -> None:
        self._record["cells"][cell.key] = {"plan": self._plan(cell), **known}

    def _plan(self, cell: Cell) -> dict[str, Any]:
        """All that a cell's numbers follow from, and what the cells it builds on follow from."""
        plan = {"model": cell.model, "preset": cell.preset, "values": dict(cell.values), "data": cell.data}
        if cell.builds_on:
            plan["builds_on"] = {name: self._plan(self._keyed[key]) for name, key in cell.builds_on.items()}
        return plan

    def _write(self) -> None:
        write_atomically(self._file, json.dumps(self._record, indent=1).encode())


def study_document(run: StudyRun, report: Report) -> dict[str, Any]:
    """Everything a study found as plain data: its cells with their runs and numbers, its findings and tables."""
    return {
        "study": run.study.name,
        "quick": run.quick,
        "data": run.images.name,
        "report": str(run.folder / "report.html"),
        "findings": list(report.findings),
        "cells": [{"place": dict(r.cell.place), "run": r.run, **r.numbers} for r in run.results()],
        "tables": [
            {
                "title": table.title,
                "head": list(table.head),
                "rows": [[entry.text for entry in row] for row in table.rows],
            }
            for table in report.tables
        ],
    }


def failures(run: StudyRun) -> list[str]:
    """One sentence for each cell whose run failed, and for each that builds on such a cell."""
    sentences = dict[str, str]()
    for cell in run.cells:
        known = run._cell(cell)
        for foundation in cell.builds_on.values():
            if foundation in sentences:
                sentences[cell.key] = f"{cell.key}: it builds on {foundation}, which failed."
        if known and "numbers" not in known and known["run"] in run.lab.runs:
            state = run.lab.runs[known["run"]].state
            if state.status == "failed":
                sentences[cell.key] = f"{cell.key}: {state.message}"
    return list(sentences.values())
