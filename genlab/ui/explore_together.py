"""One finger, several models: the pictures that runs with the same prior make of the same code, decoded in the browser."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.components import heard
from genlab.ui.components.browser import view
from genlab.ui.explore_compare import short_names
from genlab.ui.explore_controls import as_csv, offer, weights_of
from genlab.ui.explore_plane import laid, linked_place, name_of, through_draws, told_of
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
    corners, names = (None, []) if dimensions == 2 else through_draws(shown[0], "together-seed")
    with st.spinner("Looking where codes lie …"):
        plane = laid(shown[0], corners, among="prior")
    told = _show(shown, plane, names)
    st.caption(plain(
        f"One code of {dimensions} numbers, decoded by {len(shown)} runs whose priors give the same codes for the same seed, "
        f"{'on their two dimensions' if dimensions == 2 else 'on the plane through three of those draws'}. The same place need "
        f"not show the same thing: each run has learned its own use of the prior.{_left_out(runs, group, found)}"
    ))  # fmt: skip
    place = told_of(told.get("place"), plane)
    if place is not None:
        st.query_params["at"] = ",".join(f"{value:.3f}" for value in place)
        _take(shown, plane.frame.codes(np.array(place)))


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


def _show(runs: Sequence[genlab.Run], plane: LatentPlane, names: list[str]) -> Any:
    beside = "|".join(weights_of(run) for run in runs)
    titles = short_names(runs)
    data = view_of(runs[0], plane, names) | {
        "name": f"{name_of(plane)}/{hashlib.blake2b(beside.encode(), digest_size=6).hexdigest()}",
        "label": f"A plane of the prior of {', '.join(titles)}. Drag, or use the arrow keys.",
        "runs": [{"title": title, "decoder": decoder_addresses(run)} for title, run in zip(titles, runs, strict=True)],
    }
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
