"""Every registered model, as small as its parameters allow."""

from __future__ import annotations

import genlab
from genlab.core.model import Model
from genlab.core.registry import find
from genlab.core.seeding import seed_everything

# networks small enough for a test; every other parameter keeps its default
SMALL = {"hidden": 32, "latent_dim": 4, "width": 4, "components": 2, "noise_dim": 8, "critic_hidden": 16, "d": 4}


def small(name: str, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3) -> Model:
    """A model with the smallest networks that still work, from one seed."""
    seed_everything(0)
    values = {}
    for key, info in find(name).parameters.items():
        if key in SMALL and info.type == "int":
            values[key] = max(SMALL[key], int(info.minimum or 0))
    return genlab.create(name, shape, classes, **values)
