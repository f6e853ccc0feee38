"""Where training helped and where it hurt: which held-out queries one recognition run gets right and another does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.ui.explore_compare import short_names
from genlab.ui.explore_controls import as_csv, file_stem, offer, weights_of
from genlab.ui.explore_gallery import labelled_images
from genlab.ui.explore_recognise import OTHER, QUERY, SAME, what_it_shows
from genlab.ui.messages import boundary, empty_state, guarded, plain
from genlab.ui.remembering import remembered
from genlab.ui.state import get_workspace
from genlab.ui.undo import undoable_row

if TYPE_CHECKING:
    from genlab.metrics.paired import Answers

MOST = 8  # runs beside the one of the page
SHOWN = 6  # queries of each kind
COMPARED = ("helped", "hurt", "p", "p by identity")

NOTE = """
Each held-out image is a query, and the nearest other image is the first choice. Only queries on which two runs *disagree* say which
is better: **p** is the probability (McNemar's exact test) that they would fall at least so unevenly if either run were as likely
to be right. Photographs of one thing are right or wrong together, so that p is too small; **p by identity** counts each thing
once, for the run that has more of its photographs right.
"""


@st.fragment
@boundary()
def helped_or_hurt(run: genlab.Run) -> None:
    """Other runs on the same images, the table of all against this one, and the queries on which two disagree."""
    others = {
        each.id: each
        for each in get_workspace().runs
        if each.can("embeds") and each.status != "queued" and each.id != run.id and each.config.data.hash == run.config.data.hash
    }  # fmt: skip
    if not others:
        empty_state(
            "Nothing to compare with", f"Train another recognition run on {plain(run.config.data_title)}, for instance with its "
            "triplets sampled by a VAE (source and triplets_from), and see which queries it gets right.", link="train", label="Train",
        )  # fmt: skip
        return
    st.markdown(NOTE)
    wanted = [id for id in st.query_params.get_all("against") if id in others] or list(others)[:1]
    with undoable_row("contrast", "against-runs", of=" ".join(others)):
        chosen = st.multiselect(
            "Against", list(others), wanted, max_selections=MOST, key="against-runs",
            format_func=lambda id: others[id].title,
        )  # fmt: skip
    if not chosen:
        st.info("Choose at least one run to compare with.", icon=":material/info:")
        return
    st.query_params["against"] = chosen
    runs = [run, *(others[id] for id in chosen)]
    with guarded("Looking up every held-out image …"):
        found = remembered("answers", tuple(map(weights_of, runs)), lambda: run.answers(*runs[1:]))
        _table(runs, found)
        names = short_names(runs)
        pair = 1
        if len(runs) > 2:
            with undoable_row("contrasted", "contrasted", of=" ".join(chosen)):
                pair = st.selectbox(
                    "Queries on which it disagrees with", range(1, len(runs)), format_func=names.__getitem__,
                    key="contrasted",
                )  # fmt: skip
        _disagreements(runs, found, names, pair)


def source_of(run: genlab.Run) -> str:
    """Where a run's triplets came from, in words."""
    values = run.config.parameters
    source = str(values.get("source", "real"))
    if source == "real":
        return "real triplets"
    amount = values.get("drawn_once", 0)
    drawn = f"{amount:,} drawn once" if amount else "drawn anew"
    by = Path(str(values["triplets_from"])).name
    runs = get_workspace().runs
    return f"{source}, {drawn} by {runs[by].title if by in runs else by}"


def contrast_rows(runs: list[genlab.Run], found: Answers) -> list[dict[str, Any]]:
    """One row for each run: its right first choices, and how it stands against the first."""
    rows = list[dict[str, Any]]()
    for place, (run, name) in enumerate(zip(runs, short_names(runs), strict=True)):
        right = int(found.right[place].sum())
        row = {"run": name, "right": f"{right} of {len(found.queries)}"} | dict.fromkeys(COMPARED, "")
        if place:
            test = found.contrast(place, 0)
            compared = (str(test.first), str(test.second), f"{test.p:.2g}", f"{test.p_identities:.2g}")
            row |= dict(zip(COMPARED, compared, strict=True))
        rows.append({**row, "learned from": source_of(run)})
    return rows


def _table(runs: list[genlab.Run], found: Answers) -> None:
    narrow = {"run": st.column_config.TextColumn(width="medium")}
    st.dataframe(contrast_rows(runs, found), hide_index=True, key="contrast", height="content", column_config=narrow)
    st.caption(
        f"First choices among {found.candidates} candidates for {len(found.queries)} held-out queries that show "
        f"{len(np.unique(found.identities))} things, {plain(runs[0].images.title)}; by chance {1 / found.candidates:.1%} are right. Helped: "
        f"right there and wrong in “{plain(runs[0].title)}”; hurt: the other way round."
    )
    offer("Answers (CSV)", lambda: as_csv(answer_rows(runs, found)), f"{file_stem(runs[0], 'answers')}.csv")


def answer_rows(runs: list[genlab.Run], found: Answers) -> list[dict[str, Any]]:
    """One row for each query: what it shows, and each run's first choice and the place of the right one."""
    images, names = runs[0].images, short_names(runs)
    return [
        {"query": int(query), "shows": what_it_shows(images, int(query))}
        | {f"{name}: chose": int(found.chosen[place, row]) for place, name in enumerate(names)}
        | {f"{name}: place of the right one": int(found.places[place, row]) for place, name in enumerate(names)}
        for row, query in enumerate(found.queries)
    ]


def _disagreements(runs: list[genlab.Run], found: Answers, names: list[str], other: int) -> None:
    """The queries that one of two runs alone gets right, with the first choice of each."""
    test = found.contrast(0, other)
    st.markdown(f"Both are right for **{test.both}** queries, neither for **{test.neither}**.")
    for better, worse in ((other, 0), (0, other)):
        rows = np.flatnonzero(found.right[better] & ~found.right[worse])
        st.markdown(f"#### {'Helped' if better else 'Hurt'}: right in “{plain(names[better])}” alone ({len(rows)})")
        if not len(rows):
            st.caption("There is no such query.")
            continue
        some = rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int)]
        caption = (
            f"{len(some)} of {len(rows)} such queries (blue) of {plain(runs[0].images.title)}, each with the first choice of "
            f"“{plain(names[better])}” (right, green) and of “{plain(names[worse])}” (wrong, orange)."
        )
        _gallery(runs[0], found, some, better, worse, caption)


def _gallery(run: genlab.Run, found: Answers, rows: np.ndarray, better: int, worse: int, caption: str) -> None:
    images = run.images
    numbers = np.stack([found.queries[rows], found.chosen[better, rows], found.chosen[worse, rows]], axis=1).ravel()
    shown = [what_it_shows(images, int(number)) for number in numbers]
    words = ["query", "right:", "wrong:"] * len(rows)
    pixels = np.asarray(images.images[numbers], np.float32) / 255
    labelled_images(
        Images(pixels), [f"{word} {what}" for word, what in zip(words, shown, strict=True)], caption,
        key=f"disagree-{better}-{worse}", columns=6, inks=[QUERY, SAME, OTHER] * len(rows),
    )  # fmt: skip
