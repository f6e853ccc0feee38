"""Does batch normalisation cure a VAE-GAN's overfitting? Tables 1 to 4 of Mandalapu's paper, with seeds.

References:
    [1] Mandalapu, VAE-GAN: Identifying VAE-GAN Model for Latent Representation Learning, tables 1 to 4, figures 15 and 16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from genlab.studies.study import (
    Cell,
    Chart,
    Cloud,
    Line,
    Picture,
    Place,
    Report,
    Result,
    Study,
    Table,
    chosen,
    mean_entry,
    p_value,
    spread,
)
from genlab.studies.study import Entry as Field

STEPS = 30  # an epoch: the printed averages are exact for 30 batches of 2,000
SCALE = 2.0  # the paper's "average loss" is a sum over a batch of 2,000, told here in thousands
EPOCHS = range(1, 6)
PLANE = 2  # dimensions of the runs whose latent space is drawn as it is
SHOWN = 2000  # held-out images on a map, at the most

# test loss (an image) and average loss (a batch of 2,000) of epochs 1 to 5, by (noise, batch norm)
PRINTED_TEST = {
    ("none", False): (230.3283, 180.3972, 157.0591, 142.4545, 134.2129),
    ("none", True): (147.8428, 125.5780, 114.9232, 107.7456, 103.7279),
    ("masking", False): (347.0229, 247.7857, 207.1779, 186.8587, 178.0751),
    ("masking", True): (164.1581, 154.7473, 154.7070, 152.6874, 150.3859),
}
PRINTED_AVERAGE = {
    ("none", False): (469.0435, 372.1181, 334.0599, 305.1111, 286.8675),
    ("none", True): (399.7356, 296.2143, 269.9859, 253.7462, 241.9674),
    ("masking", False): (402.2396, 379.4316, 349.7054, 328.4589, 314.2084),
    ("masking", True): (373.1481, 341.2149, 324.0381, 312.1386, 303.0077),
}
NAMES = {False: "without batch norm", True: "with batch norm"}
SETTINGS = {"none": "clean input (tables 1 and 2)", "masking": "half of the input masked (tables 3 and 4)"}


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """With and without batch norm, clean and masked input, codes of d dimensions, seeds; then, for the maps, d = 2."""
    dimensions, seeds = ((20,), range(2)) if quick else ((20, 100, 500), range(3))
    shared = {"epochs": 5 if quick else 10, "batch_size": min(8192, max(1, images // STEPS)), "preview_every": 5}

    def cell(d: int, noise: str, norm: bool, seed: int, **more: Any) -> Cell:
        place: Place = {"d": d, "noise": noise, "batch norm": norm, "seed": seed}
        noisy = {"corruption": noise, "corruption_amount": 0.5}
        return Cell(place, "vae_gan", {**shared, "latent_dim": d, **noisy, "batch_norm": norm, "seed": seed, **more})

    every = [cell(*place) for place in product(dimensions, SETTINGS, NAMES, seeds)]
    return every + [cell(PLANE, "none", *place, architecture="conv") for place in product(NAMES, seeds)]


def measure(run: Any) -> dict[str, Any]:
    """Per epoch: the training loss R + KL, and on held-out images both with z = μ (as the paper) and with a drawn z.

    Of a latent plane also the share of held-out images whose nearest in it is of the same class.
    """
    rows = run.scalars()
    apart = {}
    if run.config.parameters["latent_dim"] == PLANE and run.images.labels is not None:
        points, labels = _held_out(run)
        apart["nearest_alike"] = nearest_alike(points, labels)
    return apart | {
        "train": [row["reconstruction"] + row["kl"] for row in rows],
        "test": [row["validation_reconstruction_at_mean"] + row["validation_kl"] for row in rows],
        "test_sampled": [row["validation_reconstruction"] + row["validation_kl"] for row in rows],
        "seconds": run.state.seconds,
    }


def _held_out(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means (N, D) of held-out images, and their labels (N,); without classes these are 0."""
    indices = run.images.splits["validation"][:SHOWN]
    labels = np.zeros(len(indices), int) if run.images.labels is None else np.asarray(run.images.labels)[indices]
    return run.codes(run.images.tensor(indices)), labels


def nearest_alike(points: np.ndarray, labels: np.ndarray) -> float:
    """The share of points (N, D) whose nearest other point has the same of the labels (N,).

    >>> nearest_alike(np.array([[0.0, 0], [1, 0], [5, 0], [7, 0]]), np.array([3, 3, 3, 8]))
    0.5
    """
    from scipy.spatial import cKDTree

    first, second = cKDTree(points).query(points, k=2)[1].T
    nearest = np.where(first == np.arange(len(points)), second, first)  # one that lies on another may be named after it
    return float((labels[nearest] == labels).mean())


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """Losses by epoch beside the printed ones, the ratio with / without batch norm, and maps of latent planes."""
    dimensions = sorted({int(result.cell.place["d"]) for result in results} - {PLANE})
    tables: list[Table] = []
    findings: list[str] = []
    for noise, title in SETTINGS.items():
        tables.append(
            _losses(f"Test loss an image, z = μ: {title}", results, noise, dimensions, "test", 1, PRINTED_TEST)
        )
        tables.append(
            _losses(
                f"Average loss, thousands of nats a batch of 2,000: {title}",
                results,
                noise,
                dimensions,
                "train",
                SCALE,
                PRINTED_AVERAGE,
            )
        )
        tables.append(_ratios(f"Test loss with / without batch norm: {title}", results, noise, dimensions))
        findings += [_finding(results, noise, d) for d in dimensions if chosen(results, noise=noise, d=d)]
    charts = tuple(_chart(results, noise, dimensions[0]) for noise in SETTINGS) if dimensions else ()
    planes = chosen(results, d=PLANE)
    if planes:
        tables.append(_planes(planes))
        findings.append(_apart(planes))
    clouds, decoded = _maps(planes, open_run)
    walks = _walks([result for result in results if result not in planes], open_run)
    return Report(tuple(findings), tuple(tables), charts, (*walks, *decoded), clouds=clouds)


def _at(kind: str, epoch: int, scale: float = 1.0) -> Callable[[Result], float]:
    return lambda result: scale * float(result.numbers[kind][epoch - 1])


def _losses(
    title: str, results: Sequence[Result], noise: str, dimensions: Sequence[int], kind: str, scale: float,
    printed: Mapping[tuple[str, bool], Sequence[float]],
) -> Table:  # fmt: skip
    rows = []
    for norm, name in NAMES.items():
        rows.append((Field(f"printed, {name}"), *(Field(f"{value:.4g}") for value in printed[noise, norm])))
        for d in dimensions:
            some = chosen(results, noise=noise, d=d, **{"batch norm": norm})
            rows.append((Field(f"d = {d}, {name}"), *(mean_entry(some, _at(kind, e, scale)) for e in EPOCHS)))
    return Table(title, ("", *(f"epoch {e}" for e in EPOCHS)), tuple(rows), "Mean ± standard deviation over seeds.")


def ratios(results: Sequence[Result], noise: str, d: int, epoch: int, kind: str = "test") -> list[float]:
    """Loss with / without batch norm at an epoch, seed by seed."""
    losses = {
        (r.cell.place["seed"], r.cell.place["batch norm"]): _at(kind, epoch)(r)
        for r in chosen(results, noise=noise, d=d)
    }
    seeds = sorted({seed for seed, _ in losses})
    return [losses[s, True] / losses[s, False] for s in seeds if (s, True) in losses and (s, False) in losses]


def _ratios(title: str, results: Sequence[Result], noise: str, dimensions: Sequence[int]) -> Table:
    without, with_norm = PRINTED_TEST[noise, False], PRINTED_TEST[noise, True]
    rows = [(Field("printed"), *(Field(f"{b / a:.2f}") for a, b in zip(without, with_norm, strict=True)))]
    for d in dimensions:
        for kind, name in (("test", "z = μ, as printed"), ("test_sampled", "z drawn: −ELBO")):
            runs = tuple(result.run for result in chosen(results, noise=noise, d=d))
            entries = [_ratio_entry(ratios(results, noise, d, epoch, kind), runs) for epoch in EPOCHS]
            rows.append((Field(f"d = {d}, {name}"), *entries))
    return Table(
        title, ("", *(f"epoch {e}" for e in EPOCHS)), tuple(rows), "Below 1, batch norm has the lower test loss."
    )


def _ratio_entry(values: list[float], runs: tuple[str, ...]) -> Field:
    mean, deviation = spread(values)
    if not values:
        return Field("–")
    return Field(f"{mean:.2f}" if len(values) == 1 else f"{mean:.2f} ± {deviation:.2f}", runs)


def _finding(results: Sequence[Result], noise: str, d: int) -> str:
    by_epoch = [ratios(results, noise, d, epoch) for epoch in EPOCHS]
    if not all(by_epoch):
        return f"d = {d}, {SETTINGS[noise]}: not all runs are there yet."
    means = [spread(values)[0] for values in by_epoch]
    best = min(range(len(means)), key=means.__getitem__)
    printed = [PRINTED_TEST[noise, True][e] / PRINTED_TEST[noise, False][e] for e in (0, -1)]
    sampled = spread(ratios(results, noise, d, EPOCHS[-1], "test_sampled"))[0]
    return (
        f"d = {d}, {SETTINGS[noise]}: batch norm multiplies the test loss by {means[0]:.2f} at epoch 1 and by "
        f"{means[-1]:.2f} at epoch 5 (printed: {printed[0]:.2f} and {printed[1]:.2f}); measured with a drawn z, as the "
        f"bound demands, by {sampled:.2f} at epoch 5. {_verdict(means[best], means[-1], EPOCHS[best], by_epoch[-1])}"
    )


def _verdict(best: float, last: float, epoch: int, values: Sequence[float]) -> str:
    """What the course of the ratio says: lower than 1 by more than the seeds' spread, and whether it returns to 1."""
    noise = spread(values)[1]
    if not last < 1 - 2 * (0.0 if math.isnan(noise) else noise):
        return "By then the difference is within two standard deviations of the seeds."
    if last > best + 0.02:
        return (
            f"The advantage is largest at epoch {epoch} ({best:.2f}) and shrinks from there: what one sees is faster early "
            "optimisation; overfitting would grow with the epochs, and so would its cure."
        )
    return "The advantage has not begun to shrink within these epochs."


def _chart(results: Sequence[Result], noise: str, d: int) -> Chart:
    lines = []
    for norm, name in NAMES.items():
        points = [
            [_at("test", e)(r) for r in chosen(results, noise=noise, d=d, **{"batch norm": norm})] for e in EPOCHS
        ]
        if all(points):
            means, deviations = zip(*(spread(values) for values in points), strict=True)
            band = deviations if all(len(values) > 1 for values in points) else ()
            lines.append(Line(name, tuple(EPOCHS), means, band))
            lines.append(Line(f"printed, {name}", tuple(EPOCHS), PRINTED_TEST[noise, norm], printed=True))
    return Chart(
        f"Test loss, {SETTINGS[noise]}", "epoch", "nats an image, z = μ", tuple(lines),
        f"d = {d}; mean and standard deviation over seeds. The paper does not state its d.",
    )  # fmt: skip


def _planes(planes: Sequence[Result]) -> Table:
    rows = []
    for norm, name in NAMES.items():
        some = chosen(planes, **{"batch norm": norm})
        alike = mean_entry(some, lambda result: float(result.numbers.get("nearest_alike", math.nan)), ".2f")
        rows.append(
            (
                Field(name),
                mean_entry(some, _at("test", EPOCHS[0], 1)),
                mean_entry(some, _at("test", EPOCHS[-1], 1)),
                alike,
            )
        )
    head = ("", f"test loss, epoch {EPOCHS[0]}", f"test loss, epoch {EPOCHS[-1]}", "nearest of the same class")
    return Table(
        "Latent spaces of two dimensions", head, tuple(rows),
        "Convolutions, clean input, z = μ. Last: the share of held-out images whose nearest other in the map is of the "
        "same class, after the last epoch. Mean ± standard deviation over seeds.",
    )  # fmt: skip


def _apart(planes: Sequence[Result]) -> str:
    """What the maps show, by a number: by how much batch norm changes the share whose nearest is of their class."""
    shares = {
        norm: {r.cell.place["seed"]: float(r.numbers.get("nearest_alike", math.nan)) for r in chosen(planes, **{"batch norm": norm})}
        for norm in NAMES
    }  # fmt: skip
    gaps = [shares[True][seed] - shares[False][seed] for seed in sorted(shares[True].keys() & shares[False].keys())]
    if math.isnan(spread(gaps)[0]):
        return "d = 2: how well the classes lie apart is not known; it takes labels, and a run with and without batch norm."
    sure = p_value(gaps)
    told = "" if math.isnan(sure) else f" (paired by seed, p = {sure:.2g})"
    return (
        f"d = 2: the nearest in the map is of the same class for {spread(list(shares[False].values()))[0]:.0%} of the "
        f"held-out images without and {spread(list(shares[True].values()))[0]:.0%} with batch norm{told}."
    )


def _maps(planes: Sequence[Result], open_run: Callable[[str], Any]) -> tuple[tuple[Cloud, ...], tuple[Picture, ...]]:
    """Where held-out images lie in a latent plane, and what is decoded across it, without and with batch norm."""
    clouds, pictures = [], []
    for norm, name in NAMES.items():
        for result in chosen(planes, seed=0, **{"batch norm": norm}):
            run = open_run(result.run)
            points, labels = _held_out(run)
            groups = tuple(
                str(run.images.class_names[label]) if run.images.class_names else "images" for label in labels
            )
            caption = f"Posterior means of {len(points)} held-out images, d = 2, seed 0, {name}."
            clouds.append(Cloud(f"Latent space {name}", points.tolist(), groups, caption))
            drawn = run.plane(steps=15)
            pictures.append(
                Picture(f"The plane decoded, {name}", drawn.png_bytes(columns=15, gap=0), drawn.caption, (result.run,))
            )
    return tuple(clouds), tuple(pictures)


def _walks(results: Sequence[Result], open_run: Callable[[str], Any]) -> tuple[Picture, ...]:
    """From one held-out image to another through the codes of each kind of run (figure 15)."""
    pictures = []
    for result in chosen(results, noise="none", seed=0):
        run = open_run(result.run)
        ends = run.images.tensor(_two_kinds(run.images))
        drawn = run.interpolate(ends[0], ends[1], steps=10, kind="lerp")
        title = (
            f"From one image to another, d = {result.cell.place['d']}, {NAMES[bool(result.cell.place['batch norm'])]}"
        )
        pictures.append(Picture(title, drawn.png_bytes(columns=10), drawn.caption, (result.run,)))
    return tuple(pictures)


def _two_kinds(images: Any) -> list[int]:
    """The first held-out image and the first of another class, or simply the first two."""
    held_out = [int(index) for index in images.splits["validation"]]
    if images.labels is None:
        return held_out[:2]
    other = (index for index in held_out if images.labels[index] != images.labels[held_out[0]])
    return [held_out[0], next(other, held_out[1])]


STUDY = Study(
    name="vae-gan-batchnorm",
    title="Batch normalisation in the VAE-GAN",
    paper="Mandalapu, VAE-GAN: Identifying VAE-GAN Model for Latent Representation Learning, tables 1 to 4",
    question=(
        "The paper reports a lower test loss with batch normalisation and concludes that it prevents overfitting. Does the "
        "difference last, and does it hold when the loss is a bound, with z drawn instead of z = μ?"
    ),
    data="digits-28",
    grid=grid,
    measure=measure,
    conclude=conclude,
    departures=(
        "The printed averages are sums over batches of 2,000; an epoch here has 30 batches too, of a thirtieth of the "
        "training images, and losses an image are multiplied by 2,000 for comparison.",
        "The paper's d is not stated for tables 1 and 2, and 100 for tables 3 and 4. Hidden layers are d² wide up to 2,500.",
        "A latent space of two dimensions would leave d² = 4 hidden units; the maps (figure 16) are of convolutional networks.",
        "The corruption is taken to be half of the input masked, with a clean target; the paper does not say.",
        "On the bundled digits (5,000 images) losses differ from the printed ones, which are on 60,000; give MNIST with --data.",
    ),
)
