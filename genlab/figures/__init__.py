"""Tables and arrays in, Plotly figures and pictures out: pure functions with one look."""

from genlab.figures.compare import metric_bars
from genlab.figures.curves import Curve, Mark, loss_curves
from genlab.figures.images import Images
from genlab.figures.latent import decoded_plane, displacement_bars, explained_variance, kl_bars, triplet_distances
from genlab.figures.likelihood import (
    confusion_matrix,
    decision_regions,
    likelihood_histogram,
    roc_curve,
    sigmoid_of_odds,
)
from genlab.figures.palette import PALETTE, SEQUENTIAL, colour, styled
from genlab.figures.scatter import projection_scatter
from genlab.figures.search import setting_map
from genlab.figures.table import rows, to_csv

__all__ = [
    "PALETTE",
    "SEQUENTIAL",
    "Curve",
    "Images",
    "Mark",
    "colour",
    "confusion_matrix",
    "decision_regions",
    "decoded_plane",
    "displacement_bars",
    "explained_variance",
    "kl_bars",
    "likelihood_histogram",
    "loss_curves",
    "metric_bars",
    "projection_scatter",
    "roc_curve",
    "rows",
    "setting_map",
    "sigmoid_of_odds",
    "styled",
    "to_csv",
    "triplet_distances",
]
