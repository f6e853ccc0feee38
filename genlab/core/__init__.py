"""Shapes, parameters, cards, capabilities, registry, events, errors and seeding: no I/O, no heavy imports."""

from genlab.core.cards import Card, Equation, Scalar
from genlab.core.errors import BadInputError, FailedRunError, GenlabError, UnknownNameError
from genlab.core.parameters import Parameters, parameter
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape

__all__ = [
    "BadInputError",
    "Card",
    "Equation",
    "FailedRunError",
    "GenlabError",
    "Parameters",
    "Scalar",
    "Shape",
    "TrainingSettings",
    "UnknownNameError",
    "parameter",
]
