"""The rings of a triplet: its two radii pulled in the plane of the codes' principal axes, its draws decoded meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import genlab
from genlab.figures.latent import ROLES
from genlab.latent.triplets import TripletSettings, inward_steps, uniform_draws
from genlab.ui.components import heard
from genlab.ui.components.browser import doubles, view
from genlab.ui.explore_controls import keep_in_address
from genlab.ui.messages import plain
from genlab.ui.routes import decoder_addresses
from genlab.workspace.exhibit import packed

if TYPE_CHECKING:
    from genlab.ui.explore_pick import Chosen
    from genlab.workspace.results import Projection


def rings(
    run: genlab.Run, projection: Projection, chosen: Chosen, settings: TripletSettings, *, seed: int, draws: int
) -> None:
    """Two rings around an anchor, and its positives and negatives; the radii go to the sliders when a ring is let go."""
    mean, log_var = (np.asarray(part, dtype=np.float64) for part in run.encode(chosen.images))
    middle = run.latent_statistics().mean
    uniform = uniform_draws(len(mean) * draws, mean.shape[1], settings, np.random.default_rng(seed))
    assert projection.pca is not None
    data = {
        "decoder": decoder_addresses(run),
        "anchors": chosen.names,
        "means": doubles(mean),
        "steps": doubles(inward_steps(mean, log_var, middle, settings.step)),
        "middle": middle.tolist(),
        "uniform": {name: None if array is None else doubles(array) for name, array in uniform.items()},
        "axes": {"mean": projection.pca.mean.tolist(), "components": projection.pca.components.tolist()},
        "points": packed(projection.points[:, :2]),
        "radii": {"positive": settings.positive_radius, "negative": settings.negative_radius},
        "toward": {"positive": settings.positive_toward_mean, "negative": settings.negative_toward_mean},
        "spread": settings.radius_spread,
        "seed": seed,
        "draws": draws,
        "inks": dict(ROLES),
        "active": _active(len(chosen.names)),
    }
    view("rings", data, key="rings", on_radii_change=_pulled, on_active_change=heard)
    st.caption(plain(
        f"The two radii around an anchor among the codes of {len(projection.points)} training images, on the two principal "
        f"axes of “{run.title}”; click on another anchor to see its draws."
    ))  # fmt: skip


def _active(count: int) -> int:
    """The place of the anchor whose draws are shown: as told, else as the address has it, where it is kept."""
    told = st.session_state.get("rings", {}).get("active")
    text = st.query_params.get("anchor", "") if told is None else str(told)
    active = min(int(text), count - 1) if text.isdecimal() and len(text) < 4 else 0
    keep_in_address("anchor", str(active or ""))
    return active


def _pulled() -> None:
    """Move the sliders to where the rings were let go, or to what was taken back there."""
    told = st.session_state["rings"].radii or {}
    for kind, name in (("radii", "radius"), ("toward", "toward_mean")):
        for role, value in told.get(kind, {}).items():
            st.session_state[f"{role}_{name}"] = float(value)
