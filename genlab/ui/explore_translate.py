"""Turning images of the one set a run learned from into images of the other, and back again."""

from __future__ import annotations

import numpy as np
import streamlit as st

import genlab
from genlab.ui.explore_controls import file_stem, offer
from genlab.ui.explore_gallery import labelled_rows
from genlab.ui.explore_pick import choose_images, one_of_each
from genlab.ui.messages import boundary, guarded
from genlab.ui.undo import undoable

MOST = 12
START = 8  # images that are shown before anybody chose


@st.fragment
@boundary()
def translator(run: genlab.Run) -> None:
    """Images of either set, as of the other set, and there and back; only this part of the page runs again."""
    titles = [data.title for data in (run.config.data, run.config.second) if data]
    ways = {f"{source} → {target}": back for back, (source, target) in enumerate((titles, titles[::-1]))}
    with undoable("translate", "direction", of=run.id):
        back = bool(ways[st.radio("Direction", list(ways), key="direction", horizontal=True)])
    source, target = titles[::-1] if back else titles
    images = run.translates_from(back=back)
    key = "from-second" if back else "from-first"
    chosen = choose_images(run, images=images, key=key, start=one_of_each(images, START), most=MOST)
    with guarded("Translating …"):
        there = run.translate(chosen.images, back=back)
        again = run.translate(there, back=not back)
        error = np.abs(again.array - chosen.images.array).mean()
        labels = [source, f"as {target}", f"and back\nerror {error:.3f}"]
        caption = (
            f"{len(there)} images of {source}, what “{run.title}” makes of them as {target}, and these turned back again; "
            "the error is the mean absolute difference of the last row from the first, of pixel values from 0 to 1."
        )
        labelled_rows([chosen.images, there, again], labels, caption, key="translated")
        stem = file_stem(run, "translated-back" if back else "translated")
        with st.container(horizontal=True):
            offer("Download the picture (PNG)", lambda: there.png_bytes(len(there)), f"{stem}.png")
            offer(f"Download {len(there)} images (zip)", there.zip_bytes, f"{stem}.zip")
