"""What a run drew while it learned: its stored previews and the slider through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import genlab
from genlab.core.errors import BadInputError
from genlab.core.events import Sampled

if TYPE_CHECKING:
    from PIL.Image import Image


def previews(run: genlab.Run) -> list[Sampled]:
    """The previews of a run, oldest first, whose pictures are still there."""
    events = [event for event in run.events("sampled") if isinstance(event, Sampled)]
    return [event for event in events if (run.directory / event.path).is_file()]


def open_preview(run: genlab.Run, event: Sampled) -> Image:
    """The picture of one preview."""
    from PIL import Image

    path = run.directory / event.path
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except OSError as error:
        raise BadInputError(f"{path} cannot be read as a picture; the run itself is not harmed.") from error
