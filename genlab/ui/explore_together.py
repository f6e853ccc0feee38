"""One finger, several models: the pictures that runs with the same prior make of the same code, decoded in the browser."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.components import heard
from genlab.ui.components.browser import view
from genlab.ui.explore_compare import short_names
from genlab.ui.explore_controls import as_csv, offer, weights_of
from genlab.ui.explore_pick import choose_images, one_of_each
from genlab.ui.explore_plane import laid, linked_place, name_of, own_on_plane, through_draws, told_of
from genlab.ui.messages import boundary, plain
from genlab.ui.routes import decoder_addresses
from genlab.ui.state import get_workspace
from genlab.ui.undo import undoable_row
from genlab.workspace.exhibit import view_of
from genlab.workspace.together import Companions, companions

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane

MOST = 6  # pictures beside the plane
SUGGESTED = 4
THROUGH = ("Draws", "Images")


class Course(NamedTuple):
    """What the plane goes through: codes and what they are called, own pictures as places on it, and all that in words."""

    corners: np.ndarray | None
    names: list[str]
    own: list[dict[str, Any]]
    words: str


@st.fragment
@boundary()
def under_one_finger(runs: Sequence[genlab.Run]) -> None:
    """A plane of the prior that runs share, and what each of them decodes at the place of the finger."""
    with st.spinner("Comparing priors …"):
        found = companions(runs)
    if not found.groups:
        _nobody(runs, found)
        return
    group = _chosen(found.groups)
    shown, dimensions = group[:MOST], _dimensions(group[0])
    course = _course(shown[0], next((run for run in shown if run.can("encodes")), None))
    with st.spinner("Looking where codes lie …"):
        plane = laid(shown[0], course.corners, among="prior")
    told = _show(shown, plane, course)
    st.caption(plain(
        f"One code of {dimensions} numbers, decoded by {len(shown)} runs whose priors give the same codes for the same seed, "
        f"{course.words}. The same place need not show the same thing: each run has learned its own use of the prior."
        f"{_left_out(runs, group, found)}"
    ))  # fmt: skip
    place = told_of(told.get("place"), plane)
    if place is not None:
        st.query_params["at"] = ",".join(f"{value:.3f}" for value in place)
        _take(shown, plane.frame.codes(np.array(place)))


def _course(run: genlab.Run, encoding: genlab.Run | None) -> Course:
    """The whole of two dimensions, or a plane through draws, or through images as the first run that can has `encoding`d them."""
    if _dimensions(run) == 2:
        own = own_on_plane(encoding) if encoding else []
        where = f"; your pictures stand where “{encoding.title}” puts them" if encoding and own else ""
        return Course(None, [], own, f"on their two dimensions{where}")
    through = THROUGH[0]
    if encoding:
        with undoable_row("together-through", "together-through"):
            through = str(st.segmented_control(
                "The plane goes through", THROUGH, default=THROUGH[0], key="together-through", required=True
            ))  # fmt: skip
    if not encoding or through == THROUGH[0]:
        return Course(*through_draws(run, "together-seed"), [], "on the plane through three of those draws")
    start = one_of_each(encoding.images, 3)
    chosen = choose_images(encoding, key="together-images", start=start, fewest=3, most=3, label="Through")
    words = f"on the plane through {', '.join(chosen.names)}, as “{encoding.title}” encodes them"
    return Course(encoding.codes(chosen.images), chosen.names, [], words)


def _dimensions(run: genlab.Run) -> int:
    return int(run.model().latent_dim)  # type: ignore[arg-type]


def _chosen(groups: list[list[genlab.Run]]) -> list[genlab.Run]:
    """The group to show; where there are several, the person chooses."""
    if len(groups) == 1:
        return groups[0]
    names = [f"{', '.join(short_names(group))} ({_dimensions(group[0])} dimensions)" for group in groups]
    with undoable_row("together", "together", of=" ".join(names)):
        chosen = st.selectbox("Runs that share a prior", names, key="together", bind="query-params")
    return groups[names.index(str(chosen))]


def _show(runs: Sequence[genlab.Run], plane: LatentPlane, course: Course) -> Any:
    beside = "|".join(weights_of(run) for run in runs)
    titles = short_names(runs)
    data = view_of(runs[0], plane, course.names) | {
        "name": f"{name_of(plane)}/{hashlib.blake2b(beside.encode(), digest_size=6).hexdigest()}",
        "label": f"A plane of the prior of {', '.join(titles)}. Drag, or use the arrow keys.",
        "runs": [{"title": title, "decoder": decoder_addresses(run)} for title, run in zip(titles, runs, strict=True)],
    }
    data["corners"] += course.own
    data["place"] = linked_place(plane) or data["place"]
    return view("many", data, key="many", on_place_change=heard)


def _left_out(runs: Sequence[genlab.Run], group: Sequence[genlab.Run], found: Companions) -> str:
    """Which runs are not shown, and why."""
    beyond = {run.id: f"{MOST} are shown at most" for run in group[MOST:]}
    shown, reasons = {run.id for run in group[:MOST]}, beyond | found.apart
    lacking = [
        f"“{run.name}” ({reasons.get(run.id, 'it shares another prior')})" for run in runs if run.id not in shown
    ]
    return f" Left out: {'; '.join(lacking)}." if lacking else ""


def _nobody(runs: Sequence[genlab.Run], found: Companions) -> None:
    """Say why no two of these runs share a prior, and which would."""
    st.info(
        "No two of these runs can decode the same code. That takes equally many latent dimensions and the same prior, so that "
        "a code is the same place for both.", icon=":material/touch_app:",
    )  # fmt: skip
    st.markdown(plain("\n".join(f"- “{run.name}”: {found.apart[run.id]}." for run in runs)))
    chosen = {run.id for run in runs}
    known = {run.config.parameters.get("latent_dim") for run in runs if run.can("decodes", "has_prior")} - {None}
    fitting = [
        run.name
        for run in get_workspace().runs
        if run.can("decodes", "has_prior") and run.config.parameters.get("latent_dim") in known and run.id not in chosen
    ]
    if fitting:
        st.markdown(plain(f"Of as many dimensions as one of these, and worth a try: {', '.join(fitting[:SUGGESTED])}."))


def _take(runs: Sequence[genlab.Run], code: np.ndarray) -> None:
    """The pictures at the place that was let go, and its code, to take away."""
    with st.container(horizontal=True, gap="small"):
        if len({tuple(run.config.data.shape) for run in runs}) == 1:
            offer("The pictures (PNG)", lambda: _strip(runs, code), "one-code.png")
        offer(
            "Their code (CSV)", lambda: as_csv([{f"z{d}": z for d, z in enumerate(code[0], start=1)}]), "one-code.csv"
        )


def _strip(runs: Sequence[genlab.Run], code: np.ndarray) -> bytes:
    return Images(np.concatenate([run.decode(code).array for run in runs])).png_bytes(columns=len(runs))
