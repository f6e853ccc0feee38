"""Choosing the images that a page works on: by number, by clicking on them, or pictures of one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.images import Images
from genlab.ui.components.media import address_of
from genlab.ui.explore_gallery import image_name
from genlab.ui.explore_newcomer import Prepared, own_pictures
from genlab.ui.messages import plain
from genlab.ui.pictures import png
from genlab.ui.remembering import content_of, remembered
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet

ORIGINS = ("Its images", "My pictures")
PER_PAGE = 40
ACROSS = 10
KEPT = 32  # pages of thumbnails
_THUMBNAILS = st.components.v2.component(
    "genlab_thumbnails",
    html="<div class='thumbnails'></div>",
    css="""
.thumbnails { display: grid; grid-template-columns: repeat(auto-fill, minmax(2.7rem, 1fr)); gap: .3rem;
  max-height: 21rem; overflow-y: auto; padding: 3px; }
button { border: 3px solid transparent; border-radius: .45rem; padding: 0; cursor: pointer; aspect-ratio: 1;
  background-repeat: no-repeat; background-color: var(--st-secondary-background-color); image-rendering: pixelated; }
button:hover, button:focus-visible { border-color: var(--st-text-color); outline: none; }
button[aria-pressed=true] { border-color: var(--st-primary-color); box-shadow: 0 0 0 2px var(--st-primary-color); }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".thumbnails");
  box.replaceChildren(...data.items.map((item, place) => {
    const button = document.createElement("button");
    const x = place % data.across, y = Math.floor(place / data.across);
    button.style.backgroundImage = `url(${data.sheet})`;
    button.style.backgroundSize = `${data.across * 100}% ${data.down * 100}%`;
    button.style.backgroundPosition =
      `${data.across > 1 ? x / (data.across - 1) * 100 : 0}% ${data.down > 1 ? y / (data.down - 1) * 100 : 0}%`;
    button.style.aspectRatio = data.proportion;
    button.title = button.ariaLabel = item.name;
    button.ariaPressed = String(item.chosen);
    button.onclick = () => setTriggerValue("picked", item.number);
    return button;
  }));
}
""",
)


class Chosen(NamedTuple):
    """The images a person chose, a short name for each, and their numbers in the run's set (None for own pictures)."""

    images: Images
    names: list[str]
    numbers: np.ndarray | None


def choose_images(
    run: genlab.Run,
    *,
    key: str,
    images: ImageSet | None = None,
    start: Sequence[int] = (0,),
    fewest: int = 1,
    most: int = 8,
    label: str = "Images",
) -> Chosen:
    """Let the person choose `fewest` to `most` of `images` (default: the run's set), or hand over pictures.

    Own pictures that are fewer than it takes are joined by the first images that are chosen by number.

    Raises `BadInputError` with one sentence while the choice cannot be used.
    """
    with undoable_row(f"{key}-origin", f"{key}-origin"):
        origin = st.segmented_control(
            "Where from", ORIGINS, default=ORIGINS[0], key=f"{key}-origin", required=True, wrap=True
        )
    images = images or run.images
    if origin == ORIGINS[0]:
        return _joined([], images, _numbers(images, key, start, fewest, most, label))
    own = own_pictures(run, f"{key}-own", images)[-most:]
    numbers = np.empty(0, dtype=np.int64)
    if len(own) < fewest:
        numbers = _numbers(images, key, start, fewest, most, label)[: fewest - len(own)]
        names = ", ".join(image_name(images, number) for number in numbers.tolist())
        st.caption(plain(f"{'With your picture goes' if own else 'Until you hand one over'}: {names}."))
    return _joined(own, images, numbers)


def _joined(own: list[Prepared], images: ImageSet, numbers: np.ndarray) -> Chosen:
    """Pictures of one's own, then images of a set."""
    arrays = [each.image.array for each in own] + [Images(np.asarray(images.images[numbers])).array]
    names = [each.name for each in own] + [image_name(images, number) for number in numbers.tolist()]
    return Chosen(Images(np.concatenate(arrays)), names, None if own else numbers)


def one_of_each(images: ImageSet, count: int) -> list[int]:
    """Numbers of `count` images to start with: the first of each class, where there are classes."""
    if images.labels is None:
        return list(range(min(count, images.count)))
    firsts = np.unique(images.labels, return_index=True)[1].tolist()
    others = np.setdiff1d(np.arange(images.count), firsts)[:count].tolist()
    return [*firsts, *others][:count]


def parse_numbers(text: str, count: int, *, fewest: int = 1, most: int = 8) -> list[int]:
    """Numbers of images from what a person typed: "3, 8" or "3-6"; each below `count`.

    >>> parse_numbers("3, 8-10", 100)
    [3, 8, 9, 10]
    """
    numbers: list[int] = []
    for part in re.split(r"[,;\s]+", text.strip()):
        span = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not span:
            raise BadInputError(f"“{part}” is not the number of an image; write numbers such as 3, 8 or a range 3-6.")
        first, last = int(span[1]), int(span[2] or span[1])
        if max(first, last) >= count:
            raise BadInputError(f"There is no image {max(first, last)}; the set has {count}, numbered from 0.")
        numbers += range(first, min(last, first + most) + 1)
    if not fewest <= len(numbers) <= most:
        wanted = f"{fewest} to {most}" if fewest < most else str(most)
        raise BadInputError(f"Choose {wanted} images; at the moment it is {len(numbers)}.")
    return numbers


def _numbers(images: ImageSet, key: str, start: Sequence[int], fewest: int, most: int, label: str) -> np.ndarray:
    default = ", ".join(str(min(number, images.count - 1)) for number in start)
    with undoable_row(key, key, of=images.hash):
        text = st.text_input(
            f"{label} (numbers)", default, key=key, bind="query-params",
            help=f"{fewest} to {most} numbers from 0 to {images.count - 1}, such as 3, 8 or 3-6; or click on pictures below.",
        )  # fmt: skip
    with st.expander("Pick from pictures", icon=":material/grid_view:"):
        _browser(images, key, text, most)
    return np.array(parse_numbers(text, images.count, fewest=fewest, most=most))


def _browser(images: ImageSet, key: str, text: str, most: int) -> None:
    """One page of thumbnails; a click puts an image into the choice, or takes it out."""
    listed = np.arange(images.count)
    with undoable_row(f"{key}-seen", f"{key}-class", f"{key}-page", of=images.hash):
        if images.labels is not None:
            every = ("every class", *images.class_names)
            name = st.selectbox("Class", every, key=f"{key}-class")
            if name != every[0]:
                listed = np.flatnonzero(images.labels == images.class_names.index(name))
        pages = max(1, -(-len(listed) // PER_PAGE))
        page = st.number_input(f"Page of {pages}", 1, pages, key=f"{key}-page")
    shown = listed[(int(page) - 1) * PER_PAGE : int(page) * PER_PAGE]
    if not len(shown):
        st.caption("No image of this class.")
        return
    chosen = set(re.findall(r"\d+", text))
    sheet = remembered("thumbnails", (images.hash, content_of(shown)), lambda: _sheet(images, shown), KEPT)
    height, width = images.shape[1:]
    data = {
        "sheet": address_of(sheet, "image/png", f"{key}-sheet"),
        "across": min(ACROSS, len(shown)),
        "down": -(-len(shown) // ACROSS),
        "proportion": f"{width} / {height}",
        "items": [
            {"number": int(number), "name": image_name(images, number), "chosen": str(number) in chosen}
            for number in shown
        ],
    }
    _THUMBNAILS(key=f"{key}-thumbnails", data=data, on_picked_change=lambda: _toggle(key, most))


def _sheet(images: ImageSet, numbers: np.ndarray) -> bytes:
    """Some images beside each other in rows, as a file that the browser keeps."""
    return png(Images(np.asarray(images.images[numbers])).grid(ACROSS, gap=0, scale=1))


def _toggle(key: str, most: int) -> None:
    """Put the clicked image into the choice or take it out; beyond `most` the oldest gives way."""
    number = st.session_state[f"{key}-thumbnails"].picked
    if number is None:
        return
    chosen = re.findall(r"\d+", st.session_state[key]) if "-" not in st.session_state[key] else []
    picked = str(int(number))
    if picked in chosen and len(chosen) > 1:
        chosen.remove(picked)
    elif picked not in chosen:
        chosen = [*chosen, picked][-most:]
    st.session_state[key] = ", ".join(chosen)
