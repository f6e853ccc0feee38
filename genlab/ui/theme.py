"""The few rules of style that the theme's settings cannot express."""

from __future__ import annotations

import streamlit as st

STYLE = """<style>
.block-container { max-width: 1180px; padding-top: 3.2rem; padding-bottom: 4rem; }
[class*="st-key-pixels"] img { image-rendering: pixelated; border-radius: .4rem; }
[data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; font-size: 1.5rem; }
[class*="st-key-wrap-"] [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
[class*="st-key-wrap-"] [data-testid="stColumn"] { flex: 1 1 230px; min-width: min(230px, 100%); }
[class*="st-key-card-"] .katex-display { margin: .2em 0; overflow-x: auto; overflow-y: hidden; }
</style>"""


def apply() -> None:
    """Put the rules into the page."""
    st.html(STYLE)


def header(title: str, sentence: str) -> None:
    """The title of a page and the one sentence that says what it is for."""
    st.title(title, anchor=False)
    st.markdown(sentence)
