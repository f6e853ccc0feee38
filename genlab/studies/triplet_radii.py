"""Which radii should triplets be sampled with? What recognition learns from them, beside the share that is semi-hard.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 6.2 and 6.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from genlab.studies.study import Cell, Entry, HeatMap, Report, Result, Study, Table, chosen, mean_entry, spread

QUICK_RADII, RADII = (0.05, 0.15, 0.3, 0.9), (0.05, 0.1, 0.15, 0.3, 0.6, 0.9)
PROBABILITIES = (0.5, 0.7, 0.85, 0.95)
THESIS = (0.15, 0.95, 0.30, 0.85)  # [1] 6.2: positive radius, its probability, negative radius, its probability
AXES = ("positive radius", "positive probability", "negative radius", "negative probability")
TRIPLETS, BATCH = 1470, 63
FIRST, ORDER = "identification_top1", "triplet_order_accuracy"
VAE = Cell({"role": "autoencoder"}, "vanilla_vae")
REAL = Cell({"role": "real triplets"}, "recognition")


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """An autoencoder, recognition from real triplets to judge semi-hardness by, and recognition by every setting and seed.

    Radii vary at the thesis's probabilities; in the full grid probabilities vary too, at the thesis's radii.
    """
    steps, seeds = (280, 2) if quick else (1400, 3)
    radii = QUICK_RADII if quick else RADII
    network = {"width": 8, "embedding_dim": 64, "batch_size": BATCH, "augmentation": "photograph", "preview_every": 50}
    small = {"latent_dim": 32, "width": 8} if quick else {}
    vae_epochs = max(1, round((500 if quick else 2800) * 32 / max(1, images)))
    real_epochs = max(1, round(steps * BATCH / max(1, images)))
    settings = [(near, THESIS[1], far, THESIS[3]) for near in radii for far in radii if near < far]
    if not quick:
        settings += [
            (THESIS[0], p, THESIS[2], n) for p in PROBABILITIES for n in PROBABILITIES if (p, n) != THESIS[1::2]
        ]
    cells = [
        VAE._replace(values={**small, "beta": 1.0, "batch_size": 32, "epochs": vae_epochs, "preview_every": 50}),
        REAL._replace(values={**network, "epochs": real_epochs}),
    ]
    sampled = {
        **network,
        "source": "sampled",
        "drawn_once": TRIPLETS,
        "epochs": max(1, round(steps * BATCH / 3 / TRIPLETS)),
    }
    for setting in settings:
        names = ("positive_radius", "positive_toward_mean", "negative_radius", "negative_toward_mean")
        values = {**sampled, **dict(zip(names, setting, strict=True))}
        cells += [
            Cell({**dict(zip(AXES, setting, strict=True)), "seed": seed}, "recognition", {**values, "seed": seed}, builds_on={"triplets_from": VAE.key})
            for seed in range(seeds)
        ]  # fmt: skip
    return cells


def measure(run: Any) -> dict[str, Any]:
    """First choices and triplets in order, on real held-out images, beside their chance."""
    if not run.can("embeds"):
        return {"seconds": run.state.seconds}
    measured = run.evaluate([FIRST, ORDER])
    numbers = {name: each.value for name, each in measured.items()}
    return {**numbers, "chance": measured[FIRST].baseline, "images": measured[FIRST].n}


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """Both scores of every setting, as a table and as heat maps, and whether they agree."""
    sampled = [result for result in results if AXES[0] in result.cell.place]
    settings = list(dict.fromkeys(_setting(result) for result in sampled))
    shares = _semi_hard(results, settings, open_run)
    means = {setting: spread([r.numbers[FIRST] for r in _of(sampled, setting)])[0] for setting in settings}
    maps = [
        heat
        for title, values in (
            ("First choices that are right, after learning from it", means),
            ("Semi-hard triplets", shares),
        )
        for heat in _maps(title, values)
    ]
    return Report(
        tuple(_findings(results, sampled, means, shares)), (_table(results, sampled, shares),), maps=tuple(maps)
    )


def _setting(result: Result) -> tuple[float, ...]:
    return tuple(float(result.cell.place[axis]) for axis in AXES)


def _of(results: Sequence[Result], setting: Sequence[float]) -> list[Result]:
    return chosen(results, **dict(zip(AXES, setting, strict=True)))


def _semi_hard(
    results: Sequence[Result], settings: Sequence[tuple[float, ...]], open_run: Callable[[str], Any]
) -> dict[tuple[float, ...], float]:
    """The share of semi-hard triplets by the distances of recognition from real triplets; empty until that is there."""
    roles = [chosen(results, role=cell.place["role"]) for cell in (VAE, REAL)]
    if not all(roles) or not settings:
        return {}
    sampler, judge = (open_run(found[0].run) for found in roles)
    radii = sorted({setting[place] for setting in settings for place in (0, 2)})
    probabilities = sorted({setting[place] for setting in settings for place in (1, 3)})
    found = sampler.radii(judge, radii=radii, probabilities=probabilities)
    levels = (found.radii, found.probabilities) * 2
    places = {
        setting: tuple(level.index(value) for level, value in zip(levels, setting, strict=True)) for setting in settings
    }
    return {setting: float(found.semi_hard[place]) for setting, place in places.items()}


def _maps(title: str, values: dict[tuple[float, ...], float]) -> list[HeatMap]:
    """Over both radii at the thesis's probabilities, and over both probabilities at its radii where they vary."""
    maps = []
    for axes, others in (((0, 2), (1, 3)), ((1, 3), (0, 2))):
        plane = {s: value for s, value in values.items() if all(s[axis] == THESIS[axis] for axis in others)}
        down, across = (sorted({setting[axis] for setting in plane}) for axis in axes)
        if len(plane) > 1:
            at = {tuple(setting[axis] for axis in axes): value for setting, value in plane.items()}
            shown = [[at.get((y, x), math.nan) for x in across] for y in down]
            held = ", ".join(f"{AXES[axis]} {THESIS[axis]:g}" for axis in others)
            maps.append(HeatMap(title, AXES[axes[1]], AXES[axes[0]], across, down, shown, f"At {held}; mean over seeds where there are several."))  # fmt: skip
    return maps


def _table(results: Sequence[Result], sampled: Sequence[Result], shares: dict[tuple[float, ...], float]) -> Table:
    def percent(name: str) -> Callable[[Result], float]:
        return lambda result: 100 * float(result.numbers[name])

    judged = tuple(result.run for cell in (VAE, REAL) for result in chosen(results, role=cell.place["role"]))
    rows = []
    for setting in dict.fromkeys(map(_setting, sampled)):
        found = _of(sampled, setting)
        share = Entry(f"{100 * shares[setting]:.0f}", judged) if setting in shares else Entry("–")
        name = ", ".join(f"{value:g}" for value in setting) + (" (thesis)" if setting == THESIS else "")
        rows.append((Entry(name), share, *(mean_entry(found, percent(each), ".1f") for each in (FIRST, ORDER))))
    real = chosen(results, role=REAL.place["role"])
    rows.append(
        (Entry("real triplets"), Entry("–"), *(mean_entry(real, percent(each), ".1f") for each in (FIRST, ORDER)))
    )
    caption = (
        f"In per cent. {', '.join(AXES).capitalize()}; the share of triplets that are semi-hard for recognition from real triplets; then what "
        f"recognition from {TRIPLETS:,} triplets of the setting reaches on real held-out images, mean ± standard deviation over seeds."
    )
    return Table("Every setting by both scores", ("setting", "semi-hard", "first choice", "in order"), tuple(rows), caption)  # fmt: skip


def _findings(
    results: Sequence[Result], sampled: Sequence[Result], means: dict[tuple[float, ...], float], shares: dict[tuple[float, ...], float]
) -> list[str]:  # fmt: skip
    from scipy.stats import spearmanr

    if len(means) < 3 or not shares:
        return ["Not enough runs are there yet."]
    best, most = max(means, key=means.__getitem__), max(shares, key=shares.__getitem__)
    spreads = [spread([r.numbers[FIRST] for r in _of(sampled, setting)])[1] for setting in means]
    noise = spread([each for each in spreads if not math.isnan(each)])[0]
    range_of = max(means.values()) - min(means.values())
    rank = spearmanr([means[setting] for setting in means], [shares[setting] for setting in means])
    first = results[0] if not sampled else sampled[0]
    sentences = [
        f"Recognition from triplets of the setting {_named(best)} has the most right first choices, {means[best]:.1%} of {first.numbers['images']} "
        f"(chance {first.numbers['chance']:.1%}); over settings the means span {100 * range_of:.1f} points, and seeds of one setting differ by "
        f"{100 * noise:.1f} (standard deviation), so that {'the order of neighbours means little' if range_of < 4 * noise else 'the ends differ by more than the seeds'}.",
        f"The largest share of semi-hard triplets has {_named(most)} ({shares[most]:.0%}). Over {len(means)} settings both scores go "
        f"{'together' if rank.statistic > 0 else 'apart'} (rank correlation {rank.statistic:+.2f}, p = {rank.pvalue:.2g}): semi-hardness alone is "
        f"{'a usable' if rank.statistic > 0 and rank.pvalue < 0.05 else 'no proven'} guide to what is learned.",
    ]  # fmt: skip
    in_order = {setting: spread([r.numbers[ORDER] for r in _of(sampled, setting)])[0] for setting in means}
    other = spearmanr([in_order[setting] for setting in means], [shares[setting] for setting in means])
    ordered = max(in_order, key=in_order.__getitem__)
    sentences.append(
        f"By triplets in order instead of first choices {_named(ordered)} is best ({in_order[ordered]:.1%}), and the rank correlation with "
        f"semi-hardness is {other.statistic:+.2f} (p = {other.pvalue:.2g}): what is good depends on what is asked for."
    )  # fmt: skip
    if THESIS in means:
        place = sorted(means.values(), reverse=True).index(means[THESIS]) + 1
        sentences.append(
            f"The thesis's setting, chosen by eye, comes in place {place} of {len(means)} with {means[THESIS]:.1%}."
        )
    return sentences


def _named(setting: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{axis} {value:g}" for axis, value in zip(AXES, setting, strict=True)) + ")"


STUDY = Study(
    name="triplet-radii",
    title="Radii of sampled triplets",
    paper="Bruneel, Image generation through feature extraction and learning (master thesis, Linnaeus University), 6.2 and 6.4",
    question=(
        "The thesis chose its radii and probabilities by eye and asks for a search by what recognition learns. Which settings are best "
        "by that, and does the share of semi-hard triplets, which needs no training, find them too?"
    ),
    data="log-ends",
    grid=grid,
    measure=measure,
    conclude=conclude,
    departures=(
        "The thesis has no such search: nothing is printed to compare with.",
        "One autoencoder stands behind all settings; another one has other log-variances, and so other radii.",
        "Runs are short, equally long, and of a small network: they rank settings, and are not the best that can be had.",
    ),
)
