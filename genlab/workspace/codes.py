"""The codes of a whole image set, computed once: kept in memory, and beside the run where it may be written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from genlab.nn.inference import batch_size, posterior
from genlab.nn.usage import ACTIVE, kl
from genlab.workspace.results import Encoded, LatentStatistics

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.data.imageset import ImageSet

LARGEST = 2**26  # bytes of codes that are kept on disk for one split

_codes: WeakKeyDictionary[Any, dict[tuple[str, str], Encoded]] = WeakKeyDictionary()
_statistics: WeakKeyDictionary[Any, dict[tuple[str, str], LatentStatistics]] = WeakKeyDictionary()


def split_indices(images: ImageSet, split: str) -> np.ndarray:
    """Indices of a split ("train", "validation") or of "all" images, ascending."""
    return np.arange(images.count) if split == "all" else np.sort(images.splits[split])


def read(images: ImageSet, indices: np.ndarray) -> np.ndarray:
    """Some images of a set as float32 (N, C, H, W) in [0, 1]."""
    return np.asarray(images.images[indices], dtype=np.float32) / np.float32(255)


def encode_indices(model: Any, images: ImageSet, indices: np.ndarray) -> Encoded:
    """Codes of some images of a set, read a batch at a time."""
    size = batch_size(model)
    parts = [posterior(model, read(images, indices[i : i + size])) for i in range(0, max(1, len(indices)), size)]
    means, log_vars = zip(*parts, strict=True)
    return Encoded(np.concatenate(means), None if log_vars[0] is None else np.concatenate(log_vars))


def split_codes(model: Model, images: ImageSet, split: str, folder: Path | None) -> Encoded:
    """Codes of a whole split, in the order of `split_indices`; `folder` keeps them from one start to the next."""
    cache = _codes.setdefault(model, {})
    key = (images.hash, split)
    if key not in cache:
        file = None if folder is None else folder / f"codes-{fingerprint(model)}-{images.hash[:16]}-{split}.npz"
        indices = split_indices(images, split)
        codes = None if file is None else _load(file, len(indices))
        if codes is None:
            codes = encode_indices(model, images, indices)
            if file is not None:
                _save(file, codes)
        cache[key] = codes
    return cache[key]


def split_statistics(model: Model, images: ImageSet, split: str, folder: Path | None) -> LatentStatistics:
    """How the codes of a whole split lie."""
    cache = _statistics.setdefault(model, {})
    key = (images.hash, split)
    if key not in cache:
        codes = split_codes(model, images, split, folder)
        variance = codes.mean.var(0, dtype=np.float64)
        carried = None if codes.log_var is None else kl(codes.mean, codes.log_var).mean(0)
        mean = codes.mean.mean(0, dtype=np.float64)
        cache[key] = LatentStatistics(mean, variance, carried, variance > ACTIVE, len(codes.mean))
    return cache[key]


def fingerprint(model: Model) -> str:
    """A hash of a model's weights: codes belong to these and no others."""
    digest = hashlib.blake2b(digest_size=8)
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().float().contiguous().numpy().data)
    return digest.hexdigest()


def _load(file: Path, count: int) -> Encoded | None:
    """Codes from a file; None where it is not there, torn, or not of this many images."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            codes = Encoded(arrays["mean"], arrays.get("log_var"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return codes if len(codes.mean) == count else None


def _save(file: Path, codes: Encoded) -> None:
    """Keep codes for the next start, in place of those of other weights, unless they are large.

    A disk that is full or read-only only means that they are computed again.
    """
    arrays = {name: array for name, array in codes._asdict().items() if array is not None}
    if sum(array.nbytes for array in arrays.values()) > LARGEST:
        return
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)
        temporary.replace(file)
        _, _, belongs = file.name.removeprefix("codes-").partition("-")
        for other in file.parent.glob(f"codes-*-{belongs}"):
            if other != file:
                other.unlink(missing_ok=True)
