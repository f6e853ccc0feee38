"""Codes laid out in two or three dimensions: PCA, t-SNE and UMAP, the same for the same seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.latent.neighbours import nearest

Progress = Callable[[float, str], None]
METHODS = ("pca", "tsne", "umap")
NEAREST = 8  # laid out codes between which a further one goes where the method has no way of its own


class PCA(NamedTuple):
    """Principal axes of codes: `mean` (D,), `components` (K, D) of unit length, `explained` (K,) shares of variance."""

    mean: np.ndarray
    components: np.ndarray
    explained: np.ndarray

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Coordinates (N, K) of any codes (N, D), also ones that were not there when the axes were found."""
        return (np.asarray(codes, dtype=np.float64) - self.mean) @ self.components.T


class Layout(NamedTuple):
    """Codes laid out: `points` (N, 2 or 3), and what places further codes among them: `pca` or the fitted `umap`."""

    points: np.ndarray
    pca: PCA | None = None
    umap: Any = None


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


def umap(codes: np.ndarray, dimensions: int, seed: int, progress: Progress) -> Any:
    """UMAP (McInnes et al., 2018), fitted with 15 neighbours; its first use on a machine compiles for some seconds."""
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
        return layout.fit(np.asarray(codes, dtype=np.float32))


def among(layout: Layout, codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Where further codes (M, D) lie in a layout of codes (N, D): (M, 2 or 3).

    PCA is exact, UMAP brings its own way of placing what it has not seen; t-SNE has none, so a code goes to the mean
    of its nearest neighbours' places, weighted by 1 / distance, and one that was laid out to its own place.
    """
    queries = np.asarray(queries, dtype=np.float64)
    if layout.pca is not None:
        placed = layout.pca.transform(queries)
        return np.pad(placed, [(0, 0), (0, layout.points.shape[1] - placed.shape[1])])
    if layout.umap is not None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(layout.umap.transform(queries.astype(np.float32)), dtype=np.float64)
    rows, distances = nearest(codes, queries, NEAREST)
    own = distances == 0
    weights = np.where(own.any(1, keepdims=True), own, 1 / np.where(own, 1, distances))
    return (layout.points[rows] * (weights / weights.sum(1, keepdims=True))[..., None]).sum(1)


def project(
    codes: np.ndarray, method: str, dimensions: int = 2, *, seed: int = 0, progress: Progress | None = None
) -> Layout:
    """Points (N, 2 or 3) of codes (N, D) by "pca", "tsne" or "umap", with what places further codes among them.

    Raises `BadInputError` where there are too few codes and `UnknownNameError` for another method.
    """
    report = progress or (lambda share, text: None)
    if method not in METHODS:
        raise UnknownNameError("projection", method, METHODS)
    if dimensions not in (2, 3):
        raise BadInputError(f"A projection has 2 or 3 dimensions, and {dimensions} were asked for.")
    if len(codes) < 4:
        raise BadInputError(f"A projection needs at least 4 images, and there are {len(codes)}.")
    if method == "pca":
        axes = pca(codes, dimensions)
        points = axes.transform(codes)
        layout = Layout(np.pad(points, [(0, 0), (0, dimensions - points.shape[1])]), axes)  # fewer latent dimensions
    elif method == "umap":
        fitted = umap(codes, dimensions, seed, report)
        layout = Layout(fitted.embedding_.astype(np.float64), umap=fitted)
    else:
        layout = Layout(tsne(codes, dimensions, seed, report).astype(np.float64))
    report(1.0, "done")
    return layout


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
