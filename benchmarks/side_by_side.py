"""What two trainings at once cost each other, with a thread for every processor each or with one's share of them.

`python benchmarks/side_by_side.py`, on an idle machine. Both rows train the same small convolutional network in processes of
their own, alone and two at once: wall-clock milliseconds a step, medians over rounds in which the rows take turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from typing import Any

from harness import report

from genlab.jobs.executors import LocalExecutor

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


def side_by_side(trainings: int, threads: int) -> float:
    """Milliseconds a step of as many trainings that begin together, with so many threads each."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begin = [sys.executable, "-c", STEP]
    running = [subprocess.Popen(begin, env=environment, **pipes) for _ in range(trainings)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    return statistics.mean(float(process.communicate()[0]) for process in running)


def main() -> None:
    threads = {"all processors": LocalExecutor(1).threads(), "its share of the processors": LocalExecutor(2).threads()}
    found: dict[str, dict[int, list[float]]] = {name: {1: [], 2: []} for name in threads}
    for _ in range(ROUNDS):
        for name, count in threads.items():
            for trainings in (1, 2):
                found[name][trainings].append(side_by_side(trainings, count))
    rows = {
        name: {"alone_ms": statistics.median(times[1]), "two_at_once_ms": statistics.median(times[2]), "rounds": ROUNDS}
        for name, times in found.items()
    }
    report("side_by_side", rows)


if __name__ == "__main__":
    main()
