"""Studies: the grid, what is printed, what is measured, and that nothing is trained twice."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from scipy.stats import ttest_rel

import genlab
import genlab.metrics as genlab_metrics
from genlab.core.errors import UnknownNameError
from genlab.core.registry import find
from genlab.jobs.executors import LocalExecutor
from genlab.runs.directory import RunDirectory
from genlab.runs.locking import process_started
from genlab.studies import (
    Cell,
    Chart,
    Entry,
    Line,
    Report,
    Result,
    Study,
    Table,
    ava_learning_rates,
    ava_rankings,
    find_study,
    studies,
    vae_gan_batchnorm,
)
from genlab.studies.report import as_text, cloud_svg, svg, write_report
from genlab.studies.study import Picture, mean_entry, spread
from genlab.ui.studies import cloud_figure
from genlab.workspace.studies import Progress, StudyRun, failures, study_document

SLOW = {"epochs": 1, "batch_size": 512, "hidden": 8, "latent_dim": 2, "device": "cpu"}


def tiny_grid(quick: bool, images: int) -> Sequence[Cell]:
    return [Cell({"seed": seed}, "vae", {**SLOW, "seed": seed}) for seed in range(1 if quick else 2)]


def tiny_measure(run: Any) -> dict[str, Any]:
    return {"loss": run.scalars()[-1]["loss"]}


def tiny_conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
    assert all(open_run(result.run).status == "finished" for result in results)
    row = (Entry("loss"), mean_entry(results, lambda result: result.numbers["loss"]))
    return Report((f"{len(results)} runs",), (Table("Losses", ("", "mean"), (row,)),))


TINY = Study("tiny", "A tiny study", "no paper", "Does it run?", "digits-8", tiny_grid, tiny_measure, tiny_conclude)


@pytest.fixture
def lab(tmp_path: Path) -> genlab.Workspace:
    return genlab.Workspace(tmp_path)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs train in this process as they are started; their names, in that order."""
    names: list[str] = []

    def start_now(self: genlab.workspace.Runs, run: genlab.Run, executor: object = None) -> None:
        names.append(run.name)
        tiny.train(run)

    monkeypatch.setattr(genlab.workspace.Runs, "start_now", start_now)
    return names


def test_a_study_trains_its_cells_once_and_reports_their_numbers(lab: genlab.Workspace) -> None:
    seen: list[Progress] = []
    first = StudyRun(lab, TINY)
    report = first.run(jobs=2, progress=seen.append)
    assert seen[-1] == Progress(2, 0, 0, 2, 0.0)
    losses = [result.numbers["loss"] for result in first.results()]
    assert losses == [lab.runs[result.run].scalars()[-1]["loss"] for result in first.results()]
    assert report.tables[0].rows[0][1].text.startswith(f"{sum(losses) / 2:.4g} ± ")
    assert report.tables[0].rows[0][1].runs == tuple(result.run for result in first.results())
    again = StudyRun(lab, TINY)
    assert again.run() == report
    assert len([run for run in lab.runs if not run.shipped]) == 2
    assert (first.folder / "report.md").read_text().count("../../runs/") == 2
    assert 'lang="en"' in (first.folder / "report.html").read_text()


def test_the_time_left_is_reckoned_by_the_cells_that_were_done(
    dotted: genlab.Workspace, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Progress] = []
    study = StudyRun(dotted, chained())
    study.run(progress=seen.append)
    assert seen[-1].seconds_left == 0
    del study._record["cells"]["role=real"]["numbers"]
    monkeypatch.setattr(StudyRun, "active", True)
    for before, left in ((1, 30), (2, 60), (3, None)):  # a minute for two cells, for one, for none
        study._record["begun"] = {"at": time.time() - 60, "done": before}
        study._write()
        found = StudyRun(dotted, chained()).progress()
        assert found.done == 3
        assert found.seconds_left == (left and pytest.approx(left, rel=0.1))


def test_pausing_ends_the_process_that_is_at_work(lab: genlab.Workspace) -> None:
    study = StudyRun(lab, TINY)
    study.folder.mkdir(parents=True)
    study.pause()  # nothing is at work
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    study._record |= {"pid": process.pid, "pid_started": process_started(process.pid)}
    study._write()
    assert study.active
    study.pause()
    assert process.wait(60) == -signal.SIGTERM
    assert not study.active


def test_runs_that_train_at_once_share_the_processors(lab: genlab.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[int] = []

    def start_now(self: genlab.workspace.Runs, run: genlab.Run, executor: LocalExecutor) -> None:
        jobs.append(executor.jobs)
        tiny.train(run)

    monkeypatch.setattr(genlab.workspace.Runs, "start_now", start_now)
    StudyRun(lab, TINY).run(jobs=4)
    assert jobs == [4, 4]


def test_what_was_interrupted_goes_on_and_what_was_done_stays(lab: genlab.Workspace) -> None:
    quick = StudyRun(lab, TINY, quick=True)
    quick.folder = StudyRun(lab, TINY).folder  # as if the full one had been stopped after its first cell
    quick.run()
    kept = quick.results()[0].run
    begun = lab.prepare("vae", "digits-8", **SLOW, seed=1)  # a second cell that was queued when the power went
    record = json.loads((quick.folder / "study.json").read_text())
    record["cells"]["seed=1"] = {**record["cells"]["seed=0"], "run": begun.id}
    record["cells"]["seed=1"]["plan"] = {**record["cells"]["seed=0"]["plan"], "values": {**SLOW, "seed": 1}}
    del record["cells"]["seed=1"]["numbers"]
    (quick.folder / "study.json").write_text(json.dumps(record))
    full = StudyRun(lab, TINY)
    full.run()
    assert [result.run for result in full.results()] == [kept, begun.id]


def test_a_failed_run_is_a_gap_that_is_named_and_tried_again(lab: genlab.Workspace, trained: list[str]) -> None:
    def explosive(quick: bool, images: int) -> Sequence[Cell]:
        wild = {"device": "cpu", "learning_rate": 1.0, "batch_size": 8, "epochs": 3}
        return [Cell({"rate": "fine"}, "vae", SLOW), Cell({"rate": "wild"}, "vae_gan", {**wild, "latent_dim": 20})]

    study = Study("wild", "", "", "", "digits-8", explosive, tiny_measure, tiny_conclude)
    running = StudyRun(lab, study)
    seen: list[Progress] = []
    running.run(progress=seen.append)
    assert seen[-1].failed == 1
    assert [result.cell.place["rate"] for result in running.results()] == ["fine"]
    (sentence,) = failures(running)
    assert sentence.startswith("rate=wild: ")
    assert "finite" in sentence


def test_a_cell_that_is_planned_otherwise_is_trained_again(lab: genlab.Workspace, trained: list[str]) -> None:
    StudyRun(lab, TINY, quick=True).run()

    def longer(quick: bool, images: int) -> Sequence[Cell]:
        return [Cell({"seed": 0}, "vae", {**SLOW, "seed": 0, "epochs": 2})]

    changed = StudyRun(lab, Study("tiny", "", "", "", "digits-8", longer, tiny_measure, tiny_conclude), quick=True)
    assert changed.results() == []
    changed.run()
    assert lab.runs[changed.results()[0].run].state.epoch == 2


# Cells that build on others --------------------------------------------------------------------------------------

EMBEDDING = {"width": 4, "embedding_dim": 2, "epochs": 1, "batch_size": 12, "device": "cpu"}


def chained(epochs: int = 1) -> Study:
    """An autoencoder, two recognition runs on triplets that it samples, and one on real ones."""

    def grid(quick: bool, images: int) -> Sequence[Cell]:
        vae = Cell({"role": "vae"}, "vae", {**tiny.SMALL, "epochs": epochs})
        sampled = {**EMBEDDING, "source": "sampled", "drawn_once": 50}
        cells = [
            Cell({"role": "sampled", "seed": seed}, "recognition", {**sampled, "seed": seed}, builds_on={"triplets_from": vae.key})
            for seed in range(2)
        ]  # fmt: skip
        return [vae, *cells, Cell({"role": "real"}, "recognition", EMBEDDING)]

    def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
        rows = ((Entry(result.cell.key), Entry(repr(result.numbers["loss"]))) for result in results)
        return Report((), (Table("Losses", ("", "loss"), tuple(rows)),))

    return Study("chained", "", "", "", "dots", grid, tiny_measure, conclude)


def shown(report: Report) -> list[list[str]]:
    return [[entry.text for entry in row] for row in report.tables[0].rows]


@pytest.fixture
def dotted(lab: genlab.Workspace) -> genlab.Workspace:
    tiny.images(lab)
    return lab


def test_a_cell_waits_for_the_one_it_builds_on_and_is_given_its_run(
    dotted: genlab.Workspace, trained: list[str]
) -> None:
    study = StudyRun(dotted, chained())
    report = study.run(jobs=4)
    assert trained[:2] == ["chained: role=vae", "chained: role=real"]
    vae, *sampled, real = study.results()
    for result in sampled:
        config = dotted.runs[result.run].config
        assert config.parameters["triplets_from"] == str(dotted.runs[vae.run].directory)
    assert dotted.runs[real.run].config.parameters["triplets_from"] == ""
    assert len({loss for _, loss in shown(report)}) == 4
    assert StudyRun(dotted, chained()).run() == report
    assert len(trained) == 4
    assert dict(shown(StudyRun(dotted, chained(epochs=2)).run())) != dict(shown(report))
    assert len(trained) == 7  # the autoencoder is planned otherwise, and so is what builds on it


@pytest.mark.parametrize("stopped", range(4))
@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_anywhere_it_goes_on_to_the_same_table(
    dotted: genlab.Workspace, trained: list[str], monkeypatch: pytest.MonkeyPatch, stopped: int, when: str
) -> None:
    """The power goes before the run of a cell is made, or when it has ended and is not measured."""
    owner, name = {"before": (genlab.Workspace, "prepare"), "after": (genlab.workspace.Runs, "start_now")}[when]
    real, calls = getattr(owner, name), []

    def power_cut(*args: Any, **values: Any) -> Any:
        calls.append(name)
        gone = len(calls) == stopped + 1
        if gone and when == "before":
            raise KeyboardInterrupt
        result = real(*args, **values)
        if gone:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, power_cut)
        with pytest.raises(KeyboardInterrupt):
            StudyRun(dotted, chained()).run()
    assert len(StudyRun(dotted, chained()).results()) == stopped
    found = shown(StudyRun(dotted, chained()).run())
    assert len(trained) == 4  # nothing was trained twice
    fresh = genlab.Workspace(dotted.root / "again")
    tiny.images(fresh)
    assert shown(StudyRun(fresh, chained()).run()) == found


def test_what_builds_on_a_failed_cell_fails_and_says_so(
    dotted: genlab.Workspace, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = genlab.workspace.Runs.start_now

    def failing(self: genlab.workspace.Runs, run: genlab.Run, executor: object = None) -> None:
        if run.config.model == "vae":
            files = RunDirectory(run.directory)
            files.set_state(files.state.model_copy(update={"status": "failed", "message": "It broke."}))
        else:
            start(self, run)

    with monkeypatch.context() as patched:
        patched.setattr(genlab.workspace.Runs, "start_now", failing)
        seen: list[Progress] = []
        study = StudyRun(dotted, chained())
        study.run(progress=seen.append)
    assert seen[-1] == Progress(1, 3, 0, 4, 0.0)
    broken, *others = failures(study)
    assert broken == "role=vae: It broke."
    assert others == [f"role=sampled, seed={seed}: it builds on role=vae, which failed." for seed in range(2)]
    study.run(progress=seen.append)
    assert seen[-1] == Progress(4, 0, 0, 4, 0.0)


def test_a_run_that_others_still_need_is_trained_again_when_it_is_gone(
    dotted: genlab.Workspace, trained: list[str]
) -> None:
    study = StudyRun(dotted, chained())
    first = shown(study.run())
    vae, sampled, *_ = study.results()
    dotted.runs[vae.run].delete()
    assert shown(StudyRun(dotted, chained()).run()) == first  # nobody needs it any more
    assert len(trained) == 4
    record = json.loads((study.folder / "study.json").read_text())
    del record["cells"][sampled.cell.key]
    (study.folder / "study.json").write_text(json.dumps(record))
    assert shown(StudyRun(dotted, chained()).run()) == first
    assert len(trained) == 6


def test_the_document_is_plain(lab: genlab.Workspace, trained: list[str]) -> None:
    running = StudyRun(lab, TINY, quick=True)
    document = json.loads(json.dumps(study_document(running, running.run())))
    assert document["cells"][0]["place"] == {"seed": 0}
    assert document["tables"][0]["rows"][0][0] == "loss"
    assert Path(document["report"]).exists()


def test_reports_show_tables_charts_and_pictures(tmp_path: Path) -> None:
    lines = (Line("ours", (1, 2), (3.0, 4.0), (0.1, 0.2)), Line("printed, ours", (1, 2), (3.5, 4.5), printed=True))
    table = Table("T < 1", ("", "a"), ((Entry("row"), Entry("0.5", ("run-1", "run-2"))),), "caption & more")
    report = Report(("found",), (table,), (Chart("C", "x", "y", lines),), (Picture("P", b"\x89PNG", "seen"),))
    page = write_report(tmp_path, TINY, report, "made of nothing").read_text()
    assert "T &lt; 1" in page
    assert "caption &amp; more" in page
    assert page.count("../../runs/run-") == 2
    assert "<svg" in page
    assert "ours" in svg(report.charts[0])
    assert (tmp_path / "picture-1.png").read_bytes() == b"\x89PNG"
    assert "| row | [0.5](../../runs/run-1) [·](../../runs/run-2) |" in (tmp_path / "report.md").read_text()
    assert as_text(report).endswith("row  0.5")


def test_means_and_spreads() -> None:
    assert spread([2.0, 4.0, 9.0]) == (5.0, pytest.approx(math.sqrt((9 + 1 + 16) / 2)))
    assert math.isnan(spread([])[0])
    assert math.isnan(spread([1.0])[1])
    assert mean_entry([], lambda result: 0.0).text == "–"


@pytest.mark.parametrize("name", list(studies()))
def test_every_cell_of_every_grid_can_be_trained(name: str, lab: genlab.Workspace) -> None:
    study = find_study(name)
    for quick in (True, False):
        cells = study.grid(quick, 600)
        assert len({cell.key for cell in cells}) == len(cells) > 1
        before = set[str]()
        for cell in cells:
            assert before.issuperset(cell.builds_on.values())
            before.add(cell.key)
            if cell.model:
                lab.plan(cell.model, cell.preset, {**cell.values, **dict.fromkeys(cell.builds_on, "a run")})
                assert find(cell.model)


def test_an_unknown_study_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="vae-gan-batchnorm"):
        find_study("vae-gan-batchnorms")


def batchnorm_result(d: int, noise: str, norm: bool, seed: int, test: Sequence[float]) -> Result:
    place = {"d": d, "noise": noise, "batch norm": norm, "seed": seed}
    return Result(Cell(place, "vae_gan"), f"run-{norm}-{seed}", {"train": test, "test": test, "test_sampled": test})


def test_the_ratio_with_batch_norm_is_taken_seed_by_seed() -> None:
    results = [
        batchnorm_result(20, "none", False, 0, [100, 100, 100, 100, 100]),
        batchnorm_result(20, "none", True, 0, [50, 60, 70, 80, 90]),
        batchnorm_result(20, "none", False, 1, [200, 200, 200, 200, 200]),
        batchnorm_result(20, "none", True, 1, [120, 120, 120, 120, 120]),
        batchnorm_result(20, "none", True, 2, [1, 1, 1, 1, 1]),  # without its partner
    ]
    assert vae_gan_batchnorm.ratios(results, "none", 20, 1) == [0.5, 0.6]
    report = vae_gan_batchnorm.conclude(results, lambda run: Runless())
    ratio = next(table for table in report.tables if table.title.startswith("Test loss with / without"))
    assert [entry.text for entry in ratio.rows[0]] == ["printed", "0.64", "0.70", "0.73", "0.76", "0.77"]
    assert ratio.rows[1][1].text == "0.55 ± 0.07"
    assert set(ratio.rows[1][1].runs) == {"run-False-0", "run-False-1", "run-True-0", "run-True-1", "run-True-2"}
    assert "shrinks" in report.findings[0] or "within two standard deviations" in report.findings[0]


class Runless:
    """A run that draws one blank pixel."""

    class images:
        splits = {"validation": [0, 1, 2]}
        labels = [7, 7, 8]

        @staticmethod
        def tensor(indices: list[int]) -> list[int]:
            assert indices == [0, 2]  # of two classes
            return indices

    def interpolate(self, a: Any, b: Any, **how: Any) -> Any:
        import numpy as np

        from genlab.figures.images import Images

        return Images(np.zeros((1, 1, 4, 4), np.float32), "blank")


def test_latent_planes_are_drawn_as_the_runs_have_them(lab: genlab.Workspace, trained: list[str]) -> None:
    known = find_study("vae-gan-batchnorm")
    planes = [cell for cell in known.grid(True, 600) if cell.place["d"] == 2]
    assert [cell.values["latent_dim"] for cell in planes] == [2] * 4
    small = {"batch_size": 512, "device": "cpu", "width": 4, "critic_hidden": 4}
    cells = [cell._replace(values={**cell.values, **small}) for cell in planes]
    study = StudyRun(lab, dataclasses.replace(known, data="digits-8", grid=lambda quick, images: cells))
    report = study.run()
    found = {result.cell.place["batch norm"]: result for result in study.results() if result.cell.place["seed"] == 0}
    assert [cloud.title for cloud in report.clouds] == [
        "Latent space without batch norm",
        "Latent space with batch norm",
    ]
    for cloud, result in zip(report.clouds, (found[False], found[True]), strict=True):
        run = lab.runs[result.run]
        held_out = run.images.splits["validation"]
        points = run.encode(run.images.tensor(held_out)).mean
        np.testing.assert_allclose(cloud.points, points, atol=1e-6)
        labels = run.images.labels[held_out]
        assert cloud.groups == tuple(run.images.class_names[label] for label in labels)
        apart = np.linalg.norm(points[:, None].astype(float) - points, axis=2) + np.diag(np.full(len(points), np.inf))
        assert result.numbers["nearest_alike"] == pytest.approx((labels[apart.argmin(1)] == labels).mean())
        figure = cloud_figure(cloud)
        assert sum(len(trace.x) for trace in figure.data) == len(points)
        ones = points[labels == 1]
        assert next(label.x for label in figure.layout.annotations if label.text == "1") == np.median(ones[:, 0])
        drawn = cloud_svg(cloud)
        assert all(f"<!-- {name} -->" in drawn for name in run.images.class_names)
        assert f"<!-- {cloud.title} -->" in (study.folder / "report.html").read_text()
    shares = {
        norm: [r.numbers["nearest_alike"] for r in study.results() if r.cell.place["batch norm"] == norm]
        for norm in found
    }
    gap, p = [b - a for a, b in zip(shares[False], shares[True], strict=True)], r"\(paired by seed, p = ([\d.e-]+)\)"
    said = re.search(p, report.findings[-1])
    assert float(said[1]) == pytest.approx(ttest_rel(shares[True], shares[False]).pvalue, rel=0.1), gap
    assert report.tables[-1].rows[1][3].text.startswith(f"{np.mean(shares[True]):.2f} ± ")
    assert [picture.title for picture in report.pictures[-2:]] == [
        "The plane decoded, without batch norm",
        "The plane decoded, with batch norm",
    ]


def balance_result(model: str, rate: float, seed: int, bm: float) -> Result:
    return Result(Cell({"rule": "authors", "model": model, "rate": rate, "seed": seed}, ""), "", {"bm": bm})


def test_the_paired_test_is_students() -> None:
    rates = (1.0, 0.9, 0.8)
    better, pole = (0.5, 0.7, 0.6), (0.4, 0.5, 0.55)
    results = [balance_result("ava5", rate, 0, value) for rate, value in zip(rates, better, strict=True)]
    results += [balance_result("gan", rate, 0, value) for rate, value in zip(rates, pole, strict=True)]
    found = next(each for each in ava_rankings.tested(results, rates) if each.claim.kind == "mean")
    gaps = [0.1, 0.2, 0.05]
    mean = sum(gaps) / 3
    t = mean / math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / 2 / 3)
    assert found.claim == ("mean", "ava5", True, "gan")
    assert list(found.apart.values()) == pytest.approx(gaps)
    # with two degrees of freedom Student's distribution has a closed form
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_printed_values_stand_at_their_rates() -> None:
    printed = ava_rankings.PRINTED
    assert all(len(values) == len(ava_rankings.RATES) == 19 for values in printed.values())
    assert printed["ava4"][1] == 0.0594  # γ = 0.9
    assert printed["gan"][14] == 0.1628  # γ = 0.05
    means = {model: round(sum(values) / 19, 4) for model, values in printed.items()}
    assert means["ava5"] == 0.2096  # the paper's own table 3
    assert means["vae"] == 0.1207
    results = [balance_result("vae", 1.0, seed, 0.0583 + 0.01 * seed) for seed in (0, 2)]
    assert ava_rankings.differences(results, (1.0,), "vae") == [pytest.approx(0.01)]


def test_what_a_study_computes_itself_is_kept_and_not_computed_again(lab: genlab.Workspace) -> None:
    calls = []

    def grid(quick: bool, images: int) -> Sequence[Cell]:
        return [Cell({"number": number}, "") for number in range(3)]

    def compute(images: Any, cells: Sequence[Cell]) -> Any:
        for cell in cells:
            calls.append(cell.key)
            if len(calls) == 2:
                raise KeyboardInterrupt  # the power goes while the second is computed
            yield cell, {"loss": cell.place["number"]}

    def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
        return Report((f"{len(results)}",), ())

    study = Study("own", "", "", "", "digits-8", grid, tiny_measure, conclude, compute)
    with pytest.raises(KeyboardInterrupt):
        StudyRun(lab, study).run()
    assert StudyRun(lab, study).run().findings == ("3",)
    assert calls == ["number=0", "number=1", "number=1", "number=2"]


def test_the_authors_grid_is_trained_side_by_side_and_compared_with_simple_pictures(lab: genlab.Workspace) -> None:
    study = find_study("ava-learning-rates")

    def two_rates(quick: bool, images: int) -> Sequence[Cell]:
        cells = study.grid(True, images)
        return [
            c
            for c in cells
            if c.place["rule"] == "baselines" or (c.place["model"] in ("vae", "gan") and c.place["rate"] in (1.0, 0.1))
        ]

    some = Study(study.name, study.title, study.paper, study.question, "digits-8", two_rates, study.measure,
                 lambda results, open_run: Report((), ()), study.compute)  # fmt: skip
    running = StudyRun(lab, some)
    running.run()
    baselines, *cells = running.results()
    images = running.images.tensor(range(36)).numpy()
    assert baselines.numbers["white"] == pytest.approx(genlab_metrics.balance_metric(np.ones((1, 1, 8, 8)), images))
    assert len(cells) == 2 * 2 * ava_learning_rates.SEEDS
    assert len({cell.numbers["bm"] for cell in cells}) == len(cells)  # seeds differ
    assert all(0 < cell.numbers["bm"] < 0.25 for cell in cells)
