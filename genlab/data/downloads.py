"""Well-known image sets that torchvision downloads, where there is a network."""

from __future__ import annotations

import errno
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.shapes import Shape
from genlab.data.imageset import Content, ImageSet, SetInfo, write_set

_EVERY = 0.5  # seconds between two reports of a download
_BY_TRAIN: tuple[Mapping[str, Any], ...] = ({"train": True}, {"train": False})
_BY_SPLIT: tuple[Mapping[str, Any], ...] = ({"split": "train"}, {"split": "test"})


class Download(NamedTuple):
    """A set that torchvision knows: its class there, how its two parts are asked for, and its size in bytes."""

    info: SetInfo
    dataset: str
    parts: tuple[Mapping[str, Any], ...]
    megabytes: int
    turned: bool = False  # EMNIST stores its images with rows and columns exchanged


def _listed(
    name: str, title: str, dataset: str, megabytes: int, count: int, licence: str, **how: Any
) -> tuple[str, Download]:
    shape = Shape(*how.pop("shape", (1, 28, 28)))
    parts = how.pop("parts", _BY_TRAIN)
    source = f"downloaded by torchvision.datasets.{dataset}; its test images are the validation split"
    info = SetInfo(
        name=name, title=title, shape=shape, count=count, source=source, licence=licence, status="needs a download"
    )
    return name, Download(info, dataset, parts, megabytes, **how)


def _emnist(split: str) -> tuple[Mapping[str, Any], ...]:
    return tuple({"split": split, **part} for part in _BY_TRAIN)


DOWNLOADS: dict[str, Download] = dict(
    [
        _listed("mnist", "MNIST", "MNIST", 12, 70000, "CC-BY-SA-3.0"),
        _listed("fashion-mnist", "Fashion-MNIST", "FashionMNIST", 31, 70000, "MIT"),
        _listed("kmnist", "Kuzushiji-MNIST", "KMNIST", 22, 70000, "CC-BY-SA-4.0"),
        _listed("emnist-letters", "EMNIST letters", "EMNIST", 562, 145600, "", parts=_emnist("letters"), turned=True),
        _listed(
            "emnist-balanced", "EMNIST balanced", "EMNIST", 562, 131600, "", parts=_emnist("balanced"), turned=True
        ),
        _listed("cifar10", "CIFAR-10", "CIFAR10", 170, 60000, "", shape=(3, 32, 32)),
        _listed("cifar100", "CIFAR-100", "CIFAR100", 169, 60000, "", shape=(3, 32, 32)),
        _listed("svhn", "Street View House Numbers", "SVHN", 246, 99289, "", shape=(3, 32, 32), parts=_BY_SPLIT),
    ]
)


def make_download(name: str, directory: Path, progress: Callable[[int, int, str], None] | None = None) -> ImageSet:
    """Download a set and write it into a new folder; `progress(done, total, what)` counts bytes, roughly.

    Raises `UnknownNameError`, and `BadInputError` when there is no network or no room.
    """
    if name not in DOWNLOADS:
        raise UnknownNameError("set to download", name, DOWNLOADS)
    from torchvision import datasets

    download = DOWNLOADS[name]
    make = getattr(datasets, download.dataset)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".incoming-") as raw:
        try:
            with _watched(Path(raw), download, progress or (lambda done, total, what: None)):
                content = _content(download, make, Path(raw))
        except (OSError, RuntimeError, HTTPException) as error:  # torchvision wraps some network errors in RuntimeError
            raise BadInputError(_why_not(download, error)) from error
    described = download.info.model_dump(include={"title", "source", "licence"})
    return write_set(directory, content, name=name, **described)


def _content(download: Download, make: Callable[..., Any], raw: Path) -> Content:
    parts = [make(str(raw), download=True, **part) for part in download.parts]
    images = np.concatenate([_pixels(part.data) for part in parts])
    targets = [np.asarray(part.labels if hasattr(part, "labels") else part.targets) for part in parts]
    values, labels = np.unique(np.concatenate(targets), return_inverse=True)
    names = getattr(parts[0], "classes", None) or [str(value) for value in range(int(values.max()) + 1)]
    validation = np.arange(len(images)) >= len(targets[0])
    if download.turned:
        images = np.ascontiguousarray(np.swapaxes(images, 2, 3))
    return Content(images, labels, tuple(names[value] for value in values), {}, validation)


def _pixels(data: Any) -> np.ndarray:
    """Images (N, C, H, W) of what torchvision holds: (N, H, W), (N, H, W, C) or (N, C, H, W)."""
    pixels = np.asarray(data)
    if pixels.ndim == 3:
        return pixels[:, None]
    return np.moveaxis(pixels, -1, 1) if pixels.shape[-1] == 3 else pixels


@contextmanager
def _watched(raw: Path, download: Download, progress: Callable[[int, int, str], None]) -> Iterator[None]:
    """Report the bytes that have arrived in a folder while the body runs."""
    total, done = download.megabytes * 10**6, threading.Event()

    def report() -> None:
        while not done.wait(_EVERY):
            arrived = sum(file.stat().st_size for file in raw.rglob("*") if file.is_file())
            progress(min(arrived, total), total, download.info.title)

    progress(0, total, download.info.title)
    watcher = threading.Thread(target=report, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    progress(total, total, download.info.title)


def _why_not(download: Download, error: Exception) -> str:
    title = download.info.title
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"{title} could not be downloaded: the disk is full; free about {3 * download.megabytes} MB and try again."
        )
    return (
        f"{title} could not be downloaded: its server was not reached; connect to the network, "
        "or take a set that needs none, such as digits-28."
    )
