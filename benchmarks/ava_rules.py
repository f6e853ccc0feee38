"""The AVA paper's table from the program of its authors: Balance Metric over learning rates, beside the printed figures.

`python benchmarks/ava_rules.py FOLDER [--all]`, FOLDER with the 36 images of 100x64 that the authors published (orbit).
Every cell is three runs of `genlab.nn.ava_authors.train_many` with noise of their own, and ten drawn images for each of the 36,
each compared with that image alone, raw and absolute, as the program does it. Reference: an independent implementation of
the program (three seeds). With --all the whole grid of 7 models and 19 rates runs, and its seconds are taken.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import one_thread, report
from PIL import Image

from genlab.metrics.balance import balance_metric
from genlab.nn.ava_authors import VARIANTS, train_many

SEEDS, DRAWN = 3, 10
RATES = [round(1 - 0.1 * step, 1) for step in range(10)] + [round(0.09 - 0.01 * step, 2) for step in range(9)]
CELLS = {
    "vae": {1.0: (0.0536, 0.0583), 0.5: (0.0587, 0.0610), 0.1: (0.1225, 0.1238), 0.05: (0.1801, 0.1805), 0.01: (0.2147, 0.2147)},
    "gan": {1.0: (0.2294, 0.2298), 0.5: (0.2315, 0.2311), 0.1: (0.2119, 0.2107), 0.05: (0.1609, 0.1628), 0.01: (0.2148, 0.2148)},
    "ava1": {1.0: (0.2295, 0.2298), 0.5: (0.2317, 0.2318), 0.1: (0.2114, 0.2103), 0.05: (0.1625, 0.1664), 0.01: (0.2146, 0.2147)},
    "ava3": {1.0: (0.0570, 0.0642), 0.5: (0.0596, 0.0591), 0.1: (0.1198, 0.1230), 0.05: (0.1783, 0.1792), 0.01: (0.2147, 0.2147)},
    "ava5": {1.0: (0.2296, 0.2301), 0.5: (0.2316, 0.2313), 0.1: (0.2122, 0.2114), 0.05: (0.1643, 0.1621), 0.01: (0.2145, 0.2146)},
}  # fmt: skip
"""Model -> rate -> (reference, printed)."""


def pictures(folder: Path) -> torch.Tensor:
    """The images in the order of their names, (N, 3, H, W) in [0, 1]."""
    pixels = [np.asarray(Image.open(file).convert("RGB")) for file in sorted(folder.glob("*.png"))]
    return torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2) / 255


def balances(variant: str, images: torch.Tensor, rates: list[float]) -> np.ndarray:
    """Balance Metric of every run, (rates, seeds)."""
    runs = train_many(variant, images, [rate for rate in rates for _ in range(SEEDS)])
    generator, total = torch.Generator().manual_seed(0), np.zeros(len(rates) * SEEDS)
    for image in images:
        drawn = runs.generate(DRAWN, generator).float()
        total += [balance_metric(own, image[None]) for own in drawn]
    return (total / len(images)).reshape(len(rates), SEEDS)


def row(values: np.ndarray, reference: float, printed: float) -> dict[str, Any]:
    mean, spread = statistics.mean(values), statistics.stdev(values)
    return {
        "bm": round(mean, 4), "sd": round(spread, 4), "reference": reference, "printed": printed,
        "off_reference": round(mean - reference, 4), "off_printed": round(mean - printed, 4),
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far the cells lie from the reference and from the print."""
    found: dict[str, Any] = {"cells": len(rows)}
    for name in ("off_reference", "off_printed"):
        sizes = [abs(each[name]) for each in rows]
        found[name] = {"mean": round(statistics.mean(sizes), 4), "largest": max(sizes)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="run all 7 models and 19 rates, and take the time")
    chosen = parser.parse_args()
    one_thread()
    images = pictures(chosen.folder)
    began, wall, grid = time.process_time(), time.perf_counter(), {}
    rows: dict[str, Any] = {}
    for variant in VARIANTS if chosen.all else CELLS:
        rates = RATES if chosen.all else list(CELLS[variant])
        grid[variant] = balances(variant, images, rates)
        for rate, (reference, printed) in CELLS.get(variant, {}).items():
            rows[f"{variant}, rate {rate:g}"] = row(grid[variant][rates.index(rate)], reference, printed)
    cells = list(rows.values())
    rows["summary"] = summary(cells)
    if chosen.all:
        rows["grid"] = {
            "runs": len(VARIANTS) * len(RATES) * SEEDS, "cpu_seconds": round(time.process_time() - began, 1),
            "seconds": round(time.perf_counter() - wall, 1), "rates": RATES,
            "mean": {name: np.round(values.mean(1), 4).tolist() for name, values in grid.items()},
            "sd": {name: np.round(values.std(1, ddof=1), 4).tolist() for name, values in grid.items()},
        }  # fmt: skip
    report("ava_rules" if chosen.all else "ava_rules-part", rows)


if __name__ == "__main__":
    main()
