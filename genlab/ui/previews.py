"""What a run drew while it learned: its stored previews and the slider through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

import genlab
from genlab.core.errors import BadInputError
from genlab.core.events import Event, Sampled
from genlab.ui.messages import empty_state
from genlab.ui.pictures import show_picture
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    from PIL.Image import Image
GAP = 2  # pixels between the pictures of a stored grid
TITLES = {
    "samples": "Samples from fixed noise",
    "reconstructions": "Reconstructions of fixed images",
    "originals": "The images to rebuild",
    "translations": "Fixed images, translated, and back again (from top to bottom)",
    "translations_back": "Fixed images of the second set, translated, and back again",
}

ROWS_SPEAK = ("translations", "translations_back")  # grids whose rows mean something: they stay as they are


def previews(run: genlab.Run) -> list[Sampled]:
    """The previews of a run, oldest first, whose pictures are still there."""
    events = [event for event in run.events("sampled") if isinstance(event, Sampled)]
    return [event for event in events if (run.directory / event.path).is_file()]


def best_preview(run: genlab.Run) -> Sampled | None:
    """What a run drew last, the first of the kinds in `TITLES` that there is."""
    drawn = {event.what: event for event in previews(run)}
    return next((drawn[what] for what in TITLES if what in drawn), None)


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


def halved(picture: Image, shape: Sequence[int]) -> Image:
    """A stored grid with each of its rows laid out as two, which makes 36 samples about square.

    `shape` (C, H, W) of one image tells where the rows are; a grid that does not fit it is left as it is.

    >>> from PIL import Image
    >>> halved(Image.new("L", (12 * 10 - GAP, 3 * 10 - GAP)), (1, 8, 8)).size == (6 * 10 - GAP, 6 * 10 - GAP)
    True
    """
    from PIL import Image

    from genlab.jobs.previews import COLUMNS

    side, rest = divmod(picture.width + GAP, COLUMNS)
    tall = (side - GAP) * shape[1] // shape[2] + GAP
    if rest or (picture.height + GAP) % tall:
        return picture
    wide = (picture.width + GAP) // 2
    sheet = Image.new(picture.mode, (wide - GAP, 2 * (picture.height + GAP) - GAP), "white")
    for row in range((picture.height + GAP) // tall):
        for half in range(2):
            strip = picture.crop((half * wide, row * tall, half * wide + wide - GAP, row * tall + tall - GAP))
            sheet.paste(strip, (0, (2 * row + half) * tall))
    return sheet


def scrubber(run: genlab.Run, events: Sequence[Event]) -> None:
    """The same noise and the same images through the model at every stored epoch, chosen on one slider."""
    drawn = [event for event in events if isinstance(event, Sampled) and (run.directory / event.path).is_file()]
    steps = sorted({event.step for event in drawn if event.what != "originals"})
    if not steps:
        empty_state("No pictures yet", "They appear with the first finished epoch.", icon=":material/image:")
        return
    chosen = steps[-1]
    if len(steps) > 1:
        follows, scrubs = f"follow-{run.id}", f"scrub-{run.id}"
        with undoable_row("scrubbed", follows, scrubs, of=run.id):
            if not (run.status == "running" and st.toggle("Follow the newest", value=True, key=follows)):
                chosen = st.select_slider("Step", steps, value=steps[-1], key=scrubs)
    shown = {event.what: event for event in drawn if event.step == chosen}
    shown |= {event.what: event for event in drawn if event.what == "originals" and "reconstructions" in shown}
    kinds = [what for what in dict.fromkeys([*TITLES, *shown]) if what in shown]
    pictures = [(shown[what], TITLES.get(what, what.replace("_", " ").capitalize())) for what in kinds]
    for column, (event, title) in zip(st.columns(max(2, len(pictures)), gap="medium"), pictures, strict=False):
        with column:
            at = "" if event.what == "originals" else f" at step {event.step:,} (epoch {event.epoch:,})"
            of = f"“{run.config.data.title}”" if event.what == "originals" else f"“{run.title}”"
            picture = open_preview(run, event)
            if event.what not in ROWS_SPEAK:
                picture = halved(picture, run.config.data.shape)
            show_picture(picture, f"{title}, {of}{at}.", key=f"{event.what}-{run.id}")
