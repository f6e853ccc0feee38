"""The study of the thesis's variant: what is printed, how losses are averaged, and what its differences are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.data import write_set
from genlab.data.sprites import sprites
from genlab.figures.images import Images
from genlab.studies import Cell, Report, Result, Study, thesis_costs, thesis_variant
from genlab.workspace.studies import StudyRun

KL = {"vanilla": (12.0, 10.0, 11.0), "variant": (9.0, 8.0, 8.5)}


def trained(model: str, seed: int, **more: Any) -> Result:
    errors = [40.0, 20.0, 12.0, 10.0 + seed]
    numbers = {
        "reconstruction": [30.0, 10.0, 6.0, 5.0], "kl": [1.0, 2.0, 3.0, 4.0], "validation_reconstruction": errors,
        "validation_kl": [1.0, 2.0, 3.0, KL[model][seed]], "validation_psnr": [1.0, 2.0, 3.0, 20.0], "ssim": 0.5, "active_units": 8.0,
        "frechet": 3.0, "coverage": 0.5, "feature_diversity": 2.0, **more,
    }  # fmt: skip
    return Result(
        Cell({"images": "given", "D": 32, "model": model, "seed": seed}, model), f"run-{model}-{seed}", numbers
    )


def opened(run: str) -> Any:
    pixels = np.zeros((12, 1, 4, 4), np.float32)
    images = SimpleNamespace(
        title="Log ends", splits={"validation": np.arange(12)}, tensor=lambda rows: SimpleNamespace(numpy=lambda: pixels[rows])
    )  # fmt: skip
    return SimpleNamespace(
        images=images,
        reconstruct=lambda shown: Images(shown, ""),
        sample=lambda count, seed: Images(pixels[:count], ""),
    )


def test_all_parameter_counts_are_the_printed_ones() -> None:
    counted = thesis_costs.parameters()
    assert counted == {str(dim): list(pair) for dim, pair in thesis_costs.PRINTED_COUNTS.items()}
    assert thesis_costs.counts_finding(counted).startswith("Table 5.4: 6 of 6")
    wrong = {**counted, "256": [1, counted["256"][1]]}
    assert thesis_costs.counts_finding(wrong).startswith("Table 5.4: 5 of 6")
    assert thesis_costs.counts_table(counted).rows[2][2].text == "79,295,939 (79,295,939)"


def test_predictions_are_timed_in_turns_on_the_very_models() -> None:
    found = thesis_costs.timings(32, 16, 3)
    assert {kind: len(values) for kind, values in found.items()} == {"vanilla": 3, "variant": 3, "one_by_one": 3}
    assert all(value > 0 for values in found.values() for value in values)
    table = thesis_costs.times_table({"vanilla": [1, 2, 1], "variant": [2, 3, 2], "one_by_one": [5, 8, 3]})
    shown = [[entry.text for entry in row] for row in table.rows]
    assert shown[1][2] == "28.71"
    assert shown[3][1:] == ["2000.0", "2.00 (1.50 to 2.00)"]
    assert shown[4][1:] == ["5000.0", "4.00 (3.00 to 5.00)"]


def test_a_tracker_that_is_never_reset_shows_the_mean_of_its_session() -> None:
    values = [9.0, 7.0, 5.0, 3.0, 1.0]
    assert thesis_variant.session_mean(values, 1) == 5
    assert thesis_variant.session_mean(values, 2) == 3  # the last three epochs of five
    assert thesis_variant.session_mean(values, 5) == 1


def test_the_variant_is_compared_seed_by_seed() -> None:
    results = [trained(model, seed) for model in KL for seed in range(3)]
    report = thesis_variant.conclude(results, opened)
    differences = next(table for table in report.tables if table.title == "Log ends: variant against vanilla")
    row = next(row for row in differences.rows if row[0].text == "KL, nats an image, D = 32")
    gaps = np.array([-3, -2, -2.5])
    t = gaps.mean() / (gaps.std(ddof=1) / math.sqrt(3))
    assert [entry.text for entry in row[1:4]] == ["11 ± 1", "8.5 ± 0.5", "-2.5 ± 0.5"]
    assert float(row[4].text) == pytest.approx(1 - abs(t) / math.sqrt(2 + t * t), rel=0.05)  # Student's, 2 degrees
    for entry, models in ((row[1], ["vanilla"]), (row[2], ["variant"]), (row[3], KL), (row[4], KL)):
        assert set(entry.runs) == {r.run for r in results if r.cell.place["model"] in models}
    finding = next(text for text in report.findings if "lower KL" in text)
    ratio = np.mean([9 / 12, 8 / 10, 8.5 / 11])
    assert f"D = 32: lower, {ratio:.2f} times the vanilla's, beyond the noise of 3 seeds" in finding
    assert "printed ratios 0.85, 0.63, 0.84" in finding
    assert not any("own feature" in text for text in report.findings)
    squared = next(text for text in report.findings if "held-out squared error of the variant" in text)
    assert "D = 32: 1.00 times, the very same difference in all 3 seeds" in squared
    whole = np.mean([(e + v / 32) / (e + k / 32) for e, k, v in ((10, 12, 9), (11, 10, 8), (12, 11, 8.5))])
    assert f"as the loss weighs them, {whole:.2f} times, beyond the noise" in squared
    assert len(report.pictures) == 2
    assert len(report.charts) == 2


def test_losses_are_shown_as_they_are_and_as_the_thesis_averages_them() -> None:
    report = thesis_variant.conclude([trained(model, 0) for model in KL], opened)
    shown = {
        row[0].text: [entry.text for entry in row[1:]]
        for table in report.tables if table.title.endswith(("as the thesis averages them", "as printed")) for row in table.rows
    }  # fmt: skip
    assert shown["1K, vanilla, D = 512"] == ["500", "6632.8", "5938.8", "694.0", "20534.0", "19793.0", "741.0", "3.33"]
    assert shown["vanilla, D = 32, each epoch alone"] == ["164.0", "160.0", "4.0", "332.0", "320.0", "12.0", "2.00"]
    assert shown["vanilla, D = 32, 1 session"][4] == f"{32 * 82 / 4:.1f}"
    assert shown["vanilla, D = 32, last of 2"][4] == f"{32 * 11:.1f}"
    assert shown["variant, D = 32, last of 4"][4] == "320.0"


def test_the_printed_bounds_are_sums_of_their_parts_but_for_one() -> None:
    gaps = {
        (row.name, kind): elbo - reconstruction - kl
        for row in thesis_variant.PRINTED
        for kind, (elbo, reconstruction, kl) in (("train", row.train), ("validation", row.validation))
    }
    odd = {place for place, gap in gaps.items() if abs(gap) > 0.3}
    assert odd == {("1K, vanilla, D = 256", "train")}
    assert gaps[odd.pop()] == pytest.approx(9102.97 - 9180.97)


def test_the_mean_over_epochs_is_larger_than_the_truth() -> None:
    report = thesis_variant.conclude([trained(model, 0) for model in KL], opened)
    finding = next(text for text in report.findings if "averaged over all epochs" in text)
    assert "comes out 2.05 times its true value" in finding
    assert "of two sessions 1.10 times, of four 1.00: read as Table 6.11 is, the variant gains 10%" in finding


def test_disentanglement_is_beside_its_chance() -> None:
    scores = {"vanilla": (0.10, 0.12, 0.11), "variant": (0.10, 0.13, 0.10)}
    results = [
        trained(model, seed, mig=scores[model][seed], dci=0.2, factor_vae=0.5, shuffled={"mig": 0.01, "dci": 0.02, "factor_vae": 0.2})
        for model in KL for seed in range(3)
    ]  # fmt: skip
    finding = next(text for text in thesis_variant.conclude(results, opened).findings if "own feature" in text)
    assert "MIG 0.110 and 0.110 at D = 32 (chance 0.010), within the noise of 3 seeds (p = 1)" in finding


def test_a_verdict_needs_more_than_one_seed_and_equal_differences_are_not_tested() -> None:
    assert thesis_variant.verdict([1.0]) == "one seed, which proves nothing"
    assert "the same way in all 2 seeds" in thesis_variant.verdict([1.0, 9.0])
    assert math.isnan(thesis_variant.p_value([2.0, 2.0]))


def test_an_unfinished_study_concludes_what_it_can() -> None:
    assert thesis_variant.conclude([], opened).tables == ()
    report = thesis_variant.conclude([trained("vanilla", 0)], opened)
    assert not any("lower KL" in text for text in report.findings)


def test_it_runs_end_to_end_and_leaves_out_the_set_that_it_is_run_on(tmp_path: Any) -> None:
    """One seed on few sprites, which then are the given images; log ends are left to the full study."""

    def grid(quick: bool, images: int) -> Sequence[Cell]:
        cells = thesis_variant.grid(True, images)
        small = {"epochs": 2, "width": 2, "latent_dim": 4, "batch_size": 256, "device": "cpu"}
        return [
            cell._replace(values={**cell.values, **small})
            for cell in cells if cell.model and cell.place["seed"] == 0 and cell.data != "log-ends"
        ]  # fmt: skip

    study = thesis_variant.STUDY
    small = Study(
        "thesis-variant", study.title, study.paper, study.question, "sprites", grid, study.measure, study.conclude
    )
    lab = genlab.Workspace(tmp_path)
    write_set(lab.root / "datasets" / "sprites", sprites(600), name="sprites")
    running = StudyRun(lab, small, quick=True)
    assert [cell.place["images"] for cell in running.cells] == ["given", "given"]
    report: Report = running.run(jobs=2)
    assert len(running.results()) == 2
    numbers = running.results()[0].numbers
    assert len(numbers["validation_kl"]) == 2
    assert 0 <= numbers["shuffled"]["factor_vae"] < 1
    assert any("own feature" in text for text in report.findings)
    assert "one seed, which proves nothing" in " ".join(report.findings)
