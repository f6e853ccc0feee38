"""Metrics of several runs in one table, computed when asked for and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

import genlab
from genlab.core.errors import GenlabError
from genlab.figures import metric_bars
from genlab.ui.explore_compare import short_names
from genlab.ui.explore_controls import as_csv, offer, weights_of
from genlab.ui.messages import boundary
from genlab.ui.pictures import show_figure

if TYPE_CHECKING:
    from genlab.metrics import Measurement

ARROWS = {"lower": "↓ lower", "higher": "↑ higher", "neither": "–"}
LIMITS = (100, 300, 1000, 3000)

Measured = dict[str, "Measurement"]


@st.cache_resource
def _remembered() -> dict[tuple[Any, ...], Measured]:
    """Measurements of this server's runs by weights and number of images."""
    return {}


@st.fragment
@boundary()
def metrics_table(runs: Sequence[genlab.Run]) -> None:
    """A button that measures, and the table and chart of what was measured."""
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    limit = int(left.select_slider("Images to measure on", LIMITS, 300, key="measured", bind="query-params"))
    keys = [(weights_of(run), limit) for run in runs]
    known = _remembered()
    missing = [(run, key) for run, key in zip(runs, keys, strict=True) if key not in known]
    place = right.empty()
    if missing:
        label = f"Measure {len(missing)} run{'s' if len(missing) > 1 else ''}"
        if place.button(label, icon=":material/straighten:", type="primary", key="measure"):
            place.empty()
            _measure(missing, limit)
        else:
            st.caption("Nothing is measured until you ask: it takes seconds to a minute for each run.")
    found = {name: known[key] for name, key in zip(short_names(runs), keys, strict=True) if key in known}
    if found:
        _table(found, runs, limit)
        _chart(found)


def _measure(missing: Sequence[tuple[genlab.Run, tuple[Any, ...]]], limit: int) -> None:
    bar = st.progress(0.0, "Loading the models …")
    for place, (run, key) in enumerate(missing):
        bar.progress(place / len(missing), f"Measuring “{run.title}” …")
        try:
            _remembered()[key] = run.evaluate(limit=limit)
        except GenlabError as error:
            st.warning(f"“{run.title}” was not measured: {error}", icon=":material/warning:")
    bar.empty()


def table(found: dict[str, Measured]) -> list[dict[str, Any]]:
    """One row for each metric: its value for each run, the baseline to beat and which way is better."""
    every = {name: m for measured in found.values() for name, m in measured.items()}
    rows = []
    for name, example in every.items():
        having = {run: measured[name] for run, measured in found.items() if name in measured}
        baselines = {None if m.baseline is None else f"{m.baseline:.4g}" for m in having.values()} - {None}
        rows.append(
            {"metric": f"{example.title}{f' / {example.unit}' if example.unit else ''}"}
            | {run: f"{having[run].value:.4g}" if run in having else "–" for run in found}
            | {
                "baseline": " | ".join(sorted(map(str, baselines))) or "–",
                "better": ARROWS[example.direction],
                "images": str(example.n),
                "meaning": example.meaning,
            }
        )
    return rows


def _table(found: dict[str, Measured], runs: Sequence[genlab.Run], limit: int) -> None:
    rows = table(found)
    st.dataframe(rows, hide_index=True, height="content", key="metrics")
    sets = list(dict.fromkeys(run.config.data_title for run in runs))
    caution = (
        f" The runs learned from different image sets ({', '.join(sets)}): do not rank them." if len(sets) > 1 else ""
    )
    st.caption(
        f"Each run measured on up to {limit} held-out images of its own set; – means that a model does not allow the "
        f"metric, and the baseline is what a trivial answer scores.{caution}"
    )
    offer("CSV", as_csv(rows), "metrics.csv")


def _chart(found: dict[str, Measured]) -> None:
    """One metric as bars, with all its baselines."""
    every = {name: m for measured in found.values() for name, m in measured.items()}
    name = st.selectbox("Chart of", list(every), format_func=lambda name: every[name].title, key="metric")
    having = {run: measured[name] for run, measured in found.items() if name in measured}
    example = next(iter(having.values()))
    figure = metric_bars(
        {run: m.value for run, m in having.items()},
        title=example.title,
        unit=example.unit,
        direction=example.direction,
        baselines=example.baselines,
        colours={run: place for place, run in enumerate(found)},
    )
    remarks = " ".join(dict.fromkeys(text for m in having.values() for text in (m.remark, m.warning) if text))
    baselines = f" Baselines are those of “{next(iter(having))}”'s images." if example.baselines else ""
    caption = f"{example.title} of {', '.join(f'“{run}”' for run in having)}. {example.meaning} {remarks}{baselines}"
    show_figure(figure, caption, key="metric-bars")
