"""What is said when there is nothing to show, or when something cannot be done."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from genlab.core.errors import GenlabError

log = logging.getLogger("genlab.ui")


def plain(text: str) -> str:
    r"""Text that people typed, such that Markdown shows it letter for letter.

    >>> plain("*my* $100 run_2 [x] _a_")
    '\\*my\\* \\$100 run_2 \\[x\\] \\_a\\_'
    """
    return re.sub(r"[\\`*$\[\]~<>#|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


@contextmanager
def boundary() -> Iterator[None]:
    """Show an error as one sentence instead of a traceback; also usable as a decorator.

    A `GenlabError` is shown as it is; anything else is logged in full and named by its kind alone.
    """
    try:
        yield
    except GenlabError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:
        log.exception("a page failed")
        st.error(
            f"Something unexpected went wrong ({type(error).__name__}). Nothing was lost: runs and image sets "
            "are on disk, and the details are in the terminal that started the laboratory.",
            icon=":material/bug_report:",
        )


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """A spinner that says what is being done, inside a `boundary`."""
    with boundary(), st.spinner(doing):
        yield


def empty_state(title: str, sentence: str, *, link: str = "", label: str = "", icon: str = ":material/inbox:") -> None:
    """Say kindly that there is nothing here yet, and where to go: `link` is a page's name, such as "train"."""
    from genlab.ui.navigation import page

    with st.container(border=True, key=f"empty-{title}", horizontal_alignment="center"):
        st.markdown(f"### {icon} {title}", text_alignment="center")
        st.markdown(sentence, text_alignment="center")
        if link and (target := page(link)):
            st.page_link(target, label=label or target.title, icon=":material/arrow_forward:")


def offer_undo(key: str, restore: Callable[[str], object]) -> None:
    """Say what was just deleted, (name, title) under `key` in the session, and bring it back on request."""
    if not (name := st.session_state.get(key)):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"undo-{key}"):
        st.markdown(f":material/delete: “{plain(name[1])}” was deleted.")
        if st.button("Undo", icon=":material/undo:", key=f"{key}-undo"):
            with boundary():
                restore(name[0])
                del st.session_state[key]
                st.rerun()
