"""Runs whose codes mean the same place: those that draw the very same codes from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from genlab.core.errors import GenlabError
from genlab.nn.inference import prior_codes

if TYPE_CHECKING:
    from genlab.workspace.run import Run

PROBES = 16  # codes that are compared
OWN = "its prior is its own (learned, or with a label among the codes), so that one seed gives it other codes"


class Companions(NamedTuple):
    """Groups of two or more runs that can decode each other's codes, the largest first, and why each other run is in none."""

    groups: list[list[Run]]
    apart: dict[str, str]


def companions(runs: Sequence[Run]) -> Companions:
    """Part runs by their codes: those of equal dimension whose priors give equal codes for one seed belong together.

    A code then stands at the same place of the same prior for all of them. A prior that was learned, or that has a
    label's learned embedding in its codes, is its run's own, even where the dimensions are equal.
    """
    found: dict[tuple[int, bytes], list[Run]] = {}
    apart: dict[str, str] = {}
    for run in runs:
        try:
            apart[run.id] = _lacking(run)
            if not apart[run.id]:
                codes = prior_codes(run.model(), PROBES, 0)
                found.setdefault((codes.shape[1], codes.tobytes()), []).append(run)
        except GenlabError as error:
            apart[run.id] = str(error)
    sizes = [size for size, _ in found]
    for (size, _), alike in found.items():
        own = OWN if sizes.count(size) > 1 else f"none of the others has codes of {size} dimensions"
        apart |= {run.id: own if len(alike) < 2 else "" for run in alike}
    groups = sorted((alike for alike in found.values() if len(alike) > 1), key=len, reverse=True)
    return Companions(groups, {id: reason for id, reason in apart.items() if reason})


def _lacking(run: Run) -> str:
    """What a run must have and has not; "" where it lacks nothing."""
    if not run.can("decodes"):
        return "it has no decoder that takes a code"
    if not run.can("has_prior"):
        return "it has no prior, so that no code is as likely for it as for another"
    model: Any = run.model()
    return "its codes have a single dimension, on which there is no plane" if model.latent_dim < 2 else ""
