"""The map of a run's codes: projections coloured by anything, points that lead to images, and the decoded plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures import decoded_plane, explained_variance, kl_bars, projection_scatter, to_csv
from genlab.figures.images import Images
from genlab.latent.density import density
from genlab.latent.neighbours import to_kin
from genlab.ui.components.scatter import Colouring, scatter
from genlab.ui.explore_chosen import gallery, one_image
from genlab.ui.explore_controls import as_csv, file_stem, keep_in_address, keep_long, offer, weights_of
from genlab.ui.explore_newcomer import Newcomer, dropped, newcomers, show_newcomers
from genlab.ui.explore_projection import METHODS, projected, sheet_of
from genlab.ui.explore_time import journey, marks_through, moments, show_moment
from genlab.ui.messages import boundary, guarded
from genlab.ui.pictures import show_caption, show_figure
from genlab.ui.remembering import content_of, remembered
from genlab.ui.routes import rebuilt_address
from genlab.ui.undo import undoable, undoable_row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from genlab.workspace.results import History, Projection

MANY = (500, 1000, 2000, 5000, 10_000, 20_000, 70_000)
MOST_LAID_OUT = 5000  # by the methods that take seconds per thousand
SPLITS = {"train": "training images", "validation": "validation images", "all": "all images"}
KEYS = (
    "Arrow keys move it, plus and minus zoom; Shift with an arrow key steps to the next image that way, Enter selects it "
    "(with Ctrl also, with Alt no longer), Escape selects nothing."
)
WATCHED = (
    " The card of the image you point at, selected, or pointed at last shows what each checkpoint rebuilds of it, while you "
    "pull the slider too."
)
SMALLEST_PICTURE, LARGEST_PICTURE = 12, 96  # pixels on the map
PLAIN, LABEL, DENSITY = "nothing", "class", "density on the map (log10)"
ERROR, BOUND = "squared error of the reconstruction", "negative ELBO / nats"
IMPROBABLE, KIN = "negative log-likelihood / nats", "distance to the nearest of its class"


@st.fragment
@boundary()
def latent_map(run: genlab.Run) -> None:
    """The controls, the map, and what a click or a selection on it leads to."""
    with undoable_row("projection", "method", "axes", "split", "limit", of=run.id):
        method = st.segmented_control(
            "Projection", list(METHODS), default="pca", format_func=METHODS.__getitem__, key="method", bind="query-params",
            required=True, width="content",
            help="PCA is linear and quick; t-SNE and UMAP keep neighbours together and take longer.",
        )  # fmt: skip
        solid = st.segmented_control(
            "Axes", ("2-D", "3-D"), default="2-D", key="axes", bind="query-params", required=True, width="content"
        )
        split = st.selectbox(
            "Of the", list(SPLITS), format_func=SPLITS.__getitem__, key="split", bind="query-params", width=190
        )
        limit = st.select_slider(
            "At most so many", MANY, 2000, key="limit", bind="query-params", width=220,
            help=f"t-SNE and UMAP lay out {MOST_LAID_OUT:,} at most.",
        )  # fmt: skip
    limit = limit if method == "pca" else min(limit, MOST_LAID_OUT)
    projection = projected(run, method, 3 if solid == "3-D" else 2, limit, split)
    _explore(run, projection, split)


@st.fragment
@boundary()
def _explore(run: genlab.Run, projection: Projection, split: str) -> None:
    """The map and what is chosen on it; a click runs only this again."""
    flat = projection.points.shape[1] == 2
    with st.container(key="wide-map"):
        left, detail = st.columns([7, 4], gap="medium")
    with left:
        row = st.container(horizontal=True, vertical_alignment="bottom")
        with undoable("map", "colour", "plotly", "time", of=run.id, place=row):
            with row:
                name = str(st.selectbox("Colour by", _colourings(run, projection), key="colour", bind="query-params"))
                own = newcomers(run, projection)
                charted = flat and st.toggle("As a Plotly chart", key="plotly", bind="query-params")
            history = journey(run, projection, charted=charted)
        caption = (
            f"{METHODS[projection.method]} of the codes (posterior means) of {len(projection.points)} {SPLITS[split]} "
            f"of {run.images.title}, encoded by “{run.title}”{_share(projection)}; coloured by {name}."
        )
        if flat and not charted:
            chosen, frame = _map(run, projection, name, caption, own, history)
        else:
            chosen, frame = _chart(run, projection, name, caption, own), 0
    with detail:
        if history:
            show_moment(run, history, frame)
        show_newcomers(run, projection, own)
        if len(chosen) > 1:
            letting_go = (
                "Double-click the chart to let go." if charted else "Esc on the map lets go, Ctrl-Z takes back."
            )
            gallery(run, np.array(chosen), letting_go)
        else:
            then = run.at(int(history.steps[frame])) if history else run
            one_image(then, chosen[0] if chosen else _typed(run, projection))


def _map(
    run: genlab.Run, projection: Projection, name: str, caption: str, own: list[Newcomer], history: History | None
) -> tuple[list[int], int]:
    """The map in the browser; returns the numbers of the selected images and the checkpoint it stands at."""
    images, indices = run.images, projection.indices
    when = moments(run, history) if history else None
    touched = scatter(
        history.frames if history else projection.points,
        key="map",
        numbers=indices,
        axes=projection.axes,
        colouring=_colouring(run, projection, name),
        label=f"Map of {len(indices)} images. {KEYS}",
        sheet=lambda: sheet_of(images, indices),
        marks=marks_through(run, history, own),
        moments=when,
        rebuilt=rebuilt_address(run) if history else "",
        chosen=st.query_params.get("chosen", ""),
        pictures=_size_in_address(),
        asked=st.session_state.get("map-asked", 0),
        on_drop=dropped,
    )
    st.caption(
        ":material/touch_app: Drag to move, click on a point, drag with Shift to catch many; after a click the wheel "
        "zooms. With the keyboard, Shift and an arrow key step from image to image, and Enter selects. Drop a picture of your "
        "own to see where it belongs."
        f"{WATCHED if when else ''}"
    )
    show_caption(caption, key="map", data=lambda: to_csv(_figure(run, projection, name, own)))
    keep_long("chosen", touched.text, "The selection")
    keep_in_address("pictures", str(touched.pictures or ""))
    frame = touched.frame if touched.frame is not None else when.at if when else 0
    return indices[touched.rows].tolist(), frame


def _size_in_address() -> int:
    asked = st.query_params.get("pictures", "")
    return min(max(int(asked), SMALLEST_PICTURE), LARGEST_PICTURE) if asked.isdecimal() and len(asked) < 4 else 0


def _colouring(run: genlab.Run, projection: Projection, name: str) -> Colouring:
    if name == PLAIN:
        return Colouring(name)
    if name == LABEL and projection.labels is not None:
        return Colouring(name, projection.labels, tuple(run.images.class_names))
    return Colouring(name.replace("_", " "), _values(run, projection, name))


def _chart(run: genlab.Run, projection: Projection, name: str, caption: str, own: list[Newcomer]) -> list[int]:
    """The same as a Plotly chart, which turns in three dimensions; returns the numbers of the selected images."""
    figure = _figure(run, projection, name, own)
    flat = projection.points.shape[1] == 2
    figure.update_layout(dragmode="pan")  # with lasso as the first tool Streamlit lets no click select
    options: dict[str, Any] = {}
    if flat:
        st.caption(
            ":material/touch_app: Click on a point, or catch many with the lasso or box from the chart's corner."
        )
        options = {"on_select": "rerun", "selection_mode": ("points", "box", "lasso")}
    event = show_figure(figure, caption, key="map", **options)
    return _selected(event) if flat else []


def _figure(run: genlab.Run, projection: Projection, name: str, own: Sequence[Newcomer] = ()) -> Figure:
    values = None if name in (PLAIN, LABEL) else _values(run, projection, name)
    return projection_scatter(
        projection.points,
        axes=projection.axes,
        indices=projection.indices,
        labels=projection.labels if name == LABEL else None,
        class_names=run.images.class_names,
        values=values,
        values_title=name.replace("_", " "),
        marked=[(newcomer.picture.name, newcomer.place) for newcomer in own],
    )


def _typed(run: genlab.Run, projection: Projection) -> int:
    """The number of an image, typed where none is chosen on the map."""
    with undoable_row("image", "image", of=run.id):
        return int(st.number_input(
            "Image", 0, run.images.count - 1, int(projection.indices[0]), key="image", bind="query-params",
            help="Click on a point, or type the number of an image.",
        ))  # fmt: skip


def _share(projection: Projection) -> str:
    if projection.pca is None:
        return ""
    return f", whose axes hold {projection.pca.explained.sum():.0%} of the variance"


def _colourings(run: genlab.Run, projection: Projection) -> list[str]:
    """What points can be coloured by: class, what the projection brings (factors of the set too), losses."""
    classes = projection.labels is not None
    names = [LABEL] if classes else []
    names += [PLAIN, *projection.scalars, DENSITY]
    losses = {
        IMPROBABLE: run.can("scores"),
        ERROR: run.can("decodes"),
        BOUND: run.can("bounds"),
        KIN: run.can("embeds") and classes,
    }
    return names + [name for name, able in losses.items() if able]


def _values(run: genlab.Run, projection: Projection, name: str) -> np.ndarray:
    if name in projection.scalars:
        return projection.scalars[name]
    if name == DENSITY:
        return remembered("densities", content_of(projection.points), lambda: density(projection.points))
    if name == KIN and projection.labels is not None:
        return to_kin(projection.codes, projection.labels)
    with st.spinner(f"Computing the {name} of {len(projection.indices)} images …"):
        return remembered(
            "losses", (weights_of(run), name, content_of(projection.indices)),
            lambda: _loss(run, Images(np.asarray(run.images.images[projection.indices])), name),
        )  # fmt: skip


def _loss(run: genlab.Run, images: Images, name: str) -> np.ndarray:
    if name in (IMPROBABLE, BOUND):
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


@st.fragment
@boundary()
def plane(run: genlab.Run) -> None:
    """The decoded plane of a latent space with two dimensions."""
    with undoable("decoded-plane", "span", "steps", of=run.id):
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
