"""What two trainings at once cost each other: by how PyTorch's threads wait, and by how many each may have.

`python benchmarks/side_by_side.py`, on an idle machine with as many processors as it has. Every row trains the same small
convolutional network in processes of their own, alone or two at once, and gives wall-clock milliseconds a step (medians over
rounds, all settings in turns in each round). Only threads of GNU's OpenMP (Linux) know `GOMP_SPINCOUNT`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from typing import Any

from harness import report

from genlab.jobs.executors import SPIN, LocalExecutor

ROUNDS = 5
STEP = """
import time, torch
images = torch.rand(32, 3, 64, 64)
layers = [torch.nn.Conv2d(3, 16, 4, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 4, 2, 1), torch.nn.ReLU()]
network = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8192, 64), torch.nn.Linear(64, 12288))
optimiser = torch.optim.SGD(network.parameters(), 1e-4)
def step():
    optimiser.zero_grad()
    (network(images) - images.flatten(1)).square().mean().backward()
    optimiser.step()
for _ in range(10): step()
print("ready", flush=True)
input()
begun = time.perf_counter()
for _ in range(50): step()
print((time.perf_counter() - begun) / 50 * 1000)
"""


def side_by_side(count: int, settings: dict[str, str]) -> float:
    """Milliseconds a step of `count` trainings that begin together."""
    clean = {name: value for name, value in os.environ.items() if name not in (*SPIN, "OMP_NUM_THREADS")}
    begin = [sys.executable, "-c", STEP]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(begin, env=clean | settings, **pipes) for _ in range(count)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    return statistics.mean(float(process.communicate()[0]) for process in running)


def main() -> None:
    every = {"OMP_NUM_THREADS": str(LocalExecutor(1).threads)}
    settings = {
        "all processors, spinning as by default": every,
        "all processors, spinning briefly": every | SPIN,
        "its share of the processors": {"OMP_NUM_THREADS": str(LocalExecutor(2).threads)} | SPIN,
    }
    found: dict[str, dict[int, list[float]]] = {name: {1: [], 2: []} for name in settings}
    for _ in range(ROUNDS):
        for name, chosen in settings.items():
            for count in (1, 2):
                found[name][count].append(side_by_side(count, chosen))
    rows = {
        name: {"alone_ms": statistics.median(times[1]), "two_at_once_ms": statistics.median(times[2]), "rounds": ROUNDS}
        for name, times in found.items()
    }
    report("side_by_side", rows)


if __name__ == "__main__":
    main()
