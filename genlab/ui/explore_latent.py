"""The map of a run's codes: projections coloured by anything, points that lead to images, and the decoded plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures import decoded_plane, explained_variance, kl_bars, projection_scatter
from genlab.figures.images import Images
from genlab.ui.explore_controls import as_csv, file_stem, offer, weights_of
from genlab.ui.explore_gallery import labelled_images
from genlab.ui.explore_pick import image_name
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_figure, show_images

if TYPE_CHECKING:
    from genlab.workspace.results import Projection

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
SPLITS = {"train": "training images", "validation": "validation images", "all": "all images"}
NEIGHBOURS = 8
MOST_IN_GALLERY = 200
KEPT = 6  # projections a session remembers
PLAIN, LABEL = "nothing", "class"
ERROR, BOUND = "squared error of the reconstruction", "negative ELBO / nats"


@st.fragment
@boundary()
def latent_map(run: genlab.Run) -> None:
    """The controls, the map, and what a click or a selection on it leads to."""
    left, middle, right, last = st.columns([3, 2, 2, 3], vertical_alignment="bottom")
    with left:
        method = st.segmented_control(
            "Projection", list(METHODS), default="pca", format_func=METHODS.__getitem__, key="method", bind="query-params",
            required=True, help="PCA is linear and quick; t-SNE and UMAP keep neighbours together and take longer.",
        )  # fmt: skip
    with middle:
        solid = st.segmented_control(
            "Axes", ("2-D", "3-D"), default="2-D", key="axes", bind="query-params", required=True
        )
    with right:
        split = st.selectbox("Of the", list(SPLITS), format_func=SPLITS.__getitem__, key="split", bind="query-params")
    with last:
        limit = st.select_slider("At most so many", (500, 1000, 2000, 5000), 2000, key="limit", bind="query-params")
    projection = projected(run, method, 3 if solid == "3-D" else 2, limit, split)
    _explore(run, projection, split)


def projected(run: genlab.Run, method: str, dimensions: int, limit: int, split: str) -> Projection:
    """The projection, from this session's memory where it was computed before."""
    kept: dict[Any, Projection] = st.session_state.setdefault("projections", {})
    key = (weights_of(run), method, dimensions, limit, split)
    if key not in kept:
        bar = st.progress(0.0, f"{METHODS[method]}: encoding the images …")

        def report(share: float, text: str) -> None:
            bar.progress(min(1.0, max(0.0, share)), text)

        kept[key] = run.project(
            method,
            dimensions=dimensions,
            limit=limit,
            split=split,
            progress=report,
        )
        bar.empty()
        while len(kept) > KEPT:
            kept.pop(next(iter(kept)))
    return kept[key]


@st.fragment
@boundary()
def _explore(run: genlab.Run, projection: Projection, split: str) -> None:
    """The chart and what is chosen on it; a click runs only this again."""
    images = run.images
    options = _colourings(run, projection)
    chart, detail = st.columns([3, 2], gap="large")
    with chart:
        name = st.selectbox("Colour by", options, key="colour", bind="query-params")
        values = None if name in (PLAIN, LABEL) else _values(run, projection, str(name))
        figure = projection_scatter(
            projection.points,
            axes=projection.axes,
            indices=projection.indices,
            labels=projection.labels if name == LABEL else None,
            class_names=images.class_names,
            values=values,
            values_title=str(name).replace("_", " "),
        )
        figure.update_layout(dragmode="pan")  # with lasso as the first tool Streamlit lets no click select
        caption = (
            f"{METHODS[projection.method]} of the codes (posterior means) of {len(projection.points)} {SPLITS[split]} "
            f"of {images.title}, encoded by “{run.title}”{_share(projection)}; coloured by {name}."
        )
        flat = projection.points.shape[1] == 2
        if flat:
            st.caption(
                ":material/touch_app: Click on a point, or catch many with the lasso or box from the chart's corner."
            )
        options_of_chart: dict[str, Any] = (
            {"on_select": "rerun", "selection_mode": ("points", "box", "lasso")} if flat else {}
        )
        event = show_figure(figure, caption, key="map", **options_of_chart)
    chosen = _selected(event) if flat else []
    with detail:
        if len(chosen) > 1:
            _gallery(run, np.array(chosen))
        else:
            _one(run, projection, chosen, flat)


def _share(projection: Projection) -> str:
    if projection.pca is None:
        return ""
    return f", whose axes hold {projection.pca.explained.sum():.0%} of the variance"


def _colourings(run: genlab.Run, projection: Projection) -> list[str]:
    """What points can be coloured by: class, what the projection brings (factors of the set too), losses."""
    names = [LABEL] if projection.labels is not None else []
    names += [PLAIN, *projection.scalars]
    names += [ERROR] if run.can("decodes") else []
    return [*names, BOUND] if run.can("bounds") else names


def _values(run: genlab.Run, projection: Projection, name: str) -> np.ndarray:
    if name in projection.scalars:
        return projection.scalars[name]
    kept: dict[Any, np.ndarray] = st.session_state.setdefault("scalars", {})
    key = (weights_of(run), name, projection.indices.tobytes())
    if key not in kept:
        with st.spinner(f"Computing the {name} of {len(projection.indices)} images …"):
            kept.clear()
            kept[key] = _loss(run, Images(np.asarray(run.images.images[projection.indices])), name)
    return kept[key]


def _loss(run: genlab.Run, images: Images, name: str) -> np.ndarray:
    if name == BOUND:
        return -run.likelihoods(images, limit=len(images)).values
    difference = run.reconstruct(images).array - images.array
    return np.square(difference).reshape(len(images), -1).sum(1)


def _selected(event: Mapping[str, Any] | None) -> list[int]:
    """The images of the points that were clicked or caught, each once."""
    points = event["selection"]["points"] if event else []
    carried = [point["customdata"] for point in points if "customdata" in point]
    # a packed array comes back from the browser as a mapping of its places
    numbers = [int(next(iter(data.values() if isinstance(data, Mapping) else data))) for data in carried]
    return list(dict.fromkeys(numbers))


def _one(run: genlab.Run, projection: Projection, chosen: list[int], flat: bool) -> None:
    """One image, its reconstruction and the images nearest to it in code space."""
    images = run.images
    if chosen:
        number = chosen[0]
    else:
        gesture = "Click on a point, or catch many with the lasso. " if flat else ""
        number = int(st.number_input(
            "Image", 0, images.count - 1, int(projection.indices[0]), key="image", bind="query-params",
            help=f"{gesture}Or type the number of an image.",
        ))  # fmt: skip
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


def _gallery(run: genlab.Run, numbers: np.ndarray) -> None:
    """The images of a selection, to look at and to take away."""
    images = run.images
    chosen = Images(np.asarray(images.images[numbers[:MOST_IN_GALLERY]]))
    more = f" (the first {MOST_IN_GALLERY} are shown)" if len(numbers) > MOST_IN_GALLERY else ""
    caption = f"The {len(numbers)} selected images of {images.title}{more}. Double-click the chart to let go."
    show_images(chosen, caption, key="selection")
    every = Images(np.asarray(images.images[numbers]))
    names = [f"{number:06d}" for number in numbers]
    offer(
        f"Download {len(numbers)} images (zip)",
        lambda: every.zip_bytes(names),
        f"{file_stem(run, 'selection')}.zip",
    )


@st.fragment
@boundary()
def plane(run: genlab.Run) -> None:
    """The decoded plane of a latent space with two dimensions."""
    left, right = st.columns(2)
    span = left.slider("From −span to +span", 1.0, 6.0, 3.0, 0.5, key="span", bind="query-params")
    steps = right.slider("Images a side", 5, 31, 15, 2, key="steps", bind="query-params")
    with guarded("Decoding the plane …"):
        images = run.plane(steps=steps, span=span)
        caption = f"What “{run.title}” decodes at {steps}x{steps} places of its two latent dimensions."
        show_figure(decoded_plane(images, span=span), caption, key="plane", data=lambda: plane_csv(steps, span))
        stem = file_stem(run, "plane")
        offer("Download PNG", lambda: images.png_bytes(columns=steps, gap=0), f"{stem}.png")


def plane_csv(steps: int, span: float) -> str:
    """Where each image of the plane lies.

    >>> plane_csv(2, 3.0).split()
    ['row,column,z1,z2', '0,0,-3.0,3.0', '0,1,3.0,3.0', '1,0,-3.0,-3.0', '1,1,3.0,-3.0']
    """
    axis = np.linspace(-span, span, steps).tolist()
    places = [(row, column) for row in range(steps) for column in range(steps)]
    return as_csv({"row": r, "column": c, "z1": axis[c], "z2": axis[steps - 1 - r]} for r, c in places)


@boundary()
def dimensions(run: genlab.Run) -> None:
    """What each latent dimension carries: its mean KL, or its share of the codes' variance."""
    with st.spinner("Encoding …"):
        found = run.latent_statistics()
    if found.kl is not None:
        figure = kl_bars(found.kl, active=found.active)
        caption = (
            f"Mean KL of each latent dimension of “{run.title}” over {found.count} images: "
            f"{int(found.active.sum())} of {len(found.active)} units are active (variance of the mean above 0.01)."
        )
    else:
        share = np.sort(found.variance)[::-1] / (found.variance.sum() or 1.0)
        figure = explained_variance(share[:64])
        caption = f"Share of the codes' variance in each latent dimension of “{run.title}”, over {found.count} images."
    show_figure(figure, caption, key="dimensions")
