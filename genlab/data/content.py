"""What a set's content decides by itself: its hash, which images are duplicates, and how it is split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

CHUNK = 1024
HELD_OUT = 0.1
FEWEST_TO_SPLIT = 10


def content_hash(images: np.ndarray, labels: np.ndarray | None, class_names: Sequence[str]) -> str:
    """SHA-256 of shape, pixels, labels and class names, the same on every machine."""
    digest = hashlib.sha256(json.dumps([list(images.shape), list(class_names)]).encode())
    for start in range(0, len(images), CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + CHUNK]).data)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def digests(images: np.ndarray) -> np.ndarray:
    """One hexadecimal digest (N,) of each image's pixels."""
    return np.array([hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images], dtype="S32")


def duplicate_groups(digest: np.ndarray) -> np.ndarray:
    """Numbers (N,) that exact duplicates share, counted in the order of first appearance.

    >>> duplicate_groups(np.array([b"b", b"a", b"b"])).tolist()
    [0, 1, 0]
    """
    _, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def held_out(digest: np.ndarray, groups: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Which images (N,) are for validation: a tenth of the distinct ones, chosen by their digests.

    Duplicates stay together. Each class gives its tenth where every class has ten distinct images.
    A set of fewer than ten distinct images holds nothing out.
    """
    _, first = np.unique(groups, return_index=True)
    if len(first) < FEWEST_TO_SPLIT:
        return np.zeros(len(groups), dtype=bool)
    strata = np.zeros(len(first), dtype=np.int64) if labels is None else labels[first]
    _, strata, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    if sizes.min() < FEWEST_TO_SPLIT:
        strata, sizes = np.zeros(len(first), dtype=np.int64), np.array([len(first)])
    order = np.lexsort((digest[first], strata))
    rank = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = np.empty(len(first), dtype=bool)
    chosen[order] = rank < np.round(HELD_OUT * sizes)[strata[order]]
    return chosen[groups]


def given_split(validation: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A split that came with the images, less the held-out images that training has a duplicate of.

    >>> given_split(np.array([False, True, True]), np.array([0, 0, 1])).tolist()
    [False, False, True]
    """
    in_training = np.zeros(groups.max() + 1, dtype=bool)
    in_training[groups[~validation]] = True
    return validation & ~in_training[groups]
