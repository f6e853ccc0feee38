"""Makes an image set of a person's own files: single images, folders, zips, uploads and arrays."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genlab.core.errors import BadInputError
from genlab.core.shapes import Shape
from genlab.data.arrays import array_content, is_array
from genlab.data.decode import decode, open_image, upright_size
from genlab.data.fitting import SMALLEST, Size, check_fit, fit_image, parse_size
from genlab.data.imageset import Content, ImageSet, Refusal, fill, incoming, open_set
from genlab.data.labels import common_folders, folder_labels, folder_split
from genlab.data.sources import Member, Source, in_order, members

Progress = Callable[[int, int, str], None]
LARGEST_KEPT = 128
OTHERWISE = (64, 64)
_AT_ONCE = 256


class Wish(NamedTuple):
    """How images are brought to one form: (height, width) or None, grey or None for as they are, and the fit."""

    size: tuple[int, int] | None
    grey: bool | None
    fit: str
    background: str


def import_images(
    source: Source,
    directory: Path | str,
    *,
    name: str = "",
    size: Size | None = None,
    grey: bool | None = None,
    fit: str = "crop",
    background: str = "white",
    progress: Progress | None = None,
) -> ImageSet:
    """Turn a path or a list of (file name, bytes) into an image set in a new folder, or leave nothing behind.

    `size` None keeps a size that all images share if it is at most 128 pixels a side, and takes 64x64
    otherwise. `grey` None makes the set grey when every image is; True and False force it. `fit` is
    "crop", "pad" or "stretch"; transparent pixels show `background`. `progress(done, total, file)` is called
    as files are decoded. Files that cannot be used are listed in `refused`, and the rest goes in; sub-folders
    name the classes.

    Raises `BadInputError`, one sentence, when nothing can be used.
    """
    check_fit(fit)
    wish = Wish(None if size is None else parse_size(size), grey, fit, background)
    directory = Path(directory)
    refused: list[Refusal] = []
    tell = progress or (lambda done, total, file: None)
    with incoming(directory) as temporary, members(source, refused) as found:
        content = _content(in_order(found), wish, refused, tell, temporary / "pixels.raw")
        if content is None:
            raise BadInputError(_nothing(source, refused))
        title = name or source_title(source)
        fill(temporary, content, name=directory.name, title=title, source=title, refused=refused)
        del content
        (temporary / "pixels.raw").unlink(missing_ok=True)
    return open_set(directory)


def decode_images(source: Source, shape: Shape, *, fit: str = "crop") -> np.ndarray:
    """Images (N, C, H, W) uint8 of a path or an upload in a given shape, without making a set of them.

    Raises `BadInputError` naming the first file that cannot be used.
    """
    check_fit(fit)
    wish = Wish((shape.height, shape.width), shape.channels == 1, fit, "white")
    refused: list[Refusal] = []
    with members(source, refused) as found:
        pixels = [outcome for _, outcome in _decoded(found, wish)]
    refused += [outcome for outcome in pixels if isinstance(outcome, Refusal)]
    if refused or not pixels:
        raise BadInputError(_nothing(source, refused))
    return np.stack([np.broadcast_to(image, shape) for image in pixels])


def source_title(source: Source) -> str:
    """What a source is called: the file's name without its ending, or the name of an upload's first file."""
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser().resolve()
        return path.name if path.is_dir() else path.name.split(".")[0] or path.name
    names = [name for name, _ in source]
    if not names:
        return "images"
    if len(names) == 1:
        return Path(names[0]).name.split(".")[0] or "images"
    folder = common_folders([Path(name).parts[:-1] for name in names])
    return folder[0] if folder else "images"


def _content(
    found: Sequence[Member], wish: Wish, refused: list[Refusal], tell: Progress, scratch: Path
) -> Content | None:
    arrays = [member for member in found if is_array(member.name)]
    content = array_content(arrays, refused) if arrays else None
    if content is None:
        return _of_files([member for member in found if not is_array(member.name)], wish, refused, tell, scratch)
    refused += [
        Refusal(member.name, "lies beside arrays, which were taken instead") for member in found if member not in arrays
    ]
    return content._replace(images=_refitted(content.images, wish, tell))


def _of_files(
    found: Sequence[Member], wish: Wish, refused: list[Refusal], tell: Progress, scratch: Path
) -> Content | None:
    size, remark = (wish.size, "") if wish.size else _common_size(found)
    wish = wish._replace(size=size)
    kept: list[Member] = []
    all_grey = True
    with scratch.open("wb") as file:
        for done, (member, pixels) in enumerate(_decoded(found, wish), start=1):
            tell(done, len(found), member.name)
            if isinstance(pixels, Refusal):
                refused.append(pixels)
                continue
            kept.append(member)
            all_grey = all_grey and bool((pixels == pixels[:1]).all())
            np.broadcast_to(pixels, (3, *size)).tofile(file)
    if not kept:
        return None
    images = np.memmap(scratch, dtype=np.uint8, mode="r", shape=(len(kept), 3, *size))
    grey = all_grey if wish.grey is None else wish.grey
    folders = [member.folders for member in kept]
    labels, names = folder_labels(folders)
    remarks = (f"{remark}; each was brought to {size[0]}x{size[1]} ({wish.fit}).",) if remark else ()
    return Content(images[:, :1] if grey else images, labels, names, {}, folder_split(folders), remarks)


def _decoded(found: Sequence[Member], wish: Wish) -> Iterator[tuple[Member, np.ndarray | Refusal]]:
    """Each file with its pixels (C, height, width) or the reason against it, decoded by a few threads."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        waiting = iter(found)
        while chunk := list(islice(waiting, _AT_ONCE)):
            yield from zip(chunk, pool.map(lambda member: _pixels(member, wish), chunk), strict=True)


def _pixels(member: Member, wish: Wish) -> np.ndarray | Refusal:
    assert wish.size is not None
    try:
        with member.open() as stream:
            image = decode(stream, background=wish.background, at_least=wish.size)
        return fit_image(image.convert("L") if wish.grey else image, wish.size, wish.fit)
    except (BadInputError, OSError) as error:
        reason = str(error) if isinstance(error, BadInputError) else "cannot be read"
        return Refusal(member.name, reason)


def _common_size(found: Iterable[Member]) -> tuple[tuple[int, int], str]:
    """The size that all images share if it is small enough to keep, else 64x64 and why; looks at headers alone."""
    seen: Counter[tuple[int, int]] = Counter()
    for member in found:
        try:
            with member.open() as stream:
                seen[upright_size(open_image(stream))] += 1
        except (BadInputError, OSError):
            continue
        if len(seen) > 1:
            return OTHERWISE, "The images have different sizes"
    shared = next(iter(seen), OTHERWISE)
    size = _kept(shared)
    return size, "" if size == shared else f"The images are {shared[0]}x{shared[1]}"


def _kept(size: tuple[int, int]) -> tuple[int, int]:
    return size if min(size) >= SMALLEST and max(size) <= LARGEST_KEPT else OTHERWISE


def _refitted(images: np.ndarray, wish: Wish, tell: Progress) -> np.ndarray:
    """Arrays of images brought to the form that is wished for."""
    height, width = images.shape[2:]
    size = wish.size or _kept((height, width))
    channels = images.shape[1] if wish.grey is None else (1 if wish.grey else 3)
    if (images.shape[1], height, width) == (channels, *size):
        return images
    mode = "L" if channels == 1 else "RGB"
    fitted = np.empty((len(images), channels, *size), dtype=np.uint8)
    for index, pixels in enumerate(images):
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1).copy())
        fitted[index] = fit_image(image.convert(mode), size, wish.fit)
        if index % _AT_ONCE == 0:
            tell(index + 1, len(images), "array")
    return fitted


def _nothing(source: Source, refused: Sequence[Refusal]) -> str:
    """One sentence for a source of which nothing could be used."""
    single = isinstance(source, str | os.PathLike)
    place = str(source) if single else "the upload"
    if not refused:
        return f"There are no images in {place}; give image files, a folder or a zip that holds some."
    first = refused[0]
    others = f" ({len(refused) - 1} more files were refused too)" if len(refused) > 1 else ""
    inside = "" if Path(place).name == Path(first.file).name else f"Nothing in {place} can be used: "
    return f"{inside}{first}{others}."
