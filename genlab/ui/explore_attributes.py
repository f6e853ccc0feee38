"""Attribute arithmetic: codes moved along the difference of two groups' mean codes, of classes or of two lassos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.images import Images
from genlab.ui import navigation
from genlab.ui.explore_controls import file_stem, offer
from genlab.ui.explore_gallery import labelled_rows
from genlab.ui.explore_pick import choose_images, parse_numbers
from genlab.ui.explore_strength import Moving, sliding_strength
from genlab.ui.messages import boundary, guarded
from genlab.ui.undo import undoable

MOST = 500  # images of each group that its mean code is taken over
CHANGED = 3  # images to change that are proposed
SIDES = {"these": "Take as “these”", "those": "Take as “minus those”"}
CONTROLS = ("attribute-of", "towards", "away-from", *SIDES, "strength", "steps-of-attribute")
KEPT = "attribute-sides"  # in the session: what was taken so far, the latest last


class Groups(NamedTuple):
    """Numbers of images on both sides of the difference, and what each side is called."""

    more: np.ndarray
    less: np.ndarray
    names: tuple[str, str]


@st.fragment
@boundary()
def attributes(run: genlab.Run) -> None:
    """Codes moved along the difference of two groups' mean codes, with a strength."""
    controls, pictures = st.columns([2, 5], gap="large")
    with controls, undoable("attributes", *CONTROLS, of=run.id):
        groups = _groups(run)
        if groups is None:
            return
        strength = st.slider(
            "Greatest strength", 0.1, 3.0, 1.0, 0.1, key="strength", bind="query-params",
            help="How far the strength s beside it goes to both sides, and the table below.",
        )  # fmt: skip
        steps = st.slider("Images a row", 3, 11, 7, 2, key="steps-of-attribute", bind="query-params")
        chosen = choose_images(
            run, key="edited", start=groups.less[:CHANGED].tolist(), most=6, label="Images to change"
        )
    more, less = groups.names
    with pictures, guarded("Decoding …"):
        direction = run.attribute(*(_pixels(run, numbers) for numbers in groups[:2]))
        codes = run.codes(chosen.images)
        moving = Moving(
            "Strength s", codes, direction[None], chosen.names, (-strength, strength), rest=0.0, back="Not moved"
        )
        sliding_strength(run, moving, "Each image’s code plus s times the difference of both mean codes", key="s")
        edited = run.edit(codes, direction, np.linspace(-strength, strength, steps).tolist())
        caption = (
            f"Each image's code plus s times (mean code of {more} − mean code of {less}), s from −{strength:g} to "
            f"+{strength:g} in {steps} steps; the middle column is the plain reconstruction. Decoded by “{run.title}”."
        )
        strips = [edited[row * steps : (row + 1) * steps] for row in range(len(chosen.names))]
        labelled_rows(strips, chosen.names, caption, key="attribute")
        stem = file_stem(run, f"{more}-minus-{less}")
        offer("Download PNG", lambda: edited.png_bytes(columns=steps), f"{stem}.png")


def _groups(run: genlab.Run) -> Groups | None:
    """Two classes, or two groups of images by their numbers; None where there is nothing to subtract yet."""
    images, between = run.images, "Selections"
    if images.labels is not None and len(images.class_names) > 1:
        between = str(
            st.segmented_control(
                "Between", ["Classes", "Selections"], default="Classes", key="attribute-of", bind="query-params",
                required=True,
            )
        )  # fmt: skip
    return _of_classes(run) if between == "Classes" else _of_selections(run)


def _of_classes(run: genlab.Run) -> Groups:
    names = list(run.images.class_names)
    more = st.selectbox("Towards", names, index=len(names) - 1, key="towards", bind="query-params")
    less = st.selectbox("Away from", names, index=0, key="away-from", bind="query-params")
    if more == less:
        raise BadInputError("Choose two different classes; their difference is the direction.")
    return Groups(_of_class(run, more), _of_class(run, less), (more, less))


def _of_class(run: genlab.Run, name: str) -> np.ndarray:
    """Numbers of the training images of a class, where it has some, else of all its images."""
    images = run.images
    assert images.labels is not None
    of_class = np.flatnonzero(images.labels == images.class_names.index(name))
    training = np.intersect1d(of_class, images.splits["train"])
    found = training if len(training) else of_class
    if not len(found):
        raise BadInputError(f"“{images.title}” has no image of class {name}; choose another class.")
    return found


def _of_selections(run: genlab.Run) -> Groups | None:
    taken, found = _taken(run), []
    for side, label in (("these", "These (numbers)"), ("those", "Minus those (numbers)")):
        if side in taken and side not in st.query_params:
            st.session_state.setdefault(side, taken[side])
        text = st.text_input(label, key=side, bind="query-params", placeholder="3, 8-10")
        found.append(np.array(parse_numbers(text, run.images.count, most=MOST)) if text.strip() else np.array([]))
    if not all(map(len, found)):
        st.info(
            "Draw a lasso around some images on the map of *Latent space* and take them as “these”, then around others "
            "as “minus those”; or write their numbers here. The difference of their mean codes becomes a direction.",
            icon=":material/lasso_select:",
        )
        return None
    return Groups(found[0], found[1], (f"these {len(found[0])} images", f"those {len(found[1])}"))


def _pixels(run: genlab.Run, numbers: np.ndarray) -> Images:
    """The images of a group, some of them drawn from all where there are more than `MOST`."""
    if len(numbers) > MOST:  # sets are often sorted
        numbers = np.sort(np.random.default_rng(0).choice(numbers, MOST, replace=False))
    return Images(np.asarray(run.images.images[numbers]))


def take_side(run: genlab.Run, numbers: np.ndarray) -> None:
    """Buttons that take a selection of images as one side of a difference, and the way to it when there are both."""
    kept: list[tuple[str, str, str]] = st.session_state.setdefault(KEPT, [])
    with st.container(horizontal=True, vertical_alignment="center"):
        for side, label in SIDES.items():
            if st.button(label, key=f"take-{side}"):
                kept.append((run.images.hash, side, spelled(numbers)))
        taken = _taken(run)
        if taken and st.button("Undo", icon=":material/undo:", key="take-undo"):
            kept.pop()
            taken = _taken(run)
        target = navigation.page("interpolate")
        if len(taken) == len(SIDES) and target:
            address: dict[str, Any] = {"run": run.id, "way": "Attributes", "attribute-of": "Selections", **taken}
            st.page_link(target, label="These minus those", icon=":material/arrow_forward:", query_params=address)
    if taken:
        counts = {side: len(parse_numbers(text, run.images.count, most=MOST)) for side, text in taken.items()}
        st.caption("Taken so far: " + ", ".join(f"{count} images as “{side}”" for side, count in counts.items()) + ".")


def _taken(run: genlab.Run) -> dict[str, str]:
    """What was last taken as each side, of images of this set."""
    kept = st.session_state.get(KEPT, [])
    return {side: text for of, side, text in kept if of == run.images.hash}


def spelled(numbers: Sequence[int] | np.ndarray) -> str:
    """Numbers of images as a person may write them; of more than `MOST` as many, drawn from all.

    >>> spelled([8, 3, 9, 10])
    '3, 8-10'
    """
    ordered = np.unique(np.asarray(numbers))
    if len(ordered) > MOST:
        ordered = np.sort(np.random.default_rng(0).choice(ordered, MOST, replace=False))
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
