"""Pictures and charts, each with a caption that says what it is and with its data to take away."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from genlab.ui.messages import plain

if TYPE_CHECKING:
    from PIL.Image import Image
    from plotly.graph_objects import Figure

    from genlab.figures.images import Images


WIDE = 900  # pixels that a picture of many images needs on a page


def png(picture: Image, *, at_least: int = 0) -> bytes:
    """A picture as PNG, enlarged by a whole factor until it is at least so many pixels wide."""
    from PIL.Image import Resampling

    factor = max(1, -(-at_least // picture.width))
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)  # half the time of the usual level, for a tenth more bytes
    return buffer.getvalue()


def show_images(
    images: Images, caption: str, *, key: str, columns: int | None = None, width: int | None = None, download: str = ""
) -> None:
    """Many images as one composite picture with sharp pixels; `download` is a file name for the PNG.

    Where there are many of them, they are not enlarged beyond what a page shows: the browser keeps pixels sharp.
    """
    across = (columns or 0) * images.array.shape[3]
    grid = images.grid(columns, scale=max(1, WIDE // across) if 3 * across > WIDE else None)
    if columns and len(images) > columns and (rest := len(images) % columns):
        grid = without_rest(grid, columns, -(-len(images) // columns), rest)
    show_picture(grid, caption, key=key, width=width, download=download)


def without_rest(grid: Image, columns: int, rows: int, filled: int, gap: int = 2) -> Image:
    """The grid with the unfilled end of its last row made transparent.

    >>> from PIL import Image
    >>> cleared = without_rest(Image.new("L", (3 * 10 - 2, 2 * 10 - 2), 255), columns=3, rows=2, filled=1)
    >>> [cleared.getpixel(place)[-1] for place in [(5, 15), (15, 5), (15, 15), (25, 15)]]
    [255, 255, 0, 0]
    """
    cleared = grid.convert("LA" if grid.mode == "L" else "RGBA")
    left = (grid.width + gap) // columns * filled - gap
    top = (grid.height + gap) // rows * (rows - 1) - gap
    cleared.paste((0,) * len(cleared.getbands()), (left, top, grid.width, grid.height))
    return cleared


def show_picture(picture: Image, caption: str, *, key: str, width: int | None = None, download: str = "") -> None:
    """One picture with sharp pixels and its caption, `width` pixels wide or as wide as the page."""
    content = png(picture, at_least=min(width or 640, 1200))
    with st.container(key=f"pixels-{key}"):
        st.image(content, caption=plain(caption), width=width or "stretch", output_format="PNG")
    if download:
        st.download_button("Download PNG", content, download, "image/png", key=f"png-{key}", icon=":material/download:")


def show_figure(
    figure: Figure, caption: str, *, key: str, data: Callable[[], str] | None = None, **options: Any
) -> Any:
    """A chart in the theme of the page, its caption and its numbers; returns what `plotly_chart` returns.

    The numbers are those drawn, as CSV; `data` gives another CSV, called when somebody downloads it.
    """
    from genlab.figures import to_csv

    selected = st.plotly_chart(figure, key=f"figure-{key}", theme="streamlit", config={"displaylogo": False}, **options)
    show_caption(caption, key=key, data=data or (lambda: to_csv(figure)))
    return selected


def show_caption(caption: str, *, key: str, data: Callable[[], str]) -> None:
    """The caption of a chart and its numbers to take away as CSV; `data` is called when somebody downloads them."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(plain(caption))
        st.download_button(
            "CSV",
            data,
            f"{key}.csv",
            "text/csv",
            key=f"csv-{key}",
            type="tertiary",
            icon=":material/download:",
            help="The numbers of this chart",
            on_click="ignore",
        )
