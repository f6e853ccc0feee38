"""Paired timing in one process on one thread, and a description of the machine it was done on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def one_thread() -> None:
    """What every timing here is done on."""
    torch.set_num_threads(1)


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of this process for one call; other programs on the machine do not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def paired(ours: Callable[[], object], other: Callable[[], object], rounds: int = 7) -> dict[str, float]:
    """Time two sides in turns, swapping who goes first, after one unmeasured call of each.

    `ratio` is the median over rounds of ours / other: below 1, ours is quicker.
    """
    ours()
    other()
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            theirs = timed(other)
            pairs.append((timed(ours), theirs))
        else:
            mine = timed(ours)
            pairs.append((mine, timed(other)))
    ratios = sorted(mine / theirs for mine, theirs in pairs)
    return {
        "ours_ms": 1000 * statistics.median(mine for mine, _ in pairs),
        "other_ms": 1000 * statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
        "rounds": rounds,
    }


def machine() -> dict[str, Any]:
    """Processor, cores, versions, load, and the convolution speed reached in float32."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "conv_gflops_float32": round(conv_gflops(), 1),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def conv_gflops() -> float:
    """Best speed of a 3x3 convolution of 128 channels on 64x64, in 1e9 operations a second."""
    images, weight = torch.randn(4, 128, 64, 64), torch.randn(128, 128, 3, 3)
    operations = 2 * 4 * 128 * 128 * 9 * 64 * 64
    best = min(timed(lambda: torch.nn.functional.conv2d(images, weight, padding=1)) for _ in range(8))
    return operations / best / 1e9


def report(name: str, rows: dict[str, Any]) -> None:
    """Print the rows as JSON, and keep them in `results/` beside the machine they come from."""
    document = {"benchmark": name, "machine": machine(), "rows": rows}
    text = json.dumps(document, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
