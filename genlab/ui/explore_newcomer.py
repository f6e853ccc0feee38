"""A person's own pictures among a run's codes: dropped on the map, chosen from files, or photographed."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.core.shapes import Shape
from genlab.figures.images import Images
from genlab.ui.components.scatter import Mark
from genlab.ui.explore_controls import weights_of
from genlab.ui.explore_gallery import data_url, image_name, labelled_images
from genlab.ui.messages import boundary, plain
from genlab.ui.state import exchange
from genlab.ui.undo import undoable

if TYPE_CHECKING:
    from genlab.workspace.results import Anomaly, Neighbours, Projection

MOST = 6  # pictures on the map at once
NEIGHBOURS = 8
STRANGE = 0.99  # of the held-out images are less strange
FIT, AS_IT_IS, SWAPPED = "as the run's images", "as it is", "swapped"
WHAT_FITS = 0.1  # by how much nearer to the run's images a picture's rim must come by swapping light and dark
BY = {"likelihood": "are more probable", "bound": "are more probable (by the evidence lower bound)",
      "error": "are rebuilt better"}  # fmt: skip


class Prepared(NamedTuple):
    """A picture brought to the form of a run's images, and what was done to it besides cutting."""

    name: str
    image: Images
    done: str


class Newcomer(NamedTuple):
    """A prepared picture, where it lies on the map, what lies nearest to it and how strange it is."""

    picture: Prepared
    place: np.ndarray
    near: Neighbours
    anomaly: Anomaly | None

    def mark(self) -> Mark:
        """The picture as a place of its own on the map."""
        return Mark(
            self.picture.name, float(self.place[0]), float(self.place[1]), data_url(self.picture.image.picture())
        )


def dropped(name: str, content: bytes) -> None:
    """Remember a picture that was dropped on the map; the oldest gives way."""
    st.session_state["dropped"] = [*st.session_state.get("dropped", []), (name, content)][-MOST:]
    st.session_state["taken-away"] = []


@boundary()
def _given() -> tuple[list[tuple[str, bytes]], str]:
    """The files and photographs that are there, and how light and dark are to be treated."""
    with st.popover("Your picture", icon=":material/add_a_photo:"):
        files = st.file_uploader(
            "Image files", accept_multiple_files=True, key="newcomer-files",
            help="Any size and format; each is cropped to the middle and brought to the size of the run's images.",
        )  # fmt: skip
        found = [(file.name, file.getvalue()) for file in files]
        with undoable("newcomer", "newcomer-camera", "newcomer-tone"):
            if st.toggle("Use the camera", key="newcomer-camera"):
                photograph = st.camera_input("Photograph", key="newcomer-photograph")
                found += [("photograph", photograph.getvalue())] if photograph else []
            tone = st.segmented_control(
                "Light and dark", (FIT, AS_IT_IS, SWAPPED), default=FIT, key="newcomer-tone", required=True
            )
        before = st.session_state.setdefault("dropped", [])
        if before or st.session_state.get("taken-away"):
            label, icon = ("Take the dropped ones away", "close") if before else ("Bring the dropped ones back", "undo")
            st.button(
                label, icon=f":material/{icon}:", key="newcomer-away", on_click=exchange, args=("dropped", "taken-away")
            )
        st.caption("Or drop a picture on the map. Nothing leaves this machine.")
    return [*before, *found][-MOST:], str(tone)


def newcomers(run: genlab.Run, projection: Projection) -> list[Newcomer]:
    """The person's own pictures, placed; one that cannot be read is explained."""
    files, tone = _given() or ([], FIT)
    kept: dict[Any, Newcomer] = st.session_state.setdefault("newcomers", {})
    found = []
    for name, content in files:
        with boundary():
            key = (
                weights_of(run),
                projection.method,
                projection.points[:9].tobytes(),
                hashlib.sha1(content).digest(),
                tone,
            )
            if key not in kept:
                with st.spinner(f"Placing {name} …"):
                    kept[key] = placed(run, projection, prepared(run, name, content, tone))
            found.append(kept[key])
    while len(kept) > 4 * MOST:
        kept.pop(next(iter(kept)))
    return found


def prepared(run: genlab.Run, name: str, content: bytes, tone: str = FIT) -> Prepared:
    """A picture as the run's images are: their size and colours, and where they need it with light and dark swapped.

    With `tone` `FIT` they are swapped where the rim then comes nearer to that of the run's images, as for ink on paper
    among white digits on black, and a grey picture's contrast is stretched over the whole range.
    """
    from genlab.data import decode_images

    image = decode_images([(name, content)], Shape(*run.config.data.shape))[0].astype(np.float32) / 255
    done = []
    usual = np.asarray(run.images.images[:: max(1, run.images.count // 200)], np.float32) / 255
    gains = abs(rim(image) - rim(usual)) - abs(1 - rim(image) - rim(usual))
    if tone == SWAPPED or (tone == FIT and gains > WHAT_FITS):
        image = 1 - image
        done.append("light and dark swapped")
    low, high = np.quantile(image, [0.02, 0.98])
    if tone == FIT and len(image) == 1 and 0.05 < high - low < 0.9:
        image = np.clip((image - low) / (high - low), 0, 1)
        done.append("contrast stretched")
    return Prepared(name, Images(image[None]), " and ".join(done))


def rim(images: np.ndarray) -> float:
    """How light the outermost pixels of images (…, H, W) are, on average.

    >>> frame = np.ones((4, 4)); frame[1:3, 1:3] = 0
    >>> rim(frame)
    1.0
    """
    edges = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]
    return float(np.mean([edge.mean() for edge in edges]))


def placed(run: genlab.Run, projection: Projection, picture: Prepared) -> Newcomer:
    """Where a picture lies, what lies nearest to it, and how strange it is."""
    near = run.neighbours(picture.image, count=NEIGHBOURS)
    anomaly = run.anomaly(picture.image) if run.can(("scores", "bounds", "decodes")) else None
    return Newcomer(picture, run.place(projection, picture.image)[0], near, anomaly)


def show_newcomers(run: genlab.Run, projection: Projection, found: list[Newcomer]) -> None:
    """Each of the pictures with its reconstruction and its neighbours, and what to think of it."""
    images = run.images
    for number, newcomer in enumerate(found):
        picture, near = newcomer.picture, newcomer.near
        shown, labels = [picture.image.array], [picture.name]
        if run.can("decodes"):
            shown.append(run.reconstruct(picture.image).array)
            labels.append("its reconstruction")
        shown.append(np.asarray(images.images[near.indices[0]], np.float32) / 255)
        labels += [
            f"{image_name(images, int(i))}, at {d:.2f}" for i, d in zip(near.indices[0], near.distances[0], strict=True)
        ]
        st.markdown(plain(verdict(run, newcomer)))
        caption = f"“{picture.name}” cropped to the middle and brought to {images.shape}"
        caption += f", {picture.done}" if picture.done else ""
        labelled_images(
            Images(np.concatenate(shown)), labels,
            plain(f"{caption}; what “{run.title}” rebuilds, and its {NEIGHBOURS} nearest training images. {WAYS[projection.method]}"),
            key=f"newcomer-{number}", size=84,
        )  # fmt: skip


WAYS = {
    "pca": "Its place is exact.",
    "umap": "Its place is UMAP's own for what it has not seen.",
    "tsne": "t-SNE cannot place what it has not seen: it stands at the mean of its neighbours' places, weighted by 1 / distance.",
}


def verdict(run: genlab.Run, newcomer: Newcomer) -> str:
    """Which class the neighbours are of, and how strange the picture is."""
    images, indices = run.images, newcomer.near.indices[0]
    sentences = []
    if images.labels is not None:
        (label, count), *_ = Counter(images.labels[indices].tolist()).most_common()
        sentences.append(f"{count} of its {len(indices)} nearest images are of class {images.class_names[label]}.")
    if newcomer.anomaly is not None:
        share = float(newcomer.anomaly.share[0])
        sentences.append(
            f"{share:.0%} of the held-out images {BY[newcomer.anomaly.by]} than it{': it is strange to this run' if share >= STRANGE else ''}."
        )
    return " ".join(sentences) or f"“{newcomer.picture.name}” among the codes."
