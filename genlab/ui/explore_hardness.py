"""What a recognition run has left to learn from the triplets on the page: shares of easy, semi-hard and hard ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import genlab
from genlab.core.shapes import Shape
from genlab.latent.radii import Hardness, hardness_of
from genlab.latent.triplets import TripletSettings
from genlab.ui.explore_controls import weights_of
from genlab.ui.messages import boundary, plain
from genlab.ui.navigation import page
from genlab.ui.remembering import content_of, remembered
from genlab.ui.state import get_workspace
from genlab.ui.undo import undoable_row
from genlab.workspace.radii import Role, margin_of

if TYPE_CHECKING:
    from genlab.ui.explore_pick import Chosen

COUNT = 32  # triplets that are looked at, at least
KEPT = 128  # of positives, and of negatives, whose distances are remembered

MEANING = (
    "Semi-hard: the negative is farther from the anchor than the positive, by less than the margin. Easy: by the margin or more, "
    "so that the loss is 0. Hard: it is not farther."
)


def recognisers(run: genlab.Run) -> dict[str, str]:
    """The runs that recognise images of a run's shape: their titles by id."""
    return {
        each.id: each.title
        for each in get_workspace().runs
        if each.can("embeds") and each.status != "queued" and each.config.data.shape == run.config.data.shape
    }


@st.fragment
@boundary()
def hardness(run: genlab.Run, chosen: Chosen, settings: TripletSettings, *, seed: int, draws: int) -> None:
    """What share of draws like those on the page is semi-hard for a recognition run that the person chooses."""
    networks = recognisers(run)
    if not networks:
        _nobody(run)
        return
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left, undoable_row("hardness", "hard-for", of=" ".join(networks)):
        by = st.selectbox(
            "Semi-hard for", list(networks), format_func=networks.__getitem__, key="hard-for", bind="query-params"
        )
    each = max(draws, -(-COUNT // len(chosen.names)))
    with right, st.spinner("Asking the network …"):
        found = _shares(run, chosen, settings, str(by), seed, each)
        st.markdown(in_words(found))
    st.caption(f"{found.count} triplets like these, {each} around each anchor, seed {seed}. {MEANING}")


def _shares(run: genlab.Run, chosen: Chosen, settings: TripletSettings, by: str, seed: int, each: int) -> Hardness:
    """Distances are asked for where a radius moved alone: those of the other role are as they were."""
    network = get_workspace().runs[by]
    of = (weights_of(run), weights_of(network), content_of(chosen.images.array), seed, each)

    def apart(role: Role, other: Role) -> np.ndarray:
        own = tuple((name, value) for name, value in settings.model_dump().items() if not name.startswith(other))
        ask = partial(run.apart, role, chosen.images, settings, network, draws=each, seed=seed)
        return remembered("apart", (*of, role, own), ask, most=KEPT)

    return hardness_of(apart("positive", "negative"), apart("negative", "positive"), margin_of(network), network.title)


def in_words(found: Hardness) -> str:
    """The shares as a sentence.

    >>> from genlab.latent.radii import Hardness
    >>> in_words(Hardness(0.5, 0.375, 0.125, 96, 0.6, "eyes"))
    '**37.5%** of 96 draws are semi-hard for “eyes” (easy 50.0%, hard 12.5%; margin 0.6)'
    """
    return (
        f"**{found.semi_hard:.1%}** of {found.count} draws are semi-hard for “{plain(found.by)}” "
        f"(easy {found.easy:.1%}, hard {found.hard:.1%}; margin {found.margin:g})"
    )


def _nobody(run: genlab.Run) -> None:
    """Say what it takes to see the share: a recognition run for these images, or a run whose images one knows already."""
    every = [each for each in get_workspace().runs if each.status != "queued"]
    known = {each.config.data.shape for each in every if each.can("embeds")}
    samplers = [each for each in every if each.can("encodes_normal", "decodes") and each.config.data.shape in known]
    ready = f" “{samplers[0].title}” has one already: choose it above." if samplers else ""
    st.info(plain(
        f"What share of these draws is semi-hard is said by a recognition run, and there is none yet for images of "
        f"{Shape(*run.config.data.shape)}. Train one on images with classes, such as {run.config.data_title}.{ready}"
    ), icon=":material/fingerprint:")  # fmt: skip
    if target := page("train"):
        st.page_link(target, label="Train a recognition run", icon=":material/arrow_forward:")
