"""Pictures and charts, each with a caption that says what it is and with its data to take away."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from PIL.Image import Image
    from plotly.graph_objects import Figure

    from genlab.figures.images import Images


def png(picture: Image, *, at_least: int = 0) -> bytes:
    """A picture as PNG, enlarged by a whole factor until it is at least so many pixels wide."""
    from PIL.Image import Resampling

    factor = max(1, -(-at_least // picture.width))
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def show_images(
    images: Images, caption: str, *, key: str, columns: int | None = None, width: int | None = None, download: str = ""
) -> None:
    """Many images as one composite picture with sharp pixels; `download` is a file name for the PNG."""
    show_picture(images.grid(columns), caption, key=key, width=width, download=download)


def show_picture(picture: Image, caption: str, *, key: str, width: int | None = None, download: str = "") -> None:
    """One picture with sharp pixels and its caption, `width` pixels wide or as wide as the page."""
    content = png(picture, at_least=min(width or 640, 1200))
    with st.container(key=f"pixels-{key}"):
        st.image(content, caption=caption, width=width or "stretch", output_format="PNG")
    if download:
        st.download_button("Download PNG", content, download, "image/png", key=f"png-{key}", icon=":material/download:")


def table_csv(table: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> str:
    """A table, given as columns or as rows, as CSV.

    >>> table_csv({"step": [1, 2], "loss": [0.5, 0.25]}).split()
    ['step,loss', '1,0.5', '2,0.25']
    >>> table_csv([{"a": 1}, {"a": 2, "b": 3}]).split()
    ['a,b', '1,', '2,3']
    """
    if isinstance(table, Mapping):
        names = list(table)
        rows = [dict(zip(names, row, strict=True)) for row in zip(*table.values(), strict=True)]
    else:
        rows = [dict(row) for row in table]
        names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def show_figure(
    figure: Figure,
    caption: str,
    *,
    key: str,
    table: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    **options: Any,
) -> Any:
    """A chart in the theme of the page, its caption and its data as CSV; returns what `plotly_chart` returns."""
    selected = st.plotly_chart(figure, key=f"figure-{key}", theme="streamlit", config={"displaylogo": False}, **options)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(caption)
        st.download_button(
            "CSV", lambda: table_csv(table), f"{key}.csv", "text/csv", key=f"csv-{key}", type="tertiary",
            icon=":material/download:", help="The data of this chart", on_click="ignore",
        )  # fmt: skip
    return selected
