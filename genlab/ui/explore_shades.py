"""Shades of a latent plane: how far its pictures can be trusted, by measures that say what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import genlab
from genlab.figures.palette import SEQUENTIAL
from genlab.ui.explore_controls import weights_of
from genlab.ui.remembering import known, remembered
from genlab.workspace.exhibit import packed

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane

TOP = 0.95  # the share of places that the ramp of colours tells apart; the rest is "and more"
FLOOR = 0.05  # the least end of a ramp, so that rounding errors get no colours

BACK = (
    "How far a code comes back when its picture is encoded again, {unit}. Near 1 or below, the encoder takes the picture for "
    "what it is; far above, it reads another code in it. This compares the two networks with each other, not with images."
)
SIGMAS = "in the standard deviations of the encoder's answer (root mean square over dimensions)"
DISTANCES = "in distances that codes usually have between each other"
UNSURE = (
    "Entropy of the decoder's own p(x|z), the mean over pixels: 0 where every pixel is surely black or white, 1 where each is "
    "the toss of a coin. Where images are grey, a grey that is right counts as unsure; being sure and wrong is not seen."
)


class Shade(NamedTuple):
    """A measure of a plane: what it is called, its unit, what it means, and what computes it (steps, steps)."""

    name: str
    title: str
    unit: str
    meaning: str
    measure: Callable[[LatentPlane], np.ndarray]


def shades_of(run: genlab.Run) -> list[Shade]:
    """The measures that this run has: the decoder's own uncertainty is one only where it has a say in pixels."""
    found = []
    if run.can("encodes"):
        unit, words = ("σ", SIGMAS) if run.can("encodes_normal") else ("usual distances", DISTANCES)
        found.append(Shade("round-trip", "Round trip", unit, BACK.format(unit=words), run.round_trip))
    if _tells_entropy(run):
        found.append(Shade("entropy", "Decoder uncertainty", "bits a pixel", UNSURE, run.pixel_entropy))
    return found


def shades_to_show(run: genlab.Run, plane: LatentPlane, name: str, asked: str) -> list[dict[str, Any]]:
    """All shades of a run as the view of a plane with this name takes them, with the numbers of the one that is asked for."""
    told = []
    for shade in shades_of(run):
        question = (weights_of(run), name, shade.name)
        if shade.name == asked:
            remembered("shades", question, partial(shade.measure, plane))
        told.append(_told(shade, known("shades", question)))
    return told


def _told(shade: Shade, values: np.ndarray | None) -> dict[str, Any]:
    told = {"name": shade.name, "title": shade.title, "unit": shade.unit, "meaning": shade.meaning, "ramp": SEQUENTIAL}
    if values is None:
        return {**told, "values": None}
    most = max(FLOOR, float(np.quantile(values, TOP)))
    beyond = bool(values.max() > most)
    return {**told, "values": packed(values), "size": len(values), "most": most, "beyond": beyond}


def without_uncertainty(run: genlab.Run) -> str:
    """Why there is no decoder uncertainty to see, as a sentence; "" where there is."""
    if _tells_entropy(run):
        return ""
    return (
        f" Decoder uncertainty is not offered: “{run.title}” gives no Bernoulli likelihood of a code to read it from."
    )


def _tells_entropy(run: genlab.Run) -> bool:
    """Whether its decoder has a say in pixels; to find out it decodes, which no gesture should wait for."""
    return remembered("doubts", weights_of(run), run.has_pixel_entropy)
