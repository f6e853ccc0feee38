"""Pictures that leave the laboratory: grids, strips, animations and archives of images in [0, 1]."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".mp4", ".bmp", ".tif", ".tiff")
NO_FILM = "There are no images to animate; ask for at least one."
SMALL = 48  # sides below this are enlarged in grids, by whole factors


class Images:
    """Images (N, C, H, W) as float32 in [0, 1], with the caption that says what they are.

    Takes arrays or tensors (N, C, H, W) or (C, H, W); 8-bit ones are divided by 255. C is 1 (grey),
    3 (colour) or another number, of which pictures show the first three. Raises `BadInputError` for
    anything else.

    >>> images = Images(np.zeros((5, 1, 8, 8)))
    >>> len(images), images.grid(columns=3, gap=2, scale=1).size
    (5, (28, 18))
    """

    def __init__(self, array: Any, caption: str = "") -> None:
        self.array = pixels(array)
        self.caption = caption

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.array)

    def __getitem__(self, index: Any) -> Images:
        """Some of the images; one index gives `Images` of one."""
        chosen = self.array[index]
        return Images(chosen[None] if chosen.ndim == 3 else chosen, self.caption)

    def __repr__(self) -> str:
        return f"Images({len(self)} of {'x'.join(map(str, self.array.shape[1:]))})"

    @property
    def uint8(self) -> np.ndarray:
        """Pixels as (N, H, W, 3) or (N, H, W) 8-bit values, as picture files hold them."""
        values = np.rint(self.array * 255).astype(np.uint8)
        if values.shape[1] in (1, 2):
            return values[:, 0]
        return np.ascontiguousarray(values[:, :3].transpose(0, 2, 3, 1))

    def picture(self, index: int = 0, *, scale: int | None = 1) -> Image.Image:
        """One image as a Pillow image, enlarged `scale` times (None: so that it can be seen)."""
        from PIL import Image

        one = self.uint8[index]
        return _enlarge(Image.fromarray(one), self._scale(scale))

    def grid(
        self,
        columns: int | None = None,
        *,
        gap: int = 2,
        scale: int | None = None,
        labels: Sequence[str] | None = None,
        background: int = 255,
    ) -> Image.Image:
        """All images in rows of `columns` (default: about square), `gap` screen pixels apart.

        `scale` enlarges by a whole factor without smoothing (default: small images are made visible);
        `labels`, one for each image, are written below; `background` is a grey level.
        """
        from PIL import Image

        if not len(self):
            raise BadInputError("There are no images to lay out in a grid; ask for at least one.")
        if labels is not None and len(labels) != len(self):
            raise BadInputError(f"A grid of {len(self)} images needs as many labels, and {len(labels)} were given.")
        columns = min(len(self), columns or math.ceil(math.sqrt(len(self))))
        rows = math.ceil(len(self) / columns)
        scale = self._scale(scale)
        values = self.uint8.repeat(scale, axis=1).repeat(scale, axis=2)
        height, width = values.shape[1:3]
        below = 14 if labels is not None else 0
        tall, wide = height + below + gap, width + gap
        sheet = np.full((rows * columns, tall, wide, *values.shape[3:]), background, dtype=np.uint8)
        sheet[: len(self), :height, :width] = values
        sheet = sheet.reshape(rows, columns, *sheet.shape[1:]).swapaxes(1, 2)
        sheet = sheet.reshape(rows * tall, columns * wide, *sheet.shape[4:])
        grid = Image.fromarray(np.ascontiguousarray(sheet[: rows * tall - gap, : columns * wide - gap]))
        if labels is not None:
            _write(grid, labels, columns, tall, wide, height, background)
        return grid

    def png_bytes(self, columns: int | None = None, **layout: Any) -> bytes:
        """The grid as a PNG file in memory."""
        file = io.BytesIO()
        self.grid(columns, **layout).save(file, format="PNG")
        return file.getvalue()

    def save(self, path: str | PathLike[str], columns: int | None = None, **layout: Any) -> Path:
        """Write the grid; the ending chooses the format, and `.gif` and `.mp4` make a film."""
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in FORMATS:
            raise BadInputError(
                f"{path.name!r} cannot be written as a picture; end its name with one of {', '.join(FORMATS)}."
            )
        if ending in (".gif", ".mp4"):
            return self.gif(path) if ending == ".gif" else self.mp4(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.grid(columns, **layout).save(path, lossless=True)  # what is not WebP passes over the option
        return path

    def gif_bytes(self, milliseconds: int = 80, *, scale: int | None = None, bounce: bool = False) -> bytes:
        """The images one after another as an endless GIF, in memory; `bounce` runs back again."""
        first, *others = self._frames(scale, bounce)
        file = io.BytesIO()
        first.save(file, format="GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, disposal=1)
        return file.getvalue()

    def gif(self, path: str | PathLike[str], milliseconds: int = 80, **animation: Any) -> Path:
        """Write the images one after another as an endless GIF."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.gif_bytes(milliseconds, **animation))
        return path

    def mp4_bytes(self, hold: int = 3, *, scale: int | None = None, bounce: bool = False) -> bytes:
        """The images one after another as an MP4 in memory, each for `hold` of its 30 frames a second; see `figures.video`.

        `bounce` runs back again, after half a second at the turn.
        """
        from genlab.figures.video import RATE, REST, mp4

        if not len(self):
            raise BadInputError(NO_FILM)
        last, turn = len(self) - 1, round(RATE * REST / hold)
        back = [*[last] * turn, *range(last - 1, -1, -1)] if bounce else []
        return mp4(self.uint8[[*range(last + 1), *back]], hold=hold, factor=scale)

    def mp4(self, path: str | PathLike[str], hold: int = 3, **animation: Any) -> Path:
        """Write the images one after another as an MP4. Raises `BadInputError` where there is no ffmpeg."""
        film, path = self.mp4_bytes(hold, **animation), Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film)
        return path

    def _frames(self, scale: int | None, bounce: bool) -> list[Image.Image]:
        """The pictures of a film, which runs back again where it bounces; palettes are chosen before they are enlarged."""
        if not len(self):
            raise BadInputError(NO_FILM)
        each = [_enlarge(_in_palette(self.picture(index)), self._scale(scale)) for index in range(len(self))]
        return each + each[-2:0:-1] if bounce else each

    def zip(self, file: str | PathLike[str] | IO[bytes], names: Sequence[str] | None = None) -> None:
        """Write every image as a PNG of its own size into one archive; `names` without an ending."""
        names = names or [f"{index:05d}" for index in range(len(self))]
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for index, name in enumerate(names):
                png = io.BytesIO()
                self.picture(index).save(png, format="PNG")
                archive.writestr(f"{name}.png", png.getvalue())

    def zip_bytes(self, names: Sequence[str] | None = None) -> bytes:
        """The archive of PNGs, in memory."""
        file = io.BytesIO()
        self.zip(file, names)
        return file.getvalue()

    def _scale(self, scale: int | None) -> int:
        if scale is not None:
            return max(1, int(scale))
        return max(1, round(SMALL * 1.5 / max(self.array.shape[2:]))) if max(self.array.shape[2:]) < SMALL else 1


def pixels(images: Any) -> np.ndarray:
    """Whatever holds images as a float32 array (N, C, H, W) in [0, 1]."""
    if isinstance(images, Images):
        return images.array
    if hasattr(images, "detach"):  # a tensor, on any device
        images = images.detach().cpu().float().numpy() if images.is_floating_point() else images.cpu().numpy()
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4:
        raise BadInputError(f"Images have the shape (N, C, H, W) or (C, H, W), and {array.shape} is neither.")
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    array = array.astype(np.float32)
    if array.size and not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):
        raise BadInputError(
            f"Pixel values lie in [0, 1], and these reach from {array.min():.4g} to {array.max():.4g}; "
            "divide 8-bit values by 255."
        )
    return array.clip(0, 1)


def _enlarge(picture: Image.Image, scale: int) -> Image.Image:
    from PIL import Image

    if scale == 1:
        return picture
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _in_palette(picture: Image.Image) -> Image.Image:
    """A picture in as many colours as a GIF may have."""
    from PIL import Image

    return picture if picture.mode == "L" else picture.convert("P", palette=Image.Palette.ADAPTIVE)


def _write(
    grid: Image.Image, labels: Sequence[str], columns: int, tall: int, wide: int, height: int, background: int
) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(grid)
    ink = 0 if background > 127 else 255
    fill = ink if grid.mode == "L" else (ink,) * 3
    for index, label in enumerate(labels):
        row, column = divmod(index, columns)
        draw.text(
            (column * wide + (wide - 2) / 2, row * tall + height + 1), label, fill=fill, anchor="ma", font_size=11
        )
