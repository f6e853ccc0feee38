"""Setting up a run: the model, its preset or its own parameters, what it will cost, and the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

import genlab
from genlab.core.errors import GenlabError
from genlab.core.parameters import ParameterInfo, describe, validate
from genlab.core.settings import TrainingSettings
from genlab.data.imageset import refuse_unlike
from genlab.ui.cards import words
from genlab.ui.forms import parameter_form
from genlab.ui.messages import boundary, empty_state, plain
from genlab.ui.navigation import page
from genlab.ui.state import choose, get_models, get_workspace, remember, title_of_set
from genlab.workspace.progress import duration

if TYPE_CHECKING:
    from genlab.core.registry import Entry
    from genlab.data.imageset import SetInfo

PRESETS = {
    "quick": "Quick: see something within a minute or so",
    "default": "Default: a good start",
    "paper": "Paper: as published, which may take long",
}
ONLY_FOR_DESCENT = (
    "batch_size", "gradient_clip", "precision", "schedule", "rate_warmup", "step_epochs", "step_factor",
    "decoupled_weight_decay", "weight_average", "augmentation", "augmentation_amount",
)  # fmt: skip


class Plan(NamedTuple):
    """What a run would be: the model, the image set's name, the preset, the values that differ from it, a second set."""

    model: str
    data: str
    preset: str
    values: dict[str, Any]
    second: str | None = None


def choose_model() -> Entry:
    """A model, narrowed down by its family."""
    models = get_models()
    families = list(dict.fromkeys(entry.card.family for entry in models.values()))
    if len(families) > 1:
        asked = st.query_params.get("model") or st.session_state.get("chosen-model", "")
        start = models[asked].card.family if asked in models else None
        family = st.pills(
            "Family", families, default=start, key="family", help="Narrows down the list below.", wrap=True
        )
    else:
        family = None
    titles = {
        name: f"{entry.card.title} · {entry.card.year}"
        for name, entry in models.items()
        if family in (None, entry.card.family)
    }
    return models[choose("Model", titles, "model", start="vae")]


def choose_second(entry: Entry, first: SetInfo) -> SetInfo | None:
    """A second image set where the model learns from two; those of the first one's shape come first."""
    if not entry.takes_two_sets:
        return None
    others = [info for info in get_workspace().datasets.infos() if info.name != first.name]
    infos = {info.name: info for info in sorted(others, key=lambda info: info.shape != first.shape)}
    help = f"{entry.card.title} learns to turn images of the one set into images of the other; both need one shape."
    titles = {name: title_of_set(info) for name, info in infos.items()}
    return infos[choose("Second images", titles, "second", help)]


def settings_of(entry: Entry) -> dict[str, ParameterInfo]:
    """The training settings that mean something for a model: one that is fitted has no batches, a GAN never stops early."""
    idle = ONLY_FOR_DESCENT if "fits" in entry.capabilities else ()
    if not entry.stops_early:
        idle = (*idle, "early_stopping")
    return {name: info for name, info in describe(TrainingSettings).items() if name not in idle}


def choose_values(entry: Entry, data: str, second: str | None = None) -> Plan:
    """A preset, and every parameter to change from there."""
    preset = st.segmented_control(
        "Preset",
        list(PRESETS),
        default="default",
        format_func=lambda name: name.capitalize(),
        key=f"preset-{entry.name}",
    )
    preset = preset or "default"
    st.caption(f"{PRESETS[preset]}.")
    own, shared = entry.preset(preset)
    key = f"form-{entry.name}-{preset}"
    settings, parameters = settings_of(entry), entry.parameters
    st.markdown("##### How long and how")
    chosen = parameter_form(settings, shared, f"{key}-settings")
    if parameters:
        st.markdown("##### The model")
        chosen |= parameter_form(parameters, own, f"{key}-own")
    starts = {name: info.default for name, info in {**parameters, **settings}.items()} | own | shared
    changed = {name: value for name, value in chosen.items() if value != starts[name]}
    if changed:
        told = ", ".join(f"{words(name)} {value}" for name, value in changed.items())
        st.caption(f":material/edit: Changed from the preset: {told}.")
    return Plan(entry.name, data, preset, changed, second)


def check(entry: Entry, plan: Plan, first: SetInfo, second: SetInfo | None = None) -> str:
    """Why this plan cannot start, in one sentence; empty when it can."""
    try:
        if second:
            refuse_unlike(first, second)
        own, shared = entry.split({**entry.card.presets.get(plan.preset, {}), **plan.values})
        entry.validate(own)
        validate(TrainingSettings, shared, of="the training")
    except GenlabError as error:
        return str(error)
    return ""


def estimate(plan: Plan, content: str) -> None:
    """Time, memory and size of the planned run on this machine, measured on a few real steps when asked for."""
    known = st.session_state.setdefault("estimates", {})
    key = (plan.model, content, plan.second, plan.preset, tuple(sorted(plan.values.items())))
    if key not in known:
        if st.button("Estimate time and memory", icon=":material/timer:", key="estimate", help="Tries a few steps."):
            with st.spinner("Trying a few steps …"):
                known[key] = get_workspace().estimate(
                    plan.model, plan.data, second=plan.second, preset=plan.preset, **plan.values
                )
            st.rerun()
        return
    found = known[key]
    columns = st.columns(4)
    columns[0].metric("Time", duration(found.seconds), help="Measured on a few steps, while nothing else runs.")
    columns[1].metric("Memory", f"≈ {size(found.memory_bytes)}", help="Weights, optimiser and activations, roughly.")
    columns[2].metric("Parameters", f"{found.parameters:,}", help="Numbers that gradient descent moves.")
    columns[3].metric("Steps", f"{found.steps:,}", help=f"Optimisation steps in all, on {found.device}.")


def size(count: float) -> str:
    """Bytes in the largest unit that fits.

    >>> size(512), size(3 * 2**20)
    ('512 B', '3.0 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def needs_download(info: SetInfo) -> bool:
    """Whether the set must be fetched first; says so, with the way to the page that does it."""
    if info.status != "needs a download":
        return False
    empty_state(
        f"“{info.title}” is not on this machine yet", "Fetch it on the Data page, then come back.",
        link="data", label="To the Data page", icon=":material/cloud_download:",
    )  # fmt: skip
    return True


def start(plan: Plan) -> None:
    """A name and the button; the run is queued when others are training, and the page stays for the next."""
    name, button = st.columns([3, 2], vertical_alignment="bottom")
    called = name.text_input(
        "Name of the run", placeholder="made from the model and the images", key="run-name", max_chars=120
    )
    if button.button("Start training", type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with boundary():
            run = get_workspace().train(
                plan.model, plan.data, second=plan.second, preset=plan.preset, name=called.strip(), **plan.values
            )
            st.session_state["started"] = [*st.session_state.get("started", []), run.id]
            remember("run", run.id)
            st.rerun()


def started() -> None:
    """The runs that were started from this page, with the way to watch them."""
    runs = get_workspace().runs
    ids = [id for id in st.session_state.get("started", []) if id in runs]
    for id in reversed(ids[-3:]):
        run: genlab.Run = runs[id]
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"started-{id}"):
            st.markdown(f":material/rocket_launch: **{plain(run.name)}** is {run.status}.")
            if (target := page("runs")) and st.button("Watch it", key=f"watch-{id}", icon=":material/monitoring:"):
                remember("run", id)
                st.switch_page(target)
