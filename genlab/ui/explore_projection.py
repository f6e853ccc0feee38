"""Projections of a run's codes, computed once for all who look at them, and the small pictures of their points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import genlab
from genlab.ui.components.scatter import Sheet, name_of, sprite_sheet
from genlab.ui.explore_controls import weights_of
from genlab.ui.remembering import remembered

if TYPE_CHECKING:
    from genlab.data.imageset import ImageSet
    from genlab.workspace.results import Projection

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def projected(run: genlab.Run, method: str, dimensions: int, limit: int, split: str) -> Projection:
    """The projection, from memory where it was computed before."""

    def project() -> Projection:
        bar = st.progress(0.0, f"{METHODS[method]}: encoding the images …")

        def report(share: float, text: str) -> None:
            bar.progress(min(1.0, max(0.0, share)), text)

        found = run.project(method, dimensions=dimensions, limit=limit, split=split, progress=report)
        bar.empty()
        return found

    return remembered("projections", (weights_of(run), method, dimensions, limit, split), project)


def sheet_of(images: ImageSet, indices: np.ndarray) -> Sheet:
    """The small pictures of some images of a set, made once for all sessions."""
    return _sheet(images.hash, name_of(indices), images, indices)


@st.cache_resource(max_entries=8, show_spinner=False)
def _sheet(hash: str, rows: str, _images: ImageSet, _indices: np.ndarray) -> Sheet:
    return sprite_sheet(np.asarray(_images.images[_indices]))
