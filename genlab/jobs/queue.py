"""The queue and index in one SQLite file, which can be deleted: the run directories hold the truth."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from genlab.core.errors import GenlabError
from genlab.jobs.executors import Executor, LocalExecutor
from genlab.runs.config import RunConfig, RunState
from genlab.runs.directory import RunDirectory, process_started

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, stamp INTEGER, config TEXT, state TEXT)
"""


def slots() -> int:
    """How many runs train at once: `GENLAB_JOBS`, or one."""
    return max(1, int(os.environ.get("GENLAB_JOBS", "1") or 1))


@contextlib.contextmanager
def index(home: Path) -> Iterator[sqlite3.Connection]:
    """The index, brought up to date with the run directories, held against other processes meanwhile."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "index.sqlite"
    try:
        connection = _open(path)
    except sqlite3.DatabaseError:  # damaged: it is rebuilt from the run directories
        path.unlink(missing_ok=True)
        connection = _open(path)
    try:
        _synchronise(connection, home / "runs")
        yield connection
        connection.commit()
    finally:
        connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(SCHEMA)
    return connection


def _synchronise(connection: sqlite3.Connection, runs: Path) -> None:
    known = dict(connection.execute("SELECT id, stamp FROM runs"))
    present = {path.name: path for path in runs.glob("[!.]*") if (path / "config.json").exists()}
    for gone in known.keys() - present.keys():
        connection.execute("DELETE FROM runs WHERE id = ?", (gone,))
    for name, path in present.items():
        run = RunDirectory(path)
        try:
            stamp = (path / "state.json").stat().st_mtime_ns
            if known.get(name) == stamp:
                continue
            row = (name, stamp, run.config.model_dump_json(), run.state.model_dump_json())
        except (OSError, GenlabError):
            continue
        connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", row)


def listed(home: Path) -> list[tuple[RunConfig, RunState]]:
    """Every run's configuration and state, newest first, without opening directories that did not change."""
    with index(home) as connection:
        rows = connection.execute("SELECT config, state FROM runs ORDER BY id DESC").fetchall()
    return [(RunConfig.model_validate_json(c), RunState.model_validate_json(s)) for c, s in rows]


def pump(home: Path, executor: Executor | None = None) -> list[str]:
    """Start queued runs, oldest first, while slots are free; returns the ids of those started.

    The index stays locked meanwhile, so that two processes never start one run twice.
    """
    executor = executor or LocalExecutor()
    started = []
    with index(home) as connection:
        names = [row[0] for row in connection.execute("SELECT id FROM runs ORDER BY id")]
        runs = [RunDirectory(home / "runs" / name) for name in names]
        states = [(run, run.state) for run in runs]
        free = slots() - sum(state.status == "running" for _, state in states)
        waiting = sorted((s.updated, r.path.name, r, s) for r, s in states if s.status == "queued")
        for _, name, run, state in waiting[: max(0, free)]:
            pid = executor.start(run.path)
            changes = {"status": "running", "pid": pid, "pid_started": process_started(pid)}
            run.set_state(state.model_copy(update=changes))
            started.append(name)
    return started
