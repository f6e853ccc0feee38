"""MIG, DCI and FactorVAE score against counting by hand, and on codes whose answer is known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genlab.core.capabilities import Encodes
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape
from genlab.metrics import METRICS, Subject, evaluate
from genlab.metrics.disentanglement import (
    CODE_BINS,
    Factor,
    binned,
    completeness,
    disentanglement,
    factor_score,
    factors_of,
    importances,
    mutual_information,
    mutual_information_gap,
    vote_table,
)
from genlab.nn.normal import Point

rng = np.random.default_rng(5)
NAMES = ("mig", "dci", "factor_vae")


def known(count: int = 3000) -> dict[str, Factor]:
    return {name: Factor(rng.integers(0, k, count), k) for name, k in (("shape", 3), ("place", 10), ("size", 10))}


def blurred(factors: dict[str, Factor], noise: float = 0.05) -> np.ndarray:
    """One dimension for each factor, and one of pure noise."""
    columns = [factor.values / factor.levels for factor in factors.values()]
    codes = np.column_stack([*columns, np.zeros(len(columns[0]))])
    return codes + noise * rng.normal(size=codes.shape)


def by_counting(a: list[int], b: list[int]) -> float:
    """I(a; b) of two lists, from a dictionary of counts."""
    n, total = len(a), 0.0
    for i, j in itertools.product(set(a), set(b)):
        both = sum(x == i and y == j for x, y in zip(a, b, strict=True)) / n
        if both:
            total += both * math.log(both / (a.count(i) / n * b.count(j) / n))
    return total


def test_bins_hold_equally_many_and_categories_stay() -> None:
    numbers = rng.normal(size=1000) ** 3
    assert np.bincount(binned(numbers, 20)).tolist() == [50] * 20
    assert (np.diff(binned(np.sort(numbers), 20)) >= 0).all()
    assert binned(np.array([7, 3, 7, 9]), 10).tolist() == [1, 0, 1, 2]


def test_mutual_information_equals_counting() -> None:
    codes, factor = rng.integers(0, 5, (60, 3)), Factor(rng.integers(0, 3, 60), 3)
    codes[:, 2] = factor.values
    expected = [by_counting(column.tolist(), factor.values.tolist()) for column in codes.T]
    assert mutual_information(codes, factor) == pytest.approx(expected, rel=1e-10)
    counts = np.bincount(factor.values) / 60
    assert expected[2] == pytest.approx(-(counts * np.log(counts)).sum(), rel=1e-10)


def test_the_gap_equals_counting_and_knows_its_extremes() -> None:
    factors = known()
    codes = blurred(factors)
    gaps = mutual_information_gap(codes, factors)
    cut = [binned(column, CODE_BINS).tolist() for column in codes.T]
    for name, factor in factors.items():
        values = factor.values.tolist()
        ordered = sorted((by_counting(column, values) for column in cut), reverse=True)
        entropy = by_counting(values, values)
        assert gaps[name] == pytest.approx((ordered[0] - ordered[1]) / entropy, rel=1e-9)
    assert gaps["shape"] > 0.9
    twice = np.column_stack([codes, codes[:, 0]])  # two dimensions for one factor: no gap
    assert mutual_information_gap(twice, factors)["shape"] == pytest.approx(0, abs=1e-9)
    noise = mutual_information_gap(rng.normal(size=(3000, 4)), factors)
    assert max(noise.values()) < 0.02


def test_disentanglement_and_completeness_equal_their_loops() -> None:
    table = rng.random((4, 3))
    table[2] = 0  # a dimension that nothing leans on
    d_total = 0.0
    for row in table:
        if row.sum():
            shares = [float(v / row.sum()) for v in row]
            d_total += row.sum() / table.sum() * (1 + sum(p * math.log(p, 3) for p in shares))
    assert disentanglement(table) == pytest.approx(d_total, rel=1e-10)
    c_total = 0.0
    for column in table.T:
        shares = [float(v / column.sum()) for v in column]
        c_total += (1 + sum(p * math.log(p, 4) for p in shares if p)) / 3
    assert completeness(table) == pytest.approx(c_total, rel=1e-10)
    one_each = np.eye(4)[:, :3]
    assert disentanglement(one_each) == pytest.approx(1)
    assert completeness(one_each) == pytest.approx(1)
    assert disentanglement(np.ones((4, 3))) == pytest.approx(0, abs=1e-12)
    assert completeness(np.ones((4, 3))) == pytest.approx(0, abs=1e-12)


def test_forests_lean_on_the_dimension_that_holds_the_factor() -> None:
    factors = known(900)
    table, accuracy = importances(blurred(factors, 0.02), factors, seed=0)
    assert table.shape == (4, 3)
    assert table.argmax(0).tolist() == [0, 1, 2]
    assert table.sum(0) == pytest.approx(np.ones(3))
    assert accuracy > 0.95
    assert importances(rng.normal(size=(900, 4)), factors, seed=0)[1] < 0.3


def test_votes_equal_a_loop_over_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """With groups as large as the images that share a value, drawn without luck, every vote is the exact least variance."""
    factors = {name: factor for name, factor in known(2000).items() if name != "size"}
    codes = blurred(factors)
    monkeypatch.setattr("genlab.metrics.disentanglement.GROUP", 20_000)
    table = vote_table(codes, factors, 40, seed=0)
    assert table.sum(0).tolist() == [20, 20]
    for k, factor in enumerate(factors.values()):
        least = set()
        for value in range(factor.levels):
            shared = codes[factor.values == value]
            ratios = [np.var(shared[:, j]) / np.var(codes[:, j]) for j in range(3)]
            least.add(ratios.index(min(ratios)))
        assert set(np.flatnonzero(table[:, k])) == least == {k}


def test_the_factor_score_knows_its_extremes() -> None:
    factors = known()
    assert factor_score(blurred(factors), factors, seed=0) == 1
    chance = factor_score(rng.normal(size=(3000, 6)), factors, seed=0)
    assert 0.2 < chance < 0.5
    assert factor_score(np.zeros((3000, 4)), factors, seed=0) == pytest.approx(1 / 3)
    mixed = blurred(factors)[:, :3] @ np.linalg.qr(rng.normal(size=(3, 3))).Q
    assert factor_score(mixed, factors, seed=0) < 1


class Told(Model, Encodes):
    """Its code is written in the first pixels."""

    Parameters = Parameters
    latent_dim = 4

    def __init__(self) -> None:
        super().__init__(Shape(1, 2, 2), 0, Parameters())
        self.register_buffer("zero", torch.zeros(1))

    def encode(self, images: Tensor) -> Point:
        return Point(images.flatten(1))


def subject(codes: np.ndarray, factors: dict[str, Any]) -> Subject:
    return Subject(Told(), codes.reshape(-1, 1, 2, 2).astype(np.float32), factors=factors, seed=1)


def test_the_metrics_have_a_shuffled_baseline_and_tell_tangled_from_disentangled() -> None:
    count = 600
    true = {"shape": rng.integers(0, 3, count), "x": rng.uniform(10, 20, count), "angle": rng.uniform(0, 6, count)}
    columns = [true["shape"] / 3, true["x"] / 20, true["angle"] / 6, rng.random(count)]
    straight = np.column_stack(columns)
    tangled = (straight - straight.mean(0)) / straight.std(0) @ np.linalg.qr(rng.normal(size=(4, 4))).Q
    good, bad = (evaluate(subject(codes, true), NAMES) for codes in (straight, tangled))
    for name in NAMES:
        assert good[name].value > 0.6
        assert good[name].value > bad[name].value + 0.1
        assert good[name].value > good[name].baselines["shuffled_factors"] + 0.3
        assert "shape, x, angle" in good[name].remark
        assert good[name].n == count
    shuffled = factors_of(subject(straight, true))
    order = np.random.default_rng(1).permutation(count)
    shuffled = {name: Factor(factor.values[order], factor.levels) for name, factor in shuffled.items()}
    expected = np.mean(list(mutual_information_gap(straight.astype(np.float32).astype(float), shuffled).values()))
    assert good["mig"].baselines["shuffled_factors"] == pytest.approx(expected)
    assert set(good["mig"].details["per_factor"]) == set(true)
    assert good["dci"].details["accuracy"] > 0.8


def test_they_need_factors_and_leave_out_those_that_do_not_vary() -> None:
    codes = rng.random((50, 4))
    assert all(METRICS[name].needs_factors for name in NAMES)
    assert not set(NAMES) & set(evaluate(subject(codes, {})))
    with pytest.raises(BadInputError, match="the images have no known factors"):
        evaluate(subject(codes, {}), ["mig"])
    assert list(factors_of(subject(codes, {"still": np.ones(50), "x": rng.random(50)}))) == ["x"]
