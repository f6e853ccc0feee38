"""What a study is: a grid of runs, what is measured on each, the numbers a paper printed, and how the two compare.

A study is one file in this package with a `STUDY`. It trains nothing itself: whoever runs it hands it finished runs.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from genlab.core.errors import UnknownNameError

Place = Mapping[str, str | int | float | bool]


class Cell(NamedTuple):
    """One run of a grid: its `place` (factor -> level), and how to train it.

    `data` is empty for the study's own images, `model` for a cell that the study computes itself. `builds_on` names
    values that are runs of other cells: value -> key of a cell that stands earlier in the grid. A cell whose `data` is the
    very set that the study is run on is left out, as the study's own cells train on it.
    """

    place: Place
    model: str
    values: Mapping[str, Any] = {}
    preset: str = "default"
    data: str = ""
    builds_on: Mapping[str, str] = {}

    @property
    def key(self) -> str:
        """The place as text, which no other cell of the grid has.

        >>> Cell({"d": 20, "seed": 0}, "vae").key
        'd=20, seed=0'
        """
        return ", ".join(f"{factor}={level}" for factor, level in self.place.items())


class Result(NamedTuple):
    """A finished cell: the run behind it and the numbers measured on it."""

    cell: Cell
    run: str
    numbers: Mapping[str, Any]


class Entry(NamedTuple):
    """One field of a table: what it says, and the runs that it was computed from.

    Of a number that comes from cells without runs, `kept` says which they are in the study's file of numbers.
    """

    text: str
    runs: tuple[str, ...] = ()
    kept: str = ""


class Table(NamedTuple):
    """Rows of entries under their headings; the first field of a row is its name."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    caption: str = ""


class Line(NamedTuple):
    """One line of a chart, with a band of ± `spread` where there is one; printed numbers are dashed."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] = ()
    printed: bool = False


class Chart(NamedTuple):
    """Lines over a common axis."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    caption: str = ""
    log_x: bool = False


class Bars(NamedTuple):
    """One measured number of each of `names`, ± `spread` where that is not NaN, beside the printed one."""

    title: str
    y_label: str
    names: Sequence[str]
    measured: Sequence[float]
    spread: Sequence[float]
    printed: Sequence[float]
    caption: str = ""


class HeatMap(NamedTuple):
    """Shares `values` (Y, X) at the levels of two settings, NaN where there is none."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    y: Sequence[float]
    values: Sequence[Sequence[float]]
    caption: str = ""


class Cloud(NamedTuple):
    """Points (N, 2) of a latent plane, each of a group: the class of its image."""

    title: str
    points: Sequence[Sequence[float]]
    groups: Sequence[str]
    caption: str = ""


class Picture(NamedTuple):
    """A PNG that was drawn from runs, and what it shows."""

    title: str
    png: bytes
    caption: str
    runs: tuple[str, ...] = ()


class Report(NamedTuple):
    """What a study found: sentences that a reader may quote, then tables, charts, bars, heat maps, clouds and pictures."""

    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Picture, ...] = ()
    maps: tuple[HeatMap, ...] = ()
    clouds: tuple[Cloud, ...] = ()
    bars: tuple[Bars, ...] = ()


@dataclass(frozen=True)
class Study:
    """An experiment: `grid(quick, images)` lists its cells for a number of training images, `measure(run)` gives
    plain numbers of a finished run, and `conclude(results, open_run)` compares them with what was printed, where
    `open_run(id)` gives a run to draw from. On a page and in a notebook such a run is a `genlab.Run`. Cells without a
    model are computed together by `compute(images, cells)`, which yields them with their numbers as they are done.
    Where a run's failing is a result, `measure_failed(run)` gives its numbers; without them a cell is tried again.
    """

    name: str
    title: str
    paper: str
    question: str
    data: str
    grid: Callable[[bool, int], Sequence[Cell]]
    measure: Callable[[Any], dict[str, Any]]
    conclude: Callable[[Sequence[Result], Callable[[str], Any]], Report]
    compute: Callable[[Any, Sequence[Cell]], Iterator[tuple[Cell, dict[str, Any]]]] | None = None
    departures: tuple[str, ...] = field(default=())
    measure_failed: Callable[[Any], dict[str, Any] | None] | None = None


@cache
def studies() -> dict[str, Study]:
    """Every study by name."""
    package = importlib.import_module("genlab.studies")
    modules = [
        importlib.import_module(f"genlab.studies.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    every = [module.STUDY for module in modules if hasattr(module, "STUDY")]
    return {study.name: study for study in sorted(every, key=lambda study: study.name)}


def find_study(name: str) -> Study:
    """The study of a name; an unknown one is answered with the nearest."""
    if name not in studies():
        raise UnknownNameError("study", name, studies())
    return studies()[name]


def chosen(results: Sequence[Result], **place: Any) -> list[Result]:
    """The results whose place has all of these levels."""
    return [result for result in results if all(result.cell.place.get(key) == level for key, level in place.items())]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; of a single value, or of none, what is not known is NaN.

    >>> spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    mean = statistics.fmean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of the mean of paired differences being 0 (Student's t); NaN for fewer than two. Differences that are
    all the same have no spread to be judged by: 1 where they are 0, else 0.

    >>> round(p_value([1.0, 2.0, 4.5]), 4), p_value([0.0, 0.0])
    (0.1383, 1.0)
    """
    from scipy.stats import ttest_1samp

    if len(differences) < 2:
        return math.nan
    if len(set(differences)) == 1:
        return float(differences[0] == 0)
    return float(ttest_1samp(differences, 0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p adjusted for all of them being looked at, by Holm's method: the chance that any is that small if none holds.
    What is NaN was not tested, and stays so.

    >>> holm([0.01, 0.04, 0.03]), holm([0.02, math.nan])
    ([0.03, 0.06, 0.06], [0.02, nan])
    """
    tested = sorted(p for p in p_values if not math.isnan(p))
    steps = accumulate(((len(tested) - rank) * p for rank, p in enumerate(tested)), max)
    adjusted = {p: min(1.0, step) for p, step in zip(tested, steps, strict=True)}
    return [adjusted.get(p, math.nan) for p in p_values]


def mean_entry(results: Sequence[Result], number: Callable[[Result], float], form: str = ".4g") -> Entry:
    """Mean ± standard deviation of one number over results (seeds), linked to their runs; a dash where there are none.

    Of cells without runs it names each one's key and number.
    """
    mean, deviation = spread([number(result) for result in results])
    if math.isnan(mean):
        return Entry("–")
    apart = f"{deviation:.0f}" if deviation >= 100 else f"{deviation:.2g}"
    text = f"{mean:{form}}" if math.isnan(deviation) else f"{mean:{form}} ± {apart}"
    kept = "; ".join(f"{result.cell.key}: {number(result):{form}}" for result in results if not result.run)
    return Entry(text, tuple(result.run for result in results if result.run), kept)
