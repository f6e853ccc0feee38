"""Numbers: metrics of runs, and the Balance Metric of any images."""

from __future__ import annotations

from typing import Any

import click

from genlab.cli.output import columns, laboratory, reports


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float | int) else "-"


def _metric_table(document: dict[str, dict[str, Any]]) -> str:
    rows = [
        (name, _number(m["value"]), _number(m["baseline"]), m["n"], m["direction"], m["unit"], m["title"])
        for name, m in document.items()
    ]
    return columns(rows, titles=("metric", "value", "baseline", "n", "better", "unit", "what"))


@click.command()
@click.argument("run")
@click.option("--metrics", multiple=True, help="Names, given several times or with commas; default: all that apply.")
@click.option("--against", help="An image set's name or a path; default: the run's own held-out images.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Images at most.")
@reports(_metric_table)
def evaluate(run: str, metrics: tuple[str, ...], against: str | None, limit: int) -> dict[str, Any]:
    """Measure a run, each value with its sample size and what to compare it with."""
    names = [name.strip() for group in metrics for name in group.split(",") if name.strip()]
    measured = laboratory().runs[run].evaluate(names or None, against=against, limit=limit)
    return {name: measurement.as_dict() for name, measurement in measured.items()}


def _balance_table(document: dict[str, Any]) -> str:
    rows = [("these images", _number(document["bm"]))]
    rows += [(name.replace("_", " "), _number(value)) for name, value in document["baselines"].items()]
    return columns(rows, titles=("", "BM"))


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("--against", required=True, help="An image set's name or a path: what the images are compared with.")
@click.option("--norm", type=click.Choice(["raw", "unit"]), default="raw", show_default=True)
@click.option("--sign", type=click.Choice(["absolute", "signed"]), default="absolute", show_default=True)
@reports(_balance_table)
def bm(images: tuple[str, ...], against: str, norm: Any, sign: Any) -> dict[str, Any]:
    """The Balance Metric of IMAGES (files, folders or zips) against a set, with its baselines."""
    import numpy as np

    from genlab.data import decode_images
    from genlab.metrics import balance_report

    others = laboratory().datasets.resolve(against)
    generated = np.concatenate([decode_images(image, others.shape) for image in images])
    report = balance_report(generated.astype(np.float32) / np.float32(255), others.tensor().numpy(), norm, sign)
    return {**report, "n": len(generated), "against": others.name, "against_n": others.count}
