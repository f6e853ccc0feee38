"""What several models share: blocks, distributions, likelihoods, adversarial losses."""

from __future__ import annotations

from typing import Any

__all__ = ["triplet_loss"]


def __getattr__(name: str) -> Any:
    """Import the triplet loss when it is first asked for: some modules here work on arrays and need no torch."""
    if name == "triplet_loss":
        from genlab.nn.triplet import triplet_loss

        return triplet_loss
    raise AttributeError(f"module 'genlab.nn' has no attribute {name!r}")
