"""The pages and their order; a page is listed when its file is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from genlab.ui import theme
from genlab.ui.messages import boundary
from genlab.ui.state import get_workspace


class Leaf(NamedTuple):
    """One page: the name of its file, its title and its icon."""

    name: str
    title: str
    icon: str


SECTIONS = {
    "": (Leaf("home", "Home", "home"),),
    "Make": (
        Leaf("data", "Data", "photo_library"),
        Leaf("train", "Train", "model_training"),
        Leaf("runs", "Runs", "monitoring"),
    ),
    "Explore": (
        Leaf("sample", "Sample", "casino"),
        Leaf("latent", "Latent space", "bubble_chart"),
        Leaf("interpolate", "Interpolate", "linear_scale"),
        Leaf("triplets", "Triplets", "hub"),
    ),
    "Judge": (
        Leaf("compare", "Compare", "compare_arrows"),
        Leaf("models", "Models", "category"),
    ),
}

_pages: dict[str, Any] = {}


def _listed(folder: Path) -> dict[str, list[Any]]:
    """The pages of each section whose files are in `folder`."""
    sections: dict[str, list[Any]] = {}
    for section, leaves in SECTIONS.items():
        for leaf in leaves:
            file = folder / f"{leaf.name}.py"
            if file.is_file():
                icon = f":material/{leaf.icon}:"
                _pages[leaf.name] = st.Page(
                    file, title=leaf.title, icon=icon, url_path=leaf.name, default=leaf.name == "home"
                )
                sections.setdefault(section, []).append(_pages[leaf.name])
    return sections


def page(name: str) -> Any:
    """A page for `st.page_link` and `st.switch_page`, or None where it is not installed."""
    return _pages.get(name)


def header(title: str, sentence: str) -> None:
    """The title of a page and the one sentence that says what it is for; every page begins with it."""
    _inside_the_frame()
    st.title(title, anchor=False)
    st.markdown(sentence)


def _inside_the_frame() -> None:
    """Start over through `run_app` when the page was opened without it.

    The very first visit to a server may be to the address of a page. Streamlit then takes the folder `pages`
    for an older kind of app and runs the page's file alone; from the next run on it does not.
    """
    if st.session_state.get("framed"):
        return
    from streamlit.runtime.pages_manager import PagesManager

    PagesManager.uses_pages_directory = False
    st.session_state["framed"] = True
    st.rerun()


def _activity() -> None:
    """How many runs are training or waiting."""
    with boundary():
        statuses = [run.status for run in get_workspace().runs if not run.shipped]
        running, queued = statuses.count("running"), statuses.count("queued")
        busy = f"**{running}** training · **{queued}** queued" if running or queued else "Nothing is training"
        st.markdown(f":material/{'progress_activity' if running else 'bedtime'}: {busy}")
        st.session_state["anything-active"] = bool(running or queued)


def run_app(folder: Path) -> None:
    """Lay out the frame, the sidebar and the chosen page from `folder`."""
    st.set_page_config(
        page_title="genlab",
        page_icon=":material/experiment:",
        layout="wide",
        menu_items={"About": "**genlab**, a laboratory for image generative models. It runs on this machine only."},
    )
    theme.apply()
    st.session_state["framed"] = True
    chosen = st.navigation(_listed(folder), expanded=True)
    with st.sidebar:
        active = st.session_state.get("anything-active", True)
        st.fragment(_activity, run_every=4 if active else None)()
        st.caption(":material/lock: Runs on this machine only. Images and models stay here.")
    with boundary():
        chosen.run()
