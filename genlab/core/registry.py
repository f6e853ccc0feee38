"""Finds every model by looking into `genlab.models`: adding a file there is all it takes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from genlab.core.capabilities import Descends, capabilities
from genlab.core.cards import Card
from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.parameters import ParameterInfo, Parameters, describe, validate
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape

if TYPE_CHECKING:
    from genlab.core.model import Model

ModelClass = TypeVar("ModelClass", bound=type)
PRESETS = ("quick", "default", "paper")


class Entry(NamedTuple):
    """One registered model: its class, its card and the parameters its name fixes."""

    name: str
    model: type[Model]
    card: Card
    fixed: Mapping[str, Any]

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the model can do, read from its class."""
        return capabilities(self.model)

    @property
    def takes_two_sets(self) -> bool:
        """Whether the model learns from a second image set beside the first."""
        return "translates" in self.capabilities

    def wrong_sets(self, second: bool) -> str:
        """Why a run with or without a second image set cannot be, in one sentence; empty when it can."""
        if self.takes_two_sets and not second:
            return f"{self.card.title} learns from two image sets; choose a second one (second=…, or --second on the command line)."
        if second and not self.takes_two_sets:
            return f"{self.card.title} learns from one image set; leave the second one out, or choose a model that translates."
        return ""

    @property
    def stops_early(self) -> bool:
        """Whether its training tells a validation loss, which early stopping watches."""
        return issubclass(self.model, Descends) and self.model.validation_step is not Descends.validation_step

    def wrong_settings(self, settings: Mapping[str, Any]) -> str:
        """Why training settings mean nothing for this model, in one sentence; empty when they all do."""
        if settings.get("early_stopping") and not self.stops_early:
            return f"{self.card.title} tells no validation loss for early stopping to watch; set early_stopping to 0."
        return ""

    @property
    def parameters(self) -> dict[str, ParameterInfo]:
        """The parameters a person may choose: all but the fixed ones."""
        described = describe(self.model.Parameters)
        return {name: info for name, info in described.items() if name not in self.fixed}

    def preset(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of a preset, parted into the model's parameters and the training settings."""
        if name not in PRESETS:
            raise UnknownNameError("preset", name, PRESETS)
        return self.split(self.card.presets.get(name, {}))

    def split(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Part values into those of the model and those of the training; refuse unknown names."""
        shared = TrainingSettings.model_fields
        own = {key: value for key, value in values.items() if key not in shared}
        for key in own:
            if key not in self.parameters:
                raise UnknownNameError(f"parameter of {self.name}", key, [*self.parameters, *shared])
        return own, {key: value for key, value in values.items() if key in shared}

    def validate(self, values: Mapping[str, Any]) -> Parameters:
        """Check values of the model's parameters and complete them with defaults."""
        for key in values:
            if key in self.fixed and values[key] != self.fixed[key]:
                raise BadInputError(f"Parameter {key!r} is what makes {self.name} itself; leave it out.")
        return validate(self.model.Parameters, {**values, **self.fixed}, of=self.name)

    def create(self, shape: tuple[int, int, int], classes: int = 0, **values: Any) -> Model:
        """A freshly initialised model, drawn from torch's present seed."""
        return self.model(Shape(*shape), classes, self.validate(values))


_entries: dict[str, Entry] = {}


def register(name: str, card: Card, **fixed: Any) -> Callable[[ModelClass], ModelClass]:
    """Decorate a model class with a name and a card; `fixed` parameters are what the name stands for."""

    def decorate(model: ModelClass) -> ModelClass:
        _entries[name] = Entry(name, model, card, fixed)
        return model

    return decorate


@cache
def _discover() -> None:
    package = importlib.import_module("genlab.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"genlab.models.{module.name}")


def models() -> dict[str, Entry]:
    """Every registered model by name, in the order of its family and year (imports torch)."""
    _discover()
    order = list(Card.model_fields["family"].annotation.__args__)  # type: ignore[union-attr]
    by_family = sorted(_entries.values(), key=lambda e: (order.index(e.card.family), e.card.year, e.name))
    return {entry.name: entry for entry in by_family}


def find(name: str) -> Entry:
    """The entry of one model; an unknown name is answered with the nearest ones."""
    known = models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    return known[name]
