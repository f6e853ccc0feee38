"""The shape of one image."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Channels, height and width of one image.

    >>> Shape(3, 64, 100).values
    19200
    """

    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """Numbers in one image: channels times height times width."""
        return self.channels * self.height * self.width

    @property
    def pixels(self) -> int:
        """Pixels in one image: height times width."""
        return self.height * self.width

    def __str__(self) -> str:
        colour = {1: "grey", 3: "colour"}.get(self.channels, f"{self.channels} channels")
        return f"{self.height}x{self.width} {colour}"
