"""Style mixing: coarse traits of one draw with fine traits of another, as a table; and draws pulled to the mean style."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

import genlab
from genlab.figures.images import Images
from genlab.nn.inference import drawn
from genlab.ui.explore_controls import file_stem, offer, seed_input
from genlab.ui.explore_gallery import labelled_rows, page_grey
from genlab.ui.explore_strength import Moving, sliding_strength
from genlab.ui.messages import boundary, guarded
from genlab.ui.undo import undoable

MOST_SOURCES = 8
FARTHEST = 2.0  # times as far from the mean style as a draw lies


@st.fragment
@boundary()
def style_mixing(run: genlab.Run) -> None:
    """A table of coarse sources (rows) and fine sources (columns), and one pair at every level."""
    controls, pictures = st.columns([2, 5], gap="large")
    with controls, undoable("styles", "level", "rows", "columns", "seed", of=run.id):
        levels = int(run.model().style_levels)  # type: ignore[arg-type]
        level = st.slider(
            "Level from which the column's style rules", 0, levels, levels // 2, key="level", bind="query-params",
            help="0 takes everything from the column, the last level everything from the row.",
        )  # fmt: skip
        rows = st.slider("Coarse sources (rows)", 1, MOST_SOURCES, 4, key="rows", bind="query-params")
        columns = st.slider("Fine sources (columns)", 1, MOST_SOURCES, 6, key="columns", bind="query-params")
        seed = seed_input()
    with pictures, guarded("Mixing …"):
        coarse, fine = list(range(seed, seed + rows)), list(range(seed + rows, seed + rows + columns))
        table = mixing_table(run, coarse, fine, level)
        labels = ["fine from", *(f"coarse from\nseed {source}" for source in coarse)]
        strips = [table[row * (columns + 1) : (row + 1) * (columns + 1)] for row in range(rows + 1)]
        caption = (
            f"Each image takes the style of its row’s draw (seeds {coarse[0]} to {coarse[-1]}, first column) in the layers "
            f"below level {level} of {levels}, and that of its column’s draw (seeds {fine[0]} to {fine[-1]}, first row) "
            f"from there on; “{run.title}”."
        )
        labelled_rows(strips, labels, caption, key="mixing")
        stem = file_stem(run, f"styles-level-{level}")
        offer("Download PNG", lambda: table.png_bytes(columns=columns + 1), f"{stem}.png")
        _every_level(run, coarse[0], fine[0], levels)
        st.markdown("**Truncation**")
        _truncation(run, coarse + fine)


def mixing_table(run: genlab.Run, coarse: list[int], fine: list[int], level: int) -> Images:
    """The table with its sources in the first row and the first column, row by row; the corner is empty."""
    levels = int(run.model().style_levels)  # type: ignore[arg-type]
    mixed = run.mix_styles(coarse, fine, level).array
    mixed = mixed.reshape(len(coarse), len(fine), *mixed.shape[1:])
    top, left = run.mix_styles([coarse[0]], fine, 0).array, run.mix_styles(coarse, [fine[0]], levels).array
    corner = np.full_like(top[:1], page_grey() / 255)
    rows = [corner, top]
    for source, row in zip(left, mixed, strict=True):
        rows += [source[None], row]
    return Images(np.concatenate(rows))


def _every_level(run: genlab.Run, coarse: int, fine: int, levels: int) -> None:
    """One pair of draws mixed at every level, so that one sees what each level decides."""
    steps = [run.mix_styles([coarse], [fine], level).array for level in range(levels + 1)]
    caption = f"One pair at every level: from seed {fine} alone (level 0, left) to seed {coarse} alone (level {levels}, right)."
    labelled_rows([Images(np.concatenate(steps))], ["level by level"], caption, key="every-level")


def _truncation(run: genlab.Run, seeds: list[int]) -> None:
    """Each of the draws between the mean style and beyond where it was drawn."""
    mean = mean_style(run)
    away = np.concatenate([run.codes(seed) for seed in seeds]) - mean
    names, reach = [f"seed {seed}" for seed in seeds], (0.0, FARTHEST)
    moving = Moving("Truncation ψ", np.repeat(mean, len(seeds), 0), away, names, reach, rest=1.0, back="As drawn")
    words = "Mean style + ψ (style − mean style): 0 is the mean style, 1 each draw as it is"
    sliding_strength(run, moving, words, key="truncation")


def mean_style(run: genlab.Run) -> np.ndarray:
    """The style (1, D) that truncation pulls to: what is drawn with a temperature of 0."""
    model: Any = run.model()
    draw = lambda rows, generator: model.sample_prior(len(rows), temperature=0.0, generator=generator)  # noqa: E731
    return drawn(model, draw, range(1), 0).astype(np.float64)
