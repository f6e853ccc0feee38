"""Turns bytes from strangers into plain 8-bit images, or says in one clause why it does not."""

from __future__ import annotations

from functools import cache
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from genlab.core.errors import BadInputError

MOST_PIXELS = 50_000_000
FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA", "PCX", "HEIF"
)  # fmt: skip
_ORIENTATION = 0x0112
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc")


@cache
def formats() -> tuple[str, ...]:
    """Formats that are decoded here: the harmless ones among those this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def open_image(stream: IO[bytes]) -> Image.Image:
    """Read an image's header alone; refuse what is no image and what is too large to decode.

    Raises `BadInputError` whose message is the reason, without the file's name.
    """
    try:
        image = Image.open(stream, formats=formats())
    except Image.DecompressionBombError as error:
        raise BadInputError(f"has more than {MOST_PIXELS:,} pixels, the most that is decoded") from error
    except Exception as error:  # a decoder fed hostile bytes may raise anything
        raise BadInputError(_why_unreadable(stream)) from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadInputError(f"is {width:,}x{height:,} pixels, and at most {MOST_PIXELS:,} pixels are decoded")
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened image after its EXIF rotation."""
    orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
    width, height = image.size
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def decode(stream: IO[bytes], *, background: str = "white", at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decode one image to mode L (grey) or RGB, upright, first frame, composited on `background`.

    `at_least` (height, width) lets a JPEG much larger than that be decoded at a fraction of its size.
    Raises `BadInputError` whose message is the reason, without the file's name.

    >>> from io import BytesIO
    >>> stream = BytesIO()
    >>> Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(stream, "PNG")
    >>> decode(stream).getpixel((0, 0))
    (255, 255, 255)
    """
    stream.seek(0)
    image = open_image(stream)
    try:
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft(image.mode, (2 * max(at_least), 2 * max(at_least)))
        image.load()
        return _flatten(ImageOps.exif_transpose(image), background)
    except BadInputError:
        raise
    except Exception as error:  # a decoder fed hostile bytes may raise anything
        raise BadInputError("is damaged or cut short, and its pixels cannot be decoded") from error


def _why_unreadable(stream: IO[bytes]) -> str:
    stream.seek(0)
    head = stream.read(16)
    if not head:
        return "is empty"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "is a HEIC photo, which cannot be decoded here; save it as JPEG or PNG first"
    return "is not an image in a format that can be read"


def _flatten(image: Image.Image, background: str) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(np.asarray(image))
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode in ("LA", "La") or (image.mode == "L" and "transparency" in image.info):
        return _composite(image.convert("RGBA"), background, grey=background in ("white", "black"))
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        return _composite(image.convert("RGBA"), background, grey=False)
    return image.convert("L" if image.mode == "1" else "RGB")


def _composite(image: Image.Image, background: str, *, grey: bool) -> Image.Image:
    below = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(below, image).convert("L" if grey else "RGB")


def _eight_bits(values: np.ndarray) -> Image.Image:
    """Scale deep grey pixels: integers from 16 bits (65535 is white), floats from [0, 1] or [0, 255]."""
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iu"
    scale = 1 / 257 if whole else (255.0 if high <= 1 else 1.0)
    if not (low >= 0 and high <= (65535 if whole else 255)):
        raise BadInputError("has pixels outside the range that is understood (16-bit, or floats in [0, 1] or [0, 255])")
    return Image.fromarray(np.round(values * scale).astype(np.uint8))
