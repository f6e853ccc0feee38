"""Codes laid out in two or three dimensions: PCA, t-SNE and UMAP, the same for the same seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError

Progress = Callable[[float, str], None]
METHODS = ("pca", "tsne", "umap")


class PCA(NamedTuple):
    """Principal axes of codes: `mean` (D,), `components` (K, D) of unit length, `explained` (K,) shares of variance."""

    mean: np.ndarray
    components: np.ndarray
    explained: np.ndarray

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Coordinates (N, K) of any codes (N, D), also ones that were not there when the axes were found."""
        return (np.asarray(codes, dtype=np.float64) - self.mean) @ self.components.T


def pca(codes: np.ndarray, dimensions: int) -> PCA:
    """The directions of largest variance, from the singular values of the centred codes (N, D).

    Each axis points to where its largest loading is positive, so that the picture never flips by chance.
    """
    codes = np.asarray(codes, dtype=np.float64)
    mean = codes.mean(0)
    _, singular, axes = np.linalg.svd(codes - mean, full_matrices=False)
    variance = singular**2
    axes = axes[:dimensions]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])
    return PCA(mean, axes * signs[:, None], variance[:dimensions] / (variance.sum() or 1.0))


def tsne(codes: np.ndarray, dimensions: int, seed: int, progress: Progress) -> np.ndarray:
    """t-SNE (van der Maaten & Hinton, 2008) from the PCA's layout, with a perplexity of 30 where there are enough codes."""
    from sklearn.manifold import TSNE

    progress(0.1, "t-SNE: this takes a few seconds per thousand images")
    perplexity = min(30.0, (len(codes) - 1) / 3)
    start = "pca" if codes.shape[1] >= dimensions else "random"
    layout = TSNE(dimensions, perplexity=perplexity, init=start, random_state=seed, learning_rate="auto")
    return layout.fit_transform(np.asarray(codes, dtype=np.float32))


def umap(codes: np.ndarray, dimensions: int, seed: int, progress: Progress) -> np.ndarray:
    """UMAP (McInnes et al., 2018) with 15 neighbours; its first use on a machine compiles for some seconds."""
    progress(0.0, "UMAP: loading, slow only the first time")
    import warnings

    from umap import UMAP

    progress(0.2, "UMAP: finding neighbours")
    bar = {"file": _Percentages(lambda share: progress(0.3 + 0.7 * share, "UMAP: laying out")), "disable": False}
    neighbours = min(15, len(codes) - 1)
    few = len(codes) <= dimensions + 2  # its spectral start needs more points than that
    layout = UMAP(
        neighbours, dimensions, random_state=seed, n_jobs=1, init="random" if few else "spectral", tqdm_kwds=bar
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return layout.fit_transform(np.asarray(codes, dtype=np.float32))


def project(
    codes: np.ndarray, method: str, dimensions: int = 2, *, seed: int = 0, progress: Progress | None = None
) -> tuple[np.ndarray, PCA | None]:
    """Points (N, 2 or 3) of codes (N, D) by "pca", "tsne" or "umap"; with PCA also its axes.

    Raises `BadInputError` where there are too few codes and `UnknownNameError` for another method.
    """
    report = progress or (lambda share, text: None)
    if method not in METHODS:
        raise UnknownNameError("projection", method, METHODS)
    if dimensions not in (2, 3):
        raise BadInputError(f"A projection has 2 or 3 dimensions, and {dimensions} were asked for.")
    if len(codes) < 4:
        raise BadInputError(f"A projection needs at least 4 images, and there are {len(codes)}.")
    axes = pca(codes, dimensions) if method == "pca" else None
    if axes is not None:
        points = axes.transform(codes)
        points = np.pad(points, [(0, 0), (0, dimensions - points.shape[1])])  # fewer latent dimensions than axes
    else:
        points = {"tsne": tsne, "umap": umap}[method](codes, dimensions, seed, report).astype(np.float64)
    report(1.0, "done")
    return points, axes


class _Percentages:
    """A file that a progress bar writes to, and that passes on the share it reads there."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self.report = report

    def write(self, text: str) -> int:
        found = re.findall(r"(\d+)%", text)
        if found:
            self.report(int(found[-1]) / 100)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""
