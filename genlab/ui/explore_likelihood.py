"""How probable a run finds images: sets beside each other, the strangest ones, missing pixels and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

import genlab
from genlab.figures import confusion_matrix, decision_regions, likelihood_histogram, sigmoid_of_odds
from genlab.figures.images import Images
from genlab.ui.explore_controls import as_csv, file_stem, offer, seed_input, weights_of
from genlab.ui.explore_gallery import image_name, labelled_images, labelled_rows
from genlab.ui.explore_pick import Chosen, choose_images, one_of_each
from genlab.ui.messages import boundary, empty_state, guarded
from genlab.ui.pictures import show_figure
from genlab.ui.remembering import remembered
from genlab.ui.state import get_workspace, title_of_set
from genlab.ui.undo import undoable, undoable_row
from genlab.workspace.likelihood import Part, share_below

if TYPE_CHECKING:
    from genlab.workspace.results import Boundary, Confusion, ScoredSets

LIMITS = (100, 300, 500, 1000, 3000)
EXTREMES = 12  # images in a gallery
NO_SET = ""
PAIR, ALL = "These two", "All classes"
MEASURES = {
    "density": "a density over pixels in [0, 1], which may exceed 1",
    "binary": "a probability of pixels thresholded at one half",
}
HIDING = {
    "left": "Left", "right": "Right", "top": "Top", "bottom": "Bottom", "centre": "Centre", "random": "Random pixels"
}  # fmt: skip


@st.fragment
@boundary()
def how_probable(run: genlab.Run) -> None:
    """Histogram of the sets, the most and the least probable held-out images, and images of one's own."""
    left, middle, right = st.columns([3, 4, 3], vertical_alignment="bottom")
    with undoable("likelihoods", "scored", "against", "whole", place=right):
        with left:
            limit = int(st.select_slider("Images of each set", LIMITS, 500, key="scored", bind="query-params"))
        with middle:
            against = _other_set()
        with right:
            whole = st.toggle(
                "Span the other set too", True, key="whole", bind="query-params", disabled=not against,
                help="Off: the bins span training and held-out images, and what lies beyond is in the outermost bins.",
            )  # fmt: skip
    with guarded("Scoring images …"):
        scored = remembered(
            "scores", (weights_of(run), limit, against), lambda: run.likelihood_sets(against or None, limit=limit)
        )
        _histogram(run, scored, whole)
        _extremes(run, scored)
    st.subheader("How usual are these?", anchor=False)
    chosen = choose_images(run, key="asked", start=one_of_each(run.images, 6), most=12)
    with guarded("Scoring images …"):
        _asked(run, scored, chosen)


def _other_set() -> str:
    """The name of an image set to compare with, or nothing."""
    infos = {info.name: info for info in get_workspace().datasets.infos() if info.available}
    return str(
        st.selectbox(
            "Beside another image set", [NO_SET, *infos], key="against", bind="query-params",
            format_func=lambda name: title_of_set(infos[name]) if name else "none",
            help="Its images are brought to this run's size and colours. Sets that need a download are listed once they are here.",
        )
        or NO_SET
    )  # fmt: skip


def reading(run: genlab.Run, scored: ScoredSets) -> str:
    """What the numbers are: exact or a bound, and of which kind of pixel."""
    if scored.kind == "bound":
        return (
            f"“{run.title}” gives no exact likelihood: these are evidence lower bounds with one draw of the code each, "
            "which lie below log p(x), for some images more than for others."
        )
    return f"Exact log p(x) under “{run.title}”: {MEASURES[scored.measure]}."


def axis_title(scored: ScoredSets) -> str:
    """The axis of likelihoods."""
    return "log p(x) / nats" if scored.kind == "exact" else "lower bound of log p(x) / nats"


def _histogram(run: genlab.Run, scored: ScoredSets, whole: bool) -> None:
    span = () if whole else ("training", "held out")
    figure = likelihood_histogram(scored.values, title=axis_title(scored), span_of=span)
    means = ", ".join(f"{name} {values.mean():,.1f}" for name, values in scored.values.items())
    counts = ", ".join(f"{len(values):,} {name}" for name, values in scored.values.items())
    same = np.array_equal(scored.indices["training"], scored.indices["held out"])
    caution = " No image of this set was held out, so both are the same." if same else ""
    caption = f"{reading(run, scored)} Images: {counts}. Means: {means}. The outermost bins also hold what lies beyond.{caution}"
    show_figure(figure, caption, key="likelihoods", data=lambda: as_csv(score_rows(scored)))


def score_rows(scored: ScoredSets) -> list[dict[str, Any]]:
    """One row for each image of each set: its number and its likelihood."""
    name = "log_likelihood" if scored.kind == "exact" else "lower_bound"
    return [
        {"set": title, "image": int(index), name: float(value)}
        for title, values in scored.values.items()
        for index, value in zip(scored.indices[title], values, strict=True)
    ]


def _extremes(run: genlab.Run, scored: ScoredSets) -> None:
    """The held-out images that the run finds most and least probable."""
    values, indices = scored.values["held out"], scored.indices["held out"]
    order = np.argsort(values, kind="stable")
    for column, what, chosen in zip(
        st.columns(2, gap="large"), ("most", "least"), (order[::-1][:EXTREMES], order[:EXTREMES]), strict=True
    ):
        with column:
            shown = Images(np.asarray(run.images.images[indices[chosen]]))
            labels = [f"{image_name(run.images, int(indices[place]))}: {values[place]:,.1f}" for place in chosen]
            caption = (
                f"The {len(chosen)} {what} likely of {len(values):,} held-out images of {run.images.title} to "
                f"“{run.title}”, with {axis_title(scored)}."
            )
            labelled_images(shown, labels, caption, key=f"{what}-likely", size=84)
            offer(f"{what.capitalize()} likely (zip)", shown.zip_bytes, f"{file_stem(run, f'{what}-likely')}.zip")


def _asked(run: genlab.Run, scored: ScoredSets, chosen: Chosen) -> None:
    """Where chosen images lie among those held out."""
    found = run.likelihoods(chosen.images)
    reference = scored.values["held out"]
    below = share_below(found.values, reference)
    labels = [f"{name}: {share:.1%} lie below" for name, share in zip(chosen.names, below, strict=True)]
    caption = (
        f"For each image, the share of {len(reference):,} held-out images of {run.images.title} that “{run.title}” finds "
        "less probable: near 0 % it is an anomaly to this model. A model may well find a strange image probable."
    )
    labelled_images(chosen.images, labels, caption, key="asked", size=104)
    marked = dict(zip(chosen.names, found.values.tolist(), strict=True))
    figure = likelihood_histogram({"held out": reference}, title=axis_title(scored), marked=marked)
    rows = [
        {"image": name, "log p(x) or its bound": float(value), "share of held-out images below": float(share)}
        for name, value, share in zip(chosen.names, found.values, below, strict=True)
    ]
    beyond = "An image beyond the held-out ones is drawn at the edge."
    show_figure(
        figure, f"The chosen images among those held out, “{run.title}”. {beyond}", key="asked-chart",
        data=lambda: as_csv(rows),
    )  # fmt: skip


@st.fragment
@boundary()
def fill_in(run: genlab.Run) -> None:
    """A part of images hidden, and what the run expects there."""
    controls, pictures = st.columns([2, 5], gap="large")
    with controls, undoable("fill-in", "part", "hidden", "seed"):
        part = st.selectbox("Hide", get_args(Part), format_func=HIDING.__getitem__, key="part", bind="query-params")
        share = st.slider("How much", 0.05, 0.95, 0.5, 0.05, key="hidden", bind="query-params", format="percent")
        seed = seed_input(help="Which pixels are hidden at random.") if part == "random" else 0
        chosen = choose_images(run, key="filled", start=one_of_each(run.images, 8), most=16)
    with pictures, guarded("Filling in …"):
        found = run.complete(chosen.images, part, share=share, seed=seed)
        strips = [found.original, found.masked, found.filled]
        caption = (
            f"Original, masked (hidden pixels in grey) and filled in by “{run.title}” with their expectation given the "
            f"pixels that are known. Root mean square error of the hidden pixels: {found.errors.mean():.4f}; of the mean "
            f"training image in their place: {found.baseline.mean():.4f}."
        )
        labelled_rows(strips, ["original", "masked", "filled in"], caption, key="filled")
        rows = [
            {"image": name, "error": float(error), "error of the mean image": float(base)}
            for name, error, base in zip(chosen.names, found.errors, found.baseline, strict=True)
        ]
        st.dataframe(rows, hide_index=True, key="errors")
        sheet = Images(np.concatenate([strip.array for strip in strips]))
        stem = file_stem(run, f"filled-{part}")
        with st.container(horizontal=True):
            offer("Picture (PNG)", lambda: sheet.png_bytes(len(chosen.names)), f"{stem}.png")
            offer("Errors (CSV)", as_csv(rows), f"{stem}.csv")


@st.fragment
@boundary()
def which_class(run: genlab.Run) -> None:
    """How often the run names the right class, which ones it confuses, and the border between two."""
    if not run.model().classes or run.images.labels is None:
        empty_state(
            "No classes", f"“{run.title}” was fitted without classes, so it has none to name.",
            link="train", label="Train one with classes",
        )  # fmt: skip
        return
    with undoable_row("classes", "classified"):
        limit = int(st.select_slider("Held-out images", LIMITS, 1000, key="classified", bind="query-params"))
    with guarded("Classifying …"):
        found: Confusion = remembered("confusions", (weights_of(run), limit), lambda: run.confusion(limit=limit))
        total = int(found.counts.sum())
        right, baseline, _ = st.columns([1, 1, 2])
        right.metric(
            "Right", f"{found.accuracy:.1%}", help=f"{int(np.trace(found.counts))} of {total} held-out images."
        )
        baseline.metric("Most frequent class", f"{found.majority:.1%}", help="What always naming the most frequent class of the training images scores.")  # fmt: skip
        caption = (
            f"{total:,} held-out images of {run.images.title} by their class (rows) and the class that “{run.title}” finds "
            "most probable (columns)."
        )
        show_figure(
            confusion_matrix(found.counts, found.names), caption, key="confusion",
            data=lambda: as_csv(confusion_rows(found)),
        )  # fmt: skip
    if run.has_boundary():
        st.subheader("The border in a plane", anchor=False)
        _border(run, confused(found))


def confusion_rows(found: Confusion) -> list[dict[str, Any]]:
    """One row for each class: how many of its images were given each class."""
    return [
        {"class": name, **dict(zip(found.names, map(int, row), strict=True))}
        for name, row in zip(found.names, found.counts, strict=True)
    ]


def confused(found: Confusion) -> tuple[int, int]:
    """The two classes that are taken for each other most often, where all are right the first two."""
    both = np.triu(found.counts + found.counts.T, 1)
    places = np.triu(np.ones_like(both), 1)
    first, second = np.unravel_index((both * both.size + places).argmax(), both.shape)
    return int(first), int(second)


@st.fragment
@boundary()
def _border(run: genlab.Run, start: tuple[int, int]) -> None:
    """The same model fitted in the plane of two principal axes: its regions, and the sigmoid of two classes."""
    names = list(run.config.data.class_names)
    with undoable_row("border", "first", "second", of=run.id):
        first = st.selectbox("Class", names, start[0], key="first", bind="query-params")
        others = [name for name in names if name != first]
        wanted = names[start[1]] if names[start[1]] != first else names[start[0]]
        second = st.selectbox("Against", others, others.index(wanted), key="second", bind="query-params")
    with guarded("Fitting in the plane …"):
        found: Boundary = remembered("borders", weights_of(run), run.boundary)
        pair = names.index(str(first)), names.index(str(second))
        shown = st.segmented_control("Show", (PAIR, ALL), default=PAIR, key="plane", bind="query-params", required=True)
        of = pair if shown == PAIR else None
        figure = decision_regions(
            found.points, found.labels, found.grid, x=found.x, y=found.y, names=names, pair=of, indices=found.indices
        )
        show_figure(figure, _border_caption(run, found, of, names), key="regions")
        _sigmoid(run, found, pair, names)


def _border_caption(run: genlab.Run, found: Boundary, pair: tuple[int, int] | None, names: list[str]) -> str:
    what = "The most probable class at each place of the plane"
    if pair:
        first, second = (names[label] for label in pair)
        what = f"{first} against {second} alone, with lines where the posterior of {first} is 10, 50 and 90 %"
    return (
        f"{what}, and held-out images. This is not “{run.title}” itself, which sees more dimensions, but the same kind of "
        f"model ({run.config.model}) fitted anew on the first two principal axes of the training images; there it names "
        f"{found.accuracy:.1%} of {len(found.points)} held-out images of all classes rightly."
    )


def _sigmoid(run: genlab.Run, found: Boundary, pair: tuple[int, int], names: list[str]) -> None:
    mine = np.isin(found.labels, pair)
    odds = found.log_joint[mine, pair[0]] - found.log_joint[mine, pair[1]]
    figure = sigmoid_of_odds(odds, found.labels[mine] == pair[0], (names[pair[0]], names[pair[1]]))
    caption = (
        f"Where {names[pair[0]]} and {names[pair[1]]} are all there is, the posterior is the sigmoid of the log-odds, "
        f"whatever the covariances; with one shared covariance the log-odds are a line in x, as in logistic regression. "
        f"Held-out images of both classes, the model of “{run.title}” refitted in the plane; those beyond ±12 stand at the edge."
    )
    show_figure(figure, caption, key="sigmoid")
