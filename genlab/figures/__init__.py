"""Tables and arrays in, Plotly figures and pictures out: pure functions with one look."""

from genlab.figures.images import Images

__all__ = ["Images"]
