"""Algorithm 3 of the triplet thesis, live: sliders on the left, the triplet they give on the right."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import streamlit as st

import genlab
from genlab.core.errors import BadInputError
from genlab.core.parameters import ParameterInfo, describe, validate
from genlab.figures import displacement_bars, triplet_distances
from genlab.figures.images import Images
from genlab.figures.latent import ROLES
from genlab.latent.triplets import TRIPLET_PRESETS, TripletSettings
from genlab.ui.explore_controls import as_csv, file_stem, offer, seed_input
from genlab.ui.explore_gallery import markup_of, page_grey, show_markup
from genlab.ui.explore_hardness import hardness
from genlab.ui.explore_map import scatter_svg
from genlab.ui.explore_pick import Chosen, choose_images
from genlab.ui.explore_projection import projected
from genlab.ui.explore_rings import rings
from genlab.ui.forms import explanation, title
from genlab.ui.messages import boundary
from genlab.ui.pictures import show_figure
from genlab.ui.undo import noted, undoable, undoable_row

if TYPE_CHECKING:
    from genlab.workspace.results import Projection, Triplets

SLIDERS = ("positive_radius", "negative_radius", "positive_toward_mean", "negative_toward_mean")
BESIDE_SLIDERS = ("step", "stochastic_radius", "radius_spread")
MOST_ANCHORS = 12
FEW = 6  # draws whose labels have room for a word
BACKGROUND = 600  # images that show where the codes lie

NOTE = r"""
In every latent dimension, a sample steps away from the anchor's mean $\mu$ by its radius times the size of the
anchor's log-variance, towards the mean $\bar\mu$ of all codes with probability $p$, and away from it otherwise:

$$z = \begin{cases}\mu - s\,r\,|\log\sigma^2| & u \le p\\ \mu + s\,r\,|\log\sigma^2| & u > p\end{cases}
\qquad s = \begin{cases}+1 & \mu > \bar\mu\\ -1 & \mu \le \bar\mu\end{cases}
\qquad u \sim \mathcal U(0, 1)$$

The positive takes the small radius, the negative the large one, each with its own probability. A step is 0 where
$\sigma = 1$, that is, in dimensions the model does not use; step by $\sigma$ instead to move those too. With the
thesis's values both samples move the same way in 81.5 % of the dimensions, the negative exactly twice as far. The
stochastic radius, which the thesis leaves to future work, gives different triplets of one anchor even at high $p$.
"""


def note() -> None:
    """The algorithm in a paragraph and an equation."""
    with st.expander("How a triplet is sampled (Algorithm 3)", icon=":material/function:"):
        st.markdown(NOTE)


@st.fragment
@boundary()
def triplet_lab(run: genlab.Run) -> None:
    """What is set now and then on the left; the sliders and the triplets they give on the right."""
    controls, live = st.columns([2, 5], gap="large")
    with controls, undoable("triplets", "draws", "seed", *BESIDE_SLIDERS, of=run.id):
        chosen = choose_images(run, key="anchors", most=MOST_ANCHORS, label="Anchors")
        draws = st.slider("Draws of each anchor", 1, 16, 4, key="draws", bind="query-params")
        seed = seed_input()
        settings = _settings()
    with live:
        _live(run, chosen, draws, seed, settings)


def _settings() -> dict[str, Any]:
    """Presets, and the settings beside the four sliders."""
    infos, values = describe(TripletSettings), dict[str, Any]()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Values of the")
        for name, preset in TRIPLET_PRESETS.items():
            help = ", ".join(f"{getattr(preset, slider):g}" for slider in SLIDERS)
            st.button(name, key=f"preset-{name}", on_click=_apply, args=(name,), help=help, type="tertiary")
    with st.expander("Step and stochastic radius", icon=":material/tune:"):
        for name in ("step", "stochastic_radius"):
            info = infos[name]
            values[name] = st.segmented_control(
                title(info), info.choices, default=info.default, key=name, bind="query-params", required=True, wrap=True,
                format_func=lambda choice: choice.replace("_", " "), help=explanation(info),
            )  # fmt: skip
        info = infos["radius_spread"]
        values["radius_spread"] = info.default
        if values["stochastic_radius"] != "off":
            values["radius_spread"] = _slider(info)
    return values


@st.fragment
@boundary()
def _live(run: genlab.Run, chosen: Chosen, draws: int, seed: int, values: dict[str, Any]) -> None:
    """The four sliders and everything that moves with them: all that runs again when one is moved.

    The browser draws what arrives together at once and makes what comes later wait for that, so the sampling
    is done before the sliders are sent.
    """

    def sample(radii: dict[str, Any]) -> tuple[TripletSettings, Triplets, list[str]]:
        settings = cast(TripletSettings, validate(TripletSettings, {**values, **radii}, of="the triplets"))
        triplets = run.triplets(chosen.images, settings, seed=seed, draws=draws)
        return settings, triplets, [picture_of(triplets, place) for place in range(len(chosen.names))]

    known = {name: st.session_state[name] for name in SLIDERS if name in st.session_state}
    sampled = None
    with suppress(BadInputError):
        sampled = sample(known) if len(known) == len(SLIDERS) else None
    infos = describe(TripletSettings)
    radii = {}
    for column, name in zip(st.columns(len(SLIDERS)), SLIDERS, strict=True):
        with column:
            radii[name] = _slider(infos[name])
    try:
        settings, triplets, pictures = sampled if sampled and radii == known else sample(radii)
    except BadInputError as error:
        # where the rings are shown, their own Undo takes these back
        with undoable("triplet-radii", *SLIDERS, of=run.id):
            st.warning(str(error), icon=":material/swap_horiz:")
        return
    noted("triplet-radii", *SLIDERS, of=run.id)
    rings(run, projected(run, "pca", 2, BACKGROUND, "train"), chosen, settings, seed=seed, draws=draws)
    below_rings = st.container()  # what takes longer comes when the pictures are there
    for place, (name, picture) in enumerate(zip(chosen.names, pictures, strict=True)):
        caption = (
            f"Anchor: {name}. {draws} positives and negatives sampled around its code and decoded by “{run.title}”, "
            "with their distance from it in code space."
        )
        show_markup(picture, caption, key=f"triplet-{place}")
    _agreement(triplets, settings)
    _charts(run, triplets, chosen)
    _takeaways(run, triplets, chosen.names, settings, seed)
    with below_rings:
        hardness(run, chosen, settings, seed=seed, draws=draws)


def _slider(info: ParameterInfo) -> float:
    """A setting between 0 and 1."""
    return st.slider(
        title(info), 0.0, 1.0, info.default, info.step, key=info.name, bind="query-params", help=explanation(info)
    )


def _apply(preset: str) -> None:
    for name, value in TRIPLET_PRESETS[preset].model_dump().items():
        st.session_state[name] = value


def picture_of(triplets: Triplets, place: int) -> str:
    """One anchor and its positives above, its reconstruction and its negatives below, as markup."""
    draws, distance = triplets.draws, triplets.distances["code"]
    mine = slice(place * draws, (place + 1) * draws)
    images = [
        triplets.anchors.array[[place]],
        triplets.positives.array[mine],
        triplets.reconstructions.array[[place]],
        triplets.negatives.array[mine],
    ]
    named = {
        role: f"{role}, " if draws <= FEW else "" for role in ("positive", "negative")
    }  # the frame's ink says it too
    labels = ["anchor", *(f"{named['positive']}{d:.3g}" for d in distance["positive"][mine])]
    labels += ["rebuilt", *(f"{named['negative']}{d:.3g}" for d in distance["negative"][mine])]
    inks = [ROLES["anchor"], *[ROLES["positive"]] * draws, ROLES["anchor"], *[ROLES["negative"]] * draws]
    return markup_of(Images(np.concatenate(images)), labels, columns=draws + 1, inks=inks)


def _agreement(triplets: Triplets, settings: TripletSettings) -> None:
    """How often positive and negative move the same way, measured and expected."""
    anchors = triplets.anchor_codes.repeat(triplets.draws, axis=0)
    near, far = triplets.positive_codes - anchors, triplets.negative_codes - anchors
    moved = (near != 0) & (far != 0)
    share = float((np.sign(near) == np.sign(far))[moved].mean()) if moved.any() else 0.0
    st.caption(
        f"Positive and negative move the same way in {share:.1%} of the dimensions that move (expected: "
        f"{settings.agreement:.1%}), the negative {settings.negative_radius / max(settings.positive_radius, 1e-9):.3g} "
        "times as far."
    )


VIEWS = {"map": "Where they lie", "distances": "Distances", "displacement": "Displacements"}


def _charts(run: genlab.Run, triplets: Triplets, chosen: Chosen) -> None:
    """One chart at a time, so that the pictures follow the sliders quickly."""
    with undoable_row("chart", "view", "space"):
        view = st.segmented_control(
            "Chart", list(VIEWS), default="map", format_func=VIEWS.__getitem__, key="view", bind="query-params",
            required=True,
        )  # fmt: skip
        if view == "distances":
            space = st.segmented_control(
                "In", ("code", "pixel"), default="code", key="space", bind="query-params", required=True
            )
    if view == "map":
        _map(run, triplets)
        return
    if view == "distances":
        unit = "Euclidean distance of codes" if space == "code" else "root mean square difference of decoded pixels"
        figure = triplet_distances(triplets.distances[space], title=unit)
        caption = f"{unit.capitalize()} of each positive and negative from its anchor, “{run.title}”."
    else:
        figure = displacement_bars(triplets.anchor_codes[0], triplets.positive_codes[0], triplets.negative_codes[0])
        caption = (
            f"How far the first positive and negative of {chosen.names[0]} move along each dimension, “{run.title}”."
        )
    show_figure(figure, caption, key="triplet-chart")


def _map(run: genlab.Run, triplets: Triplets) -> None:
    """Anchors and samples in the plane of the codes' principal axes."""
    projection = projected(run, "pca", 2, BACKGROUND, "train")
    codes = (triplets.anchor_codes, triplets.positive_codes, triplets.negative_codes)
    marked = {role: run.place(projection, group) for role, group in zip(ROLES, codes, strict=True)}
    text = "#c6ced6" if page_grey() < 128 else "#4a5560"
    st.image(
        scatter_svg(projection.points, marked, ROLES, projection.axes, text), width="stretch",
        caption=f"Anchors, positives and negatives among the codes of {len(projection.points)} training images, on the "
        f"two principal axes of “{run.title}”. Samples that move along other axes look nearer here than they are.",
    )  # fmt: skip
    offer("Places (CSV)", lambda: as_csv(map_rows(projection, marked)), f"{file_stem(run, 'triplet-places')}.csv")


def map_rows(projection: Projection, marked: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Where everything on the map lies: images by their numbers, marks by their place in their group."""
    numbers = {"image": projection.indices.tolist()} | {role: list(range(1, len(g) + 1)) for role, g in marked.items()}
    groups = {"image": projection.points, **marked}
    return [
        {"series": name, "number": number, projection.axes[0]: float(x), projection.axes[1]: float(y)}
        for name, group in groups.items()
        for number, (x, y) in zip(numbers[name], group[:, :2], strict=True)
    ]


def distance_rows(triplets: Triplets, names: list[str]) -> list[dict[str, Any]]:
    """One row for each triplet: its anchor, its draw, and the four distances."""
    return [
        {"anchor": names[row // triplets.draws], "draw": row % triplets.draws + 1}
        | {
            f"{role} {space} distance": float(triplets.distances[space][role][row])
            for space in ("code", "pixel")
            for role in ("positive", "negative")
        }
        for row in range(len(triplets.positives))
    ]


def triplet_zip(triplets: Triplets, names: list[str], made: Mapping[str, Any]) -> bytes:
    """All pictures of the triplets, their distances as CSV, and how they were `made` as JSON, in one archive."""
    draws = range(1, triplets.draws + 1)
    parts = {"anchor": triplets.anchors, "reconstruction": triplets.reconstructions}
    files = {f"{index:05d}-{role}": images[index] for role, images in parts.items() for index in range(len(names))}
    for role, images in (("positive", triplets.positives), ("negative", triplets.negatives)):
        every = (f"{index:05d}-{role}-{draw}" for index in range(len(names)) for draw in draws)
        files |= {name: images[row] for row, name in enumerate(every)}
    stacked = Images(np.concatenate([image.array for image in files.values()]))
    archive = io.BytesIO(stacked.zip_bytes(list(files)))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("distances.csv", as_csv(distance_rows(triplets, names)))
        file.writestr("settings.json", json.dumps({**made, "anchors": names}, indent=1))
    return archive.getvalue()


def triplet_npz(triplets: Triplets) -> bytes:
    """Images and codes of the triplets as NumPy arrays."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        anchors=triplets.anchors.array,
        reconstructions=triplets.reconstructions.array,
        positives=triplets.positives.array,
        negatives=triplets.negatives.array,
        anchor_codes=triplets.anchor_codes,
        positive_codes=triplets.positive_codes,
        negative_codes=triplets.negative_codes,
        global_mean=triplets.global_mean,
    )
    return file.getvalue()


def _takeaways(run: genlab.Run, triplets: Triplets, names: list[str], settings: TripletSettings, seed: int) -> None:
    stem = file_stem(run, f"triplets-seed-{seed}")
    made = {"run": run.id, "step": run.state.step, "seed": seed, "draws": triplets.draws, **settings.model_dump()}
    with st.container(horizontal=True, gap="small"):
        offer("Pictures (zip)", lambda: triplet_zip(triplets, names, made), f"{stem}.zip")
        offer("Arrays (npz)", lambda: triplet_npz(triplets), f"{stem}.npz")
        offer("Distances (CSV)", lambda: as_csv(distance_rows(triplets, names)), f"{stem}.csv")
