"""Looking images up in a gallery: the nearest ones, whether they count as the same, and how often that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures import likelihood_histogram, roc_curve
from genlab.figures.images import Images
from genlab.figures.palette import colour
from genlab.metrics.recognition import roc
from genlab.metrics.registry import applicable, find, in_words
from genlab.ui.explore_controls import as_csv, file_stem, offer, weights_of
from genlab.ui.explore_gallery import image_name, labelled_images
from genlab.ui.explore_likelihood import remembered
from genlab.ui.explore_pick import Chosen, choose_images
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_figure
from genlab.ui.undo import undoable_row
from genlab.workspace.analyse import held_out

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet
    from genlab.metrics import Measurement
    from genlab.metrics.recognition import Roc, Verification
    from genlab.workspace.results import Recognised

GALLERIES = {"validation": "held-out images", "train": "training images", "all": "all images"}
NEAREST = 6  # gallery images beside each query
MOST = 6  # queries
KS = (1, 3, 5, 10, 20)
FIRST = ("identification_top", "recall_at_")
SAME, OTHER, QUERY = colour(2), colour(1), colour(0)


@st.fragment
@boundary()
def look_up(run: genlab.Run) -> None:
    """Queries, the gallery images that lie nearest, and what the threshold says of each."""
    controls, found = st.columns([2, 5], gap="large")
    with controls:
        with undoable_row("gallery", "gallery"):
            split = str(st.selectbox(
                "Gallery", list(GALLERIES), format_func=GALLERIES.__getitem__, key="gallery", bind="query-params",
                help="What a query is compared with. Held-out images show things that the network has never seen.",
            ))  # fmt: skip
        chosen = choose_images(run, key="queries", start=first_of_each(run.images), most=MOST, label="Queries")
    with found, guarded("Looking up …"):
        near = run.recognise(chosen.images, count=NEAREST, split=split, numbers=chosen.numbers)
        shown, labels, inks = beside_each_other(run.images, near, chosen)
        caption = (
            f"Each query (blue) and the {near.indices.shape[1]} nearest of {near.gallery:,} {GALLERIES[split]} of "
            f"{run.images.title}{_between(run, chosen.numbers)}, with their distance in the embedding of “{run.title}” "
            f"(0 to 2). Within {near.threshold:.2f}, where both kinds of error are about equal on held-out pairs, an image "
            "counts as the same (green), beyond as another (orange)"
            + (". ✓ marks what is the same." if _known(run.images, chosen) else ".")
        )
        labelled_images(shown, labels, caption, key="nearest", columns=1 + near.indices.shape[1], inks=inks)
        _summary(run.images, near, chosen)
        rows = look_up_rows(run.images, near, chosen.names)
        offer("Distances (CSV)", as_csv(rows), f"{file_stem(run, 'nearest')}.csv")


def _between(run: genlab.Run, numbers: np.ndarray | None) -> str:
    if numbers is None or "station" not in run.images.factors:
        return ""
    return ", taken at the other station"


def first_of_each(images: ImageSet, count: int = 4) -> list[int]:
    """The first held-out image of each of the first few identities."""
    indices = held_out(images)
    if images.identities is None:
        return indices[:count].tolist()
    firsts = np.unique(images.identities[indices], return_index=True)[1]
    return indices[np.sort(firsts)[:count]].tolist()


def what_it_shows(images: ImageSet, number: int) -> str:
    """The identity of an image, or its class, in words."""
    if "identity" in images.factors:
        return f"identity {int(images.factors['identity'][number])}"
    return image_name(images, number)


def beside_each_other(images: ImageSet, near: Recognised, chosen: Chosen) -> tuple[Images, list[str], list[str]]:
    """One row a query: it and its nearest images, a label and a colour for each."""
    gallery = np.asarray(images.images[near.indices.ravel()], np.float32).reshape(*near.indices.shape, *images.shape)
    shown = np.concatenate([chosen.images.array[:, None], gallery / 255], axis=1)
    right = _right(images, near, chosen)
    labels, inks = list[str](), list[str]()
    for row, name in enumerate(chosen.names):
        labels.append(name if chosen.numbers is None else f"query {what_it_shows(images, int(chosen.numbers[row]))}")
        inks.append(QUERY)
        for place, (number, distance, same) in enumerate(
            zip(near.indices[row], near.distances[row], near.same[row], strict=True)
        ):
            mark = " ✓" if right[row, place] else ""
            labels.append(f"{what_it_shows(images, int(number))}{mark}: {distance:.2f}, {'same' if same else 'other'}")
            inks.append(SAME if same else OTHER)
    return Images(shown.reshape(-1, *images.shape)), labels, inks


def _known(images: ImageSet, chosen: Chosen) -> bool:
    """Whether it is known what the queries show."""
    return chosen.numbers is not None and images.identities is not None


def _right(images: ImageSet, near: Recognised, chosen: Chosen) -> np.ndarray:
    """Where a gallery image shows what the query does (N, k); nowhere when that is not known."""
    if chosen.numbers is None or images.identities is None:
        return np.zeros(near.indices.shape, dtype=bool)
    right: np.ndarray = images.identities[near.indices] == images.identities[chosen.numbers][:, None]
    return right


def _summary(images: ImageSet, near: Recognised, chosen: Chosen) -> None:
    """How many first choices are right, where that is known."""
    if _known(images, chosen):
        right = _right(images, near, chosen)[:, 0]
        st.markdown(f"The nearest image shows what the query does for **{int(right.sum())} of {len(right)}** queries.")


def look_up_rows(images: ImageSet, near: Recognised, names: list[str]) -> list[dict[str, Any]]:
    """One row for each query and each of its nearest images."""
    return [
        {"query": name, "place": place + 1, "image": int(number), "shows": what_it_shows(images, int(number)), "distance": float(distance), "same": bool(same)}
        for row, name in enumerate(names)
        for place, (number, distance, same) in enumerate(zip(near.indices[row], near.distances[row], near.same[row], strict=True))
    ]  # fmt: skip


@st.fragment
@boundary()
def how_sure(run: genlab.Run) -> None:
    """Distances of pairs that show the same and of others, their ROC curve, and every measure of recognition beside its chance."""
    with guarded("Comparing all pairs …"):
        found: Verification = remembered("verification", run, compute=run.verification)
        values = {"the same": found.same, "something else": found.other}
        marked = {f"threshold {found.threshold:.2f}": found.threshold}
        figure = likelihood_histogram(values, title="distance", marked=marked, unit="", counted="pairs")
        caption = (
            f"Distances of {len(found.same):,} pairs of held-out images of {run.images.title} that show the same, and of "
            f"{len(found.other):,} that do not, in the embedding of “{run.title}”. At the threshold {found.eer:.1%} of both kinds "
            "are taken for the other; it was chosen on these very pairs."
        )
        left, right = st.columns(2)
        with left:
            show_figure(figure, caption, key="distances", data=lambda: as_csv(distance_rows(found)))
        with right:
            _roc(run, found)
        with undoable_row("first", "first"):
            k = int(st.selectbox(
                "First k", KS, KS.index(5), key="first", bind="query-params", help="How many of the nearest candidates, or images, count.",
            ))  # fmt: skip
        others = [
            name
            for name, entry in applicable(["embeds"]).items()
            if "embeds" in entry.needs and not name.startswith(FIRST)
        ]
        names = list(dict.fromkeys(["identification_top1", *(f"{name}{k}" for name in FIRST), *others]))
        measured: dict[str, Measurement] = remembered("recognition", (weights_of(run), k), lambda: run.evaluate(names))
    st.dataframe(measure_rows(measured), hide_index=True, key="measures")
    for one in measured.values():
        if one.warning:
            st.caption(f":material/info: {one.warning}")
            break
    with st.expander("What each measure is", icon=":material/function:"):
        for name, one in measured.items():
            st.markdown(f"**{one.title}.** {one.meaning} ({one.remark.removesuffix('.')}.)")
            st.latex(find(name).equation)


def _roc(run: genlab.Run, found: Verification) -> None:
    """How many of the same pairs each threshold finds, and how many others it takes for the same."""
    curve = roc(found)
    figure = roc_curve(
        curve.accepted, curve.found, curve.at, name=f"“{run.title}”", area=curve.area, threshold=found.threshold
    )
    caption = (
        f"The ROC curve of the same pairs: at every threshold of the distance, what part of the same pairs is found, over what part of "
        f"the others is taken for the same. The area under it is {curve.area:.3f}; 0.5 is chance. At the threshold {found.threshold:.2f} "
        f"it finds {curve.at[1]:.1%} and takes {curve.at[0]:.1%} of the others for the same."
    )
    show_figure(figure, caption, key="roc", data=lambda: as_csv(roc_rows(curve)))


def roc_rows(curve: Roc) -> list[dict[str, Any]]:
    """One row for each corner of the curve."""
    return [
        {"taken for the same": float(x), "found": float(y)} for x, y in zip(curve.accepted, curve.found, strict=True)
    ]


def distance_rows(found: Verification) -> list[dict[str, Any]]:
    """One row for each pair of held-out images."""
    return [
        {"pair": kind, "distance": float(distance)}
        for kind, distances in (("same", found.same), ("other", found.other))
        for distance in distances
    ]


def measure_rows(measured: dict[str, Measurement]) -> list[dict[str, Any]]:
    """One row for each measure: its value, its chance level, its range, which way is better, and over how many images."""
    return [
        {
            "measure": one.title,
            "value": f"{one.value:.1%}",
            "by chance": "" if one.baseline is None else f"{one.baseline:.1%}",
            "range": in_words(one.range),
            "better": one.direction,
            "N": one.n,
        }
        for one in measured.values()
    ]
