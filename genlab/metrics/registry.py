"""What a metric is, what a measurement is, and the table of all metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.metrics.subject import Subject

Direction = Literal["lower", "higher", "neither"]


def in_words(range: Sequence[float | None]) -> str:
    """Between which values a metric can lie.

    >>> in_words((0, 1)), in_words((0, None)), in_words((None, None))
    ('0 to 1', 'at least 0', 'any')
    """
    low, high = range
    if low is None:
        return "any" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


class Found(NamedTuple):
    """What computing a metric yields: the value over `n` images, its baselines (the one to beat first), more numbers,
    and for likelihoods the `reading` of a pixel, outside of which they do not compare.
    """

    value: float
    n: int
    baselines: Mapping[str, float] = {}
    details: Mapping[str, Any] = {}
    remark: str = ""
    reading: str = ""


@dataclass(frozen=True)
class Measurement:
    """A metric's value with everything that is needed to read it.

    `n` images were used; `baseline` is the value to beat (the first of `baselines`), None where there is none;
    `meaning` says what the number is, `range` between which values it can lie (None: without end), `remark` what must be known
    about this one, `warning` whether n is too small. Two values compare only where their `reading` of a pixel is the same:
    "density", "binary" or "bernoulli" for likelihoods, else empty.
    """

    name: str
    title: str
    value: float
    n: int
    baseline: float | None
    direction: Direction
    unit: str
    meaning: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    warning: str = ""
    source: str = ""
    range: tuple[float | None, float | None] = (None, None)
    reading: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Metric:
    """One metric: what it is, which way is better, what it needs, where it is from, and the function that computes it.

    `needs` are capabilities; `needs_labels` that the images must be labelled, `needs_factors` that what varies in them
    must be known; below `enough` images the value is called uncertain. `packages` are what must be installed beyond genlab
    itself, by the `extra` of that name.
    """

    name: str
    title: str
    definition: str
    equation: str
    direction: Direction
    range: tuple[float | None, float | None]
    unit: str
    needs: tuple[str, ...]
    source: str
    compute: Callable[[Subject], Found]
    needs_labels: bool = False
    enough: int = 100
    needs_factors: bool = False
    packages: tuple[str, ...] = ()
    extra: str = ""

    @property
    def installed(self) -> bool:
        """Whether everything that it needs is on this machine."""
        return all(map(find_spec, self.packages))

    def measure(self, subject: Subject) -> Measurement:
        """Compute the metric and say what it means."""
        found = self.compute(subject)
        few = f"Only {found.n} images: another draw of them could give a rather different value."
        return Measurement(
            self.name,
            self.title,
            float(found.value),
            found.n,
            next(iter(found.baselines.values()), None),
            self.direction,
            self.unit,
            self.definition,
            dict(found.baselines),
            dict(found.details),
            found.remark,
            few if found.n < self.enough else "",
            self.source,
            self.range,
            found.reading,
        )


METRICS: dict[str, Metric] = {}
NUMBERED: dict[str, Callable[[int], Metric]] = {}  # by the beginning of a name that ends with any number from 1


def metric(
    name: str,
    title: str,
    definition: str,
    equation: str,
    *,
    direction: Direction,
    range: tuple[float | None, float | None],
    needs: tuple[str, ...],
    source: str,
    unit: str = "",
    needs_labels: bool = False,
    enough: int = 100,
    needs_factors: bool = False,
    packages: tuple[str, ...] = (),
    extra: str = "",
) -> Callable[[Callable[[Subject], Found]], Callable[[Subject], Found]]:
    """Register the decorated function of a `Subject` as a metric; `equation` is LaTeX, `range` is inclusive."""

    def decorate(compute: Callable[[Subject], Found]) -> Callable[[Subject], Found]:
        METRICS[name] = Metric(
            name,
            title,
            definition,
            equation,
            direction,
            range,
            unit,
            needs,
            source,
            compute,
            needs_labels,
            enough,
            needs_factors,
            packages,
            extra,
        )
        return compute

    return decorate


def find(name: str) -> Metric:
    """The metric of a name; one that takes a number, as recall_at_5 does, is there for every number from 1.

    Raises `UnknownNameError` for a metric that does not exist.
    """
    if name in METRICS:
        return METRICS[name]
    stem = name.rstrip("0123456789")
    number = int(name[len(stem) :] or 0)
    if stem not in NUMBERED or not number:
        raise UnknownNameError("metric", name, METRICS)
    return NUMBERED[stem](number)


def applicable(capabilities: Iterable[str], *, labelled: bool = True, factors: bool = True) -> dict[str, Metric]:
    """The metrics that a model with these capabilities allows, on images with or without labels and known factors; those whose
    packages are not installed are left out.
    """
    able = set(capabilities)
    return {name: entry for name, entry in METRICS.items() if _fits(entry, able, labelled, factors)}


def _fits(entry: Metric, able: set[str], labelled: bool, factors: bool) -> bool:
    known = (labelled or not entry.needs_labels) and (factors or not entry.needs_factors)
    return able.issuperset(entry.needs) and known and entry.installed


def evaluate(
    subject: Subject, names: Sequence[str] | None = None, *, title: str = "this model", lenient: bool = False
) -> dict[str, Measurement]:
    """Measure a subject by the metrics of these names, or by all that apply.

    Raises `UnknownNameError` for a metric that does not exist and, unless `lenient`, `BadInputError` for one that
    does not apply.
    """
    labelled, factors = subject.labels is not None, bool(subject.factors)
    fitting = applicable(subject.capabilities, labelled=labelled, factors=factors)
    chosen = fitting if names is None else {name: find(name) for name in names}
    able = set(subject.capabilities)
    unfit = [entry for entry in chosen.values() if not _fits(entry, able, labelled, factors)]
    if unfit and not lenient:
        raise BadInputError(_lacking(unfit[0], subject, title, fitting))
    return {name: entry.measure(subject) for name, entry in chosen.items() if entry not in unfit}


def _lacking(entry: Metric, subject: Subject, title: str, fitting: Mapping[str, Metric]) -> str:
    if not entry.installed:
        return f"The metric {entry.name!r} needs packages that are not here; install them with pip install 'genlab[{entry.extra}]'."
    if entry.needs == ("importance_weighted",) and "bounds" in subject.capabilities:
        return (
            f"The metric {entry.name!r} does not apply: {title} has one code for each image and draws none, so that any number of "
            "weighted codes would give the evidence lower bound again; choose elbo."
        )
    lacks = [need.replace("_", " ") for need in entry.needs if need not in subject.capabilities]
    missing = "labels" if entry.needs_labels else "known factors, as generated ones have"
    what = f"{title} cannot do what it needs ({', '.join(lacks)})" if lacks else f"the images have no {missing}"
    return f"The metric {entry.name!r} does not apply: {what}; choose from {', '.join(fitting) or 'none'}."
