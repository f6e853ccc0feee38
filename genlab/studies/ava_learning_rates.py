"""Which of the AVA paper's rankings are more than noise? Tables 1 to 3 and figure 6, with seeds and baselines.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024, section 4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from genlab.studies.study import (
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
    p_value,
    spread,
)

MODELS = ("ava1", "ava2", "ava3", "ava4", "ava5", "vae", "gan")
SEEDS, DRAWN, MOST = 3, 10, 36
RATES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01)
QUICK_RATES = (1.0, 0.5, 0.1, 0.05, 0.01)
# tables 1 and 2, from rate 1 down to 0.01
PRINTED = {
    "ava1": (.2298, .2307, .2309, .2316, .2309, .2318, .2322, .2318, .2300, .2103, .2038, .1924, .1842, .1685, .1664, .1675, .1845, .2047, .2147),
    "ava2": (.2301, .2294, .2316, .2305, .2317, .2319, .2329, .2321, .2312, .2105, .2015, .1938, .1826, .1772, .1617, .1655, .1832, .2032, .2146),
    "ava3": (.0642, .0546, .0596, .0629, .0555, .0591, .0629, .0741, .0740, .1230, .1319, .1417, .1566, .1662, .1792, .1918, .2017, .2098, .2147),
    "ava4": (.0766, .0594, .0546, .0631, .0657, .0598, .0732, .0655, .0929, .1217, .1328, .1446, .1574, .1659, .1785, .1906, .2014, .2098, .2147),
    "ava5": (.2301, .2293, .2301, .2305, .2318, .2313, .2322, .2326, .2302, .2114, .2026, .1978, .1834, .1785, .1621, .1662, .1855, .2028, .2146),
    "vae": (.0583, .0681, .0587, .0665, .0623, .0610, .0568, .0651, .0735, .1238, .1338, .1435, .1555, .1676, .1805, .1924, .2021, .2099, .2147),
    "gan": (.2298, .2283, .2311, .2311, .2315, .2311, .2312, .2325, .2315, .2107, .2031, .1916, .1818, .1699, .1628, .1665, .1857, .2046, .2148),
}  # fmt: skip
CLAIMS = (  # what the paper concludes from its means: better model, pole, and whether higher is better
    ("ava5", "gan", True), ("ava1", "gan", True), ("ava2", "gan", True), ("ava3", "vae", False),
)  # fmt: skip
REPEAT = 0.0022  # by which the authors' own two repeats differ on average


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Every model at every rate with the authors' rule; in the full grid the five AVAs with exact gradients too."""
    rates = QUICK_RATES if quick else RATES
    cells = [Cell({"rule": "baselines"}, "")]
    cells += [
        Cell({"rule": "authors", "model": model, "rate": rate, "seed": seed}, "")
        for model in MODELS for rate in rates for seed in range(SEEDS)
    ]  # fmt: skip
    exact = {"rule": "autograd", "mode": "standard", "preview_every": 100}
    if not quick:
        cells += [
            Cell({"rule": "autograd", "model": model, "rate": rate, "seed": 0}, model,
                 {**exact, "learning_rate": rate, "critic_learning_rate": rate, "seed": 0}, "paper")
            for model in MODELS[:5] for rate in QUICK_RATES
        ]  # fmt: skip
    return cells


def compute(images: Any, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """All rates and seeds of one model are trained at once, on at most 36 images in their order."""
    import torch

    from genlab.metrics import balance_baselines
    from genlab.nn.ava_authors import train_many

    pixels = images.tensor(range(min(MOST, images.count)))
    for cell in cells:
        if cell.place["rule"] == "baselines":
            yield cell, balance_baselines(pixels.numpy())
    for model in MODELS:
        of_model = [cell for cell in cells if cell.place.get("model") == model]
        if of_model:
            place = sum(100 * MODELS.index(model) + int(cell.place["seed"]) for cell in of_model[:1])
            runs = train_many(model, pixels, [float(cell.place["rate"]) for cell in of_model], seed=place)
            balances = _balances(runs, pixels, torch.Generator().manual_seed(place))
            yield from ((cell, {"bm": bm}) for cell, bm in zip(of_model, balances, strict=True))


def _balances(runs: Any, pixels: Any, generator: Any) -> list[float]:
    """BM of each run: ten drawn images for each image, compared with it alone, raw and absolute."""
    from genlab.metrics import balance_metric

    totals = [0.0] * len(runs.mean)
    for image in pixels:
        drawn = runs.generate(DRAWN, generator).float()
        totals = [total + balance_metric(own, image[None]) for total, own in zip(totals, drawn, strict=True)]
    return [total / len(pixels) for total in totals]


def measure(run: Any) -> dict[str, Any]:
    """BM of a run with exact gradients: as many draws from its prior as the authors' program makes."""
    from genlab.metrics import balance_metric

    images = run.images.tensor(range(min(MOST, run.images.count))).numpy()
    return {"bm": balance_metric(run.sample(DRAWN).array, images)}


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """Measured beside printed, the paired tests of the paper's claims, and what simple pictures reach."""
    authors = chosen(results, rule="authors")
    rates = [rate for rate in RATES if chosen(authors, rate=rate)]
    tables = [
        _table("Tables 1 and 2: BM by learning rate, rule of the authors", authors, rates),
        _summary(authors, rates),
    ]
    if exact := chosen(results, rule="autograd"):
        tables.append(
            _table("The same with exact gradients (one seed)", exact, [r for r in rates if chosen(exact, rate=r)])
        )
    findings = [_agreement(authors, rates)] if rates else []
    findings += [_claim(authors, rates, *claim) for claim in CLAIMS if rates]
    if baselines := chosen(results, rule="baselines"):
        tables.append(_baselines(baselines[0].numbers))
        findings.append(_simple_pictures(baselines[0].numbers))
    return Report(tuple(findings), tuple(tables), (_chart(authors, rates),) if rates else ())


def _bm(result: Result) -> float:
    return float(result.numbers["bm"])


def _printed(model: str, rate: float) -> float:
    return PRINTED[model][RATES.index(rate)]


def _table(title: str, results: Sequence[Result], rates: Sequence[float]) -> Table:
    models = [model for model in MODELS if chosen(results, model=model)]
    rows = []
    for rate in rates:
        entries = [mean_entry(chosen(results, model=model, rate=rate), _bm, ".4f") for model in models]
        shown = [
            Entry(f"{entry.text} ({_printed(model, rate):.4f})", entry.runs) if entry.text != "–" else entry
            for model, entry in zip(models, entries, strict=True)
        ]
        rows.append((Entry(f"γ = {rate:g}"), *shown))
    caption = (
        "Measured, mean ± standard deviation over seeds where there are several, and in brackets the printed value."
    )
    return Table(title, ("", *(model.upper() for model in models)), tuple(rows), caption)


def _means(results: Sequence[Result], model: str, rates: Sequence[float]) -> list[float]:
    """Mean over seeds at each rate; NaN where a cell is missing."""
    return [spread([_bm(result) for result in chosen(results, model=model, rate=rate)])[0] for rate in rates]


def _summary(results: Sequence[Result], rates: Sequence[float]) -> Table:
    """Table 3 over the rates that were run: mean, extremes and standard deviation over rates."""
    kinds: Mapping[str, Callable[[Sequence[float]], float]] = {
        "mean": statistics.fmean, "maximum": max, "minimum": min,
        "standard deviation": lambda values: statistics.stdev(values) if len(values) > 1 else math.nan,
    }  # fmt: skip
    rows = []
    for name, kind in kinds.items():
        fields = [Entry(name)]
        for model in MODELS:
            values = _means(results, model, rates)
            printed = kind([_printed(model, rate) for rate in rates]) if rates else math.nan
            fields.append(Entry(f"{kind(values):.4f} ({printed:.4f})" if values else "–"))
        rows.append(tuple(fields))
    head = ("", *(model.upper() for model in MODELS))
    return Table("Table 3: over all learning rates", head, tuple(rows), "Printed values are taken over the same rates.")


def differences(results: Sequence[Result], rates: Sequence[float]) -> list[float]:
    """Measured mean less printed value, of every cell that is there."""
    cells = (
        (mean, _printed(model, rate))
        for model in MODELS
        for mean, rate in zip(_means(results, model, rates), rates, strict=True)
    )
    return [mean - printed for mean, printed in cells if not math.isnan(mean)]


def _agreement(results: Sequence[Result], rates: Sequence[float]) -> str:
    sizes = [abs(value) for value in differences(results, rates)]
    return (
        f"Over {len(sizes)} cells the measured BM differs from the printed one by {statistics.fmean(sizes):.4f} on average (at most "
        f"{max(sizes):.4f}); the authors' own two repeats differ by {REPEAT}. The comparison means something on the paper's own images alone."
    )  # fmt: skip


def paired(results: Sequence[Result], rates: Sequence[float], better: str, pole: str) -> tuple[float, float]:
    """Mean difference of two models over rates and its two-sided p-value (paired t-test on means over seeds)."""
    pairs = zip(_means(results, better, rates), _means(results, pole, rates), strict=True)
    apart = [a - b for a, b in pairs if not math.isnan(a - b)]
    return statistics.fmean(apart), p_value(apart)


def _claim(results: Sequence[Result], rates: Sequence[float], better: str, pole: str, higher: bool) -> str:
    difference, p = paired(results, rates, better, pole)
    claimed = statistics.fmean(_printed(better, r) - _printed(pole, r) for r in rates)
    holds = p < 0.05 and (difference > 0) == higher
    opposite = p < 0.05 and not holds
    verdict = "survives" if holds else "is contradicted" if opposite else "does not survive"
    return (
        f"“{better.upper()} has a {'higher' if higher else 'lower'} BM than {pole.upper()}” {verdict}: the means differ by "
        f"{difference:+.4f} (printed: {claimed:+.4f}), p = {p:.2g} in a paired t-test over {len(rates)} rates."
    )


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
            points = [spread([_bm(r) for r in chosen(results, model=model, rate=rate)]) for rate in rates]
            means, deviations = zip(*points, strict=True)
            band = () if any(map(math.isnan, deviations)) else deviations
            lines.append(Line(model.upper(), rates, means, band))
            lines.append(
                Line(f"{model.upper()}, printed", rates, [_printed(model, rate) for rate in rates], printed=True)
            )
    caption = "BM over learning rates (figure 6): low is alike, high is balanced. AVA1 and AVA2 run with the GAN, AVA4 with AVA3."
    return Chart(
        "Balance Metric by learning rate", "learning rate γ", "BM, raw and absolute", tuple(lines), caption, log_x=True
    )


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
    departures=(
        "The authors' rule is their published program, not the printed update equations; all rates and seeds of a model train side by "
        "side in this process. `genlab train ava5 --set rule=authors --set learning_rate=1 --preset paper` repeats one as a run.",
        "At most 36 images are used, in their order, as many as the paper has; their duplicates are kept, as the paper keeps them.",
        "With exact gradients images are drawn from the prior; the authors' program draws around the last encoded mean and variance.",
    ),
)
