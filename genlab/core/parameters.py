"""Typed, bounded and described parameters: one declaration gives form, flags, messages, docs and record."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from annotated_types import Ge, Le

from genlab.core.errors import BadInputError, UnknownNameError


class Parameters(pydantic.BaseModel):
    """Base of every set of parameters: frozen, and unknown keys are refused."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


def parameter(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    log: bool = False,
    advanced: bool = False,
    symbol: str = "",
) -> Any:
    """Declare one parameter with its default, its sentence and its inclusive bounds.

    `step` and `log` say how a slider moves, `advanced` folds the widget away, and `symbol` is the
    letter the paper uses, as LaTeX.

    >>> class Example(Parameters):
    ...     beta: float = parameter(1.0, "Weight of the KL term.", minimum=0, maximum=100)
    >>> Example(beta=4).beta
    4.0
    """
    hints: dict[str, Any] = {"step": step, "log": log, "advanced": advanced, "symbol": symbol}
    return pydantic.Field(default, description=description, ge=minimum, le=maximum, json_schema_extra=hints)


class ParameterInfo(typing.NamedTuple):
    """What a form, a flag or a table needs to know about one parameter."""

    name: str
    type: str  # "int", "float", "bool", "str" or "choice"
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[Any, ...]
    description: str
    step: float | None
    log: bool
    advanced: bool
    symbol: str


def describe(parameters: type[Parameters]) -> dict[str, ParameterInfo]:
    """Read the declarations of a parameter class, in the order they were written.

    >>> class Example(Parameters):
    ...     mode: Literal["a", "b"] = parameter("a", "Which one.")
    >>> describe(Example)["mode"].choices
    ('a', 'b')
    """
    described = {}
    for name, field in parameters.model_fields.items():
        bounds: dict[str, Any] = {"minimum": None, "maximum": None}
        for constraint in field.metadata:
            if isinstance(constraint, Ge):
                bounds["minimum"] = constraint.ge
            if isinstance(constraint, Le):
                bounds["maximum"] = constraint.le
        literal = typing.get_origin(field.annotation) is Literal
        choices = typing.get_args(field.annotation) if literal else ()
        kind = "choice" if literal else typing.cast(type, field.annotation).__name__
        hints = typing.cast(dict[str, Any], field.json_schema_extra or {})
        described[name] = ParameterInfo(
            name,
            kind,
            field.default,
            bounds["minimum"],
            bounds["maximum"],
            choices,
            field.description or "",
            hints.get("step"),
            hints.get("log", False),
            hints.get("advanced", False),
            hints.get("symbol", ""),
        )
    return described


def validate(parameters: type[Parameters], values: Mapping[str, Any], *, of: str) -> Parameters:
    """Build `parameters` from `values`; the first thing that is wrong becomes one sentence.

    Raises `UnknownNameError` for a key that does not exist, `BadInputError` for a value out of bounds.
    """
    for name in values:
        if name not in parameters.model_fields:
            raise UnknownNameError(f"parameter of {of}", name, parameters.model_fields)
    try:
        return parameters(**values)
    except pydantic.ValidationError as error:
        raise BadInputError(_sentence(parameters, error, of)) from error


def _sentence(parameters: type[Parameters], error: pydantic.ValidationError, of: str) -> str:
    first = error.errors()[0]
    if not first["loc"]:  # a rule that spans several fields states itself
        return str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    info = describe(parameters)[name]
    if info.choices:
        allowed = "one of " + ", ".join(map(str, info.choices))
    else:
        low = "" if info.minimum is None else f" from {info.minimum:g}"
        high = "" if info.maximum is None else f" to {info.maximum:g}"
        article = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        allowed = article.get(info.type, "text") + low + high
    return f"Parameter {name!r} of {of} must be {allowed}, and {first['input']!r} is not."
