"""A few pictures with a line of text each, laid out by the browser so that they fit any width and theme."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from genlab.figures.images import Images

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet

FIGURE = "margin:0;text-align:center;font-size:.8rem;line-height:1.25;opacity:.95"
PICTURE = "width:100%;display:block;image-rendering:pixelated;border-radius:.35rem"


def data_url(picture: Any) -> str:
    """A Pillow picture that travels inside the page itself, which saves a round trip: WebP, exact, a third of PNG's time."""
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True, method=0)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def image_name(images: ImageSet, number: int) -> str:
    """What an image is called in captions: its number, and its class where there is one."""
    if images.labels is None:
        return f"image {number}"
    return f"image {number} ({images.class_names[int(images.labels[number])]})"


def page_grey() -> int:
    """The grey level of the page's ground, for the gaps between pictures."""
    return 20 if st.context.theme.type == "dark" else 255


def labelled_images(images: Images, labels: Sequence[str], caption: str, *, key: str, **layout: Any) -> None:
    """Pictures with a label below each; `layout` as in `markup_of`."""
    show_markup(markup_of(images, labels, **layout), caption, key)


def markup_of(
    images: Images,
    labels: Sequence[str],
    *,
    size: int = 104,
    columns: int | None = None,
    inks: Sequence[str] | None = None,
) -> str:
    """Pictures at most `size` pixels wide, each with a label below and, with `inks`, a frame of its colour.

    They flow into as many rows as needed, or stand in rows of `columns`.
    """
    frames = [f";border:3px solid {ink}" for ink in inks] if inks else [""] * len(labels)
    figures = "".join(
        f'<figure style="{FIGURE}"><img src="{data_url(images.picture(index))}" alt="{html.escape(label)}" '
        f'style="{PICTURE}{frame}"><figcaption>{html.escape(label)}</figcaption></figure>'
        for index, (label, frame) in enumerate(zip(labels, frames, strict=True))
    )
    tracks = f"{columns},minmax(0,{size}px)" if columns else f"auto-fill,minmax({size * 2 // 3}px,{size}px)"
    return f'<div style="display:grid;gap:.6rem;grid-template-columns:repeat({tracks})">{figures}</div>'


def labelled_rows(strips: Sequence[Images], labels: Sequence[str], caption: str, *, key: str) -> None:
    """One strip of pictures for each label, the label in front of it."""
    cells = "".join(
        f'<div style="font-size:.8rem;align-self:center;white-space:pre-line;overflow-wrap:anywhere">'
        f'{html.escape(label)}</div><img src="{_strip(strip)}" alt="{html.escape(label)}" style="{PICTURE}">'
        for strip, label in zip(strips, labels, strict=True)
    )
    widest = max(map(len, strips), default=1)
    grid = "display:grid;gap:.3rem .8rem;grid-template-columns:minmax(3.5rem,auto) minmax(0,1fr)"
    show_markup(f'<div style="{grid};max-width:{110 + widest * 110}px">{cells}</div>', caption, key)


def _strip(images: Images) -> str:
    gap = max(1, images.array.shape[3] // 24)
    return data_url(images.grid(len(images), gap=gap, background=page_grey(), scale=1))


def show_markup(body: str, caption: str, key: str) -> None:
    """Pictures made by `markup_of`, with their caption."""
    with st.container(key=f"pixels-{key}", gap="small"):
        st.html(body)
        st.caption(caption)
