"""The Studies page: an empty laboratory, a study that was computed, and the button that starts one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from visiting import visit

import genlab
from genlab.studies import Cell, Chart, Entry, Line, Report, Result, Study, Table, find_study
from genlab.workspace.studies import Progress, StudyRun


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info, *app.title])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path))
    return tmp_path


def test_it_says_what_the_study_asks_and_that_nothing_is_measured(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, bool, int]] = []
    monkeypatch.setattr(StudyRun, "start", lambda self, jobs=1: started.append((self.study.name, self.quick, jobs)))
    app = visit("studies", study="vae-gan-batchnorm")
    assert find_study("vae-gan-batchnorm").question in said(app)
    assert "Nothing is measured yet" in said(app)
    app.button(key="start-study").click().run()
    assert started == [("vae-gan-batchnorm", True, 2)]


def test_one_that_is_at_work_tells_the_time_left_and_can_be_paused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[str] = []
    monkeypatch.setattr(StudyRun, "active", True)
    monkeypatch.setattr(StudyRun, "progress", lambda self: Progress(3, 0, 2, 20, 90.0))
    monkeypatch.setattr(StudyRun, "pause", lambda self: paused.append(self.study.name))
    app = visit("studies", study="vae-gan-batchnorm")
    assert "3 of 20 runs measured, 2 training now, about 1 min 30 s left" in str(app.get("progress")[0].proto)
    assert app.button(key="show-study").label == "Show what is there"  # none of them is in the report below yet
    assert not [button for button in app.button if button.key == "start-study"]
    app.button(key="pause-study").click().run()
    assert paused == ["vae-gan-batchnorm"]


def test_a_report_links_its_numbers_to_their_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = _computed()
    StudyRun(genlab.Workspace(), study, quick=True).run()
    monkeypatch.setattr("genlab.studies.studies", lambda: {study.name: study})
    shown = said(visit("studies", study=study.name))
    assert "- It is 7." in shown
    assert "[7](/runs?run=run-a)" in shown
    assert "[7.5](/compare?runs=run-a&runs=run-b)" in shown
    assert "1 of 1 runs on Digits 8x8" in shown


def _computed() -> Study:
    """A study that needs no run: one number, in a table and a chart."""

    def grid(quick: bool, images: int) -> Sequence[Cell]:
        return [Cell({"number": 7}, "")]

    def conclude(results: Sequence[Result], open_run: Callable[[str], Any]) -> Report:
        row = (Entry("one"), Entry("7", ("run-a",)), Entry("7.5", ("run-a", "run-b")))
        line = Line("ours", (1.0, 2.0), (7.0, 8.0), (0.1, 0.1))
        chart = Chart("Numbers", "x", "y", (line, Line("printed, ours", (1.0, 2.0), (6.0, 8.0), printed=True)))
        return Report(("It is 7.",), (Table("A table", ("", "run", "mean"), (row,)),), (chart,))

    known = find_study("vae-gan-batchnorm")
    return dataclasses.replace(
        known, name="seven", data="digits-8", grid=grid, conclude=conclude,
        compute=lambda images, cells: ((cell, {"value": 7}) for cell in cells),
    )  # fmt: skip
