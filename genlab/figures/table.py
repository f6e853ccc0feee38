"""The numbers behind a figure, so that every chart can be taken away as a table."""

from __future__ import annotations

import base64
import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def rows(figure: Figure) -> list[dict[str, Any]]:
    """One row for each drawn point or bar: the trace's name, its coordinates and its image's index."""
    table: list[dict[str, Any]] = []
    for trace in figure.data:
        if trace.hoverinfo == "skip" or getattr(trace, "x", None) is None:
            continue
        columns = {axis: _column(getattr(trace, axis, None)) for axis in "xyz"}
        columns = {axis: values for axis, values in columns.items() if values is not None}
        index = _column(trace.customdata)
        if index is not None:
            columns["image"] = index.reshape(len(index), -1)[:, 0]
        for values in zip(*columns.values(), strict=True):
            table.append({"series": trace.name or "", **dict(zip(columns, map(_plain, values), strict=True))})
    return table


def to_csv(figure: Figure) -> str:
    """The numbers behind a figure as comma-separated text with a header."""
    table = rows(figure)
    columns = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _column(values: Any) -> np.ndarray | None:
    if values is None:
        return None
    if isinstance(values, dict):  # Plotly's own packed form: {"dtype", "bdata", "shape"}
        flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        shape = [int(side) for side in str(values.get("shape", flat.size)).split(",")]
        return flat.reshape(shape)
    return np.asarray(values)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
