"""The base of every model: it stores its image shape, its number of classes and its parameters."""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import torch
from torch import nn

from genlab.core import parameters as declared
from genlab.core.errors import BadInputError
from genlab.core.shapes import Shape


class Model(nn.Module):
    """A module that knows what it was built for; what it can do is told by its capabilities.

    Subclasses set `Parameters` and build their layers in `__init__(shape, classes, parameters)`. The labels of their
    batches are classes, or identities where `learns_from` says so: the single things that several images show.
    """

    Parameters: ClassVar[type[declared.Parameters]]
    learns_from: ClassVar[Literal["classes", "identities"]] = "classes"

    def __init__(self, shape: Shape, classes: int, parameters: declared.Parameters) -> None:
        super().__init__()
        self.shape = Shape(*shape)
        self.classes = classes
        self.parameters_used = parameters

    @property
    def device(self) -> torch.device:
        """Where the model's first parameter or buffer lives."""
        return next(itertools.chain(self.parameters(), self.buffers())).device


def need_multiple(shape: Shape, multiple: int, title: str) -> None:
    """Refuse a shape whose height or width is not a multiple of `multiple`, naming the nearest that is."""
    if shape.height % multiple or shape.width % multiple:
        near = [max(multiple, round(side / multiple) * multiple) for side in shape[1:]]
        raise BadInputError(
            f"{title} takes heights and widths that are multiples of {multiple}, and the images are "
            f"{shape}; import them at {near[0]}x{near[1]} instead."
        )
