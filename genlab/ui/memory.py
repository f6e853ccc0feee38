"""Keeps what lives as long as the server out of the garbage collector's way."""

from __future__ import annotations

import atexit
import gc
import sys

MANY = 100  # newly imported modules that make it worth while
_known = 0


def settle() -> None:
    """Once many modules were imported, tell the collector to leave everything that is there alone.

    Streamlit collects all garbage after every run of a script, before it sends what the script said. Looking
    through torch, scikit-learn and the models each time would hold up every answer by a tenth of a second.
    """
    global _known
    if len(sys.modules) > _known + MANY:
        if not _known:
            atexit.register(gc.unfreeze)  # at the end everything is taken down in order
        gc.collect()
        gc.freeze()
        _known = len(sys.modules)
