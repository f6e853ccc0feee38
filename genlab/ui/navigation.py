"""The pages and their order; a page is listed when its file is there."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from genlab.ui import theme, tours
from genlab.ui.memory import settle
from genlab.ui.messages import boundary
from genlab.ui.state import get_workspace
from genlab.workspace import app_root


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
        Leaf("theatre", "Theatre", "theater_comedy"),
    ),
    "Explore": (
        Leaf("sample", "Sample", "casino"),
        Leaf("latent", "Latent space", "bubble_chart"),
        Leaf("interpolate", "Interpolate", "linear_scale"),
        Leaf("triplets", "Triplets", "hub"),
        Leaf("likelihood", "Likelihood", "query_stats"),
        Leaf("recognise", "Recognise", "fingerprint"),
    ),
    "Judge": (
        Leaf("compare", "Compare", "compare_arrows"),
        Leaf("studies", "Studies", "science"),
        Leaf("models", "Models", "category"),
    ),
}

# drawn here, as Streamlit fetches the icons it names (":material/…:", emoji) from the network when they stand in a tab
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0072B2"/>'
    '<circle cx="11" cy="20" r="5" fill="#fff"/><circle cx="21" cy="11" r="5" fill="#E69F00"/>'
    '<path d="M14.5 16.5l3-2.5" stroke="#fff" stroke-width="2"/></svg>'
)

_pages: dict[str, Any] = {}
_framed = ContextVar("framed", default=False)  # whether this very run of a script went through `run_app`


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
    """Lay out the frame when a page's file was run without it, and end this run of the file.

    The very first visit to a server may be to the address of a page. Streamlit then takes the folder `pages`
    for an older kind of app and runs the page's file alone; it stops doing so once `run_app` was called.
    """
    from streamlit.runtime.pages_manager import PagesManager

    if PagesManager.uses_pages_directory and not _framed.get():
        run_app(app_root() / "pages")
        st.stop()


@boundary()
def _activity() -> None:
    """How many runs are training or waiting."""
    statuses = [run.status for run in get_workspace().runs if not run.shipped]
    counts = {"training": statuses.count("running"), "queued": statuses.count("queued")}
    busy = " · ".join(f"**{count}** {what}" for what, count in counts.items() if count)
    icon = "progress_activity" if busy else "bedtime"
    st.markdown(f":material/{icon}: {busy or 'Nothing is training'}")
    st.session_state["anything-active"] = bool(busy)


def run_app(folder: Path) -> None:
    """Lay out the frame, the sidebar and the chosen page from `folder`."""
    st.set_page_config(
        page_title="genlab",
        page_icon=ICON,
        layout="wide",
        menu_items={"About": "**genlab**, a laboratory for image generative models. It runs on this machine only."},
    )
    theme.apply()
    chosen = st.navigation(_listed(folder), expanded=True)
    with st.sidebar:
        active = st.session_state.get("anything-active", True)
        st.fragment(_activity, run_every=4 if active else None)()
        st.caption(":material/lock: Runs on this machine only. Images and models stay here.")
    token = _framed.set(True)
    try:
        with boundary():
            tours.guide()
            chosen.run()
    finally:
        _framed.reset(token)
        settle()
