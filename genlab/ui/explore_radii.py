"""The search for radii: every setting scored by its semi-hard triplets, as two heat maps, and the best on the sliders."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

import genlab
from genlab.figures import setting_map
from genlab.latent.radii import AXES, PROBABILITIES, RADII, RadiiSearch
from genlab.latent.triplets import TripletSettings
from genlab.ui.explore_controls import as_csv, weights_of
from genlab.ui.explore_hardness import recognisers
from genlab.ui.messages import boundary, plain
from genlab.ui.pictures import show_figure
from genlab.ui.remembering import known, remembered
from genlab.ui.state import get_workspace
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    import numpy as np

COUNTS = (25, 50, 100, 200, 500)
PIXELS = "the pixels"
NAMES = {
    "positive_radius": "positive radius", "positive_toward_mean": "probability of the positive",
    "negative_radius": "negative radius", "negative_toward_mean": "probability of the negative",
}  # fmt: skip

NOTE = f"""
The thesis chose its radii by eye and asks for a better way. Here {len(RADII)} radii and {len(PROBABILITIES)} probabilities of each kind
are tried in all pairs around held-out images. Counted are triplets that are *semi-hard* for a network: in order, but by less
than its margin, so that they still teach it something.

A high share is not enough: a positive that is all but its anchor is easily nearer than any negative, and teaches little about
what varies between photographs of one thing. Whether it helps is seen by training on it: the study *Radii of sampled triplets*
does so for many settings, and the Recognise page compares any two runs.
"""


@boundary()
def good_radii(run: genlab.Run) -> None:
    """What is searched, with a start and a stop, and what was found.

    It is no fragment: a fragment at work is finished before a press of a button is heard.
    """
    st.subheader("Good radii")
    st.markdown(NOTE)
    networks = {PIXELS: PIXELS} | recognisers(run)
    left, middle, right = st.columns([4, 3, 3], vertical_alignment="bottom")
    with middle, undoable_row("radii", "radii-by", "radii-count", of=" ".join(networks)):
        by = str(
            left.selectbox(
                "Semi-hard by the distances of", list(networks), format_func=networks.__getitem__, index=min(1, len(networks) - 1),
                key="radii-by", bind="query-params", help="A recognition run on images of the same size, or how well pixels correlate.",
            )
        )  # fmt: skip
        count = int(st.select_slider("Anchors", COUNTS, 50, key="radii-count", bind="query-params"))
    with right, st.container(horizontal=True):
        started = st.button("Search", icon=":material/grid_on:", type="primary", key="radii-search")
        stop = st.empty()
    settings = _settings()
    network = None if by == PIXELS else get_workspace().runs[by]
    question = (weights_of(run), by if network is None else weights_of(network), count, settings)
    if started:
        stop.button("Stop", icon=":material/stop:", key="radii-stop", help="What was tried so far is dropped.")
        bar = st.progress(0.0, "Encoding the anchors …")

        def report(share: float, text: str) -> None:
            bar.progress(share, text)  # a press of the button above ends the script here

        search = partial(run.radii, network, settings=settings, count=count, progress=report)
        remembered("radii", question, search)
        bar.empty()
        stop.empty()
    if found := known("radii", question):
        _found(run, found)


def _settings() -> TripletSettings:
    """The step and the stochastic radius that are chosen above."""
    names = ("step", "stochastic_radius", "radius_spread")
    return TripletSettings(**{name: st.session_state[name] for name in names if st.session_state.get(name) is not None})


def _found(run: genlab.Run, found: RadiiSearch) -> None:
    """Two slices through the best setting, what it is, and a way to take it over."""
    best = found.best()
    place = found.place(best)
    usual = found.place(found.settings)
    assert place is not None  # it was found in the grid
    thesis = "" if usual is None else f" The thesis's values (.15, .95, .30, .85) have {found.semi_hard[usual]:.0%}."
    st.markdown(
        f"Best: **{_in_words(best)}**: {found.semi_hard[place]:.0%} of the triplets are semi-hard and "
        f"{found.in_order[place]:.0%} in order.{thesis}"
    )
    st.button(
        "Set the sliders to it", icon=":material/tune:", key="radii-take", on_click=take, args=(best,),
        help="The sliders above then show triplets of these values.",
    )  # fmt: skip
    first, second, third, fourth = place
    slices = (
        ("radii", found.semi_hard[:, second, :, fourth], found.radii, ("negative_radius", "positive_radius")),
        ("probabilities", found.semi_hard[first, :, third, :], found.probabilities, ("negative_toward_mean", "positive_toward_mean")),
    )  # fmt: skip
    for what, values, levels, axes in slices:
        _slice(run, found, best, what, values, levels, axes)


def _slice(
    run: genlab.Run, found: RadiiSearch, best: TripletSettings, what: str, values: np.ndarray,
    levels: tuple[float, ...], axes: tuple[str, str],
) -> None:  # fmt: skip
    """One heat map through the best setting: over both radii, or over both probabilities."""
    framed = [(getattr(best, axes[0]), getattr(best, axes[1]))]
    figure = setting_map(values, x=levels, y=levels, titles=(NAMES[axes[0]], NAMES[axes[1]]), framed=framed)
    held = ", ".join(f"{NAMES[axis]} {getattr(best, axis):g}" for axis in AXES if axis not in axes)
    caption = (
        f"Semi-hard triplets by both {what}, {held}: {found.count} held-out anchors of {run.images.title}, sampled by "
        f"“{run.title}”, margin {found.margin:g}, by the distances of {found.by}. "
        "Framed is the best."
    )
    show_figure(figure, caption, key=f"search-{what}", data=lambda: as_csv(search_rows(found)))


def _in_words(settings: TripletSettings) -> str:
    return plain(", ".join(f"{NAMES[axis]} {getattr(settings, axis):g}" for axis in AXES))


def take(settings: TripletSettings) -> None:
    """Set the four sliders of the page."""
    for axis in AXES:
        st.session_state[axis] = getattr(settings, axis)


def search_rows(found: RadiiSearch) -> list[dict[str, float]]:
    """One row for each setting that can be sampled with."""
    import numpy as np

    places = np.argwhere(np.isfinite(found.semi_hard))
    return [
        {NAMES[axis]: getattr(found.at(*place), axis) for axis in AXES}
        | {"semi-hard": float(found.semi_hard[*place]), "in order": float(found.in_order[*place])}
        for place in places
    ]
