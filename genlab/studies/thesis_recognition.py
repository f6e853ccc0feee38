"""Can triplets that an autoencoder samples replace real ones? Tables 6.13 to 6.15 of the thesis, with seeds.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3 to 6.3.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    p_value,
    spread,
)

MODELS = {"vanilla": "vanilla_vae", "variant": "variant_vae"}
AMOUNTS = (1470, 10_000)
SEEDS = 3
BATCH = 63  # images: 21 triplets
STEPS = 477  # of every recognition run: once through 10,000 triplets
VAE_STEPS = 700
ANCHORS = 500  # images around which triplets are sampled to measure on, at most

# training, validation and testing accuracy in per cent, by source and triplets
PRINTED: Mapping[tuple[str, int], tuple[float, float, float]] = {
    ("real", 0): (94.07, 89.09, 85.45),
    ("vanilla", 1470): (76.19, 41.95, 0.68),
    ("variant", 1470): (64.52, 35.14, 0.61),
    ("vanilla", 10_000): (58.90, 40.96, 1.36),
    ("variant", 10_000): (57.32, 33.93, 0.74),
}
SETS = ("training", "validation", "testing")
MARGIN, ORDER, FIRST = "triplet_margin_accuracy", "triplet_order_accuracy", "identification_top1"
READINGS = {
    MARGIN: "with a margin of 0.6", ORDER: "in order", FIRST: "first choice", "identification_top5": "first five",
    "verification_auc": "ROC area", "verification_eer": "equal error",
}  # fmt: skip

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "small network": {"backbone": "small_cnn", "width": 8},
    "EfficientNet-Lite0": {"backbone": "efficientnet_lite0", "frozen": True},
}


def grid(quick: bool, images: int) -> Sequence[Cell]:
    """Two autoencoders, then recognition from real and from sampled triplets, every run as many steps as the others.

    The full grid takes ten times the steps, an autoencoder for each seed and triplets drawn anew; and, where its package is
    there, EfficientNet-Lite0 with frozen weights of ImageNet.
    """
    small = {"latent_dim": 32, "width": 8} if quick else {}
    learning = {"beta": 1.0, "batch_size": 32, "epochs": _epochs(VAE_STEPS * (1 if quick else 4), 32, images)}
    cells = [
        Cell({"autoencoder": name, "seed": seed}, model, {**small, **learning, "preview_every": 50, "seed": seed})
        for seed in range(1 if quick else SEEDS) for name, model in MODELS.items()
    ]  # fmt: skip
    there = not quick and importlib.util.find_spec("efficientnet_lite_pytorch") is not None
    for network in list(NETWORKS)[: 2 if there else 1]:
        steps = STEPS if quick or network != "small network" else 10 * STEPS
        amounts = AMOUNTS if quick else (*AMOUNTS, 0)
        for seed in range(SEEDS):
            cells += _recognition(network, seed, steps, amounts, 0 if quick else seed, images)
    return cells


def _recognition(
    network: str, seed: int, steps: int, amounts: Sequence[int], vae_seed: int, images: int
) -> Iterator[Cell]:
    """One network from real triplets, from triplets of both autoencoders, and untrained."""
    place: dict[str, str | int] = {"network": network, "seed": seed}
    shared = {"embedding_dim": 64, "batch_size": BATCH, "augmentation": "photograph", "preview_every": 50, "seed": seed}
    shared |= NETWORKS[network]
    yield Cell({"source": "untrained", **place}, "", shared)
    yield Cell({"source": "real", **place}, "recognition", {**shared, "epochs": _epochs(steps, BATCH, images)})
    for name, model in MODELS.items():
        vae = Cell({"autoencoder": name, "seed": vae_seed}, model).key
        for amount in amounts:
            sampled = {
                "source": "sampled",
                "drawn_once": amount,
                "epochs": _epochs(steps, BATCH // 3, amount or images),
            }
            where = {"source": name, "triplets": amount or "anew", **place}
            yield Cell(where, "recognition", {**shared, **sampled}, builds_on={"triplets_from": vae})


def _epochs(steps: int, batch: int, count: int) -> int:
    return max(1, round(steps * batch / max(1, count)))


def compute(images: Any, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """What networks measure that have learned nothing."""
    from genlab.core.registry import find
    from genlab.core.seeding import seed_everything
    from genlab.core.settings import TrainingSettings
    from genlab.metrics import Subject, evaluate

    held_out = images.splits["validation"]
    own = set(TrainingSettings.model_fields)
    for cell in cells:
        seed_everything(int(cell.place["seed"]))
        parameters = {name: value for name, value in cell.values.items() if name not in own}
        model = find("recognition").create(images.shape, len(images.class_names), **parameters).eval()
        factors = {name: values[held_out] for name, values in images.factors.items()}
        labels = None if images.labels is None else images.labels[held_out]
        subject = Subject(model, images.tensor(held_out).numpy(), labels=labels, factors=factors)
        yield cell, _readings(evaluate(subject, list(READINGS)))


def measure(run: Any) -> dict[str, Any]:
    """Of an autoencoder its PSNR on held-out images; of recognition every reading of accuracy."""
    last = run.scalars()[-1]
    if not run.can("embeds"):
        return {"psnr": last.get("validation_psnr", last["psnr"]), "seconds": run.state.seconds}
    numbers = {**_readings(run.evaluate(list(READINGS))), "steps": run.state.step, "seconds": run.state.seconds}
    train, held_out = (run.images.splits[split][:ANCHORS] for split in ("train", "validation"))
    if run.config.parameters["source"] == "real":
        return {**numbers, "training": _real_accuracy(run, train)}
    sampler = run.lab.runs[Path(run.config.parameters["triplets_from"]).name]
    numbers["training"], _ = sampled_accuracy(run, sampler, train)
    numbers["validation"], numbers["validation_order"] = sampled_accuracy(run, sampler, held_out)
    return numbers


def _readings(measured: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: each.value for name, each in measured.items()}
    numbers |= {f"{name}_chance": each.baseline for name, each in measured.items()}
    details = {name: measured[key].details[name] for key, name in ((MARGIN, "triplets"), (FIRST, "candidates"))}
    return {**numbers, **details, "testing": numbers[MARGIN], "images": measured[FIRST].n}


def _real_accuracy(run: Any, indices: Any) -> float:
    from genlab.metrics.recognition import compared, triplet_accuracy

    stations = run.images.factors.get("station")
    vectors = run.embed(run.images.tensor(indices))
    pairs = compared(vectors, run.images.identities[indices], None if stations is None else stations[indices])
    return triplet_accuracy(pairs, 0.6)[0]


def sampled_accuracy(run: Any, sampler: Any, indices: Any) -> tuple[float, float]:
    """Shares of triplets, one sampled around each image, that a run keeps apart by 0.6 and that it has in order."""
    import numpy as np

    from genlab.nn.triplet_settings import TripletSettings

    settings = TripletSettings(**{name: run.config.parameters[name] for name in TripletSettings.model_fields})
    drawn = sampler.triplets(run.images.tensor(indices), settings, seed=1)
    anchor, positive, negative = map(run.embed, (drawn.reconstructions, drawn.positives, drawn.negatives))
    near, far = (np.linalg.norm(anchor - other, axis=1) for other in (positive, negative))
    return float((near + 0.6 < far).mean()), float((near < far).mean())


def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    """The thesis's three tables in one, the same runs by other readings, and paired comparisons over seeds."""
    networks = [network for network in NETWORKS if chosen(results, network=network)]
    tables = [_vaes(results)] if _of_vaes(results) else []
    findings, charts = [], []
    for network in networks:
        of_network = chosen(results, network=network)
        tables += [_accuracies(of_network, network), _other_readings(of_network, network)]
        findings += [f"{network[0].upper()}{network[1:]}: {sentence}" for sentence in _findings(of_network)]
        charts.append(_chart(of_network, network))
    return Report(tuple(findings), tuple(tables), tuple(charts), _pictures(results, open_run))


def _of_vaes(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if "autoencoder" in result.cell.place]


def _number(name: str, scale: float = 100.0) -> Callable[[Result], float]:
    return lambda result: scale * float(result.numbers[name])


def _rows(results: Sequence[Result]) -> Iterator[tuple[str, str, int | str, list[Result]]]:
    """Name, source, triplets and results of each kind of run that is there."""
    real, untrained = chosen(results, source="real"), chosen(results, source="untrained")
    yield "real triplets", "real", 0, real
    for amount, name in [(1470, "1,470"), (10_000, "10,000"), ("anew", "always new")]:
        for source in MODELS:
            found = chosen(results, source=source, triplets=amount)
            if found:
                yield f"{name} of the {source} VAE", source, amount, found  # type: ignore[misc]
    yield "untrained network", "untrained", 0, untrained


def _accuracies(results: Sequence[Result], network: str) -> Table:
    rows = []
    for name, source, amount, found in _rows(results):
        printed = PRINTED.get((source, int(amount) if amount != "anew" else -1), ())
        fields = [Entry(name)]
        for place, kind in enumerate(SETS):
            entry = mean_entry([r for r in found if kind in r.numbers], _number(kind), ".1f")
            beside = f"{printed[place]:.2f}" if printed else "–"
            fields.append(Entry(f"{entry.text} ({beside})", entry.runs))
        steps = spread([_number("steps", 1)(r) for r in found if "steps" in r.numbers])[0]
        rows.append((*fields, Entry("–" if math.isnan(steps) else f"{steps:.0f}")))
    chance = _chance(results, MARGIN)
    caption = (
        "Share of triplets, in per cent, whose negative is farther than the positive by 0.6: mean ± standard deviation over seeds, and "
        "in brackets the printed value. Training and validation are on triplets of the kind that was learned from, around training and "
        f"held-out images; testing is on real ones of {_held_out(results)}, where shuffled identities reach {chance:.1f} %. The real "
        "baseline has no validation of its own: nothing is chosen by it."
    )
    return Table(f"Tables 6.13 to 6.15: accuracy, {network}", ("learned from", *SETS, "steps"), tuple(rows), caption)


def _other_readings(results: Sequence[Result], network: str) -> Table:
    rows = []
    for name, _, _, found in _rows(results):
        rows.append((Entry(name), *(mean_entry(found, _number(reading), ".1f") for reading in READINGS)))
    rows.append((Entry("by chance"), *(Entry(f"{_chance(results, reading):.1f}") for reading in READINGS)))
    caption = (
        f"On real held-out images ({_held_out(results)}), in per cent. Triplets with a margin, triplets in order, the right one among N "
        "candidates at first choice and among the first five, area under the ROC curve, and equal error rate (lower is better). With so few "
        f"queries a share is uncertain by up to ± {50 / math.sqrt(results[0].numbers['images']):.0f} points by their choice alone, which is the same for all."
    )
    return Table(f"The same runs by other readings of accuracy, {network}", ("learned from", *READINGS.values()), tuple(rows), caption)  # fmt: skip


def _chance(results: Sequence[Result], reading: str) -> float:
    return spread([_number(f"{reading}_chance")(result) for result in results])[0]


def _held_out(results: Sequence[Result]) -> str:
    numbers = results[0].numbers
    return f"{numbers['images']} images of {numbers['candidates']} identities, {numbers['triplets']:,} triplets in all"


def differences(
    first: Sequence[Result], second: Sequence[Result], number: str, over: Sequence[str] = ("seed",)
) -> list[float]:
    """A number of the first runs less that of the second, pair by pair of runs that agree in `over`."""

    def keyed(results: Sequence[Result]) -> dict[tuple[Any, ...], float]:
        return {tuple(result.cell.place.get(key) for key in over): _number(number)(result) for result in results}

    ones, others = keyed(first), keyed(second)
    return [ones[key] - others[key] for key in ones if key in others]


def compared_in_words(gaps: Sequence[float]) -> str:
    """A mean difference in percentage points with its spread, and whether it is more than noise."""
    if len(gaps) < 2:
        return "is not measured yet"
    mean, deviation = spread(gaps)
    p = p_value(gaps)
    verdict = "more than the noise of the seeds" if p < 0.05 else "within the noise of the seeds"
    return f"differs by {mean:+.1f} ± {deviation:.1f} points over {len(gaps)} pairs (p = {p:.2g}: {verdict})"


def _shown(results: Sequence[Result], number: str) -> str:
    mean, deviation = spread([_number(number)(r) for r in results if number in r.numbers])
    return "not measured yet" if math.isnan(mean) else f"{mean:.1f} ± {0 if math.isnan(deviation) else deviation:.1f} %"


def _findings(results: Sequence[Result]) -> Iterator[str]:
    real, untrained = chosen(results, source="real"), chosen(results, source="untrained")
    sampled = [result for result in results if result.cell.place.get("triplets") in AMOUNTS]
    if not (real and untrained and sampled):
        yield "do sampled triplets replace real ones? Not all runs are there yet."
        return
    yield _verdict(sampled, real, untrained)
    yield (
        f"the thesis does not define its accuracy. Of triplets sampled around held-out images {_shown(sampled, 'validation_order')} are in "
        f"order and {_shown(sampled, 'validation')} keep the margin of 0.6; it prints 33.9 to 42.0 %, less than a coin gives for the "
        "order of two distances. The share that keeps the margin is therefore the reading of its tables here; that fits, and proves nothing."
    )  # fmt: skip
    yield (
        f"of real held-out triplets {_shown(real, 'testing')} keep the margin after learning from real ones (printed: 85.45 %), and "
        f"{_shown(sampled, 'testing')} after sampled ones (printed: 0.61 to 1.36 %). A share near 0 says that distances are small, not that "
        f"nothing was learned: an untrained network has {_shown(untrained, 'testing')}, and {_shown(untrained, ORDER)} in order; after sampled "
        f"triplets {_shown(sampled, ORDER)} are in order, against 50 % by chance."
    )  # fmt: skip
    more = []
    for name in MODELS:
        few, many = kinds = [chosen(results, source=name, triplets=amount) for amount in AMOUNTS]
        more += differences(many, few, FIRST)
        for amount, kind in zip(AMOUNTS, kinds, strict=True):
            from_real, from_none = (compared_in_words(differences(kind, other, FIRST)) for other in (real, untrained))
            yield f"{amount:,} triplets of the {name} VAE: the first choice, against real triplets, {from_real}; against an untrained network it {from_none}."
    yield f"10,000 triplets instead of 1,470, in as many steps: the first choice {compared_in_words(more)}. The thesis saw no improvement either."
    vae_seeds = {cell for result in sampled for cell in result.cell.builds_on.values()}
    alone = " One autoencoder of each kind stands behind all pairs, so that its own luck is not in p." * (
        len(vae_seeds) <= 2
    )
    for number, what in ((FIRST, "first choice"), ("testing", "share of triplets that keep the margin")):
        vanilla, variant = (chosen(results, source=name) for name in MODELS)
        gaps = differences(vanilla, variant, number, ("seed", "triplets"))
        yield f"triplets of the vanilla VAE instead of the variant's: the {what} {compared_in_words(gaps)}; the thesis has the vanilla slightly ahead.{alone}"


def _verdict(sampled: Sequence[Result], real: Sequence[Result], untrained: Sequence[Result]) -> str:
    """Whether sampled triplets replace real ones, and whether they teach anything: means over both VAEs and amounts, seed by seed."""

    def by_seed(results: Sequence[Result]) -> dict[Any, float]:
        seeds = {result.cell.place["seed"] for result in results}
        return {seed: spread([_number(FIRST)(result) for result in chosen(results, seed=seed)])[0] for seed in seeds}

    own = by_seed(sampled)
    lost, gained = (
        [own[seed] - other[seed] for seed in own if seed in other] for other in (by_seed(real), by_seed(untrained))
    )
    replaced = "not all runs are there yet"
    if len(lost) > 1 and len(gained) > 1:
        replaced = "confirmed" if p_value(lost) < 0.05 and spread(lost)[0] < 0 else "not confirmed"
        carried = p_value(gained) < 0.05 and spread(gained)[0] > 0
        replaced += "; that they teach nothing of use is " + (
            "refuted" if carried else "not refuted beyond the noise of the seeds"
        )
    return (
        f"that sampled triplets do not replace real ones: {replaced}. On {_held_out([*sampled, *real, *untrained])} the first choice is right in "
        f"{_shown(real, FIRST)} from real triplets, in {_shown(sampled, FIRST)} from sampled ones, in {_shown(untrained, FIRST)} of an untrained "
        f"network and in {_chance([*sampled, *real, *untrained], FIRST):.1f} % by chance. Seed by seed, sampled {compared_in_words(lost)} from real, and "
        f"{compared_in_words(gained)} from untrained."
    )  # fmt: skip


def _vaes(results: Sequence[Result]) -> Table:
    rows = []
    for name in MODELS:
        found = chosen(results, autoencoder=name)
        rows.append(
            (Entry(name), mean_entry(found, _number("psnr", 1), ".1f"), mean_entry(found, _number("seconds", 1), ".0f"))
        )
    caption = "Peak signal-to-noise ratio of held-out reconstructions, in decibels, and seconds of training. The blur is seen below."
    return Table("The autoencoders that sample", ("VAE", "PSNR / dB", "seconds"), tuple(rows), caption)


def _chart(results: Sequence[Result], network: str) -> Chart:
    lines = []
    for name in MODELS:
        found = [chosen(results, source=name, triplets=amount) for amount in AMOUNTS]
        lines += _pair(f"{name} VAE", found, [PRINTED[name, amount][2] for amount in AMOUNTS])
    real = chosen(results, source="real")
    lines += _pair("real", [real, real], [PRINTED["real", 0][2]] * 2)
    caption = "Testing accuracy (margin 0.6) on real held-out images by the number of sampled triplets; real ones as a level line."
    return Chart(f"Testing on real triplets, {network}", "sampled triplets", "per cent", tuple(lines), caption, log_x=True)  # fmt: skip


def _pair(name: str, found: Sequence[Sequence[Result]], printed: Sequence[float]) -> list[Line]:
    """The measured line and the printed one; none until all runs are there."""
    if not all(found):
        return []
    levels = Line(f"{name}, printed", AMOUNTS, printed, printed=True)
    means, deviations = zip(*(spread([_number("testing")(r) for r in results]) for results in found), strict=True)
    return [Line(name, AMOUNTS, means, () if any(map(math.isnan, deviations)) else deviations), levels]


def _pictures(results: Sequence[Result], open_run: Callable[[str], Any]) -> tuple[Picture, ...]:
    """Triplets around the same three held-out images, by each autoencoder."""
    pictures = []
    for result in chosen(_of_vaes(results), seed=0):
        run = open_run(result.run)
        held_out = run.images.splits["validation"]
        anchors = run.images.tensor(held_out[:: max(1, len(held_out) // 3)][:3])
        drawn = run.triplets(anchors, seed=0, draws=2).rows()
        title = f"Triplets of the {result.cell.place['autoencoder']} VAE"
        pictures.append(Picture(title, drawn.png_bytes(columns=6), drawn.caption, (result.run,)))
    return tuple(pictures)


STUDY = Study(
    name="thesis-recognition",
    title="Recognition from sampled triplets",
    paper="Bruneel, Image generation through feature extraction and learning (master thesis, Linnaeus University), tables 6.13 to 6.15",
    question=(
        "The thesis trains recognition of logs on real triplets, and on triplets that its two autoencoders sample; tested on real "
        "images the latter are at about one per cent. Do sampled triplets teach nothing that carries over, and does it help to have more?"
    ),
    data="log-ends",
    grid=grid,
    measure=measure,
    conclude=conclude,
    compute=compute,
    departures=(
        "The thesis's photographs are not public: the bundled log ends are generated, 900 photographs of 225 logs to learn from and "
        "100 of 25 others to test on. Give an image set of your own, with a folder for each log, with --data.",
        "Backbone: a small network from scratch. The full grid adds EfficientNet-Lite0 with frozen weights of ImageNet, whose "
        "weights are in a package; the thesis has EfficientNet-B0.",
        "All runs take equally many steps, so that 10,000 triplets are seen less often than 1,470; the thesis stopped after 33 to 57 epochs.",
        "The real baseline learns from all triplets within its batches, the thesis's from a list of 1,470.",
        "An untrained network stands beside the runs: what is not better has learned nothing of use.",
        "Training accuracy of sampled triplets is on others than those learned from, around the same images.",
        "The quick grid has one small autoencoder of each kind, trained for about 700 steps; three seeds of recognition build on it.",
    ),
)
