"""The ladder in pictures: samples side by side, independent pixels, two latent spaces, and a GAN that leaves kinds out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from genlab.figures.named import named_rows
from genlab.studies.study import Cloud, Picture

SAMPLES = 20  # of each rung in a row
DRAWN = 10  # images in a row of an example
PAIRS = 3  # walks
SHOWN = 2000  # held-out images on a map, at the most
TICKS = 15  # decoded codes along each side of a plane
SPAN = 3.0  # standard deviations of N(0, 1) on each side of it
REACH = 0.99  # of the codes lie on the second plane, which is as wide as they are


def held_out(run: Any, count: int) -> np.ndarray:
    """`count` held-out images at even distances, so that a set sorted by class shows all of them."""
    indices = run.images.splits["validation"]
    chosen = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)]
    return run.images.tensor(chosen).numpy()


def side_by_side(runs: Mapping[str, Any]) -> tuple[Picture, ...]:
    """One row for each rung that draws, from one seed, under held-out images."""
    drawing = {rung: run for rung, run in runs.items() if run.can("samples")}
    if not drawing:
        return ()
    rows = {"held-out images": held_out(next(iter(drawing.values())), SAMPLES)}
    rows |= {rung: run.sample(SAMPLES, seed=0).array for rung, run in drawing.items()}
    left = [rung for rung in runs if rung not in drawing]
    caption = (
        f"From top to bottom: {', '.join(rows)}. The first {SAMPLES} samples of each run with seed 0, none picked."
    )
    caption += f" Nothing says how to draw from: {', '.join(left)}." if left else ""
    return (Picture("Samples side by side", named_rows(rows), caption, _ids(drawing)),)


def independent(runs: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Images of one class, and what a model with independent pixels draws of it."""
    if not runs or not all(run.can("samples_by_label") for run in runs.values()):
        return ()
    known = next(iter(runs.values())).images
    label, indices = 0, known.splits["train"]
    if known.labels is not None:
        label = int(np.asarray(known.labels)[known.splits["validation"][0]])
        indices = indices[np.asarray(known.labels)[indices] == label]
    rows = {"training images": known.tensor(indices[:DRAWN]).numpy()}
    rows["their mean"] = known.tensor(indices).numpy().mean(0)[None].repeat(len(rows["training images"]), 0)
    rows |= {rung: run.sample(DRAWN, labels=[label] * DRAWN, seed=0).array for rung, run in runs.items()}
    of = f" of class {known.class_names[label]}" if known.class_names else ""
    caption = (
        f"Images{of}, their mean, and samples{of}. Each sampled pixel is drawn on its own, so that what makes one "
        "image differ from the mean is noise."
    )
    return (Picture("Independent pixels", named_rows(rows), caption, _ids(runs)),)


def walks(runs: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Straight walks between the codes of the same held-out images, through each run's latent space."""
    if not runs:
        return ()
    ends = held_out(next(iter(runs.values())), 2 * PAIRS)
    pairs = list(zip(ends[: len(ends) // 2], ends[len(ends) // 2 :], strict=False))
    rows = {
        f"{name}, pair {place}": run.interpolate(a, b, steps=DRAWN, kind="lerp").array
        for place, (a, b) in enumerate(pairs, 1) for name, run in runs.items()
    }  # fmt: skip
    caption = (
        f"Straight walks of {DRAWN} steps between the codes of the same held-out images: both ends are reconstructions."
    )
    return (Picture("From one image to another", named_rows(rows), caption, _ids(runs)),)


def from_prior(runs: Mapping[str, Any]) -> tuple[Picture, ...]:
    """What the same draws from N(0, I) decode to, in each run."""
    if not runs:
        return ()
    first = next(iter(runs.values()))
    codes = np.random.default_rng(0).standard_normal((SAMPLES, first.config.parameters["latent_dim"]))
    rows = {"held-out images": held_out(first, SAMPLES)}
    rows |= {name: run.decode(codes).array for name, run in runs.items()}
    caption = f"{SAMPLES} draws from N(0, I), the same codes decoded by each: {', '.join(runs)}."
    return (Picture("Codes drawn from N(0, I), decoded", named_rows(rows), caption, _ids(runs)),)


def planes(runs: Mapping[str, Any]) -> tuple[tuple[Cloud, ...], tuple[Picture, ...]]:
    """Where held-out images lie in latent planes, and what is decoded across N(0, I) and across the codes."""
    clouds, pictures = [], []
    for name, run in runs.items():
        indices = run.images.splits["validation"][:SHOWN]
        points = run.encode(run.images.tensor(indices)).mean
        labels = np.zeros(len(indices), int) if run.images.labels is None else np.asarray(run.images.labels)[indices]
        groups = tuple(str(run.images.class_names[label]) if run.images.class_names else "images" for label in labels)
        reach = round(float(np.quantile(np.abs(points).max(1), REACH)), 1)
        caption = (
            f"Codes of {len(points)} held-out images, {name}, seed 0; {REACH:.0%} lie within ± {reach:g} on both axes, "
            f"and 99 % of N(0, I) within 3.03 of the middle."
        )
        clouds.append(Cloud(f"Latent space: {name}", points.tolist(), groups, caption))
        for span, what in ((SPAN, "where N(0, I) is"), (reach, "where its codes are")):
            drawn = run.plane(steps=TICKS, span=span)
            title = f"The plane decoded {what}: {name}"
            pictures.append(Picture(title, drawn.png_bytes(columns=TICKS, gap=0), drawn.caption, (run.id,)))
    return tuple(clouds), tuple(pictures)


def examples(title: str, runs: Mapping[str, Any], told: str) -> tuple[Picture, ...]:
    """Samples of runs that differ in what `told` says, under held-out images."""
    if not runs:
        return ()
    rows = {"held-out images": held_out(next(iter(runs.values())), SAMPLES)}
    rows |= {name: run.sample(SAMPLES, seed=0).array for name, run in runs.items()}
    return (Picture(title, named_rows(rows), f"{told} The first {SAMPLES} samples, none picked.", _ids(runs)),)


def _ids(runs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(run.id for run in runs.values())
