"""Rows of images under one another, each with its name in front."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from genlab.core.errors import BadInputError
from genlab.figures.images import Images

GAP = 2  # screen pixels between images, and around names
SIZE = 22  # of the names, in screen pixels


def named_rows(rows: Mapping[str, Any], *, scale: int | None = None) -> bytes:
    """A PNG with one row of images (N, C, H, W) for each name, which is written at the left."""
    from PIL import Image, ImageDraw

    if not rows:
        raise BadInputError("There are no rows of images to lay out; give at least one.")
    strips = {
        name: Images(images).grid(len(images), gap=GAP, scale=scale).convert("RGB") for name, images in rows.items()
    }
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    margin = 4 * GAP + round(max(measure.textlength(name, font_size=SIZE) for name in rows))
    width = margin + max(strip.width for strip in strips.values())
    sheet = Image.new("RGB", (width, sum(strip.height + GAP for strip in strips.values()) - GAP), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for name, strip in strips.items():
        sheet.paste(strip, (margin, top))
        draw.text((2 * GAP, top + strip.height / 2), name, fill="black", anchor="lm", font_size=SIZE)
        top += strip.height + GAP
    file = io.BytesIO()
    sheet.save(file, format="PNG")
    return file.getvalue()
