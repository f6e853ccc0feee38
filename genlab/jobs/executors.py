"""Where a run is trained: whoever starts `python -m genlab.train RUN_DIR` is an executor."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from pathlib import Path

LAUNCHED = "GENLAB_LAUNCHED"  # tells a worker that its starter writes the state first
THREADS = "GENLAB_THREADS"  # tells a worker its share of the processors


def worker_command(directory: Path) -> list[str]:
    """The one command that trains a run, on this machine or on another."""
    return [sys.executable, "-m", "genlab.train", str(directory)]


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Executor(ABC):
    """Starts workers."""

    @abstractmethod
    def start(self, directory: Path, beside: int = 0) -> int:
        """Start the worker of one run, `beside` others that train, and return its process number."""


class LocalExecutor(Executor):
    """Starts workers on this machine, each in a session of its own so that it outlives who started it.

    Each gets its share of the processors, as one of `jobs` that are to train at once, or of more that do: the threads of
    two that both have all of them spin waiting for one another, and both take several times as long
    (`benchmarks/side_by_side.py`).
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs

    def threads(self, beside: int = 0) -> int:
        """How many a worker gets that starts when `beside` others train."""
        return max(1, _processors() // max(self.jobs, beside + 1))

    def start(self, directory: Path, beside: int = 0) -> int:
        """Start the worker; what it prints goes to `worker.log` in the run."""
        with (directory / "worker.log").open("ab") as output:
            process = subprocess.Popen(
                worker_command(directory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1", LAUNCHED: "1", THREADS: str(self.threads(beside))},
                cwd=directory,
            )
        threading.Thread(target=process.wait, daemon=True, name=f"reaper of {directory.name}").start()
        return process.pid
