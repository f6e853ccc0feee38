"""The study of radii: its grid, both scores beside each other, and heat maps in reports and on the page."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genlab.latent import TRIPLET_PRESETS
from genlab.latent.radii import AXES, RadiiSearch
from genlab.studies import Cell, HeatMap, Report, Result, find_study
from genlab.studies import triplet_radii as study
from genlab.studies.report import map_svg, write_report
from genlab.ui.studies import heat_figure


class Sampler:
    """A run whose share of semi-hard triplets is the positive radius times ten, less the negative one."""

    def radii(self, judge: Any, *, radii: list[float], probabilities: list[float]) -> RadiiSearch:
        assert judge == "real-run"
        near, _, far, _ = np.meshgrid(radii, probabilities, radii, probabilities, indexing="ij")
        shares = np.where(near < far, (1 + near * 10 - far) / 10, np.nan)
        return RadiiSearch(
            tuple(radii), tuple(probabilities), shares, shares, shares[:, :, 0, 0], shares[0, 0], 9, 0.6, TRIPLET_PRESETS["thesis"], "x"
        )  # fmt: skip


def results(sign: float = 1.0) -> list[Result]:
    """Two seeds of each setting of the quick grid; first choices rise (or fall) with the share of semi-hard triplets."""
    found = [Result(study.VAE, "vae-run", {}), Result(study.REAL, "real-run", numbers(0.8, 0.9))]
    for cell in study.grid(True, 900)[2:]:
        near, _, far, _ = (float(cell.place[axis]) for axis in study.AXES)
        first = 0.4 + sign * (near * 10 - far) / 40 + 0.01 * int(cell.place["seed"])
        found.append(Result(cell, f"run-{near}-{far}", numbers(first, 0.9 - near)))
    return found


def numbers(first: float, in_order: float) -> dict[str, float]:
    return {study.FIRST: first, study.ORDER: in_order, "chance": 0.04, "images": 100}


def open_run(name: str) -> Any:
    return Sampler() if name == "vae-run" else name


def test_every_setting_can_be_sampled_with_and_the_thesis_is_among_them() -> None:
    thesis = TRIPLET_PRESETS["thesis"]
    assert tuple(getattr(thesis, axis) for axis in AXES) == study.THESIS
    for quick in (True, False):
        settings = {tuple(c.place[axis] for axis in study.AXES) for c in study.grid(quick, 900) if "seed" in c.place}
        assert study.THESIS in settings
        assert all(setting[0] < setting[2] for setting in settings)
        assert {setting[1::2] for setting in settings if setting[::2] != study.THESIS[::2]} == {study.THESIS[1::2]}
        assert (len({setting[1::2] for setting in settings}) == 1) == quick


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_scores_stand_beside_each_other_and_their_agreement_is_told(sign: float) -> None:
    report = study.conclude(results(sign), open_run)
    learned, shares = report.maps
    assert learned.x == [0.15, 0.3, 0.9]
    assert learned.y == [0.05, 0.15, 0.3]
    assert math.isnan(learned.values[2][0])
    assert learned.values[0][2] == pytest.approx(0.4 + sign * (0.5 - 0.9) / 40 + 0.005)
    assert shares.values[0][2] == pytest.approx((1 + 0.5 - 0.9) / 10)
    assert f"rank correlation {sign:+.2f}" in report.findings[1]
    assert ("a usable guide" in report.findings[1]) == (sign > 0)
    assert "positive radius 0.3, positive probability 0.95, negative radius 0.9" in report.findings[sign < 0]
    assert report.findings[3].startswith("The thesis's setting, chosen by eye, comes ")
    thesis = next(row for row in report.tables[0].rows if "(thesis)" in row[0].text)
    assert [entry.text for entry in thesis[1:]] == ["22", f"{40 + sign * 3 + 0.5:.1f} ± 0.71", "75.0 ± 0"]
    assert "in order instead of first choices (positive radius 0.05" in report.findings[2]


def test_without_the_runs_to_judge_by_nothing_is_concluded() -> None:
    report = study.conclude(results()[2:], open_run)
    assert report.findings == ("Not enough runs are there yet.",)
    assert len(report.maps) == 1


def test_heat_maps_stand_in_reports_and_on_the_page(tmp_path: Path) -> None:
    heat = HeatMap(
        "Shares < 1", "across", "down", (0.1, 0.2), (0.5, 0.9), ((0.25, math.nan), (0.5, 1.0)), "what it shows"
    )
    drawn = map_svg(heat)
    assert drawn.count("<!-- 25% -->") == drawn.count("<!-- 50% -->") == drawn.count("<!-- 100% -->") == 1
    assert "nan" not in drawn
    page = write_report(tmp_path, find_study("triplet-radii"), Report((), (), maps=(heat,)), "nothing").read_text()
    assert page.count("<svg") == 1
    assert "what it shows" in page
    assert "![Shares < 1](chart-1.svg)" in (tmp_path / "report.md").read_text()
    figure = heat_figure(heat)
    np.testing.assert_array_equal(np.array(figure.data[0].z, float), heat.values)
    assert figure.layout.xaxis.title.text == "across"


def test_measuring_takes_recognition_on_real_images(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {
        study.FIRST: SimpleNamespace(value=0.5, baseline=0.04, n=100),
        study.ORDER: SimpleNamespace(value=0.8, baseline=0.5, n=100),
    }
    run = SimpleNamespace(can=lambda what: True, evaluate=lambda names: {name: measured[name] for name in names})
    assert study.measure(run) == {study.FIRST: 0.5, study.ORDER: 0.8, "chance": 0.04, "images": 100}
    vae = SimpleNamespace(can=lambda what: False, state=SimpleNamespace(seconds=3.0))
    assert study.measure(vae) == {"seconds": 3.0}


def test_cells_name_what_they_build_on() -> None:
    vae, real, *sampled = study.grid(True, 900)
    assert isinstance(real, Cell)
    assert not real.builds_on
    assert all(cell.builds_on == {"triplets_from": vae.key} for cell in sampled)
