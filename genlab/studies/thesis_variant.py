"""Does a small network for every latent dimension make a better VAE? Tables 5.4 and 6.6 to 6.12 of the thesis, with seeds.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.2 and 6.1.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from genlab.studies import study, thesis_costs
from genlab.studies.study import (
    Cell,
    Chart,
    Entry,
    Line,
    Picture,
    Report,
    Result,
    Study,
    Table,
    chosen,
    mean_entry,
    spread,
)
from genlab.studies.thesis_costs import MODELS, SIZE, TIMED_DIM

BATCH = 32  # images whose squared errors the thesis's loss adds up
SESSIONS = {"vanilla": 2, "variant": 4}  # of equal length, in which the thesis trained on 100,000 images


class Printed(NamedTuple):
    """A row of Tables 6.6 to 6.11: what they call ELBO, reconstruction and KL, in training and in validation."""

    name: str
    epochs: int
    train: tuple[float, float, float]
    validation: tuple[float, float, float]


PRINTED = (
    Printed("1K, vanilla, D = 256", 500, (9102.97, 8439.91, 741.06), (22903.19, 22170.41, 732.77)),
    Printed("1K, vanilla, D = 512", 500, (6632.79, 5938.78, 694.00), (20533.95, 19792.96, 740.95)),
    Printed("1K, variant, D = 512", 500, (5922.91, 5270.83, 652.08), (22820.96, 22189.00, 631.95)),
    Printed("20K, vanilla, D = 512", 100, (10802.96, 10001.71, 801.25), (12999.11, 12181.11, 817.92)),
    Printed("20K, variant, D = 512", 100, (9906.49, 9341.26, 565.22), (14632.25, 14115.57, 516.66)),
    Printed("100K, vanilla, D = 1024", 400, (10258.25, 9372.83, 885.43), (12530.28, 11661.82, 868.60)),
    Printed("100K, variant, D = 1024", 400, (10885.14, 10122.26, 762.88), (13452.34, 12719.42, 732.96)),
)
HEAD = (
    "training ELBO",
    "training error",
    "training KL",
    "validation ELBO",
    "validation error",
    "validation KL",
    "validation / training error",
)
PAIRS = ((1, 2), (3, 4), (5, 6))  # rows of PRINTED that differ in the model alone
METRICS = ("ssim", "active_units", "frechet", "coverage", "feature_diversity")
FACTORS = {"mig": "MIG", "dci": "DCI disentanglement", "factor_vae": "FactorVAE score"}
COMPARED = {  # number -> what it is called, and which way the thesis's claim goes
    "objective": ("squared error + KL / 32", ""),
    "kl": ("KL, nats an image", "lower"), "reconstruction": ("squared error an image", ""), "psnr": ("PSNR / dB", ""),
    "ssim": ("SSIM", ""), "active_units": ("active units", ""), "frechet": ("Fréchet distance", ""),
    "coverage": ("coverage", "higher"), "feature_diversity": ("diversity of samples", "higher"),
    "mig": ("MIG", "higher"), "dci": ("DCI disentanglement", "higher"), "factor_vae": ("FactorVAE score", "higher"),
}  # fmt: skip


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Both models on the given images, on log ends and on sprites, by D and seed; counts and timings are computed."""
    dimensions, seeds = ((32,), range(3)) if quick else ((32, 128), range(5))
    size = {"width": 8, "epochs": 8} if quick else {"width": 16, "epochs": 60}
    shared = {**size, "batch_size": BATCH, "preview_every": size["epochs"]}
    cells = [Cell({"what": "parameters"}, ""), Cell({"what": "prediction time"}, "", {"rounds": 5 if quick else 15})]
    cells += [
        Cell({"images": name, "D": d, "model": short, "seed": seed}, model, {**shared, "latent_dim": d, "seed": seed}, data=data)
        for name, data in (("given", ""), ("log ends", "log-ends"), ("sprites", "sprites"))
        for d in dimensions for seed in seeds for short, model in MODELS.items()
    ]  # fmt: skip
    return cells


def compute(images: Any, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """The counts of Table 5.4, and predictions timed in turns, both at the thesis's own size."""
    for cell in cells:
        if cell.place["what"] == "parameters":
            yield cell, thesis_costs.parameters()
        else:
            yield cell, thesis_costs.timings(SIZE, TIMED_DIM, int(cell.values["rounds"]))


def measure(run: Any) -> dict[str, Any]:
    """Losses of every epoch, named metrics on held-out images, and disentanglement where causes are known."""
    rows = run.scalars()
    numbers: dict[str, Any] = {
        name: [row[name] for row in rows]
        for name in ("reconstruction", "kl", "validation_reconstruction", "validation_kl", "validation_psnr")
    }
    found = run.evaluate(list(METRICS), features="pixels-PCA", lenient=True)
    if run.images.factors and "identity" not in run.images.factors:
        found |= run.evaluate(list(FACTORS), against=run.images, lenient=True)
        numbers["shuffled"] = {name: found[name].baseline for name in FACTORS}
    numbers["real_images"] = {name: each.baselines["real_images"] for name, each in found.items() if "real_images" in each.baselines}  # fmt: skip
    return {**numbers, **{name: each.value for name, each in found.items()}, "seconds": run.state.seconds}


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """Each table of the thesis with what is measured beside it, differences seed by seed, and reconstructions."""
    tables: list[Table] = []
    findings: list[str] = []
    if counts := chosen(results, what="parameters"):
        tables.append(thesis_costs.counts_table(counts[0].numbers))
        findings.append(thesis_costs.counts_finding(counts[0].numbers))
    if times := chosen(results, what="prediction time"):
        tables.append(thesis_costs.times_table(times[0].numbers))
        findings.append(thesis_costs.times_finding(times[0].numbers))
    groups = _groups(results, open_run)
    if groups:
        tables.append(_printed())
    charts: list[Chart] = []
    pictures: list[Picture] = []
    for title, some in groups.items():
        tables += [_losses(title, some), _as_printed(title, some), _differences(title, some)]
        findings += [_kl_finding(title, some), _reconstruction_finding(title, some), _averaging_finding(title, some)]
        if with_factors := [result for result in some if "mig" in result.numbers]:
            findings.append(_disentangled(title, with_factors))
        charts += _charts(title, some)
        pictures += _pictures(title, some, open_run)
    if groups:
        findings.append(
            "The first row of Table 6.6 does not add up: 8,439.91 + 741.06 is 9,180.97, and 9,102.97 is printed as ELBO."
        )
    return Report(tuple(filter(None, findings)), tuple(tables), tuple(charts), tuple(pictures))


def _groups(results: Sequence[Result], open_run: Callable[[str], Any]) -> dict[str, list[Result]]:
    """The trained cells by the title of their images."""
    groups: dict[str, list[Result]] = {}
    for name in dict.fromkeys(result.cell.place.get("images") for result in results if result.run):
        some = chosen(results, images=name)
        groups[open_run(some[0].run).images.title] = some
    return groups


# --- losses ----------------------------------------------------------------------------------------------------


def number_of(name: str) -> Callable[[Result], float]:
    """One number of a cell: of losses the last epoch's, on held-out images."""
    if name == "objective":
        return lambda result: number_of("reconstruction")(result) + number_of("kl")(result) / BATCH
    if name in ("kl", "reconstruction", "psnr"):
        return lambda result: float(result.numbers[f"validation_{name}"][-1])
    return lambda result: float(result.numbers[name])


def _last(name: str) -> Callable[[Result], float]:
    return lambda result: float(result.numbers[name][-1])


def session_mean(values: Sequence[float], sessions: int) -> float:
    """What a tracker that is never reset shows at the end of the last of `sessions` equal sessions: the mean over it.

    >>> session_mean([8.0, 6.0, 4.0, 2.0], 1), session_mean([8.0, 6.0, 4.0, 2.0], 2)
    (5.0, 3.0)
    """
    return statistics.fmean(values[len(values) - math.ceil(len(values) / sessions) :])


def _dimensions(results: Sequence[Result]) -> list[int]:
    return sorted({int(result.cell.place["D"]) for result in results})


def _rows(results: Sequence[Result]) -> Iterator[tuple[str, str, list[Result]]]:
    """Every model at every D, with what a row is called."""
    for d in _dimensions(results):
        for model in MODELS:
            yield f"{model}, D = {d}", model, chosen(results, D=d, model=model)


def _losses(title: str, results: Sequence[Result]) -> Table:
    columns = {"training squared error": _last("reconstruction"), "training KL": _last("kl"),
               "held-out squared error": number_of("reconstruction"), "held-out KL": number_of("kl"),
               "held-out error + KL / 32": number_of("objective"), "held-out PSNR / dB": number_of("psnr"), "active units": number_of("active_units")}  # fmt: skip
    rows = [(Entry(name), *(mean_entry(some, take) for take in columns.values())) for name, _, some in _rows(results)]
    caption = "Last epoch, mean over images, ± standard deviation over seeds; the loss is squared error + KL / 32."
    return Table(f"{title}: losses as they should be averaged", ("", *columns), tuple(rows), caption)


def _printed() -> Table:
    """Tables 6.6 to 6.11 as they are printed."""
    rows = []
    for printed in PRINTED:
        numbers = [f"{value:.1f}" for value in (*printed.train, *printed.validation)]
        gap = printed.validation[1] / printed.train[1]
        rows.append((Entry(printed.name), Entry(f"{printed.epochs}"), *map(Entry, numbers), Entry(f"{gap:.2f}")))
    return Table(
        "Tables 6.6 to 6.11 as printed",
        ("", "epochs", *HEAD),
        tuple(rows),
        "One run each. What is called ELBO is the loss, error + KL, to be made small.",
    )


def _as_printed(title: str, results: Sequence[Result]) -> Table:
    rows = []
    for name, model, some in _rows(results):
        for reading, sessions in (("each epoch alone", 0), ("1 session", 1), (f"last of {SESSIONS[model]}", SESSIONS[model])):  # fmt: skip
            rows.append(_thesis_row(f"{name}, {reading}", some, sessions))
    caption = (
        f"In the thesis's units: squared errors summed over a batch of {BATCH}, KL a mean. Its validation losses are means over all epochs of "
        "a session, as the trackers were never reset; on 100K images the vanilla VAE had two sessions and the variant four, so that its "
        "early epochs were forgotten sooner. Images and sizes differ from the thesis's: compare ratios, not values."
    )  # fmt: skip
    return Table(f"{title}: losses as the thesis averages them", ("", *HEAD), tuple(rows), caption)


def _thesis_row(name: str, results: Sequence[Result], sessions: int) -> tuple[Entry, ...]:
    def validation(kind: str, result: Result) -> float:
        values = result.numbers[f"validation_{kind}"]
        return float(session_mean(values, sessions) if sessions else values[-1])

    def gap(result: Result) -> float:
        return validation("reconstruction", result) / _last("reconstruction")(result)

    columns: list[Callable[[Result], float]] = [
        lambda result: BATCH * _last("reconstruction")(result) + _last("kl")(result),
        lambda result: BATCH * _last("reconstruction")(result),
        _last("kl"),
        lambda result: BATCH * validation("reconstruction", result) + validation("kl", result),
        lambda result: BATCH * validation("reconstruction", result),
        lambda result: validation("kl", result),
    ]
    return (Entry(name), *(mean_entry(results, take, ".1f") for take in columns), mean_entry(results, gap, ".2f"))


# --- variant against vanilla, seed by seed ---------------------------------------------------------------------


def pairs(results: Sequence[Result], d: int, number: Callable[[Result], float]) -> list[tuple[float, float]]:
    """(vanilla, variant) of each seed that both have."""
    by_seed = {
        model: {result.cell.place["seed"]: number(result) for result in chosen(results, D=d, model=model)}
        for model in MODELS
    }
    return [
        (by_seed["vanilla"][s], by_seed["variant"][s]) for s in sorted(by_seed["vanilla"]) if s in by_seed["variant"]
    ]


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of a paired t-test; NaN of fewer than two pairs or of differences that are all the same."""
    return study.p_value(differences) if len(set(differences)) > 1 else math.nan


def _differences(title: str, results: Sequence[Result]) -> Table:
    rows = []
    for d in _dimensions(results):
        for name, (called, claim) in COMPARED.items():
            having = [r for r in results if name == "objective" or {name, f"validation_{name}"} & r.numbers.keys()]
            found = pairs(having, d, number_of(name))
            if found:
                runs = tuple(result.run for result in chosen(having, D=d))
                gaps = [variant - vanilla for vanilla, variant in found]
                means = [mean_entry(chosen(having, D=d, model=model), number_of(name)) for model in MODELS]
                mean, deviation = spread(gaps)
                difference = f"{mean:+.3g}" if math.isnan(deviation) else f"{mean:+.3g} ± {deviation:.2g}"
                rows.append((Entry(f"{called}, D = {d}"), *means, Entry(difference, runs), Entry(_p(gaps), runs), Entry(claim or "–")))  # fmt: skip
    head = ("held-out images", *MODELS, "variant − vanilla", "p", "claim: the variant's is")
    caption = (
        "Means ± standard deviation over seeds; difference ± standard deviation over pairs of the same seed, and p of a paired t-test, not corrected for the "
        "number of rows. Fréchet distance, coverage and diversity of samples are on principal components of the pixels."
    )
    return Table(f"{title}: variant against vanilla", head, tuple(rows), caption)


def _p(differences: Sequence[float]) -> str:
    p = p_value(differences)
    return "–" if math.isnan(p) else f"{p:.2g}"


def verdict(differences: Sequence[float]) -> str:
    """Whether a difference is more than the noise of its seeds, in words.

    >>> verdict([-2.0, -2.1, -1.9]), verdict([-2.0, 1.0, 0.5])
    ('beyond the noise of 3 seeds (p = 0.00083)', 'within the noise of 3 seeds (p = 0.87)')
    """
    if len(differences) < 2:
        return "one seed, which proves nothing"
    p = p_value(differences)
    if math.isnan(p):
        return f"the very same difference in all {len(differences)} seeds"
    signs = {value > 0 for value in differences}
    if p >= 0.05 and len(signs) == 1:
        return f"the same way in all {len(differences)} seeds, too few to be sure (p = {p:.2g})"
    return f"{'beyond' if p < 0.05 else 'within'} the noise of {len(differences)} seeds (p = {p:.2g})"


def _compared(results: Sequence[Result], d: int, name: str) -> tuple[float, str]:
    """Mean of variant / vanilla over seeds, and what the differences say."""
    found = pairs(results, d, number_of(name))
    return statistics.fmean(b / a for a, b in found), verdict([b - a for a, b in found])


def _kl_finding(title: str, results: Sequence[Result]) -> str:
    parts = []
    for d in _dimensions(results):
        if pairs(results, d, number_of("kl")):
            ratio, says = _compared(results, d, "kl")
            units = [
                statistics.fmean(column) for column in zip(*pairs(results, d, number_of("active_units")), strict=True)
            ]
            side = "lower" if ratio < 1 else "not lower"
            parts.append(f"D = {d}: {side}, {ratio:.2f} times the vanilla's, {says}; active units {units[0]:.1f} and {units[1]:.1f}")  # fmt: skip
    printed = ", ".join(f"{PRINTED[b].validation[2] / PRINTED[a].validation[2]:.2f}" for a, b in PAIRS)
    return f"{title}, “the variant has a lower KL” (printed ratios {printed}): {'. '.join(parts)}." if parts else ""


def _reconstruction_finding(title: str, results: Sequence[Result]) -> str:
    parts = []
    for d in _dimensions(results):
        if pairs(results, d, number_of("reconstruction")):
            ratio, says = _compared(results, d, "reconstruction")
            whole, together = _compared(results, d, "objective")
            parts.append(f"D = {d}: {ratio:.2f} times, {says}; error and KL together, as the loss weighs them, {whole:.2f} times, {together}")  # fmt: skip
    printed = ", ".join(f"{PRINTED[b].validation[1] / PRINTED[a].validation[1]:.2f}" for a, b in PAIRS)
    return f"{title}, held-out squared error of the variant over the vanilla's (printed {printed}): {'. '.join(parts)}." if parts else ""  # fmt: skip


def _averaging_finding(title: str, results: Sequence[Result]) -> str:
    """How far a tracker that is never reset is from the truth, and whom the lengths of the sessions favour."""
    having = [result for result in results if len(result.numbers["validation_reconstruction"]) > 1]
    if not having:
        return ""

    def inflated(sessions: int) -> float:
        courses = [result.numbers["validation_reconstruction"] for result in having]
        return statistics.fmean(session_mean(values, sessions) / values[-1] for values in courses)

    half, quarter = inflated(2), inflated(4)
    gap = statistics.fmean(number_of("reconstruction")(result) / _last("reconstruction")(result) for result in having)
    return (
        f"{title}: averaged over all epochs, as the thesis's validation losses are, the held-out squared error comes out {inflated(1):.2f} "
        f"times its true value at the end; over the last of two sessions {half:.2f} times, of four {quarter:.2f}: read as Table 6.11 is, the variant gains "
        f"{half / quarter - 1:.0%} by this alone. Truly, held-out error is {gap:.2f} times that in training "
        f"(printed: {PRINTED[1].validation[1] / PRINTED[1].train[1]:.2f} and {PRINTED[2].validation[1] / PRINTED[2].train[1]:.2f} at D = 512)."
    )  # fmt: skip


def _disentangled(title: str, results: Sequence[Result]) -> str:
    parts = []
    for d in _dimensions(results):
        for name, called in FACTORS.items():
            found = pairs(results, d, number_of(name))
            if found:
                vanilla, variant = (statistics.fmean(column) for column in zip(*found, strict=True))
                chance = statistics.fmean(float(result.numbers["shuffled"][name]) for result in results)
                says = verdict([b - a for a, b in found])
                parts.append(f"{called} {vanilla:.3f} and {variant:.3f} at D = {d} (chance {chance:.3f}), {says}")
    return (
        f"{title}, “every dimension learns its own feature”: vanilla and variant have {'; '.join(parts)}."
        if parts
        else ""
    )


# --- charts and pictures ---------------------------------------------------------------------------------------


def _charts(title: str, results: Sequence[Result]) -> list[Chart]:
    d = _dimensions(results)[0]
    charts = []
    for kind, label in (("kl", "KL, nats an image"), ("reconstruction", "squared error an image")):
        lines = []
        for model in MODELS:
            rows = [result.numbers[f"validation_{kind}"] for result in chosen(results, D=d, model=model)]
            points = [spread(values) for values in zip(*rows, strict=True)]
            if points:
                means, deviations = (list(column) for column in zip(*points, strict=True))
                epochs = range(1, 1 + len(means))
                running = [statistics.fmean(means[:epoch]) for epoch in epochs]
                band = [] if any(map(math.isnan, deviations)) else deviations
                lines.append(Line(model, list(epochs), means, band))
                lines.append(Line(f"{model}, tracker not reset", list(epochs), running, printed=True))
        caption = f"D = {d}, held-out images, mean and standard deviation over seeds; dashed, what a mean over all epochs so far shows."
        charts.append(Chart(f"{title}: {label.partition(',')[0]} by epoch", "epoch", label, tuple(lines), caption))
    return charts


def _pictures(title: str, results: Sequence[Result], open_run: Callable[[str], Any]) -> list[Picture]:
    """Held-out images through both models, and what both draw from the same seed."""
    from genlab.figures.images import Images

    d = _dimensions(results)[0]
    found = {model: chosen(results, D=d, model=model, seed=0) for model in MODELS}
    if not all(found.values()):
        return []
    runs = {model: open_run(some[0].run) for model, some in found.items()}
    ids = tuple(some[0].run for some in found.values())
    images = runs["vanilla"].images
    shown = images.tensor(images.splits["validation"][:10]).numpy()
    rebuilt = _stack([shown, *(run.reconstruct(shown).array for run in runs.values())])
    drawn = _stack([run.sample(10, seed=0).array for run in runs.values()])
    return [
        Picture(f"{title}: reconstructions", Images(rebuilt, "").png_bytes(columns=10),
                f"Held-out images, then the vanilla VAE, then the variant; D = {d}, seed 0.", ids),
        Picture(f"{title}: samples", Images(drawn, "").png_bytes(columns=10), f"The vanilla VAE, then the variant; D = {d}, seed 0. At β = 1/32 codes of images may lie far from the prior that these are drawn from.", ids),
    ]  # fmt: skip


def _stack(parts: Sequence[Any]) -> Any:
    import numpy as np

    return np.concatenate(parts)


STUDY = Study(
    name="thesis-variant",
    title="A sub-network for every latent dimension",
    paper="Bruneel, Image generation through feature extraction and learning, tables 5.4 and 6.6 to 6.12",
    question=(
        "The thesis gives every latent dimension a small network of its own and reports a lower KL, at 28.71 times the prediction time. "
        "Does the lower KL outlast a change of seed, what is it worth, and what does the time come from?"
    ),
    data="log-ends",
    grid=grid,
    measure=measure,
    conclude=conclude,
    compute=compute,
    departures=(
        "The thesis's photographs are not public. Log ends here are generated, 64x64 instead of 256x256, and there are 1,000 of them; the "
        "networks are narrower and trained for fewer epochs. Ratios and differences can be compared, values cannot.",
        "Squared error and KL are means over images with β = 1/32, which at 32 images a batch is the thesis's objective; its units are "
        "restored for the second table.",
        "The output is a sigmoid; the thesis's ReLU can die. Every seed is a run; the thesis has one run each.",
        "Parameters and times are at the thesis's own 256x256 colour; times are of a processor, not of a GPU.",
    ),
)
