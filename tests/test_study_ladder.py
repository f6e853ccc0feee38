"""The ladder: what it says of each rung is measured, and the row of real images is that of real images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

import genlab
from genlab.core.registry import models
from genlab.metrics.features import pca_features
from genlab.studies import Cell, Result, ladder


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> genlab.Workspace:
    return genlab.Workspace(tmp_path_factory.mktemp("ladder"))


def test_every_rung_is_a_model_with_a_quick_preset_and_the_full_grid_has_three_seeds() -> None:
    quick, full = ladder.grid(True, 5000), ladder.grid(False, 5000)
    assert [cell.place["rung"] for cell in quick] == list(ladder.RUNGS)
    assert len(full) == 3 * len(quick)
    assert {cell.model for cell in quick} <= models().keys()
    assert {cell.preset for cell in full} == {"quick"}


def test_the_autoencoders_prior_covers_less_than_the_vaes(lab: genlab.Workspace) -> None:
    found = {}
    for name in ("digits-autoencoder", "digits-vae"):
        run = lab.runs[name]
        images = run.images.tensor(run.images.splits["validation"]).numpy()[:300]
        found[name] = ladder.prior_and_codes(run, images)
        fitted = np.random.default_rng(0).permutation(run.images.splits["train"])[: ladder.FITTED]
        of = pca_features(run.images.tensor(fitted).numpy()).of
        own = run.encode(images).mean
        drawn = run.decode(np.random.default_rng(0).standard_normal(own.shape)).array
        assert found[name]["prior_frechet"] == pytest.approx(frechet(of(images), of(drawn)), rel=1e-6)
        assert found[name]["codes_frechet"] == pytest.approx(frechet(of(images), of(run.decode(own).array)), rel=1e-6)
        assert found[name]["code_deviation"] == pytest.approx(np.sqrt(np.var(own, axis=0)).mean())
        assert found[name]["codes_frechet"] < found[name]["prior_frechet"]
    ae, vae = found.values()
    assert ae["prior_coverage"] < 0.8 * vae["prior_coverage"]
    assert ae["prior_frechet"] > 2 * vae["prior_frechet"]
    assert ae["code_deviation"] > 2 > vae["code_deviation"]


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """‖m − m'‖² + tr(C + C' − 2 (C C')^½), with a matrix root of another library."""
    first, second = np.cov(a.T), np.cov(b.T)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real))


def test_a_rung_is_measured_and_the_last_row_is_that_of_real_images(lab: genlab.Workspace) -> None:
    run = lab.runs["digits-naive-bayes"]
    numbers = ladder.measure(run)
    fidelity = run.evaluate(["frechet", "coverage"])
    assert numbers["frechet"] == fidelity["frechet"].value
    assert numbers["frechet_of_data"] == fidelity["frechet"].baselines["real_images"] < numbers["frechet"]
    assert numbers["coverage_of_data"] == fidelity["coverage"].baselines["real_images"] > numbers["coverage"]
    assert (
        numbers["correlation"] < 0.5 * numbers["correlation_of_data"]
    )  # its pixels know of one another by the class alone
    result = Result(Cell({"rung": "naive Bayes", "seed": 0}, "naive_bayes"), run.id, numbers)
    report = ladder.conclude([result], lambda _: SimpleNamespace(can=lambda _: False))
    rows: dict[str, Any] = {row[0].text: row for row in report.tables[0].rows}
    assert rows["naive Bayes"][1].text == f"{numbers['frechet']:.3g}"
    assert rows["real images"][1].text == f"{numbers['frechet_of_data']:.3g}"
    assert rows["VAE"][1].text == "–"
    assert "not measured yet" in " ".join(report.findings)
