"""What every command shares: `--json`, a clean standard output, the laboratory, values from text."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from genlab.core.errors import BadInputError, FailedRunError

if TYPE_CHECKING:
    from genlab.core.parameters import ParameterInfo
    from genlab.workspace import Workspace

Shown = Callable[[Any], str]


class Unsuccessful(FailedRunError):
    """A run failed, and its document is still worth printing."""

    def __init__(self, document: Any, sentence: str) -> None:
        super().__init__(sentence)
        self.document = document


def reports(text: Shown) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """A command that returns its document: printed as JSON with `--json`, else as what `text` makes of it.

    Whatever a library prints meanwhile goes to standard error.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(as_json: bool, **values: Any) -> None:
            def show(document: Any) -> None:
                click.echo(json.dumps(plain(document), indent=1, ensure_ascii=False) if as_json else text(document))

            try:
                with contextlib.redirect_stdout(sys.stderr):
                    document = command(**values)
            except Unsuccessful as error:
                show(error.document)
                raise
            show(document)

        return click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")(call)

    return decorate


def plain(value: Any) -> Any:
    """A value as JSON can say it: arrays as lists, numbers that are not finite as null.

    >>> import numpy as np
    >>> plain({"a": np.float32(0.5), "b": (1, float("nan")), "c": np.arange(2)})
    {'a': 0.5, 'b': [1, None], 'c': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def laboratory() -> Workspace:
    """The laboratory that `GENLAB_HOME` names."""
    from genlab.workspace import Workspace

    return Workspace()


def columns(rows: Sequence[Sequence[Any]], *, titles: Sequence[str] = ()) -> str:
    """A table for people, its columns aligned.

    >>> print(columns([["a", 1], ["bcd", 22]], titles=["x", "y"]))
    x    y
    a    1
    bcd  22
    """
    table = [[str(cell) for cell in row] for row in ([titles, *rows] if titles else rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def assigned(pairs: Sequence[str], known: Mapping[str, ParameterInfo]) -> dict[str, Any]:
    """Values of `key=value` pairs, each read as its parameter's type; unknown keys are refused by the workspace."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise BadInputError(f"--set takes KEY=VALUE, and {pair!r} has no '='; write for example --set beta=2.")
        info = known.get(key.strip())
        values[key.strip()] = text if info is None else read_value(info, text.strip())
    return values


def read_value(info: ParameterInfo, text: str) -> Any:
    """Text as a parameter's type; what cannot be read so is left for the bounds to refuse in words.

    >>> from genlab.core.parameters import describe
    >>> from genlab.core.settings import TrainingSettings
    >>> known = describe(TrainingSettings)
    >>> read_value(known["epochs"], "1e2"), read_value(known["gradient_clip"], ".5"), read_value(known["epochs"], "x")
    (100, 0.5, 'x')
    """
    if info.type == "choice":
        return next((choice for choice in info.choices if str(choice) == text), text)
    if info.type == "bool":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    if info.type in ("int", "float"):
        with contextlib.suppress(ValueError):
            number = float(text)
            return int(number) if info.type == "int" and number.is_integer() else number
    return text


@contextlib.contextmanager
def counter(what: str) -> Iterator[Callable[..., None]]:
    """A line on standard error that counts `report(done, total, …)`, erased at the end; silent without a terminal."""
    live = sys.stderr.isatty()

    def report(done: int, total: int, *rest: Any) -> None:
        if live:
            print(f"\r{what} {done:,} of {total:,} ", end="", file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
