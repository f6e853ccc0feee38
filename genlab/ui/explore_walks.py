"""Walks between images: straight and along the sphere, and one dimension at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures import kl_bars
from genlab.figures.images import Images
from genlab.figures.video import REMEDY, ffmpeg
from genlab.ui.explore_controls import file_stem, offer, seed_input, weights_of
from genlab.ui.explore_gallery import labelled_rows
from genlab.ui.explore_pick import choose_images, one_of_each
from genlab.ui.explore_theatre import board, theatre
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_figure
from genlab.ui.remembering import content_of, remembered
from genlab.ui.undo import undoable

KINDS = {"lerp": "Straight line (lerp)", "slerp": "Along the sphere (slerp)"}
MOST_POINTS = 6


@st.fragment
@boundary()
def walk(run: genlab.Run) -> None:
    """A path through two or more images or prior draws, both ways side by side."""
    controls, pictures = st.columns([2, 5], gap="large")
    with controls, undoable("walk", "steps", "between", "draws", "seed", "closed", of=run.id):
        steps = st.slider("Images from one end to the next", 3, 24, 10, key="steps", bind="query-params")
        points, names, between = _points(run)
        closed = st.toggle("Back to the first", key="closed", bind="query-params") if len(points) > 2 else False
    with pictures, guarded("Walking …"):
        codes = np.concatenate([run.codes(seed) for seed in points]) if isinstance(points, list) else points
        theatre(run, np.asarray(codes, dtype=np.float64), names, closed=closed)
        walks = {kind: run.walk(points, steps=steps, kind=kind, closed=closed) for kind in KINDS}
        labels, strips = [], []
        for start in range(len(points) if closed else len(points) - 1):
            for kind, images in walks.items():
                between_two = [
                    place % len(images) for place in range(start * (steps - 1), (start + 1) * (steps - 1) + 1)
                ]
                labels.append(kind if len(points) == 2 else f"{kind}\n{start + 1} to {(start + 1) % len(points) + 1}")
                strips.append(images[between_two])
        caption = f"From left to right between {between}, straight (lerp) and along the sphere (slerp); “{run.title}”."
        labelled_rows(strips, labels, caption, key="walk")
        for (kind, images), column in zip(walks.items(), st.columns(2), strict=True):
            with column:
                _taken_away(run, images, kind)
        if not ffmpeg():
            st.caption(REMEDY)


def _taken_away(run: genlab.Run, images: Images, kind: str) -> None:
    """What can be taken away of one way of walking: nothing of it is made before somebody asks."""
    stem = file_stem(run, kind)
    st.markdown(f"**{KINDS[kind]}**, {len(images)} images")
    with st.container(horizontal=True, gap="small"):
        offer("Strip (PNG)", lambda: images.png_bytes(columns=len(images)), f"{stem}.png")
        offer("Film (GIF)", lambda: images.gif_bytes(bounce=True), f"{stem}.gif")
        if ffmpeg():
            offer("Film (MP4)", lambda: images.mp4_bytes(bounce=True), f"{stem}.mp4")


def _points(run: genlab.Run) -> tuple[Any, list[str], str]:
    """The ends of the walk (codes of images, or seeds of prior draws), their names, and all of them in words."""
    origins = [name for name, able in (("Images", run.can("encodes")), ("Prior draws", run.can("has_prior"))) if able]
    origin = origins[0]
    if len(origins) > 1:
        origin = str(
            st.segmented_control(
                "Between", origins, default=origin, key="between", bind="query-params", required=True, wrap=True
            )
        )
    if origin == "Images":
        chosen = choose_images(
            run, key="ends", start=one_of_each(run.images, 2), fewest=2, most=MOST_POINTS, label="Ends"
        )
        return run.encode(chosen.images).mean, chosen.names, ", ".join(chosen.names)
    if not run.can("encodes"):
        st.info(
            f"A {run.config.model} model has no encoder, so it cannot take images in: it walks between draws from its prior.",
            icon=":material/info:",
        )
    count = st.slider("Draws", 2, MOST_POINTS, 2, key="draws", bind="query-params")
    seed = seed_input()
    seeds = list(range(seed, seed + count))
    words = f"{count} draws from the prior (seeds {seed} to {seed + count - 1})"
    return seeds, [f"draw {number}" for number in seeds], words


@st.fragment
@boundary()
def traversals(run: genlab.Run) -> None:
    """One code, one dimension moved at a time, the most used dimension first."""
    controls, pictures = st.columns([2, 5], gap="large")
    with controls, undoable("traversals", "shown", "span", "steps-of-dimension", "from-image", of=run.id):
        most = int(run.model().latent_dim)  # type: ignore[arg-type]
        shown = 1
        if most > 1:
            shown = st.slider("Dimensions", 1, min(32, most), min(10, most), key="shown", bind="query-params")
        span = st.slider("From −span to +span", 0.5, 6.0, 3.0, 0.5, key="span", bind="query-params")
        steps = st.slider("Images a dimension", 3, 15, 9, 2, key="steps-of-dimension", bind="query-params")
        code, name = None, "the mean of all codes"
        if st.toggle("Start from an image", key="from-image", bind="query-params"):
            chosen = choose_images(run, key="start", most=1, label="Start")
            code, name = run.encode(chosen.images).mean[0], chosen.names[0]
    with pictures, guarded("Decoding …"):
        question = (weights_of(run), None if code is None else content_of(code), steps, span)
        found = remembered("traversals", question, lambda: run.traverse(code, steps=steps, span=span))
        board(run, run.latent_statistics().mean if code is None else code, found, min(shown, len(found.dimensions)))
        used = found.dimensions[:shown]
        kl = None if found.kl is None else found.kl[:shown]
        labels = [f"z{d}" if kl is None else f"z{d}\n{kl[place]:.2f} nats" for place, d in enumerate(used)]
        order = "their mean KL" if kl is not None else "their variance"
        caption = (
            f"Around {name}, each row moves one latent dimension of “{run.title}” from −{span:g} (left) to +{span:g} "
            f"(right); dimensions are ordered by {order}, the most used first."
        )
        images = found.images[: shown * steps]
        strips = [images[row * steps : (row + 1) * steps] for row in range(len(labels))]
        labelled_rows(strips, labels, caption, key="traversal")
        stem = file_stem(run, "traversals")
        offer("Download PNG", lambda: images.png_bytes(columns=steps), f"{stem}.png")
    if found.kl is not None:
        with st.expander("KL of every dimension", icon=":material/bar_chart:"):
            figure = kl_bars(found.kl[np.argsort(found.dimensions)])
            show_figure(figure, f"Mean KL of each dimension of “{run.title}”.", key="kl")
