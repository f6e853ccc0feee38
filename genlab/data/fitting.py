"""Brings images of any size to one size."""

from __future__ import annotations

import re
from typing import Literal, get_args

import numpy as np
from PIL import Image

from genlab.core.errors import BadInputError

Fit = Literal["crop", "pad", "stretch"]
Size = int | str | tuple[int, int]
SMALLEST, LARGEST = 4, 1024


def parse_size(size: Size) -> tuple[int, int]:
    """(height, width) of 64, "64", "64x100" or (64, 100); `BadInputError` for anything else.

    >>> parse_size("64x100"), parse_size(28)
    ((64, 100), (28, 28))
    """
    if isinstance(size, str):
        numbers = [int(part) for part in re.findall(r"\d+", size)]
        legible = re.fullmatch(r"\s*\d{1,6}\s*([x×,]\s*\d{1,6}\s*)?", size) is not None
    else:
        numbers = list(size) if isinstance(size, tuple | list) else [size]
        legible = len(numbers) in (1, 2) and all(isinstance(number, (int, np.integer)) for number in numbers)
    if not legible:
        raise BadInputError(
            f"Size {size!r} is not understood; give one side such as 64, or height and width as 64x100."
        )
    height, width = int(numbers[0]), int(numbers[-1])
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise BadInputError(f"Size {height}x{width} must have sides from {SMALLEST} to {LARGEST} pixels.")
    return height, width


def check_fit(fit: str) -> None:
    """Refuse a way of fitting that does not exist."""
    if fit not in get_args(Fit):
        raise BadInputError(f"Fit must be one of {', '.join(get_args(Fit))}, and {fit!r} is not.")


def fit_image(image: Image.Image, size: tuple[int, int], fit: str = "crop") -> np.ndarray:
    """Pixels (C, height, width) uint8 of an L or RGB image at `size` (height, width).

    `crop` keeps the middle, `pad` keeps everything and fills up with the median colour of the border,
    `stretch` changes the proportions. An image that has the size already keeps its very pixels.

    >>> fit_image(Image.new("L", (100, 50), 7), (8, 8), "pad").shape
    (1, 8, 8)
    """
    height, width = size
    if image.size == (width, height):
        return _channels_first(image)
    if fit == "stretch":
        return _channels_first(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0))
    if fit == "crop":
        box = _middle(image.size, width / height)
        return _channels_first(image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0))
    return _padded(image, width, height)


def fit_arrays(images: np.ndarray, shape: tuple[int, int, int], fit: str = "crop") -> np.ndarray:
    """Uint8 images (N, C, H, W) as (N, *shape): resized one by one, and turned to grey or colour.

    >>> fit_arrays(np.zeros((2, 1, 8, 8), np.uint8), (3, 4, 6)).shape
    (2, 3, 4, 6)
    """
    if images.shape[1:] == tuple(shape):
        return images
    mode = "L" if shape[0] == 1 else "RGB"
    pictures = (Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)) for image in images)
    return np.stack([fit_image(picture.convert(mode), shape[1:], fit) for picture in pictures])


def _middle(size: tuple[int, int], proportion: float) -> tuple[float, float, float, float]:
    """The largest centred box (left, top, right, bottom) of a width-to-height proportion."""
    width, height = size
    kept_width, kept_height = min(width, height * proportion), min(height, width / proportion)
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def _padded(image: Image.Image, width: int, height: int) -> np.ndarray:
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = _channels_first(image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0))
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    fill = np.median(border, axis=1).astype(np.uint8)
    canvas = np.broadcast_to(fill[:, None, None], (len(fill), height, width)).copy()
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    canvas[:, top : top + inner[1], left : left + inner[0]] = pixels
    return canvas


def _channels_first(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
