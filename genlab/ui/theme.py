"""The few rules of style that the theme's settings cannot express."""

from __future__ import annotations

import streamlit as st

STYLE = """<style>
.block-container { max-width: 1180px; padding-top: 3.2rem; padding-bottom: 4rem; }
[class*="st-key-pixels"] img { image-rendering: pixelated; border-radius: .4rem; }
[data-testid="stMarkdownContainer"] table { display: block; width: max-content; max-width: 100%; overflow-x: auto; }
[data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; font-size: 1.4rem; }
[data-testid="stExpander"] .katex-display, [class*="st-key-card-"] .katex-display
  { margin: .2em 0; padding-bottom: .35em; overflow-x: auto; overflow-y: hidden; font-size: .85em; }
@media (max-width: 1050px) {
  section[data-testid="stSidebar"]:not([aria-expanded="false"]):not([data-collapsed="true"]) { width: 210px !important; min-width: 210px !important; }
  .block-container [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  .block-container [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] { min-width: min(170px, 100%); }
  [class*="st-key-wide-"] > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"],
  [class*="st-key-wide-"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] { min-width: 100%; }
}
</style>"""


def apply() -> None:
    """Put the rules into the page."""
    st.html(STYLE)
