"""Reads images that come as arrays: IDX files as MNIST has them, .npy and .npz; nothing is ever unpickled."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np

from genlab.core.errors import BadInputError
from genlab.data.content import CHUNK
from genlab.data.imageset import Content, Refusal
from genlab.data.sources import MOST_BYTES_IN_ALL, Member

MOST_ARRAY_BYTES = 2 * 2**30
_IDX = re.compile(r"(?P<part>.*?)[-_.]?(?P<what>images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?$")
_KEY = re.compile(r"(?P<what>x|images?|y|labels?)(?P<part>_train|_test|_val)?\.npy$", re.IGNORECASE)
_HELD_OUT = ("t10k", "test", "val")


class Array(NamedTuple):
    """An array and what its name says: which part of a set ("train", "t10k") and whether it holds labels."""

    part: str
    labels: bool
    values: np.ndarray


def is_array(name: str) -> bool:
    """Whether a file's name promises an array of images or labels."""
    return name.endswith((".npy", ".npz")) or _IDX.search(name) is not None


def array_content(members: Sequence[Member], refused: list[Refusal]) -> Content | None:
    """The set that array files make together, or None; files that cannot be read go to `refused`."""
    arrays: list[Array] = []
    for member in members:
        try:
            with member.open() as stream:
                arrays.extend(_read(member.name, stream))
        except BadInputError as error:
            refused.append(Refusal(member.name, str(error)))
        except Exception:  # hostile bytes may raise anything
            refused.append(Refusal(member.name, "is damaged or no array of images that can be read"))
    parts = {array.part: array.values for array in arrays if not array.labels}
    if not parts:
        return None
    labels = {array.part: array.values for array in arrays if array.labels}
    return _joined(parts, labels)


def _joined(parts: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> Content:
    if len({images.shape[1:] for images in parts.values()}) > 1:
        raise BadInputError("The arrays hold images of different sizes; import them one at a time.")
    images = np.concatenate(list(parts.values()))
    held = [np.full(len(part), any(word in name for word in _HELD_OUT)) for name, part in parts.items()]
    validation = np.concatenate(held)
    joined: np.ndarray | None = None
    names: tuple[str, ...] = ()
    if all(name in labels and labels[name].shape == (len(part),) for name, part in parts.items()):
        values, joined = np.unique(np.concatenate([labels[name] for name in parts]), return_inverse=True)
        names = tuple(str(value) for value in values.tolist())
    mixed = validation.any() and not validation.all()
    return Content(images, joined, names, {}, validation if mixed else None)


def _read(name: str, stream: IO[bytes]) -> Iterator[Array]:
    matched = _IDX.search(name.rsplit("/", 1)[-1])
    if matched:
        values = _read_idx(stream, packed=name.endswith(".gz"))
        labels = matched["what"] == "labels"
        yield Array(matched["part"], labels, values if labels else _as_images(values))
    elif name.endswith(".npy"):
        yield _named(name.rsplit("/", 1)[-1], _read_npy(stream))
    else:
        yield from _read_npz(stream)


def _read_idx(stream: IO[bytes], *, packed: bool) -> np.ndarray:
    if packed:
        with gzip.open(stream) as unpacked:
            data = unpacked.read(MOST_ARRAY_BYTES + 1)
    else:
        data = stream.read(MOST_ARRAY_BYTES + 1)
    if len(data) > MOST_ARRAY_BYTES:
        raise BadInputError(f"unpacks to more than {MOST_ARRAY_BYTES:,} bytes")
    dimensions = data[3] if data[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(data, dtype=">u4", count=dimensions, offset=4).astype(np.int64)
    values = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * dimensions)
    if dimensions not in (1, 3) or shape.prod() != len(values):
        raise BadInputError("is no complete IDX file of bytes")
    return values.reshape(shape)


def _read_npz(stream: IO[bytes]) -> Iterator[Array]:
    with zipfile.ZipFile(stream) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        if sum(entry.file_size for entry in entries) > min(MOST_ARRAY_BYTES, MOST_BYTES_IN_ALL):
            raise BadInputError(f"unpacks to more than {MOST_ARRAY_BYTES:,} bytes")
        for entry in entries:
            if len(entries) > 1 and not _KEY.match(entry.filename):
                continue
            with archive.open(entry) as inner:
                yield _named(entry.filename, _read_npy(inner))


def _named(name: str, values: np.ndarray) -> Array:
    """Labels if the name says so (y_train.npy, labels.npy), else images."""
    matched = _KEY.match(name)
    part = (matched["part"] or "") if matched else ""
    if matched and matched["what"][0].lower() in "yl":
        return Array(part, True, values.reshape(-1))
    return Array(part, False, _as_images(values))


def _read_npy(stream: IO[bytes]) -> np.ndarray:
    """An array whose declared size is checked before memory is asked for."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = read_header(stream)
    if dtype.kind not in "buif":
        raise BadInputError("holds no numbers")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MOST_ARRAY_BYTES:
        raise BadInputError(f"unpacks to more than {MOST_ARRAY_BYTES:,} bytes")
    data = stream.read(size)
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if column_major else "C")


def _as_images(values: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) uint8 of (N, H, W), (N, H, W, C) or (N, C, H, W) bytes, or floats in [0, 1]."""
    if values.ndim == 3:
        values = values[:, None]
    elif values.ndim == 4 and values.shape[-1] in (1, 3) and values.shape[1] not in (1, 3):
        values = np.moveaxis(values, -1, 1)
    if values.ndim != 4 or values.shape[1] not in (1, 3) or not values.size:
        raise BadInputError(f"has shape {values.shape}, and images are (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):
        raise BadInputError(f"has values from {low:g} to {high:g}, and pixels are in [0, 1] or [0, 255]")
    scale = 255 if values.dtype.kind in "bf" and high <= 1 else 1
    scaled = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), CHUNK):
        scaled[start : start + CHUNK] = np.round(values[start : start + CHUNK].astype(np.float32) * scale)
    return scaled
