"""A card says what a model is, for a student and for the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pydantic


class Equation(NamedTuple):
    """One equation in LaTeX with its name and its number in its source."""

    name: str
    latex: str
    source: str


class Scalar(NamedTuple):
    """What a logged number means, which way is better, and the value to which theory leads, where there is one.

    `when` names a parameter and the values of it under which the guide holds; without it the guide always does.
    """

    meaning: str
    direction: Literal["lower", "higher", "neither"] = "lower"
    guide: float | None = None
    when: tuple[str, tuple[str, ...]] | None = None

    def guide_under(self, parameters: Mapping[str, Any]) -> float | None:
        """The guide of a model with these parameters, or None where it does not hold.

        >>> Scalar("D(x)", "neither", 0.5, ("loss", ("minimax",))).guide_under({"loss": "hinge"}) is None
        True
        """
        holds = self.when is None or parameters.get(self.when[0], self.when[1][0]) in self.when[1]
        return self.guide if holds else None


class Example(NamedTuple):
    """A table that works a model out by hand, and the sentences that say what to see in it; all rows have the same names."""

    title: str
    caption: str
    rows: tuple[Mapping[str, Any], ...]


class Card(pydantic.BaseModel):
    """Title, source, equations, departures, logged scalars and presets of one registered model.

    `presets` maps "quick", "default" and "paper" to values of the model's parameters and of the
    training settings, side by side; a preset that is left out equals the declared defaults.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    title: str
    family: Literal["density", "autoencoder", "variational", "adversarial", "hybrid", "flow", "recognition"]
    paper: str
    year: int
    link: str
    summary: str
    equations: tuple[Equation, ...]
    departures: tuple[str, ...] = ()
    scalars: Mapping[str, Scalar]
    presets: Mapping[str, Mapping[str, Any]] = {}
    sizes: str = "any size, grey or colour"
    examples: tuple[Example, ...] = ()
