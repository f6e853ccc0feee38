"""Errors whose message is one clear sentence: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GenlabError(Exception):
    """Anything genlab refuses on purpose; its text is meant for a person."""


class BadInputError(GenlabError):
    """A file, a folder, a value or a shape that cannot be used as it is."""


class UnknownNameError(BadInputError):
    """A name that nothing carries; the message lists the nearest ones.

    >>> str(UnknownNameError("model", "vea", ["vae", "gan"]))
    "There is no model called 'vea'; did you mean 'vae'?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
        elif names:
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            hint = f"known: {shown}."
        else:
            hint = f"there is no {kind} yet."
        super().__init__(f"There is no {kind} called {name!r}; {hint}")


class FailedRunError(GenlabError):
    """A run that started and could not go on; the message says at which step and why."""
