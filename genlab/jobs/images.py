"""Finds the image set of a run again, wherever it lies by now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import BadInputError
from genlab.runs.config import DataReference

if TYPE_CHECKING:
    from genlab.data import ImageSet


def find_images(data: DataReference, folder: Path) -> ImageSet:
    """The set with the very content a run was trained on: where it was, or under another name in `folder`.

    Raises `BadInputError` when it is gone or its content has changed.
    """
    from genlab.data import open_set

    for place in _places(data, folder):
        with suppress(BadInputError):
            images = open_set(place)
            if images.hash == data.hash:
                return images
    raise BadInputError(
        f"The image set {data.name!r} of this run is not in the laboratory any more; import the same images again."
    )


def _places(data: DataReference, folder: Path) -> Iterator[Path]:
    if data.path:
        yield Path(data.path)
    yield folder / data.name
    yield from (file.parent for file in sorted(folder.glob("[!.]*/set.json")))
