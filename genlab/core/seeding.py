"""Seeds: one number fixes weights, order and noise, and previews never disturb the training's noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_everything(seed: int) -> None:
    """Seed torch's global generators, on every device."""
    torch.manual_seed(seed)


def derived_seed(seed: int, *path: int) -> int:
    """A seed for a sub-task such as (seed, epoch), well mixed and the same on every machine.

    >>> derived_seed(0, 1) == derived_seed(0, 1), derived_seed(0, 1) == derived_seed(1, 0)
    (True, False)
    """
    mixed = seed & 0xFFFFFFFFFFFFFFFF
    for part in path:
        mixed = (mixed * 0x5851F42D4C957F2D + part + 0x14057B7EF767814F) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 33
        mixed = (mixed * 0xFF51AFD7ED558CCD) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 29
    return mixed & 0x7FFFFFFFFFFFFFFF


@contextmanager
def aside(seed: int) -> Iterator[None]:
    """Run with other noise and put the training's generators back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
