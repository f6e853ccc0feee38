"""The queue: first come first, never twice, rebuilt from the directories; and who is alive."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import prepared, train

from genlab.core.errors import BadInputError
from genlab.jobs.executors import THREADS, Executor, LocalExecutor, worker_command
from genlab.jobs.queue import INDEX, pump, slots, start_now
from genlab.jobs.worker import main
from genlab.runs.config import RunState, read_state, write_state
from genlab.runs.directory import RunDirectory
from genlab.runs.locking import is_alive, only_worker, process_started
from genlab.workspace import Run, Workspace


class Pretend(Executor):
    """Writes down what it was asked to start; this very process stands in for every worker."""

    def __init__(self, book: Path) -> None:
        self.book = book
        self.beside: list[int] = []

    def start(self, directory: Path, beside: int = 0) -> int:
        with self.book.open("a") as file:
            file.write(directory.name + "\n")
        self.beside.append(beside)
        return os.getpid()

    @property
    def started(self) -> list[str]:
        return self.book.read_text().split() if self.book.exists() else []


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "lab")


@pytest.fixture
def executor(tmp_path: Path) -> Pretend:
    return Pretend(tmp_path / "book")


def queued(lab: Workspace, count: int) -> list[Run]:
    """Runs in the order of their queue, without starting any."""
    lab.runs.pump = lambda: None  # type: ignore[method-assign]
    lab.runs._configs = list  # type: ignore[method-assign]
    return [prepared(lab, name=f"run {number}") for number in range(count)]


def finish(run: Run) -> None:
    write_state(run.directory, RunState(status="finished"))


def test_runs_start_first_come_first_and_one_at_a_time(lab: Workspace, executor: Pretend) -> None:
    runs = queued(lab, 3)
    for number, run in enumerate(runs):
        pump(lab.root, executor)
        pump(lab.root, executor)
        assert executor.started == [each.id for each in runs[: number + 1]]
        assert run.status == "running"
        assert run.state.pid == os.getpid()
        finish(run)
    assert len(pump(lab.root, executor)) == 3
    assert len(executor.started) == 3


def test_slots_are_what_the_environment_says(
    lab: Workspace, executor: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(lab, 3)
    monkeypatch.setenv("GENLAB_JOBS", "2")
    pump(lab.root, executor)
    assert len(executor.started) == 2
    assert executor.beside == [0, 1]
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("GENLAB_JOBS", wrong)
        with pytest.raises(BadInputError, match="GENLAB_JOBS"):
            slots()
    monkeypatch.setenv("GENLAB_JOBS", "")
    assert slots() == 1


@pytest.mark.parametrize(
    ("processors", "jobs", "beside", "threads"),
    [(2, 1, 0, "2"), (2, 2, 0, "1"), (8, 3, 2, "2"), (2, 5, 0, "1"), (2, 1, 1, "1"), (8, 2, 3, "2")],
)
def test_workers_share_the_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, jobs: int, beside: int, threads: str
) -> None:
    asked: list[str] = []

    class Process:
        pid = 1

        def __init__(self, command: list[str], env: dict[str, str], **others: object) -> None:
            asked.append(env[THREADS])

        def wait(self) -> None:
            pass

    monkeypatch.setattr("genlab.jobs.executors.subprocess.Popen", Process)
    monkeypatch.setattr("genlab.jobs.executors._processors", lambda: processors)
    monkeypatch.setenv(THREADS, "9")  # a worker's own share is not that of the worker that it starts when it ends
    LocalExecutor(jobs).start(tmp_path, beside)
    assert asked == [threads]


def test_a_worker_takes_its_share_unless_the_environment_says_how_many_threads(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", set_to.append)
    monkeypatch.setenv(THREADS, "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first, second, third = queued(lab, 3)
    assert main([str(first.directory)]) == 0
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert main([str(second.directory)]) == 0
    monkeypatch.delenv(THREADS)  # `python -m genlab.train` by hand
    assert main([str(third.directory)]) == 0
    assert set_to == [3]


def test_a_run_may_pass_the_queue(lab: Workspace, executor: Pretend) -> None:
    first, second = queued(lab, 2)
    pump(lab.root, executor)
    start_now(lab.root, RunDirectory(second.directory), executor)
    start_now(lab.root, RunDirectory(second.directory), executor)
    assert executor.started == [first.id, second.id]
    assert executor.beside == [0, 1]  # so that it leaves the first its processors


def _pump_at_once(home: str, book: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    pump(Path(home), Pretend(Path(book)))


def test_processes_that_pump_at_once_never_start_a_run_twice(
    lab: Workspace, executor: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = queued(lab, 4)
    monkeypatch.setenv("GENLAB_JOBS", "3")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    arguments = (str(lab.root), str(executor.book), barrier)
    children = [context.Process(target=_pump_at_once, args=arguments) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    # a pump that came after a "worker" had ended found it interrupted, and a slot free: never the same run again
    assert len(executor.started) == len(set(executor.started))
    assert executor.started[:3] == [run.id for run in runs[:3]]


def test_deleting_or_damaging_the_index_loses_nothing(lab: Workspace, executor: Pretend) -> None:
    runs = queued(lab, 3)
    finish(runs[0])
    pump(lab.root, executor)
    known = [config.model_dump() for config in pump(lab.root, executor)]
    assert [config["id"] for config in known] == sorted((run.id for run in runs), reverse=True)
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"no database" * 500)):
        spoil(lab.root / INDEX)
        assert [config.model_dump() for config in pump(lab.root, executor)] == known
        assert executor.started == [runs[1].id]
    assert not list(lab.root.glob("index.sqlite-*"))


def test_an_index_of_another_layout_is_made_anew(lab: Workspace, executor: Pretend) -> None:
    (run,) = queued(lab, 1)
    lab.root.mkdir(exist_ok=True)
    (lab.root / INDEX).unlink(missing_ok=True)
    with sqlite3.connect(lab.root / INDEX) as old:
        old.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, mood TEXT)")
    old.close()
    assert [config.id for config in pump(lab.root, executor)] == [run.id]


def test_an_index_that_somebody_holds_is_waited_for_and_never_deleted(
    lab: Workspace, executor: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(lab, 1)
    pump(lab.root, executor)
    holder = sqlite3.connect(lab.root / INDEX, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("genlab.jobs.queue.PATIENCE", 0.1)
    with pytest.raises(BadInputError, match="cannot be used now"):
        pump(lab.root, executor)
    holder.execute("COMMIT")
    holder.close()
    assert len(pump(lab.root, executor)) == 1


def test_directories_that_are_no_runs_or_too_new_are_passed_over(lab: Workspace, executor: Pretend) -> None:
    (run,) = queued(lab, 1)
    (run.directory.parent / ".half.tmp").mkdir()
    (run.directory.parent / "notes").mkdir()
    newer = run.directory.parent / "newer"
    newer.mkdir()
    (newer / "config.json").write_text('{"format": 99}')
    assert [config.id for config in pump(lab.root, executor)] == [run.id]


# who is alive


def test_a_dead_worker_is_interrupted_and_its_number_in_other_hands_does_not_help(lab: Workspace) -> None:
    (run,) = queued(lab, 1)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_started(child.pid)
    write_state(run.directory, RunState(status="running", pid=child.pid, pid_started=started))
    assert run.status == "running"
    write_state(run.directory, RunState(status="running", pid=child.pid, pid_started=started - 100))
    assert run.status == "interrupted"
    write_state(run.directory, RunState(status="running", pid=child.pid, pid_started=started))
    child.kill()
    while is_alive(child.pid, started):  # until the kernel has let it go; nobody reaped it yet
        pass
    assert run.status == "interrupted"
    child.communicate()
    assert run.status == "interrupted"
    assert "ended without saying why" in run.state.message
    assert not is_alive(0, 0)


def test_a_directory_has_one_worker(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = queued(lab, 1)
    before = read_state(run.directory)
    with only_worker(run.directory):
        with pytest.raises(BadInputError, match=r"is training .* already"), only_worker(run.directory, patience=0.1):
            pass
        monkeypatch.setattr("genlab.jobs.worker.only_worker", lambda path: only_worker(path, patience=0.1))
        assert main([str(run.directory)]) == 2
    assert read_state(run.directory) == before
    with only_worker(run.directory, patience=0.1):
        pass


def test_the_worker_is_one_command_and_refuses_what_is_no_run(
    lab: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker_command(tmp_path)[1:] == ["-m", "genlab.train", str(tmp_path)]
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err


def test_a_worker_that_ends_hands_the_slot_to_the_next(
    lab: Workspace, executor: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queued(lab, 2)
    pump(lab.root, executor)
    monkeypatch.setattr("genlab.jobs.queue.LocalExecutor", lambda jobs: executor)
    assert main([str(first.directory)]) == 0
    assert first.status == "finished"
    assert executor.started == [first.id, second.id]


def test_asking_before_the_worker_has_begun_is_not_lost(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = queued(lab, 1)
    monkeypatch.setattr("genlab.jobs.worker.SECONDS_BETWEEN_LOOKS", -1)
    RunDirectory(run.directory).ask("pause")
    assert train(run) == "paused"
