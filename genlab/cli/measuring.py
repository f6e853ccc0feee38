"""Numbers: metrics of runs, and the Balance Metric of any images."""

from __future__ import annotations

from typing import Any

import click

from genlab.cli.output import columns, laboratory, reports


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float | int) else "-"


def _metric_table(document: dict[str, dict[str, Any]]) -> str:
    """A row for each metric, and below what must be known: how pixels are read, and where images are too few."""
    from genlab.metrics.registry import in_words

    rows = [
        (name, _number(m["value"]), _baseline(m), in_words(m["range"]), m["direction"], m["n"], m["unit"], m["title"])
        for name, m in document.items()
    ]
    table = columns(rows, titles=("metric", "value", "baseline", "range", "better", "n", "unit", "what"))
    concerned: dict[str, list[str]] = {}
    for name, m in document.items():
        for sentence in filter(None, (m["warning"], m["remark"] if m["reading"] else "")):
            concerned.setdefault(sentence, []).append(name)
    return "\n".join([table, *(f"{', '.join(names)}: {sentence}" for sentence, names in concerned.items())])


def _baseline(measured: dict[str, Any]) -> str:
    """The value to beat, and what scores it."""
    name = next(iter(measured["baselines"]), "")
    return f"{_number(measured['baseline'])} {name.replace('_', ' ')}".rstrip()


@click.command()
@click.argument("run")
@click.option("--metrics", multiple=True, help="Names, given several times or with commas; default: all that apply.")
@click.option("--against", help="An image set's name or a path; default: the run's own held-out images.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Images at most.")
@click.option(
    "--features",
    help="Feature space that samples are compared in: 'small classifier', pixels-PCA or EfficientNet-Lite0.",
)
@click.option(
    "-k",
    "--first",
    "first",
    multiple=True,
    type=click.IntRange(1, 1_000_000),
    help="Of recognition: identification_topK and recall_at_K, given several times; alone, only these.",
)
@reports(_metric_table)
def evaluate(
    run: str, metrics: tuple[str, ...], against: str | None, limit: int, features: str | None, first: tuple[int, ...]
) -> dict[str, Any]:
    """Measure a run, each value with its sample size and what to compare it with."""
    names = [name.strip() for group in metrics for name in group.split(",") if name.strip()]
    names += [f"{metric}{k}" for k in first for metric in ("identification_top", "recall_at_")]
    measured = laboratory().runs[run].evaluate(names or None, against=against, limit=limit, features=features)
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


def _radii_table(document: dict[str, Any]) -> str:
    rows = [
        (*(f"{row[axis]:g}" for axis in document["axes"]), f"{row['semi_hard']:.1%}", f"{row['in_order']:.1%}")
        for row in document["settings"][:10]
    ]
    titles = (*(axis.replace("_", " ") for axis in document["axes"]), "semi-hard", "in order")
    by = f"{document['count']} anchors, margin {document['margin']:g}, distances by {document['by']}."
    return f"{columns(rows, titles=titles)}\n{by}"


@click.command()
@click.argument("run")
@click.option("--recognition", help="The run whose distances count; default: distances of the pixels.")
@click.option(
    "-n", "--count", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Anchors held out."
)
@click.option("--margin", type=click.FloatRange(0, 2), help="Default: that of the recognition run, else 0.6.")
@click.option("--step", type=click.Choice(["log_var", "sigma"]), default="log_var", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@reports(_radii_table)
def radii(run: str, recognition: str | None, count: int, margin: float | None, step: Any, seed: int) -> dict[str, Any]:
    """Search for triplet settings that give many semi-hard triplets, the best ones first."""
    import numpy as np

    from genlab.latent.radii import AXES
    from genlab.latent.triplets import TripletSettings

    settings = TripletSettings(step=step)
    found = laboratory().runs[run].radii(recognition, settings=settings, count=count, margin=margin, seed=seed)
    rows = [
        {
            **{axis: getattr(found.at(*place), axis) for axis in AXES},
            "semi_hard": found.semi_hard[*place], "in_order": found.in_order[*place],
        }
        for place in np.argwhere(np.isfinite(found.semi_hard))
    ]  # fmt: skip
    ranked = sorted(rows, key=lambda row: -row["semi_hard"])
    return {"run": run, "by": found.by, "count": found.count, "margin": found.margin, "axes": AXES, "settings": ranked}
