"""The study of recognition from sampled triplets: its grid, its readings of accuracy, and what it concludes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import genlab
from genlab.data import Content, write_set
from genlab.latent import TripletSettings
from genlab.studies import Cell, Result, find_study
from genlab.studies import thesis_recognition as study
from genlab.studies.study import chosen
from genlab.workspace.studies import StudyRun

NETWORK = "small network"


def result(source: str, seed: int, first: float, margin: float, triplets: int | None = None, **more: float) -> Result:
    amount = {} if triplets is None else {"triplets": triplets}
    built_on = {} if triplets is None else {"triplets_from": f"autoencoder={source}, seed=0"}
    numbers = dict.fromkeys(study.READINGS, 0.5) | {f"{name}_chance": 0.25 for name in study.READINGS}
    numbers |= {
        study.FIRST: first,
        study.MARGIN: margin,
        "testing": margin,
        "images": 40,
        "candidates": 10,
        "triplets": 360,
    }
    cell = Cell({"source": source, **amount, "network": NETWORK, "seed": seed}, "recognition", builds_on=built_on)
    return Result(cell, f"{source}-{triplets}-{seed}", {**numbers, "steps": 477, "training": 0.75, **more})


def results(sampled: tuple[float, ...] = (0.2, 0.25, 0.15), untrained: float = 0.1) -> list[Result]:
    every = [result("real", seed, 0.8 + seed / 50, 0.7) for seed in range(3)]
    every += [result("untrained", seed, untrained + seed / 200, 0.0) for seed in range(3)]
    for name in study.MODELS:
        for amount in study.AMOUNTS:
            more = {"validation": 0.4, "validation_order": 0.9}
            every += [
                result(name, seed, first - amount / 1e6, 0.05, amount, **more) for seed, first in enumerate(sampled)
            ]
    return every


def test_the_quick_grid_has_every_row_of_the_tables_with_equal_steps() -> None:
    cells = study.grid(True, 900)
    rows = {(c.place["source"], c.place.get("triplets", 0)) for c in cells if "source" in c.place}
    assert rows == {*study.PRINTED, ("untrained", 0)}
    for cell in cells:
        if cell.model == "recognition":
            of_epoch = (cell.values.get("drawn_once") or 900 / 3) / 21
            assert cell.values["epochs"] * of_epoch == pytest.approx(study.STEPS, rel=0.05)
            assert bool(cell.builds_on) == (cell.place["source"] in study.MODELS)
    assert len({cell.place["seed"] for cell in cells}) == study.SEEDS
    full = study.grid(False, 900)
    assert {c.place.get("triplets") for c in full} > {*study.AMOUNTS, "anew"}


def test_printed_accuracies_are_whole_numbers_of_triplets() -> None:
    counts = {("real", 0): (1029, 220, 220), ("vanilla", 1470): (1029, 441, 1470)}
    for kind, totals in counts.items():
        for total, printed in zip(totals, study.PRINTED[kind], strict=True):
            assert round(100 * round(printed * total / 100) / total, 2) == printed


def test_differences_are_taken_pair_by_pair() -> None:
    first = [result("vanilla", seed, first, 0, 1470) for seed, first in ((0, 0.5), (1, 0.3), (2, 0.9))]
    second = [result("real", seed, first, 0) for seed, first in ((1, 0.4), (0, 0.1))]
    assert study.differences(first, second, study.FIRST) == pytest.approx([40, -10])
    assert study.differences(first, second, study.FIRST, ("seed", "triplets")) == []


@pytest.mark.parametrize("gaps", [(1.0, 2.0, 4.5), (-3.0, 1.0, 0.5)])
def test_the_probability_is_students(gaps: tuple[float, ...]) -> None:
    mean = sum(gaps) / 3
    t = mean / math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / 2 / 3)
    assert study.p_value(gaps) == pytest.approx(1 - abs(t) / math.sqrt(2 + t * t))  # two degrees of freedom
    assert math.isnan(study.p_value(gaps[:1]))
    assert (study.p_value((0.0, 0.0)), study.p_value((2.0, 2.0))) == (1.0, 0.0)


@pytest.mark.parametrize(("untrained", "verdict"), [(0.0, "is refuted"), (0.18, "is not refuted beyond the noise")])
def test_the_verdict_weighs_sampled_triplets_against_real_ones_and_against_none(untrained: float, verdict: str) -> None:
    report = study.conclude(results(untrained=untrained), lambda run: None)
    assert "do not replace real ones: confirmed" in report.findings[0]
    assert f"teach nothing of use {verdict}" in report.findings[0]
    assert "40 images of 10 identities" in report.findings[0]
    assert "25.0 % by chance" in report.findings[0]
    equal = study.conclude(results(sampled=(0.9, 0.75, 0.85)), lambda run: None)
    assert "do not replace real ones: not confirmed" in equal.findings[0]
    only = study.conclude(results()[:1], lambda run: None)
    assert only.findings == ("Small network: do sampled triplets replace real ones? Not all runs are there yet.",)


def test_measured_stands_beside_printed() -> None:
    accuracy, readings = study.conclude(results(), lambda run: None).tables
    rows = {row[0].text: [entry.text for entry in row[1:]] for row in accuracy.rows}
    assert rows["real triplets"] == ["75.0 ± 0 (94.07)", "– (89.09)", "70.0 ± 0 (85.45)", "477"]
    assert rows["10,000 of the variant VAE"] == ["75.0 ± 0 (57.32)", "40.0 ± 0 (33.93)", "5.0 ± 0 (0.74)", "477"]
    assert rows["untrained network"][2] == "0.0 ± 0 (–)"
    assert accuracy.rows[1][1].runs == tuple(f"vanilla-1470-{seed}" for seed in range(3))
    assert [entry.text for entry in readings.rows[-1]] == ["by chance", *["25.0"] * 6]
    assert readings.rows[0][3].text == "82.0 ± 2"


# A tiny one from end to end ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    """The study on small images: thin autoencoders, few triplets, one seed."""
    lab = genlab.Workspace(tmp_path_factory.mktemp("study"))
    pixels = np.random.default_rng(0).integers(0, 255, (60, 1, 32, 32), dtype=np.uint8)
    write_set(lab.root / "datasets" / "noise", Content(pixels, np.arange(60) % 2, ("even", "odd")))
    patch = pytest.MonkeyPatch()
    patch.setattr(genlab.workspace.Runs, "start_now", lambda self, run, executor: tiny.train(run))

    def grid(quick: bool, images: int) -> list[Cell]:
        cells = []
        for cell in study.grid(True, images):
            if cell.place["seed"] == 0:
                small = {"epochs": 1, "batch_size": 12, "device": "cpu"}
                if "autoencoder" in cell.place:
                    cells.append(cell._replace(values={**small, "latent_dim": 4, "width": 1}))
                else:
                    drawn = {"drawn_once": 20} if "triplets" in cell.place else {}
                    values = {**cell.values, **small, "width": 4, "embedding_dim": 3, **drawn}
                    cells.append(cell._replace(values=values))
        return cells

    running = StudyRun(lab, dataclasses.replace(find_study("thesis-recognition"), grid=grid, data="noise"))
    running.run()
    patch.undo()
    return running


def test_every_kind_of_run_is_measured_and_reported(finished: StudyRun) -> None:
    found = finished.results()
    assert len(found) == 2 + 1 + 1 + 4
    (real,), (untrained,) = chosen(found, source="real"), chosen(found, source="untrained")
    run = finished.lab.runs[real.run]
    for name, measured in run.evaluate(list(study.READINGS)).items():
        assert real.numbers[name] == measured.value
        assert real.numbers[f"{name}_chance"] == measured.baseline
    assert "validation" not in real.numbers
    assert untrained.run == ""
    assert untrained.numbers["images"] == real.numbers["images"]
    assert all(0 <= r.numbers["validation"] <= 1 for r in chosen(found, source="vanilla"))
    page = (finished.folder / "report.html").read_text()
    assert page.count("Triplets of the v") >= 2
    assert "(94.07)" in page


def test_sampled_accuracy_equals_a_loop_over_triplets(finished: StudyRun) -> None:
    (cell,) = chosen(finished.results(), source="variant", triplets=1470)
    run: Any = finished.lab.runs[cell.run]
    sampler = finished.lab.runs[Path(run.config.parameters["triplets_from"]).name]
    held_out = run.images.splits["validation"]
    drawn = sampler.triplets(run.images.tensor(held_out), TripletSettings(), seed=1)
    kept = ordered = 0
    for row in range(len(held_out)):
        a, p, n = (
            run.embed(part.array[[row]])[0] for part in (drawn.reconstructions, drawn.positives, drawn.negatives)
        )
        near, far = np.linalg.norm(a - p), np.linalg.norm(a - n)
        kept, ordered = kept + (near + 0.6 < far), ordered + (near < far)
    expected = (kept / len(held_out), ordered / len(held_out))
    assert study.sampled_accuracy(run, sampler, held_out) == pytest.approx(expected)
    assert (cell.numbers["validation"], cell.numbers["validation_order"]) == pytest.approx(expected)
