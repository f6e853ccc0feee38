"""The Play Tennis table: fourteen days as an example of counting into a category for each possible day."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

FEATURES = {
    "outlook": ("Sunny", "Overcast", "Rain"),
    "temperature": ("Hot", "Mild", "Cool"),
    "humidity": ("High", "Normal"),
    "wind": ("Weak", "Strong"),
}
TABLE = """\
Sunny Hot High Weak No
Sunny Hot High Strong No
Overcast Hot High Weak Yes
Rain Mild High Weak Yes
Rain Cool Normal Weak Yes
Rain Cool Normal Strong No
Overcast Cool Normal Strong Yes
Sunny Mild High Weak No
Sunny Cool Normal Weak Yes
Rain Mild Normal Weak Yes
Sunny Mild Normal Strong Yes
Overcast Mild High Strong Yes
Overcast Hot Normal Weak Yes
Rain Mild High Strong No
"""


def days() -> tuple[dict[str, str], ...]:
    """The fourteen days: four features and whether tennis was played.

    >>> len(days()), days()[0]["play"]
    (14, 'No')
    """
    names = (*FEATURES, "play")
    return tuple(dict(zip(names, line.split(), strict=True)) for line in TABLE.splitlines())


def cells(smoothing: float = 1.0) -> tuple[dict[str, Any], ...]:
    """All 36 possible days with their count n and two estimates of their probability.

    `printed` is (n + 1) / (N + 1), whose sum is 50 / 15; `smoothed` is (n + a) / (N + 36 a), whose sum is 1.

    >>> round(sum(cell["printed"] for cell in cells()), 4), round(sum(cell["smoothed"] for cell in cells()), 4)
    (3.3333, 1.0)
    """
    every = list(itertools.product(*FEATURES.values()))
    seen = Counter(tuple(day[name] for name in FEATURES) for day in days())
    total = seen.total()
    return tuple(
        dict(zip(FEATURES, cell, strict=True))
        | {
            "n": seen[cell],
            "printed": (seen[cell] + 1) / (total + 1),
            "smoothed": (seen[cell] + smoothing) / (total + smoothing * len(every)),
        }
        for cell in every
    )
