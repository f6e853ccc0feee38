"""What is shared by the pages of a session: the workspace, the registry and what was chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

import genlab
from genlab.ui.messages import empty_state
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    from genlab.core.registry import Entry
    from genlab.data.imageset import SetInfo

FIRST = "digits-vae"  # of the runs that come along, what most pages begin with


@st.cache_resource(show_spinner=False)
def _workspace(home: str) -> genlab.Workspace:
    return genlab.Workspace(home or None)


def get_workspace() -> genlab.Workspace:
    """The laboratory of this server, opened once for each `GENLAB_HOME`."""
    return _workspace(os.environ.get("GENLAB_HOME", ""))


@st.cache_resource(show_spinner="Loading the models (a few seconds, once) …")
def get_models() -> Mapping[str, Entry]:
    """Every registered model by name; the first call imports torch."""
    from genlab.core.registry import models

    return models()


def remember(key: str, value: str) -> None:
    """Choose `value` under `key` ("run", "data", "model") for whatever is shown next."""
    st.session_state[f"chosen-{key}"] = st.session_state[f"next-{key}"] = value
    st.query_params[key] = value


def exchange(one: str, other: str) -> None:
    """Swap two things that the session keeps: what stands there for what stood there before."""
    st.session_state[one], st.session_state[other] = st.session_state.get(other), st.session_state.get(one)


def forget(key: str) -> None:
    """Drop what was chosen under `key`, because it is no longer there."""
    st.session_state.pop(f"chosen-{key}", None)
    st.query_params.pop(key, None)


def choose(label: str, titles: Mapping[str, str], key: str, help: str | None = None, start: str = "") -> str:
    """A selectbox over names whose choice survives a change of page and stands in the address."""
    names, widget, state = list(titles), f"choose-{key}", st.session_state
    wanted = state.pop(f"next-{key}", None)
    if wanted not in titles and state.get(widget) not in titles:
        wanted = st.query_params.get(key) or state.get(f"chosen-{key}") or start
        wanted = wanted if wanted in titles else names[0]
    if wanted in titles:
        state[widget] = wanted
    with undoable_row(key, widget):
        chosen: str = st.selectbox(label, names, format_func=lambda name: titles.get(name, name), key=widget, help=help)
    state[f"chosen-{key}"] = chosen
    if st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    return chosen


def choose_run(
    *capabilities: str | tuple[str, ...], key: str = "run", label: str = "Run", purpose: str = ""
) -> genlab.Run:
    """Let the person choose among the runs that have a checkpoint and can do `capabilities`, of a tuple one.

    The choice is kept in the address and across pages. Where no run fits, says so (`purpose`, such as
    "draw images") with a way to the Train page and stops the script.
    """
    every = [run for run in get_workspace().runs if run.status != "queued"]
    able = {run.id: run for run in every if run.can(*capabilities)}
    doing = purpose or "do this"
    if not able:
        reason = f"None of the {len(every)} runs here can {doing}." if every else "There is no run yet."
        empty_state("No run for this page", f"{reason} Train one that can.", link="train", label="Train a model")
        st.stop()
    titles = {run.id: f"{run.name} · {run.config.title} · {run.config.data_title}" for run in able.values()}
    lacking = len(every) - len(able)
    help = f"{lacking} more cannot {doing} and are not listed." if lacking else None
    start = FIRST if next(iter(able.values())).shipped else ""  # else one's own, the newest first
    return able[choose(label, titles, key, help, start)]


def title_of_set(info: SetInfo) -> str:
    """An image set in a list: title, how many, which shape, and whether it must be downloaded first."""
    later = " · to be downloaded" if info.status == "needs a download" else ""
    return f"{info.title} · {info.count:,} images · {info.shape}{later}"


def choose_image_set(*, key: str = "data", label: str = "Image set", help: str | None = None) -> Any:
    """Let the person choose an image set; returns its `SetInfo`, which is cheap and decodes nothing."""
    infos = {info.name: info for info in get_workspace().datasets.infos()}
    if not infos:
        empty_state("No images yet", "Import some on the Data page.", link="data", label="Import images")
        st.stop()
    titles = {name: title_of_set(info) for name, info in infos.items()}
    return infos[choose(label, titles, key, help)]
