"""A person's own pictures: dropped, chosen from files or photographed, and where each lands among a run's codes."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

import genlab
from genlab.core.shapes import Shape
from genlab.figures.images import Images
from genlab.ui.components.scatter import Colouring, Mark, scatter
from genlab.ui.explore_controls import weights_of
from genlab.ui.explore_gallery import data_url, image_name, labelled_images
from genlab.ui.explore_projection import projected, sheet_of
from genlab.ui.messages import boundary, plain
from genlab.ui.undo import undoable

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet
    from genlab.workspace.results import Anomaly, Neighbours, Projection

OWN = "own-pictures"  # in the session: names and contents, the latest last
MOST = 6  # pictures of a person's own at once
NEIGHBOURS = 8
AROUND = 600  # images on the small map
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
    """A prepared picture, where it lies on the map, what the run rebuilds, what lies nearest and how strange it is."""

    picture: Prepared
    place: np.ndarray
    rebuilt: Images | None
    near: Neighbours
    anomaly: Anomaly | None

    def mark(self) -> Mark:
        """The picture as a place of its own on the map."""
        return Mark(
            self.picture.name, float(self.place[0]), float(self.place[1]), data_url(self.picture.image.picture())
        )


def dropped(name: str, content: bytes) -> None:
    """Remember a picture on all pages; the oldest gives way, and none stands twice."""
    others = [own for own in st.session_state.get(OWN, ()) if own[1] != content]
    st.session_state[OWN] = (*others, (name, content))[-MOST:]


def _take(key: str, name: str = "") -> None:
    """Remember what a widget was given, and empty it."""
    given = st.session_state[key] or []
    for file in given if isinstance(given, list) else [given]:
        dropped(name or file.name, file.getvalue())
    st.session_state["own-round"] += 1


def _away(place: int) -> None:
    """Take one of the pictures away."""
    own = st.session_state[OWN]
    st.session_state[OWN] = (*own[:place], *own[place + 1 :])


@boundary()
def _handed_over(run: genlab.Run, key: str) -> str:
    """Ways to hand a picture over, and those that are there; returns how light and dark are to be treated."""
    st.session_state.setdefault(OWN, ())
    turn = st.session_state.setdefault("own-round", 0)  # a widget of the next turn is empty
    files, photograph = f"{key}-files-{turn}", f"{key}-photograph-{turn}"
    with (
        st.popover("Your picture", icon=":material/add_a_photo:"),
        undoable(key, OWN, f"{key}-camera", f"{key}-tone"),
    ):
        st.file_uploader(
            "Image files", accept_multiple_files=True, key=files, on_change=_take, args=(files,),
            help="Any size and format; each is cropped to the middle and brought to the size of the run's images.",
        )  # fmt: skip
        if st.toggle("Use the camera", key=f"{key}-camera"):
            st.camera_input("Photograph", key=photograph, on_change=_take, args=(photograph, "photograph"))
        tone = st.segmented_control(
            "Light and dark", (FIT, AS_IT_IS, SWAPPED), default=FIT, key=f"{key}-tone", required=True
        )
        with st.container(horizontal=True, gap="xsmall"):
            for place, (name, _) in enumerate(st.session_state[OWN]):
                st.button(
                    plain(name), icon=":material/close:", key=f"{key}-away-{place}", help="Take this picture away",
                    on_click=_away, args=(place,),
                )  # fmt: skip
        way = "Or drop a picture on the map. " if run.can("encodes") else ""
        st.caption(f"{way}Nothing leaves this machine.")
    return str(tone)


def newcomers(run: genlab.Run, projection: Projection) -> list[Newcomer]:
    """The person's own pictures among the codes of a map."""
    return _placed(run, projection, _handed_over(run, "newcomer") or FIT)


def own_pictures(run: genlab.Run, key: str, images: ImageSet | None = None) -> list[Prepared]:
    """Let the person hand pictures over; each is shown where it lands, where the run encodes.

    They are brought to the form of `images` (default: the run's set).
    """
    tone = _handed_over(run, key) or FIT
    if not run.can("encodes"):
        found = [prepared(run, name, content, tone, images) for name, content in st.session_state[OWN]]
        if found:
            labelled_images(
                Images(np.concatenate([each.image.array for each in found])), [each.name for each in found],
                f"As “{run.title}” is given them.", key=f"{key}-shown", size=84,
            )  # fmt: skip
        return found
    projection = projected(run, "pca", 2, AROUND, "train")
    placed = _placed(run, projection, tone)
    _small_map(run, projection, placed, key)
    show_newcomers(run, projection, placed, key)
    return [each.picture for each in placed]


def _small_map(run: genlab.Run, projection: Projection, found: list[Newcomer], key: str) -> None:
    """Where the pictures land among some training images; others can be dropped on it."""
    images, indices, labels = run.images, projection.indices, projection.labels
    by_class = Colouring("class", labels, tuple(images.class_names))
    scatter(
        projection.points, key=f"{key}-map", numbers=indices, axes=projection.axes,
        colouring=Colouring("nothing") if labels is None else by_class,
        label=f"Map of {len(indices)} images and your pictures. Arrow keys move it, plus and minus zoom.",
        sheet=lambda: sheet_of(images, indices), marks=[each.mark() for each in found], on_drop=dropped,
    )  # fmt: skip
    st.caption(plain(
        f"Drop a picture here to see where it belongs, among the codes of {len(indices)} training images on the two principal "
        f"axes of “{run.title}”."
    ))  # fmt: skip


def _placed(run: genlab.Run, projection: Projection, tone: str) -> list[Newcomer]:
    """The person's own pictures, placed; one that cannot be read is explained."""
    kept: dict[Any, Newcomer] = st.session_state.setdefault("newcomers", {})
    found = []
    for name, content in st.session_state.get(OWN, ()):
        with boundary():
            map_of = (weights_of(run), projection.method, projection.points[:9].tobytes())
            key = (*map_of, name, hashlib.sha1(content).digest(), tone)
            if key not in kept:
                with st.spinner(f"Placing {plain(name)} …"):
                    kept[key] = placed(run, projection, prepared(run, name, content, tone))
            found.append(kept[key])
    while len(kept) > 4 * MOST:
        kept.pop(next(iter(kept)))
    return found


def prepared(run: genlab.Run, name: str, content: bytes, tone: str = FIT, images: ImageSet | None = None) -> Prepared:
    """A picture as the run's images are: their size and colours, and where they need it with light and dark swapped.

    With `tone` `FIT` they are swapped where the rim then comes nearer to that of the run's images, as for ink on paper
    among white digits on black, and a grey picture's contrast is stretched over the whole range.
    """
    from genlab.data import decode_images

    image = decode_images([(name, content)], Shape(*run.config.data.shape))[0].astype(np.float32) / 255
    done = []
    others = images or run.images
    usual = np.asarray(others.images[:: max(1, others.count // 200)], np.float32) / 255
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
    """Where a picture lies, what the run rebuilds, what lies nearest to it, and how strange it is."""
    rebuilt = run.reconstruct(picture.image) if run.can("decodes") else None
    near = run.neighbours(picture.image, count=NEIGHBOURS)
    anomaly = run.anomaly(picture.image) if run.can(("scores", "bounds", "decodes")) else None
    return Newcomer(picture, run.place(projection, picture.image)[0], rebuilt, near, anomaly)


def show_newcomers(run: genlab.Run, projection: Projection, found: list[Newcomer], key: str = "newcomer") -> None:
    """Each of the pictures with its reconstruction and its neighbours, and what to think of it."""
    images = run.images
    for number, (picture, _, rebuilt, near, _) in enumerate(found):
        shown, labels = [picture.image.array], [picture.name]
        if rebuilt is not None:
            shown.append(rebuilt.array)
            labels.append("its reconstruction")
        shown.append(np.asarray(images.images[near.indices[0]], np.float32) / 255)
        labels += [
            f"{image_name(images, int(i))}, at {d:.2f}" for i, d in zip(near.indices[0], near.distances[0], strict=True)
        ]
        st.markdown(plain(verdict(run, found[number])))
        caption = f"“{picture.name}” cropped to the middle and brought to {images.shape}"
        caption += f", {picture.done}; " if picture.done else "; "
        caption += f"what “{run.title}” rebuilds, and " if rebuilt else ""
        caption += (
            f"its {NEIGHBOURS} nearest training images by “{run.title}”. {WAYS[projection.method]}{_lacking(run)}"
        )
        labelled_images(Images(np.concatenate(shown)), labels, plain(caption), key=f"{key}-{number}", size=84)


def _lacking(run: genlab.Run) -> str:
    """Why a run shows no reconstruction, and no anomaly score, of a picture."""
    if run.can("decodes"):
        return ""
    if run.can(("scores", "bounds")):
        return " A run without a decoder rebuilds nothing."
    return (
        " There is no reconstruction and no anomaly score: this run has no decoder and gives no image a probability, it "
        "only says which images are alike."
    )


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
