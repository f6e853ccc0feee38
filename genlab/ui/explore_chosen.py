"""What a point or a selection of a map leads to: the image and its neighbours, or all images to look at and to keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.explore_attributes import take_side
from genlab.ui.explore_controls import file_stem, offer
from genlab.ui.explore_gallery import image_name, labelled_images
from genlab.ui.messages import boundary, guarded, plain
from genlab.ui.pictures import show_images
from genlab.ui.state import get_workspace, remember

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet

NEIGHBOURS = 8
MOST_IN_GALLERY = 200


def one_image(run: genlab.Run, number: int) -> None:
    """One image, its reconstruction and the images nearest to it in code space."""
    images = run.images
    with guarded("Decoding …"):
        image = Images(np.asarray(images.images[[number]]))
        found = run.neighbours(image, count=NEIGHBOURS + 1)
        near = [(int(i), float(d)) for i, d in zip(found.indices[0], found.distances[0], strict=True) if i != number]
        near = near[:NEIGHBOURS]
        shown, labels, rebuilt = [image.array], [image_name(images, number)], ""
        if run.can("decodes"):
            shown.append(run.reconstruct(image).array)
            labels.append("its reconstruction")
            rebuilt = f", what “{run.title}” rebuilds from its code"
        shown.append(np.asarray(images.images[[i for i, _ in near]], np.float32) / 255)
        labels += [f"{image_name(images, i)}, at {distance:.2f}" for i, distance in near]
        labelled_images(
            Images(np.concatenate(shown)), labels,
            f"{image_name(images, number).capitalize()} of {images.title}{rebuilt}, "
            f"and the {len(near)} images whose codes lie nearest (Euclidean distance).", key="point", size=84,
        )  # fmt: skip


def gallery(run: genlab.Run, numbers: np.ndarray, letting_go: str) -> None:
    """The images of a selection, to look at, to take away and to make a set of; `letting_go` says how to drop it."""
    images = run.images
    chosen = Images(np.asarray(images.images[numbers[:MOST_IN_GALLERY]]))
    more = f" (the first {MOST_IN_GALLERY} are shown)" if len(numbers) > MOST_IN_GALLERY else ""
    caption = f"The {len(numbers)} selected images of {images.title}{more}. {letting_go}"
    show_images(chosen, caption, key="selection", columns=math.ceil(math.sqrt(len(chosen))))
    stem = file_stem(run, "selection")
    with st.container(horizontal=True):
        offer(f"Download {len(numbers)} images (zip)", lambda: zip_of(images, numbers), f"{stem}.zip")
        with st.popover("Make an image set", icon=":material/add_photo_alternate:"):
            _own_set(run, numbers)
    if run.can("decodes"):
        take_side(run, numbers)
    if made := st.session_state.pop("gathered", None):
        st.success(f"“{plain(made)}” is among the image sets now.", icon=":material/check_circle:")


def zip_of(images: ImageSet, numbers: np.ndarray) -> bytes:
    """Images of a set as an archive of PNGs; only now are they read, so that no session keeps them."""
    return Images(np.asarray(images.images[numbers])).zip_bytes([f"{number:06d}" for number in numbers])


@boundary()
def _own_set(run: genlab.Run, numbers: np.ndarray) -> None:
    """Ask for a name and make a set of the selected images."""
    name = st.text_input("Its name", f"Some of {run.images.title}", key="gathered-name", max_chars=80)
    st.caption(f"{len(numbers)} images with their classes; those that were held out stay held out.")
    if st.button("Make it", type="primary", key="gather"):
        made = get_workspace().datasets.gather(run.images, numbers, name=name)
        remember("data", made.name)
        st.session_state["gathered"] = made.title
        st.rerun(scope="fragment")
