"""The first page: a trained model that draws while you look, and the ways on from there."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

import genlab
from genlab.ui.messages import boundary, empty_state, plain
from genlab.ui.navigation import page
from genlab.ui.pictures import show_images, show_picture
from genlab.ui.previews import halved, open_preview, previews
from genlab.ui.state import get_workspace, remember

COUNT, COLUMNS = 36, 6
FIRST = "dcgan"  # which shipped model draws first: its samples are the sharpest
SECONDS = 3
DRAWS = 10  # then it rests, until somebody asks for more


class Way(NamedTuple):
    """A way on from the first page: a page's name, a heading, a sentence and what stands on its link."""

    page: str
    title: str
    sentence: str
    link: str
    icon: str


WAYS = (
    Way("latent", "Explore", "Walk through what a trained model knows: its map of codes, and what lies between.",
        "Open the latent space", "explore"),
    Way("train", "Train", "Bring your own pictures, choose a model, and watch it learn with live curves.",
        "Train a model", "model_training"),
    Way("compare", "Compare", "Put runs side by side: what differs, how they learned, what they draw.",
        "Compare runs", "compare_arrows"),
)  # fmt: skip


def showcase() -> None:
    """A trained run that draws new images by itself, or how to begin where there is none."""
    able = {run.id: run for run in candidates()}
    if not able:
        empty_state(
            "No trained model here yet",
            "Train one, and it will draw on this page.",
            link="train",
            label="Train a model",
        )
        return
    with st.container(key="wide-showcase"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with right:
        st.subheader("A model, drawing", anchor=False)
        chosen = able[st.selectbox("Who draws", list(able), format_func=lambda id: able[id].title, key="showcase")]
        st.markdown(
            f"Nobody drew these pictures. **{plain(chosen.title)}** learned from {chosen.config.data.count:,} images of "
            f"*{plain(chosen.config.data.title)}* and now turns noise into new ones."
        )
        live = st.toggle("Draw by itself", value=True, key="showcase-live")
        with st.container(horizontal=True):
            again = st.button(f"Draw {COUNT} new ones", icon=":material/casino:", type="primary", key="showcase-draw")
            _open("sample", chosen, "More of it", ":material/arrow_forward:")
    with left:
        if again:
            st.session_state["showcase-draws"] = 0
            st.session_state["showcase-seed"] = st.session_state.get("showcase-seed", 0) + 1
        st.fragment(_drawing, run_every=SECONDS if live and not _rests() else None)(chosen, again)


def candidates() -> list[genlab.Run]:
    """Who can draw: the shipped runs that sample, then the person's own finished ones."""
    able = [run for run in get_workspace().runs if run.can("samples") and run.status == "finished"]
    return sorted((run for run in able if previews(run)), key=lambda run: (not run.shipped, run.config.model != FIRST))


def _rests() -> bool:
    return int(st.session_state.get("showcase-draws", 0)) >= DRAWS


@boundary()
def _drawing(run: genlab.Run, again: bool) -> None:
    """First what the run stored while it learned (at once), then a new draw each time the timer asks."""
    state = st.session_state
    first_look = state.get("showcase-shown") != run.id and not again
    state["showcase-shown"] = run.id
    stored = [event for event in previews(run) if event.what == "samples"]
    if first_look and stored:
        caption = f"Samples that “{run.title}” drew at the end of its training (epoch {stored[-1].epoch})."
        show_picture(halved(open_preview(run, stored[-1]), run.config.data.shape), caption, key="showcase")
        return
    if not _rests():
        state["showcase-seed"] = state.get("showcase-seed", 0) + 1
        state["showcase-draws"] = state.get("showcase-draws", 0) + 1
    seed = state["showcase-seed"]
    images = run.sample(COUNT, seed=seed)
    show_images(
        images, f"{COUNT} new images drawn by “{run.title}” just now, seed {seed}.", key="showcase", columns=COLUMNS
    )
    if _rests() and not again:
        st.rerun()


def _open(name: str, run: genlab.Run, label: str, icon: str) -> None:
    """A button that opens another page with this run chosen."""
    target = page(name)
    if target and st.button(label, icon=icon, key=f"open-{name}-{run.id}"):
        remember("run", run.id)
        st.switch_page(target)


def ways_on() -> None:
    """Three cards: explore, train, compare."""
    with st.container(key="ways"):
        columns = st.columns(len(WAYS), gap="medium")
    for column, way in zip(columns, WAYS, strict=True):
        with column, st.container(border=True, height="stretch", key=f"card-{way.page}"):
            st.markdown(f"#### :material/{way.icon}: {way.title}")
            st.markdown(way.sentence)
            if target := page(way.page):
                st.page_link(target, label=way.link, icon=":material/arrow_forward:")
