"""The queue and index in one SQLite file, which can be deleted: the run directories hold the truth."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from genlab.core.errors import BadInputError, GenlabError
from genlab.jobs.executors import Executor, LocalExecutor
from genlab.runs.config import RunConfig, RunState, read_config, read_state
from genlab.runs.directory import RunDirectory
from genlab.runs.locking import process_started

SCHEMA = "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, stamp INTEGER, status TEXT, config TEXT)"
LAYOUT = 1  # of that table; an index of another layout is made anew
INDEX = "index.sqlite"
PATIENCE = 30.0  # seconds that another process may hold the index


def slots() -> int:
    """How many runs train at once: `GENLAB_JOBS`, or one."""
    asked = os.environ.get("GENLAB_JOBS") or "1"
    if not asked.isdecimal() or int(asked) < 1:
        raise BadInputError(f"GENLAB_JOBS says how many runs train at once, and {asked!r} is no such number; try 1.")
    return int(asked)


@contextlib.contextmanager
def index(home: Path) -> Iterator[sqlite3.Connection]:
    """The index, brought up to date with the run directories, held against other processes meanwhile."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / INDEX
    try:
        connection = _open(path)
    except sqlite3.OperationalError as error:  # somebody holds it, or it may not be written to
        raise BadInputError(f"The index {path} cannot be used now ({error}); try again, or delete it.") from error
    except sqlite3.DatabaseError:  # damaged: it is rebuilt from the run directories
        path.unlink(missing_ok=True)
        connection = _open(path)
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone() != (LAYOUT,):
            connection.execute("DROP TABLE IF EXISTS runs")
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.execute(SCHEMA)
        _synchronise(connection, path.parent / "runs")
    except BaseException:
        connection.close()
        raise
    return connection


def _synchronise(connection: sqlite3.Connection, runs: Path) -> None:
    known = dict(connection.execute("SELECT id, stamp FROM runs"))
    present = {file.parent.name: file.parent for file in runs.glob("[!.]*/config.json")}
    for gone in known.keys() - present.keys():
        connection.execute("DELETE FROM runs WHERE id = ?", (gone,))
    for name, path in present.items():
        state = path / "state.json"
        stamp = state.stat().st_mtime_ns if state.exists() else 0
        if known.get(name) != stamp:
            with contextlib.suppress(GenlabError, OSError):  # damaged or from a newer genlab: it cannot be listed
                row = (name, stamp, read_state(path).status, read_config(path).model_dump_json())
                connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", row)


def pump(home: Path, executor: Executor | None = None) -> list[RunConfig]:
    """Start queued runs, first come first, while slots are free; returns every run's configuration, newest first.

    The index stays locked meanwhile, so that two processes never start one run twice.
    """
    with index(home) as connection:
        states = _active(connection, home)
        waiting = sorted(
            ((state.updated, run.path.name, run) for state, run in states if state.status == "queued"),
            key=lambda entry: entry[:2],
        )
        if waiting:
            running = len(states) - len(waiting)
            for _, _, run in waiting[: max(0, slots() - running)]:
                _start(run, executor, running)
                running += 1
        configs = connection.execute("SELECT config FROM runs ORDER BY id DESC").fetchall()
    return [RunConfig.model_validate_json(config) for (config,) in configs]


def start_now(home: Path, run: RunDirectory, executor: Executor | None = None) -> None:
    """Start one queued run at once, whether or not a slot is free."""
    with index(home) as connection:
        if run.state.status == "queued":
            running = sum(state.status == "running" for state, _ in _active(connection, home))
            _start(run, executor, running)


def _active(connection: sqlite3.Connection, home: Path) -> list[tuple[RunState, RunDirectory]]:
    """The runs that wait or train, with their states."""
    rows = connection.execute("SELECT id FROM runs WHERE status IN ('queued', 'running')").fetchall()
    found = [(run.state, run) for run in (RunDirectory(home / "runs" / name) for (name,) in rows)]
    return [(state, run) for state, run in found if state.status in ("queued", "running")]


def _start(run: RunDirectory, executor: Executor | None, beside: int) -> None:
    """Start a worker, then say so in the run's state; until then the worker keeps its hands off the state."""
    pid = (executor or LocalExecutor(slots())).start(run.path, beside)
    changes = {"status": "running", "pid": pid, "pid_started": process_started(pid)}
    run.set_state(run.state.model_copy(update=changes))
