"""The papers' experiments as data: adding one is adding a file here."""

from genlab.studies.study import (
    Bars,
    Cell,
    Chart,
    Cloud,
    Entry,
    HeatMap,
    Line,
    Report,
    Result,
    Study,
    Table,
    find_study,
    studies,
)

__all__ = [
    "Bars",
    "Cell",
    "Chart",
    "Cloud",
    "Entry",
    "HeatMap",
    "Line",
    "Report",
    "Result",
    "Study",
    "Table",
    "find_study",
    "studies",
]
