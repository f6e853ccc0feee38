"""The card of a model: what it is, where it comes from, its equations and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from genlab.core.capabilities import CAPABILITIES

if TYPE_CHECKING:
    from genlab.core.registry import Entry

FAMILY_COLOURS = {
    "density": "grey",
    "autoencoder": "green",
    "variational": "blue",
    "adversarial": "orange",
    "hybrid": "violet",
    "flow": "yellow",
    "recognition": "red",
}

BETTER = {"lower": "↓ lower is better", "higher": "↑ higher is better", "neither": "neither way is better"}


def words(name: str) -> str:
    """A capability's name as words: `samples_by_label` becomes "samples by label"."""
    return name.replace("_", " ")


def capability_badges(entry: Entry) -> None:
    """A small badge for each thing the model can do, its meaning on hover."""
    with st.container(horizontal=True, gap="small"):
        for name in entry.capabilities:
            st.badge(words(name), color="grey", help=CAPABILITIES[name].__doc__)


def card_head(entry: Entry, *, level: int = 3) -> None:
    """Title, family, paper and the paragraph for a student."""
    card = entry.card
    st.markdown(f"{'#' * level} {card.title}")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(card.family, color=FAMILY_COLOURS[card.family])  # type: ignore[arg-type]
        st.caption(f"`{entry.name}` · [{card.paper}]({card.link}), {card.year}")
    st.markdown(card.summary)


def equations(entry: Entry) -> None:
    """Each equation with its name and its number in its source."""
    for equation in entry.card.equations:
        st.caption(f"**{equation.name}** · {equation.source}")
        st.latex(equation.latex)


def details(entry: Entry, *, expanded: bool = True) -> None:
    """Folded parts of a card: equations, what the model logs, worked examples, and where it departs from the paper."""
    card = entry.card
    with st.expander("Equations", icon=":material/function:", expanded=expanded):
        equations(entry)
    with st.expander("What it logs", icon=":material/monitoring:"):
        lines = [f"- `{name}`: {s.meaning} ({BETTER[s.direction]})" for name, s in card.scalars.items()]
        st.markdown("\n".join(lines))
    for example in card.examples:
        with st.expander(f"Worked example: {example.title}", icon=":material/table_view:"):
            st.dataframe(list(example.rows), hide_index=True, key=f"example-{entry.name}-{example.title}")
            st.caption(example.caption)
    if card.departures:
        with st.expander(f"Departures from the paper ({len(card.departures)})", icon=":material/alt_route:"):
            st.markdown("\n".join(f"- {departure}" for departure in card.departures))


def model_card(entry: Entry) -> None:
    """The whole card: summary, abilities, sizes, equations, what it logs and where it departs from the paper."""
    card_head(entry)
    capability_badges(entry)
    st.caption(f":material/photo_size_select_large: Takes {entry.card.sizes.rstrip('.')}.")
    details(entry)
