"""Reads labels, and a split that came with the images, from the names of folders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genlab.data.sources import natural

_TRAINING = {"train", "training"}
_HELD_OUT = {"val", "valid", "validation", "test", "testing"}
BESIDE = "unsorted"


def folder_labels(folders: Sequence[tuple[str, ...]]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels (N,) and class names from the folders each image lies in, or (None, ()).

    The class is the outermost folder in which the images differ, `train` and `test` folders left aside.
    Images beside two or more such folders belong to the class "unsorted".

    >>> labels, names = folder_labels([("pets", "cat"), ("pets", "dog"), ("pets", "cat")])
    >>> labels.tolist(), names
    ([0, 1, 0], ('cat', 'dog'))
    """
    kept = [tuple(part for part in path if part.lower() not in _TRAINING | _HELD_OUT) for path in folders]
    shared = len(common_folders(kept))
    classes = [path[shared] if len(path) > shared else "" for path in kept]
    if len(set(classes) - {""}) < 2:
        return None, ()
    names = sorted(set(classes), key=lambda name: (name == "", natural(name)))
    number = {name: index for index, name in enumerate(names)}
    return np.array([number[name] for name in classes]), tuple(name or BESIDE for name in names)


def folder_split(folders: Sequence[tuple[str, ...]]) -> np.ndarray | None:
    """Which images (N,) lie in a validation or test folder; None unless others lie in a training folder."""
    lower = [{part.lower() for part in path} for path in folders]
    if not any(parts & _TRAINING for parts in lower):
        return None
    held_out = np.array([bool(parts & _HELD_OUT) and not parts & _TRAINING for parts in lower])
    return held_out if held_out.any() else None


def common_folders(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The outermost folders that all paths share.

    >>> common_folders([("a", "b"), ("a", "c")])
    ('a',)
    """
    first, last = min(paths), max(paths)
    differ = (index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differ, len(first))]
