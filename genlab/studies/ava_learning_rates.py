"""Which of the AVA paper's rankings are more than noise? Tables 1 to 3 and figure 6, with seeds and baselines.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024, section 4.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from genlab.studies.ava_rankings import (
    FARTHEST,
    KINDS,
    MODELS,
    PRINTED,
    RATES,
    REPEAT,
    bm,
    by_seed,
    differences,
    of_print,
    printed,
    ranking_findings,
    ranking_table,
    tested,
    twins_finding,
)
from genlab.studies.study import (
    Bars,
    Cell,
    Chart,
    Entry,
    Line,
    Report,
    Result,
    Study,
    Table,
    chosen,
    mean_entry,
    spread,
)

SEEDS, DRAWN, MOST = 10, 10, 36
QUICK_RATES = (1.0, 0.5, 0.1, 0.05, 0.01)
EXACT = {"ava1": "AVA1 = AVA2", "ava3": "AVA3 = AVA4", "ava5": "AVA5"}
EXACT_RATES, EXACT_SEEDS = (1.0, 0.5, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.001), 3
NAMES = tuple(model.upper() for model in MODELS)


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Every model at every rate with the authors' rule; in the full grid the AVAs with exact gradients too."""
    rates = QUICK_RATES if quick else RATES
    repeats = {"seeds": SEEDS, "drawn": DRAWN, "images": MOST}
    cells = [Cell({"rule": "baselines"}, "")]
    cells += [
        Cell({"rule": "authors", "model": model, "rate": rate, "seed": seed}, "", repeats)
        for model in MODELS for rate in rates for seed in range(SEEDS)
    ]  # fmt: skip
    exact = {"rule": "autograd", "mode": "standard", "preview_every": 100}
    if not quick:
        cells += [
            Cell({"rule": "autograd", "model": model, "rate": rate, "seed": seed}, model,
                 {**exact, "learning_rate": rate, "critic_learning_rate": rate, "seed": seed}, "paper")
            for model in EXACT for rate in EXACT_RATES for seed in range(EXACT_SEEDS)
        ]  # fmt: skip
    return cells


def compute(images: Any, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """On at most 36 images in their order. All seeds of a model at a rate are trained at once, whichever are asked for, so that
    no number depends on what else is computed.
    """
    from genlab.metrics import balance_baselines

    pixels = images.tensor(range(min(MOST, images.count)))
    yield from ((cell, balance_baselines(pixels.numpy())) for cell in cells if cell.place["rule"] == "baselines")
    asked = [cell for cell in cells if cell.place["rule"] == "authors"]
    for model, rate in dict.fromkeys((cell.place["model"], cell.place["rate"]) for cell in asked):
        values = _repeats(str(model), float(rate), pixels)
        seeds = {
            cell.place["seed"]: cell for cell in asked if (cell.place["model"], cell.place["rate"]) == (model, rate)
        }
        yield from ((cell, {"bm": values[int(seed)]}) for seed, cell in seeds.items())


def _repeats(model: str, rate: float, pixels: Any) -> list[float]:
    """BM of each seed: ten drawn images for each image, compared with it alone, raw and absolute.

    Noise follows from rate and seed alone: it is the same in every model, which pairs them.
    """
    import torch

    from genlab.core.seeding import derived_seed
    from genlab.metrics import balance_metric
    from genlab.nn.ava_authors import train_many

    place = RATES.index(rate)
    runs = train_many(model, pixels, [rate] * SEEDS, seed=derived_seed(place, 0))
    draws = torch.Generator().manual_seed(derived_seed(place, 1))
    totals = [0.0] * SEEDS
    for image in pixels:
        drawn = runs.generate(DRAWN, draws).float()
        totals = [total + balance_metric(own, image[None]) for total, own in zip(totals, drawn, strict=True)]
    return [total / len(pixels) for total in totals]


def measure(run: Any) -> dict[str, Any]:
    """BM of a run with exact gradients: as many draws from its prior as the authors' program makes."""
    from genlab.metrics import balance_metric

    images = run.images.tensor(range(min(MOST, run.images.count))).numpy()
    return {"bm": balance_metric(run.sample(DRAWN).array, images)}


def diverged(run: Any) -> dict[str, Any] | None:
    """Of a failed run: that a term of its loss stopped being a finite number, if that is why."""
    failures = run.events("failed")
    return {"diverged": failures[-1].message} if failures and failures[-1].term else None


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """Measured beside printed, a paired test of every ranking, what exact gradients do, and what simple pictures reach."""
    authors = chosen(results, rule="authors")
    rates = [rate for rate in RATES if chosen(authors, rate=rate)]
    tables, findings = list[Table](), list[str]()
    if rates:
        tables += [_by_rate(authors, rates), _summary(authors, rates), _differences(authors, rates)]
        findings.append(_agreement(authors, rates))
    if claims := tested(authors, rates):
        tables.append(ranking_table(claims, len(rates)))
        findings += ranking_findings(claims, len(rates)) + twins_finding(authors)
    if exact := chosen(results, rule="autograd"):
        tables.append(_exact(exact))
        findings.append(_divergence(exact))
    if baselines := chosen(results, rule="baselines"):
        tables.append(_baselines(baselines[0].numbers))
        findings.append(_simple_pictures(baselines[0].numbers))
    return Report(
        tuple(findings), tuple(tables), (_chart(authors, rates),) if rates else (), bars=_bars(authors, rates)
    )


def _by_rate(results: Sequence[Result], rates: Sequence[float]) -> Table:
    rows = []
    for rate in rates:
        entries = [mean_entry(chosen(results, model=model, rate=rate), bm, ".4f") for model in MODELS]
        rows.append(
            (
                Entry(f"γ\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{rate:g}"),
                *(_beside(e, printed(model, rate)) for model, e in zip(MODELS, entries, strict=True)),
            )
        )
    caption = (
        "Measured, mean ± standard deviation over seeds, and in brackets the printed value. All seeds of a model at a rate are trained "
        "side by side in the study's own process and leave no runs: study.json keeps what each seed gave."
    )
    return Table("Tables 1 and 2: BM by learning rate, rule of the authors", ("", *NAMES), tuple(rows), caption)


def _beside(entry: Entry, value: float) -> Entry:
    """A measured entry with the printed value in brackets."""
    return entry if entry.text == "–" else entry._replace(text=f"{entry.text} ({value:.4f})")


def _summary(results: Sequence[Result], rates: Sequence[float]) -> Table:
    rows = []
    for kind in KINDS:
        fields = [Entry(kind)]
        for model in MODELS:
            values = by_seed(results, model, rates, kind)
            mean, deviation = spread(list(values.values()))
            kept = f"{kind} over {len(rates)} rates of rule=authors, model={model}: " + "; ".join(
                f"seed={seed}: {value:.4f}" for seed, value in values.items()
            )
            entry = Entry(f"{mean:.4f} ± {deviation:.2g}", kept=kept) if values else Entry("–")
            fields.append(_beside(entry, of_print(kind, model, rates)))
        rows.append(tuple(fields))
    caption = "Taken of each seed, then mean ± standard deviation over seeds; the printed values are taken over the same rates."
    return Table("Table 3: over all learning rates", ("", *NAMES), tuple(rows), caption)


def _differences(results: Sequence[Result], rates: Sequence[float]) -> Table:
    """By how much measured and printed differ, beside what a repeat of the authors' and one of ours differ by."""
    apart = {model: differences(results, rates, model) for model in MODELS}
    sizes = {model: [abs(value) for value in values] for model, values in apart.items()}
    rows = {
        "mean difference": {m: f"{statistics.fmean(v):+.4f}" for m, v in apart.items() if v},
        "mean size": {m: f"{statistics.fmean(v):.4f}" for m, v in sizes.items() if v},
        "largest": {m: f"{max(v):.4f}" for m, v in sizes.items() if v},
        f"within {REPEAT}": {m: f"{sum(size <= REPEAT for size in v)} of {len(v)}" for m, v in sizes.items() if v},
        f"within {FARTHEST}": {m: f"{sum(size <= FARTHEST for size in v)} of {len(v)}" for m, v in sizes.items() if v},
        "two seeds here, mean size": {
            m: f"{statistics.fmean(v):.4f}" for m in MODELS if (v := _repeats_apart(results, m, rates))
        },
    }
    caption = (
        f"Mean over seeds less printed value, in the cells of Tables 1 and 2. Two repeats of the authors' own differ by {REPEAT} in a cell "
        f"on average and by {FARTHEST} at most; below is by how much two seeds differ here."
    )
    shown = tuple((Entry(name), *(Entry(of.get(model, "–")) for model in MODELS)) for name, of in rows.items())
    return Table("Measured less printed", ("", *NAMES), shown, caption)


def _repeats_apart(results: Sequence[Result], model: str, rates: Sequence[float]) -> list[float]:
    """Sizes of the differences of any two seeds in a cell."""
    cells = ([bm(result) for result in chosen(results, model=model, rate=rate)] for rate in rates)
    return [abs(a - b) for cell in cells for a, b in itertools.combinations(cell, 2)]


def _agreement(results: Sequence[Result], rates: Sequence[float]) -> str:
    sizes = [abs(value) for model in MODELS for value in differences(results, rates, model)]
    return (
        f"Over {len(sizes)} cells the measured BM differs from the printed one by {statistics.fmean(sizes):.4f} on average and by {max(sizes):.4f} "
        f"at most; two repeats of the authors' own differ by {REPEAT} on average and by {FARTHEST} at most, so that {sum(s <= REPEAT for s in sizes)} cells "
        f"come out within one repeat, and {sum(s <= FARTHEST for s in sizes)} within the farthest. The comparison means something on the paper's own images alone."
    )  # fmt: skip


def _exact(results: Sequence[Result]) -> Table:
    """BM of the runs that went well, and how many diverged, all linked."""
    rows = []
    for rate in EXACT_RATES:
        fields = [Entry(f"γ\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{rate:g}")]
        for model in EXACT:
            cells = chosen(results, model=model, rate=rate)
            well = [result for result in cells if "bm" in result.numbers]
            lost, entry = len(cells) - len(well), mean_entry(well, bm, ".4f")
            if lost:
                entry = Entry("diverged" if not well else f"{entry.text}; {lost} of {len(cells)} diverged")
            entry = entry._replace(runs=tuple(result.run for result in cells))
            fields.append(_beside(entry, printed(model, rate)) if rate in RATES else entry)
        rows.append(tuple(fields))
    caption = (
        "Mean ± standard deviation over seeds, in brackets what is printed of AVA1, AVA3 and AVA5; the paper has no rates under 0.01. A run that "
        "diverged stopped where a term of its loss was no finite number any more. With exact gradients the leaning terms move nothing, so that "
        "AVA2 is AVA1 and AVA4 is AVA3."
    )
    return Table("The same with exact gradients", ("", *EXACT.values()), tuple(rows), caption)


def _divergence(results: Sequence[Result]) -> str:
    """At which rates all, some and none of the seeds diverge, and how."""
    alike = dict[str, list[str]]()
    for model in EXACT:
        shares = dict[str, list[float]]()
        for rate in EXACT_RATES:
            if cells := chosen(results, model=model, rate=rate):
                lost = sum("diverged" in result.numbers for result in cells)
                shares.setdefault("all" if lost == len(cells) else "some" if lost else "none", []).append(rate)
        parts = [
            f"{share} at γ = {', '.join(f'{rate:g}' for rate in shares[share])}"
            for share in ("all", "some", "none")
            if share in shares
        ]
        if parts:
            alike.setdefault(", ".join(parts), []).append(model.upper())
    where = "; ".join(f"{' and '.join(models)}: {parts}" for parts, models in alike.items())
    messages = [result.numbers["diverged"] for result in results if "diverged" in result.numbers]
    often = f" Most often: “{statistics.mode(messages)}”" if messages else ""
    return f"With exact gradients {len(messages)} of {len(results)} runs diverge ({where}).{often}"


def _simple_pictures(baselines: Mapping[str, float]) -> str:
    highest, lowest = max(map(max, PRINTED.values())), min(map(min, PRINTED.values()))
    white, median = baselines["white"], baselines["median_image"]
    return (
        f"A white picture has a BM of {white:.4f} and the pixelwise median of the images one of {median:.4f}. The paper's largest value, "
        f"its best for balance, is {highest:.4f}: white {'beats' if white > highest else 'does not beat'} it. Its smallest, the best for "
        f"similarity, is {lowest:.4f}: the median {'beats' if median < lowest else 'does not beat'} it."
    )  # fmt: skip


def _baselines(numbers: Mapping[str, float]) -> Table:
    rows = tuple((Entry(name.replace("_", " ")), Entry(f"{value:.4f}")) for name, value in numbers.items())
    return Table(
        "What simple pictures reach", ("picture", "BM"), rows, "Raw norm, absolute, on the images of this study."
    )


def _chart(results: Sequence[Result], rates: Sequence[float]) -> Chart:
    lines = []
    for model in ("vae", "ava3", "ava5", "gan"):
        if all(chosen(results, model=model, rate=rate) for rate in rates):
            points = [spread([bm(r) for r in chosen(results, model=model, rate=rate)]) for rate in rates]
            means, deviations = zip(*points, strict=True)
            band = () if any(map(math.isnan, deviations)) else deviations
            lines.append(Line(model.upper(), rates, means, band))
            lines.append(
                Line(f"{model.upper()}, printed", rates, [printed(model, rate) for rate in rates], printed=True)
            )
    caption = "Tables 1 and 2 as lines: low is alike, high is balanced. AVA1 and AVA2 run with the GAN, AVA4 with AVA3."
    return Chart(
        "Balance Metric by learning rate", "learning rate γ", "BM, raw and absolute", tuple(lines), caption, log_x=True
    )


def _bars(results: Sequence[Result], rates: Sequence[float]) -> tuple[Bars, ...]:
    """Figure 6: each row of table 3 as bars, once all models have all rates."""
    drawn = []
    for kind in KINDS:
        found = [list(by_seed(results, model, rates, kind).values()) for model in MODELS]
        if all(found):
            means, deviations = zip(*map(spread, found), strict=True)
            caption = f"The {kind} of BM over {len(rates)} learning rates: mean over seeds ± standard deviation, and what is printed."
            prints = [of_print(kind, model, rates) for model in MODELS]
            drawn.append(
                Bars(f"Figure 6: BM {kind}", "BM, raw and absolute", NAMES, means, deviations, prints, caption)
            )
    return tuple(drawn)


STUDY = Study(
    name="ava-learning-rates",
    title="AVA over learning rates",
    paper="Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, tables 1 to 3",
    question=(
        "The paper ranks its five models and their two poles by the Balance Metric over 19 learning rates. Do the printed numbers "
        "come out again, which rankings are more than the noise of one repeat, and what does a picture without any model reach?"
    ),
    data="sprites",
    grid=grid,
    measure=measure,
    conclude=conclude,
    compute=compute,
    measure_failed=diverged,
    departures=(
        "The authors' rule is their published program, not the printed update equations; all seeds of a model at a rate train side by "
        "side in the study's own process. `genlab train ava5 --preset paper --set rate=1` does much the same as a run, on shuffled images "
        "less those kept for validation.",
        "A seed has the same noise in every model, so that models can be compared seed by seed; the paper has one repeat of each.",
        "The two poles, VAE and GAN, are there with the authors' rule alone: with exact gradients there is nothing to compare the AVAs with.",
        "With exact gradients a run takes Adam, one image at a time, with the rate of the table for all networks, and keeps some images "
        "for validation; the authors' program takes plain gradient descent.",
        "At most 36 images are used, in their order, as many as the paper has; their duplicates are kept, as the paper keeps them.",
        "With exact gradients images are drawn from the prior; the authors' program draws around the last encoded mean and variance.",
    ),
)
