"""The study of AVA over learning rates: numbers that do not depend on interruptions, tested rankings, divergence, bars."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from scipy.stats import ttest_rel
from visiting import visit

import genlab
from genlab.core.seeding import derived_seed
from genlab.data import Content, ImageSet, write_set
from genlab.nn.ava_authors import train_many
from genlab.runs.directory import RunDirectory
from genlab.studies import Bars, Cell, Entry, Report, Result, ava_rankings, find_study
from genlab.studies import ava_learning_rates as study
from genlab.studies.ava_rankings import CLAIMS, MODELS, RATES, Claim
from genlab.studies.report import bars_svg
from genlab.ui.studies import bars_figure
from genlab.workspace.studies import StudyRun, failures, study_document

SOME = (1.0, 0.1, 0.05)
TABLE_3 = {  # as printed
    "mean": (0.2093, 0.2092, 0.1202, 0.1225, 0.2096, 0.1207, 0.2089),
    "maximum": (0.2322, 0.2329, 0.2147, 0.2147, 0.2326, 0.2147, 0.2325),
    "minimum": (0.1664, 0.1617, 0.0546, 0.0546, 0.1621, 0.0568, 0.1628),
    "SD": (0.0249, 0.0251, 0.0606, 0.0586, 0.0244, 0.0606, 0.0252),
}


@pytest.fixture
def lab(tmp_path: Path) -> genlab.Workspace:
    return genlab.Workspace(tmp_path)


@pytest.fixture
def pictures(lab: genlab.Workspace) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 6, 5), dtype=np.uint8)
    return write_set(lab.root / "datasets" / "pictures", Content(pixels))


def authors(models: Sequence[str] = ("vae", "ava3", "gan"), rates: Sequence[float] = SOME) -> list[Cell]:
    return [cell for cell in study.grid(True, 12)[1:] if cell.place["model"] in models and cell.place["rate"] in rates]


def computed(images: ImageSet, cells: Sequence[Cell]) -> dict[str, float]:
    return {cell.key: numbers["bm"] for cell, numbers in study.compute(images, cells)}


# Interruptions ---------------------------------------------------------------------------------------------------


def test_no_number_depends_on_what_is_computed_with_it(pictures: ImageSet) -> None:
    cells = authors()
    whole = computed(pictures, cells)
    assert len(set(whole.values())) == len(cells) == 3 * 3 * study.SEEDS
    draw = np.random.default_rng(1)
    for missing in ([cells[7]], cells[20:], cells[1::2], [cells[place] for place in draw.permutation(len(cells))]):
        resumed = computed(pictures, missing)
        assert resumed == {cell.key: whole[cell.key] for cell in missing}  # to the bit
    full = [cell for cell in study.grid(False, 12) if cell.key in whole]
    assert computed(pictures, full[:4]) == {cell.key: whole[cell.key] for cell in full[:4]}


@pytest.mark.parametrize("stopped", [3, 8])
def test_interrupted_at_any_cell_a_study_goes_on_to_the_same_tables(
    lab: genlab.Workspace, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    small = dataclasses.replace(
        find_study("ava-learning-rates"), grid=lambda quick, images: authors(("ava1", "gan"), (1.0, 0.1))
    )
    note, noted = StudyRun._note, []

    def power_cut(self: StudyRun, cell: Cell, known: dict[str, Any]) -> None:
        if len(noted) == stopped:
            raise KeyboardInterrupt
        noted.append(cell)
        note(self, cell, known)

    with monkeypatch.context() as patched:
        patched.setattr(StudyRun, "_note", power_cut)
        with pytest.raises(KeyboardInterrupt):
            StudyRun(lab, small, data=pictures).run()
    resumed = StudyRun(lab, small, data=pictures)
    assert len(resumed.results()) == stopped
    report = resumed.run()
    found = {result.cell.key: result.numbers["bm"] for result in resumed.results()}
    assert found == computed(pictures, authors(("ava1", "gan"), (1.0, 0.1)))
    fresh = StudyRun(genlab.Workspace(lab.root / "again"), small, data=pictures)
    assert fresh.run() == report


def test_a_number_is_the_program_s_and_its_noise_is_that_of_its_seed_in_every_model(pictures: ImageSet) -> None:
    """Equation (17) written out, on what `train_many` draws."""
    x = pictures.tensor(range(12))
    for model in ("vae", "ava5"):
        place = RATES.index(0.05)
        runs = train_many(model, x, [0.05] * study.SEEDS, seed=derived_seed(place, 0))
        draws, totals = torch.Generator().manual_seed(derived_seed(place, 1)), np.zeros(study.SEEDS)
        for image in x.double().numpy():
            d = np.sqrt(((runs.generate(10, draws).numpy() - image) ** 2).sum(2))
            totals += np.abs(d * (1 - d)).mean((1, 2, 3)) / len(x)
        found = computed(pictures, authors((model,), (0.05,)))
        np.testing.assert_allclose(list(found.values()), totals, rtol=1e-5)


# What diverges ---------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def start_now(self: genlab.workspace.Runs, run: genlab.Run, executor: object = None) -> None:
        names.append(run.name)
        tiny.train(run)

    monkeypatch.setattr(genlab.workspace.Runs, "start_now", start_now)
    return names


def exact(rates: Sequence[float], models: Sequence[str] = ("ava1",), seeds: int = 2) -> list[Cell]:
    found = [cell for cell in study.grid(False, 12) if cell.place["rule"] == "autograd"]
    found = [cell for cell in found if cell.place["model"] in models and cell.place["rate"] in rates]
    return [cell._replace(values={**cell.values, "device": "cpu"}) for cell in found if int(cell.place["seed"]) < seeds]


def test_a_run_that_diverges_is_a_result_and_one_that_fails_otherwise_is_not(
    lab: genlab.Workspace, pictures: ImageSet, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dataclasses.replace(
        find_study("ava-learning-rates"), grid=lambda quick, images: exact((1.0, 0.001), ("ava1", "ava3"))
    )
    start, broken = genlab.workspace.Runs.start_now, "ava-learning-rates: rule=autograd, model=ava3, rate=0.001, seed=1"

    def start_now(self: genlab.workspace.Runs, run: genlab.Run, executor: object = None) -> None:
        if run.name.startswith(broken):
            files = RunDirectory(run.directory)
            files.set_state(files.state.model_copy(update={"status": "failed", "message": "The disk is full."}))
        else:
            start(self, run, executor)

    with monkeypatch.context() as patched:
        patched.setattr(genlab.workspace.Runs, "start_now", start_now)
        running = StudyRun(lab, known, data=pictures)
        running.run()
    assert failures(running) == ["rule=autograd, model=ava3, rate=0.001, seed=1: The disk is full."]
    report = running.run()  # tries that one again, and none of those that diverged
    assert len(trained) == 8
    assert failures(running) == []
    by_key = {result.cell.key: result for result in running.results()}
    assert len(by_key) == 8
    for result in by_key.values():
        state = lab.runs[result.run].state
        assert state.status == ("failed" if result.cell.place["rate"] == 1.0 else "finished")
        assert result.numbers == {"diverged": state.message} or 0 < result.numbers["bm"] < 0.5
    (table,) = report.tables
    assert table.title == "The same with exact gradients"
    lost, well = [row for row in table.rows if row[1].text != "–"]
    assert lost[1].text == "diverged (0.2298)"
    assert set(lost[1].runs) == {by_key[f"rule=autograd, model=ava1, rate=1.0, seed={seed}"].run for seed in (0, 1)}
    values = [by_key[f"rule=autograd, model=ava3, rate=0.001, seed={seed}"].numbers["bm"] for seed in (0, 1)]
    assert well[2].text.startswith(f"{np.mean(values):.4f} ± ")
    (finding,) = report.findings
    assert "4 of 8 runs diverge (AVA1 and AVA3: all at γ = 1, none at γ = 0.001)" in finding
    assert "stopped being a finite number in step" in finding
    document = study_document(running, report)
    assert sum("finite number" in cell.get("diverged", "") for cell in document["cells"]) == 4


def test_a_rate_at_which_some_seeds_diverge_shows_both() -> None:
    results = [
        Result(Cell({"rule": "autograd", "model": "ava5", "rate": 0.02, "seed": seed}, "ava5"), f"run-{seed}", numbers)
        for seed, numbers in enumerate(({"bm": 0.2}, {"diverged": "It stopped."}, {"bm": 0.1}))
    ]
    report = study.conclude(results, lambda run: None)
    (row,) = [row for row in report.tables[0].rows if row[3].text != "–"]
    assert row[3] == Entry("0.1500 ± 0.071; 1 of 3 diverged (0.2028)", ("run-0", "run-1", "run-2"))
    assert "1 of 3 runs diverge (AVA5: some at γ = 0.02). Most often: “It stopped.”" in report.findings[0]


def test_exact_gradients_have_seeds_and_rates_on_both_sides_of_where_they_diverge() -> None:
    cells = [cell for cell in study.grid(False, 36) if cell.place["rule"] == "autograd"]
    assert {cell.place["model"] for cell in cells} == {"ava1", "ava3", "ava5"}  # AVA2 is AVA1, AVA4 is AVA3
    assert min(sum(c.place["rate"] == cell.place["rate"] for c in cells) for cell in cells) >= 2 * 3
    assert {0.03, 0.02, 0.01, 0.005} <= {cell.place["rate"] for cell in cells}
    assert all(
        cell.values["learning_rate"] == cell.values["critic_learning_rate"] == cell.place["rate"] for cell in cells
    )


# Rankings --------------------------------------------------------------------------------------------------------


def made(models: Sequence[str] = MODELS, rates: Sequence[float] = RATES, noise: float = 0.002) -> list[Result]:
    """The print with noise of each cell, and AVA5 raised far over all others."""
    draw = np.random.default_rng(0)
    return [
        Result(Cell({"rule": "authors", "model": model, "rate": rate, "seed": seed}, ""), "", {
            "bm": ava_rankings.printed(model, rate) + draw.normal(0, noise) + 0.02 * (model == "ava5")})
        for model in models for rate in rates for seed in range(4)
    ]  # fmt: skip


def array(results: Sequence[Result], model: str, rates: Sequence[float]) -> np.ndarray:
    """BM (seeds, rates)."""
    cells = {
        (r.cell.place["rate"], r.cell.place["seed"]): r.numbers["bm"] for r in results if r.cell.place["model"] == model
    }
    return np.array([[cells[rate, seed] for rate in rates] for seed in range(4)])


REDUCED = {
    "maximum": np.max,
    "minimum": np.min,
    "SD": lambda values, axis: np.std(values, axis, ddof=1),
}


def test_table_3_is_what_the_printed_cells_give() -> None:
    for kind, row in TABLE_3.items():
        for model, value in zip(MODELS, row, strict=True):
            assert ava_rankings.of_print(kind, model, RATES) == pytest.approx(value, abs=0.00006), (kind, model)


def test_the_paper_s_rankings_are_all_there_and_stand_in_its_table() -> None:
    assert len(set(CLAIMS)) == len(CLAIMS) == 19
    for claim in CLAIMS:
        row = dict(zip(MODELS, TABLE_3[claim.kind], strict=True))
        stated = row[claim.better] >= row[claim.rival] if claim.higher else row[claim.better] <= row[claim.rival]
        assert stated == (claim != Claim("mean", "ava4", False, "vae"))  # its own table says the opposite
    best = {("mean", "ava5", True), ("mean", "ava3", False), ("SD", "ava5", False)}
    for kind, better, higher in best:
        values = dict(zip(MODELS, TABLE_3[kind], strict=True))
        assert values[better] == (max if higher else min)(values.values())
        rivals = {claim.rival for claim in CLAIMS if claim[:3] == (kind, better, higher)}
        far = {model for model in MODELS if abs(values[model] - values[better]) > 0.03}
        assert rivals | far == set(MODELS) - {better}


def test_rankings_are_tested_over_rates_or_seeds_and_corrected_together() -> None:
    results = made()
    found = ava_rankings.tested(results, RATES)
    assert [each.claim for each in found] == list(CLAIMS)
    expected = []
    for each in found:
        ours, theirs = (array(results, model, RATES) for model in (each.claim.better, each.claim.rival))
        if each.claim.kind == "mean":
            pair = ours.mean(0), theirs.mean(0)
        else:
            pair = REDUCED[each.claim.kind](ours, axis=1), REDUCED[each.claim.kind](theirs, axis=1)
        np.testing.assert_allclose(list(each.apart.values()), pair[0] - pair[1], atol=1e-12)
        expected.append(ttest_rel(*pair).pvalue)
        assert each.p == pytest.approx(expected[-1])
        row = dict(zip(MODELS, TABLE_3[each.claim.kind], strict=True))
        assert each.printed == pytest.approx(row[each.claim.better] - row[each.claim.rival], abs=0.0001)
    for each in found:  # Holm: the largest of (number of p as large or larger) · p, over all p as small or smaller
        steps = [p * sum(other >= p for other in expected) for p in expected if p <= each.p * (1 + 1e-12)]
        assert each.adjusted == pytest.approx(min(1, max(steps)))
    raised = {str(each.claim): each.verdict for each in found if each.claim.better == "ava5"}
    assert raised["AVA5: mean above GAN’s"] == "survives"
    lowered = [
        result._replace(numbers={"bm": result.numbers["bm"] - 0.04 * (result.cell.place["model"] == "ava5")})
        for result in results
    ]
    again = {str(each.claim): each.verdict for each in ava_rankings.tested(lowered, RATES)}
    assert again["AVA5: mean above GAN’s"] == "contradicted"
    report = study.conclude(results, lambda run: None)
    table = next(table for table in report.tables if table.title.startswith("Every ranking"))
    assert [row[-1].text for row in table.rows] == [each.verdict for each in found]
    survive = [str(each.claim) for each in found if each.verdict == "survives"]
    assert (
        f"Of 19 rankings that the paper states, {len(survive)} survive a paired test ({'; '.join(survive)})"
        in report.findings[1]
    )


def test_one_repeat_is_as_much_as_repeats_with_the_authors_spread_move_a_difference() -> None:
    """Cells drawn twice with noise that makes them differ by 0.0022 on average, far apart so that extremes stay one cell's."""
    draw, cells = np.random.default_rng(0), np.linspace(0.1, 0.9, 19)
    noise = ava_rankings.REPEAT / (2 / math.sqrt(math.pi))  # two normal draws differ by 2 σ / √π on average
    repeats = cells + draw.normal(0, noise, (2, 2, 20_000, 19))  # repeat, model
    assert np.abs(repeats[0] - repeats[1]).mean() == pytest.approx(ava_rankings.REPEAT, rel=0.01)
    for kind, reduced in {"mean": np.mean, **REDUCED}.items():
        values = reduced(repeats, axis=-1)
        apart = values[:, 0] - values[:, 1]
        moved = np.abs(apart[0] - apart[1]).mean()
        assert ava_rankings.one_repeat(kind, 19) == pytest.approx(moved, rel=0.04), kind


def test_printed_differences_within_one_repeat_are_called_so() -> None:
    report = study.conclude(made(), lambda run: None)
    table = next(table for table in report.tables if table.title.startswith("Every ranking"))
    lies = {row[0].text: row[3].text for row in table.rows}
    for row in table.rows:
        printed, noise = float(row[1].text), float(row[2].text)
        assert (lies[row[0].text] == "within one repeat") == (abs(printed) <= noise), row[0].text
    assert lies["AVA4: mean below VAE’s"] == "the other way round"
    assert lies["AVA5: SD below GAN’s"] == "beyond one repeat"
    inside = list(lies.values()).count("within one repeat")
    assert report.findings[2].startswith(f"{inside} of the 19 printed differences are no larger")
    apart = next(table for table in report.tables if table.title == "Measured less printed")
    rows = {row[0].text: [entry.text for entry in row[1:]] for row in apart.rows}
    assert rows["within 0.0022"][4] == "0 of 19"  # AVA5 was raised by 0.02
    sizes = np.abs(array(made(), "vae", RATES).mean(0) - ava_rankings.PRINTED["vae"])
    assert rows["mean size"][5] == f"{sizes.mean():.4f}"
    assert rows["within 0.0022"][5] == f"{(sizes <= 0.0022).sum()} of 19"


def test_what_is_missing_is_a_dash_and_no_claim() -> None:
    some = [result for result in made() if result.cell.place["model"] != "gan" or result.cell.place["rate"] > 0.5]
    found = {each.claim for each in ava_rankings.tested(some, RATES)}
    assert found == {claim for claim in CLAIMS if claim.rival != "gan"}
    report = study.conclude(some, lambda run: None)
    summary = next(table for table in report.tables if table.title.startswith("Table 3"))
    assert [row[7].text for row in summary.rows] == ["–"] * 4
    assert report.bars == ()
    assert study.conclude(made(("ava1",), (1.0,))[:1], lambda run: None).findings[0].startswith("Over 1 cells")


def test_twins_are_the_same_to_the_bit_and_their_print_is_two_repeats(pictures: ImageSet) -> None:
    cells = authors(("ava1", "ava2", "ava3", "ava4", "ava5"), (1.0, 0.05))
    results = [Result(cell, "", numbers) for cell, numbers in study.compute(pictures, cells)]
    found = {model: [r.numbers["bm"] for r in results if r.cell.place["model"] == model] for model in MODELS[:5]}
    assert found["ava1"] == found["ava2"] != found["ava5"]
    assert found["ava3"] == found["ava4"] != found["ava1"]
    (said,) = ava_rankings.twins_finding(results)
    assert f"in all {2 * 2 * study.SEEDS} cells" in said
    printed = [np.array(ava_rankings.PRINTED[model]) for model in MODELS[:4]]
    apart = np.abs([printed[0] - printed[1], printed[2] - printed[3]])
    assert f"{apart.mean():.4f} on average and by {apart.max():.4f} at most" in said
    assert said in study.conclude(results, lambda run: None).findings
    assert ava_rankings.twins_finding([*results[:-1], results[-1]._replace(numbers={"bm": 0.0})]) != []  # of AVA5
    other = results[0]._replace(numbers={"bm": 0.0})
    assert ava_rankings.twins_finding([other, *results[1:]]) == ava_rankings.twins_finding(results[-1:]) == []


# Figure 6, and the way back from numbers ---------------------------------------------------------------------------


def test_figure_6_is_bars_of_table_3_beside_the_print() -> None:
    results = made()
    report = study.conclude(results, lambda run: None)
    assert [bars.title for bars in report.bars] == [f"Figure 6: BM {kind}" for kind in TABLE_3]
    assert all("figure 6" not in f"{chart.title} {chart.caption}".lower() for chart in report.charts)
    for bars, (kind, row) in zip(report.bars, TABLE_3.items(), strict=True):
        seeds = [{"mean": np.mean, **REDUCED}[kind](array(results, model, RATES), axis=1) for model in MODELS]
        np.testing.assert_allclose(bars.measured, [values.mean() for values in seeds])
        np.testing.assert_allclose(bars.spread, [values.std(ddof=1) for values in seeds])
        np.testing.assert_allclose(bars.printed, row, atol=0.00006)
        measured, printed = bars_figure(bars).data
        assert list(measured.x) == list(printed.x) == [model.upper() for model in MODELS]
        assert (list(measured.y), list(printed.y)) == (list(bars.measured), list(bars.printed))
        assert list(measured.error_y.array) == list(bars.spread)


def test_drawn_bars_are_as_high_as_their_numbers() -> None:
    drawn = bars_svg(Bars("B", "y", ("a", "b"), (1.0, 3.0), (0.5, math.nan), (2.0, 4.0)))
    shapes = re.findall(
        r'<g id="patch_\d+">\s*<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) [\d.]+ \nL [\d.]+ ([\d.]+) ', drawn
    )
    heights = [float(low) - float(high) for _, low, _, high in shapes[2:6]]
    np.testing.assert_allclose(np.array(heights) / heights[0], [1, 3, 2, 4], rtol=1e-3)
    assert all(f"<!-- {text} -->" in drawn for text in ("B", "a", "b", "measured", "printed"))


def test_every_number_without_a_run_names_what_it_comes_from_in_the_file_of_numbers(
    lab: genlab.Workspace, pictures: ImageSet
) -> None:
    some = dataclasses.replace(find_study("ava-learning-rates"), grid=lambda quick, images: authors(MODELS, SOME[:2]))
    running = StudyRun(lab, some, data=pictures)
    report = running.run()
    kept = json.loads((running.folder / "study.json").read_text())["cells"]
    page = (running.folder / "report.html").read_text()
    links = re.findall(r'<a href="study.json" title="([^"]*)">([^<]*)</a>', page)
    cells = [(html.unescape(title), text) for title, text in links if title.startswith("rule=authors")]
    assert len(cells) == 2 * 7
    for title, text in cells:
        named = dict(part.rsplit(": ", 1) for part in title.split("; "))
        values = [kept[key]["numbers"]["bm"] for key in named]
        assert list(named.values()) == [f"{value:.4f}" for value in values]
        assert text.startswith(f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.2g} (")
    summary = report.tables[1]
    for kind, row in zip(TABLE_3, summary.rows, strict=True):
        for model, entry in zip(MODELS, row[1:], strict=True):
            assert entry.kept.startswith(f"{kind} over 2 rates of rule=authors, model={model}: seed=0: ")
            seeds = [float(part.rsplit(": ", 1)[1]) for part in entry.kept.split("; ")]
            assert float(entry.text.split()[0]) == pytest.approx(np.mean(seeds), abs=0.0001)
    ranked = report.tables[3]
    for row in ranked.rows:
        pairs = [float(part.rsplit(": ", 1)[1]) for part in row[4].kept.split("; ")]
        assert float(row[4].text) == pytest.approx(np.mean(pairs), abs=0.0001)
    text = (running.folder / "report.md").read_text()
    assert text.count('](study.json "') == len(links) == 2 * 7 + 4 * 7 + len(ranked.rows)


def test_on_the_page_such_numbers_lead_to_the_files_and_bars_are_drawn(
    lab: genlab.Workspace, pictures: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = find_study("ava-learning-rates")
    some = dataclasses.replace(known, data="pictures", grid=lambda quick, images: authors(MODELS, SOME[:2]))
    report = StudyRun(lab, some, quick=True).run()
    monkeypatch.setenv("GENLAB_HOME", str(lab.root))
    monkeypatch.setattr("genlab.studies.studies", lambda: {some.name: some})
    app = visit("studies", study=some.name)
    texts = [element.value for element in app.markdown]
    assert "#### Files" in texts
    numbers = [entry for table in report.tables for row in table.rows for entry in row if entry.kept]
    assert sum(text.count("](#files ") for text in texts) == len(numbers) > 14
    assert any(f'](#files "{numbers[0].kept}")' in text for text in texts)
    assert [text for text in texts if "Figure 6" in text] == [f"#### Figure 6: BM {kind}" for kind in TABLE_3]
    captions = [caption.value for caption in app.caption]
    assert not any("leads to its runs" in caption for caption in captions)
    assert sum("leads to the files below" in caption for caption in captions) == 3


def test_a_report_without_rates_says_nothing() -> None:
    assert study.conclude([], lambda run: None) == Report((), ())
