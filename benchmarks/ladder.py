"""Every registered model by the same short training on the same images, and what came of it.

`python benchmarks/ladder.py` trains each model by its preset `quick` on digits-28 (5,000 images) on one thread, measures it on the
held-out images, writes `results/ladder.json` and makes `docs/ladder.md` anew. `--only NAME …` trains those alone and keeps
the other rows; `--table` only makes the document anew.

Seconds are processor time of the training loop (validation and all, sampling and measuring not), so that other
programs on the machine hardly count. One seed: a difference of a few per cent says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import RESULTS, one_thread, report

from genlab.core.errors import GenlabError
from genlab.core.registry import Entry, find, models
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data import Content, ImageSet, open_set, write_set
from genlab.metrics import Subject, evaluate
from genlab.metrics.features import PCA, Features, classifier_features
from genlab.metrics.fidelity import frechet_distance
from genlab.training.loop import Training
from genlab.workspace.workspace import Workspace

DATA, SECOND = "digits-28", "digits-relief"
DOCUMENT = Path(__file__).parent.parent / "docs" / "ladder.md"
SAMPLED = ("frechet", "kernel_distance", "precision", "recall", "density", "coverage", "feature_diversity")
LIKELIHOODS = ("bits_per_dimension", "elbo")
OWN = {  # what tells of models that neither sample nor have a likelihood: name -> how it stands in the table
    "psnr": "PSNR {value:.1f} dB ({mean_image:.1f})",
    "cycle_error": "there and back {value:.3f} ({mean_image:.3f})",
    "identification_top1": "first choice {value:.0%} ({chance:.0%})",
}
FRAME = 2  # black pixels around digits-28 for models that want multiples of 32
STANDINS = {"real_images": "*real training images*", "mean_image": "*the mean image*", "noise": "*uniform noise*"}

GUIDE = """# The ladder: every model, the same minute

<!-- made by benchmarks/ladder.py from benchmarks/results/ladder.json; edit that, not this -->

Each model learned from digits-28 (28x28 grey, {training} training images) by its preset `quick`, from one seed, on one
thread of one processor, and was measured on {held_out} held-out images with as many samples. `python benchmarks/ladder.py` makes all of it
anew, `--only NAME …` single rows.

How to read it:

- **CPU s** is processor time of that run's training loop on one thread; **parameters** counts what gradient descent moves (models
  fitted in closed form have none).
- **bits/dim** is the exact code length of a pixel value, where a model has one: of 8-bit grey levels, or of pixels cut at one half ("binary"); the two
  do not compare. **ELBO** is a lower bound of log p(x) in nats under the model's own reading of a pixel, higher is
  better; Bernoulli and Gaussian readings do not compare.
- **Fréchet** and **kernel** distances (×1000) compare samples with held-out images in two named feature spaces: the last hidden layer of this project's own
  small classifier, and the leading principal axes of the pixels. Lower is better; neither compares with any published
  number, which rests on another network.
- **Precision** (samples that lie among images), **recall** (images that lie among samples), **density** and **coverage** are in the classifier's space; higher
  is better. **Diversity** is the mean distance between two samples over that between two training images: 1 is
  right, far less means that the model repeats itself.
- **Its own** is what tells of models that neither sample nor have a likelihood, on held-out images, and in brackets what needs no learning: the
  error of rebuilt images (the mean image's), of images translated there and back (the mean image's), the share of images whose
  nearest other is of the same class (chance).
- CycleGAN learns from two image sets (the second: digits in relief) and translates instead of sampling; an autoencoder without a
  prior does not sample either.
- The first rows are no models: *real training images* is what perfect samples would have at this number of images, the
  others what needs no learning.
- None of these numbers punishes copying: the multinomial model, which draws training images and noise, stands level with real images.
- A short training is no verdict: models that learn slowly stand lower here than they would after a night. A difference of a few per
  cent between two rows is within the noise of one seed.

"""
HEAD = ("model", "CPU s", "parameters", "bits/dim", "ELBO", "Fréchet, classifier", "Fréchet, PCA", "kernel, classifier", "precision", "recall", "density", "coverage", "diversity", "its own")  # fmt: skip


def classifier_of(lab: Workspace, images: ImageSet) -> Features:
    """Features from the labels of all training images, kept in the laboratory as its own metrics keep them."""
    train = np.sort(images.splits["train"])
    folder = lab.root / "features" / images.hash
    return classifier_features(
        lambda: (np.asarray(images.images[train]), np.asarray(images.labels)[train]),
        images.shape.channels,
        len(images.class_names),
        folder,
    )


def framed(lab: Workspace) -> ImageSet:
    """digits-28 with a frame, 32x32."""
    images = lab.datasets[DATA]
    pixels = np.pad(np.asarray(images.images), ((0, 0), (0, 0), (FRAME, FRAME), (FRAME, FRAME)))
    held = np.isin(np.arange(images.count), images.splits["validation"])
    folder = lab.root / "ladder" / "digits-32"
    if folder.exists():
        return open_set(folder)
    return write_set(folder, Content(pixels, images.labels, images.class_names, validation=held), name="digits-32")


def climb(entry: Entry, lab: Workspace, images: ImageSet) -> dict[str, Any]:
    """Train one model by its preset `quick` on images and measure it: a row."""
    second = lab.datasets[SECOND] if "translates" in entry.capabilities else None
    own, shared = entry.preset("quick")
    settings = TrainingSettings(**{**shared, "device": "cpu"})
    seed_everything(settings.seed)
    model = entry.create(images.shape, len(images.class_names), **own)
    training = Training(model, images.batches_with(second), settings)
    began, wall = time.process_time(), time.perf_counter()
    for _ in training.events():
        pass
    took, waited = time.process_time() - began, time.perf_counter() - wall
    row: dict[str, Any] = {
        "title": entry.card.title,
        "family": entry.card.family,
        "preset": "quick",
        "data": images.name if second is None else f"{images.name} and {second.name}",
        "shape": list(images.shape),
        "epochs": training.epoch,
        "seed": settings.seed,
        "cpu_seconds": round(took, 2),
        "wall_seconds": round(waited, 2),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
    }
    held_out, train = (images.tensor(np.sort(images.splits[name])).numpy() for name in ("validation", "train"))
    chosen = np.random.default_rng(0).permutation(len(train))[: len(held_out)]
    subject = Subject(
        model.eval(),
        held_out,
        labels=np.asarray(images.labels)[np.sort(images.splits["validation"])],
        training=train[np.sort(chosen)],
        classifier=lambda: classifier_of(lab, images),
    )
    found = evaluate(subject, [*LIKELIHOODS, *SAMPLED, *OWN], lenient=True)
    row["n"] = len(held_out)
    row["measures"] = {
        name: {"value": one.value, "baselines": one.baselines, **one.details} for name, one in found.items()
    }
    for view in subject.views[1:] if "samples" in entry.capabilities else ():
        row[f"frechet of stand-ins on {view.name}"] = {
            name: frechet_distance(view.real, rows) for name, rows in view.baselines.items()
        }
    row["pixels"] = getattr(model, "pixel_measure", "")
    return row


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    measures = row["measures"]

    def of(metric: str, key: str = "value") -> float | None:
        return measures[metric].get(key) if metric in measures else None

    bits = number(of("bits_per_dimension"), 3)
    spread, real = (
        of("feature_diversity"),
        measures.get("feature_diversity", {}).get("baselines", {}).get("real_images"),
    )
    kernel = of("kernel_distance")
    return [
        f"`{name}`" + (" (32x32)" if row.get("shape", [0, 28, 28])[1] == 32 else ""),
        number(row["cpu_seconds"], 1),
        f"{row['parameters']:,}",
        bits + (" (binary)" if row["pixels"] == "binary" and bits != "–" else ""),
        number(of("elbo"), 1),
        number(of("frechet")),
        number(of("frechet", f"on {PCA}"), 1),
        number(None if kernel is None else 1000 * kernel, 1),
        *(number(of(metric)) for metric in ("precision", "recall", "density", "coverage")),
        number(None if spread is None else spread / real),
        _own(measures),
    ]


def _own(measures: dict[str, Any]) -> str:
    """The model's own measure, where it has neither samples nor a likelihood."""
    if measures.keys() & {*LIKELIHOODS, *SAMPLED}:
        return "–"
    told = [
        form.format(value=measures[name]["value"], **measures[name]["baselines"])
        for name, form in OWN.items()
        if name in measures
    ]
    return told[0] if told else "–"


def standins(rows: dict[str, Any]) -> list[list[str]]:
    """What needs no model, from the last measured row: the images are the same for all."""
    measured = [row for row in rows.values() if "frechet" in row.get("measures", {})]
    if not measured:
        return []
    last = {name: one["baselines"] for name, one in measured[-1]["measures"].items() if name in SAMPLED}
    on_pca = measured[-1][f"frechet of stand-ins on {PCA}"]
    real = last["feature_diversity"]["real_images"]
    return [
        [
            title,
            *["–"] * 4,
            number(last["frechet"][key]),
            number(on_pca[key], 1),
            number(1000 * last["kernel_distance"][key], 1),
            *(number(last[metric][key]) for metric in ("precision", "recall", "density", "coverage")),
            number(last["feature_diversity"][key] / real),
            "–",
        ]
        for key, title in STANDINS.items()
    ]


def document(rows: dict[str, Any], images: ImageSet) -> str:
    """The whole of docs/ladder.md; models in the order of the gallery."""
    ordered = [cells(name, rows[name]) for name in models() if "measures" in rows.get(name, {})]
    lines = [HEAD, ["---"] + ["---:"] * (len(HEAD) - 1), *standins(rows), *ordered]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    guide = GUIDE.format(training=f"{len(images.splits['train']):,}", held_out=len(images.splits["validation"]))
    missing = [name for name in models() if name not in rows]
    rest = [f"\n- Not measured yet: {', '.join(f'`{name}`' for name in missing)}."] if missing else []
    wide = (
        f"\n- Where it says 32x32, the digits have a frame of {FRAME} black pixels, as the model takes multiples of 32 alone; its "
        "features are of such images too.\n"
    )
    return guide + table + "\n" + wide + "".join(rest)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", metavar="NAME", help="train these alone and keep the other rows")
    asked.add_argument("--table", action="store_true", help="train nothing, make the document anew")
    wanted = asked.parse_args()
    one_thread()
    lab, kept = Workspace(), RESULTS / "ladder.json"
    images = lab.datasets[DATA]
    rows: dict[str, Any] = json.loads(kept.read_text())["rows"] if kept.exists() else {}
    for name in () if wanted.table else wanted.only or models():
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows[name] = climb(find(name), lab, images)
        except GenlabError:  # it takes no 28x28
            rows[name] = climb(find(name), lab, framed(lab))
        known = {name: rows[name] for name in models() if name in rows}  # models that are gone are dropped
        report("ladder", known)
        DOCUMENT.write_text(document(known, images))
    if wanted.table:
        DOCUMENT.write_text(document(rows, images))


if __name__ == "__main__":
    main()
