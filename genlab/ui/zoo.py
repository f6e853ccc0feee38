"""All models: a gallery of their cards by family, and what each can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

import genlab
from genlab.core.capabilities import CAPABILITIES
from genlab.ui.cards import capability_badges, card_head, details, words
from genlab.ui.messages import boundary, empty_state
from genlab.ui.navigation import page
from genlab.ui.pictures import show_picture
from genlab.ui.previews import TITLES, best_preview, open_preview
from genlab.ui.state import get_models, get_workspace, remember

if TYPE_CHECKING:
    from genlab.core.registry import Entry

FAMILIES = {
    "density": "Densities: count or fit, no gradients",
    "autoencoder": "Autoencoders: squeeze and rebuild",
    "variational": "Variational: codes with a prior",
    "adversarial": "Adversarial: a generator against a critic",
    "hybrid": "Hybrids: autoencoders with a critic",
    "flow": "Flows: exact likelihoods",
    "recognition": "Recognition: the same thing seen twice",
}


def capability_matrix() -> None:
    """Every model in a row, every ability in a column, read from the classes."""
    models = get_models()
    abilities = [name for name in CAPABILITIES if any(name in entry.capabilities for entry in models.values())]
    table = {"model": [entry.card.title for entry in models.values()]}
    table |= {"family": [entry.card.family for entry in models.values()]}
    config = {"model": st.column_config.TextColumn("model", pinned=True)}
    for name in abilities:
        table[name] = ["✓" if name in entry.capabilities else "" for entry in models.values()]
        meaning = (CAPABILITIES[name].__doc__ or "").split("\n")[0]
        config[name] = st.column_config.TextColumn(words(name), help=meaning, alignment="center")
    st.dataframe(table, hide_index=True, column_config=config, key="matrix", height=35 * (len(models) + 1) + 3)
    st.caption("What each model can do, read from its class. Hover over a heading for what it means.")


def gallery() -> None:
    """The cards that are looked for, grouped by family, two beside each other."""
    found = _found()
    shipped = {run.config.model: run for run in get_workspace().runs if run.shipped}
    for family, title in FAMILIES.items():
        entries = [entry for entry in found if entry.card.family == family]
        if not entries:
            continue
        st.subheader(title, anchor=family)
        for start in range(0, len(entries), 2):
            for column, entry in zip(st.columns(2, gap="medium"), entries[start : start + 2], strict=False):
                with column, st.container(border=True, height="stretch", key=f"card-{entry.name}"), boundary():
                    _card(entry, shipped.get(entry.name))


def _found() -> list[Entry]:
    """The models of the chosen families, of all where none is chosen, whose cards have every word that was written."""
    models = list(get_models().values())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        wanted = st.text_input(
            "Find", key="find", bind="query-params", placeholder="a name, an author, an ability …", width=260,
            icon=":material/search:",
        )  # fmt: skip
        families = st.pills(
            "Families", list(FAMILIES), key="families", bind="query-params", selection_mode="multi", wrap=True
        )
    asked = wanted.casefold().split()
    found = [entry for entry in models if entry.card.family in (families or FAMILIES) and _says(entry, asked)]
    if not found:
        empty_state("No such model", "No card has all of this; write fewer words, or choose more families.", icon=":material/search_off:")  # fmt: skip
    elif len(found) < len(models):
        st.caption(f"{len(found)} of {len(models)} models")
    return found


def _says(entry: Entry, asked: Sequence[str]) -> bool:
    """Whether the head of a card, or one of its abilities, has each of these words."""
    card = entry.card
    head = (entry.name, card.title, card.family, card.paper, str(card.year), card.summary)
    text = " ".join((*head, *map(words, entry.capabilities))).casefold()
    return all(word in text for word in asked)


def _card(entry: Entry, run: genlab.Run | None) -> None:
    card_head(entry, level=4)
    if run and (drawn := best_preview(run)):
        caption = f"{TITLES[drawn.what]}, by the shipped run “{run.title}”."
        show_picture(open_preview(run, drawn), caption, key=entry.name)
    capability_badges(entry)
    details(entry, expanded=False)
    if (target := page("train")) and st.button("Train it", icon=":material/model_training:", key=f"train-{entry.name}"):
        remember("model", entry.name)
        st.switch_page(target)
