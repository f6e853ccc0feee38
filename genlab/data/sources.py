"""Finds the images in a file, a folder, a zip or an upload, without ever extracting anything."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from genlab.core.errors import BadInputError
from genlab.data.imageset import Refusal

Uploads = Sequence[tuple[str, bytes]]
Source = str | os.PathLike[str] | Uploads

MOST_BYTES = 256 * 2**20
MOST_BYTES_IN_ALL = 8 * 2**30
MOST_MEMBERS = 500_000


class Member(NamedTuple):
    """One file of a source: its name with its folders, and how to open it as a seekable stream."""

    name: str
    open: Callable[[], IO[bytes]]

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders it lies in, outermost first."""
        return PurePosixPath(self.name).parts[:-1]


@contextmanager
def members(source: Source, refused: list[Refusal]) -> Iterator[list[Member]]:
    """Every file of a source that may be an image; the rest goes to `refused`.

    Uploads keep their order, a path gives the order of names. Zips stay open inside the `with`. Raises `BadInputError` for a path that does not exist and for a zip that cannot be read.
    """
    with ExitStack() as opened:
        if isinstance(source, str | os.PathLike):
            yield in_order(_of_path(Path(source).expanduser(), refused, opened))
        else:
            yield [member for name, data in source for member in _of_upload(name, data, refused, opened)]


def in_order(found: Iterable[Member]) -> list[Member]:
    """Members in the natural order of their names."""
    return sorted(found, key=lambda member: natural(member.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts "2" before "10".

    >>> sorted(["b10", "b2", "a"], key=natural)
    ['a', 'b2', 'b10']
    """
    parts: list[tuple[int, int, str]] = []
    word = ""
    for character in [*name, ""]:
        if word and (not character or character.isdecimal() != word[-1].isdecimal()):
            parts.append((0, int(word), word) if word[-1].isdecimal() else (1, 0, word))
            word = ""
        word += character
    return parts


def _of_path(path: Path, refused: list[Refusal], opened: ExitStack) -> Iterator[Member]:
    if not path.exists():
        raise BadInputError(f"{path} does not exist; give an image, a folder or a zip.")
    if path.is_dir():
        yield from _of_folder(path, refused)
    elif path.suffix != ".npz" and zipfile.is_zipfile(path):
        yield from _of_zip(path, path.name, refused, opened)
    else:
        yield Member(path.name, lambda: path.open("rb"))


def _of_upload(name: str, data: bytes, refused: list[Refusal], opened: ExitStack) -> Iterator[Member]:
    name = name.replace("\\", "/")
    if _hidden(name):
        return
    if unsafe(name):
        refused.append(Refusal(name, "has a name that leads out of the upload"))
    elif data[:4] == b"PK\x03\x04" and not name.endswith(".npz"):
        try:
            yield from _of_zip(BytesIO(data), name, refused, opened)
        except BadInputError:
            refused.append(Refusal(name, "is damaged and cannot be read as a zip"))
    else:
        yield Member(name, lambda: BytesIO(data))


def _of_folder(root: Path, refused: list[Refusal]) -> Iterator[Member]:
    inside = root.resolve()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(root).as_posix()
            if _hidden(name):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                refused.append(Refusal(name, "is a link that leads out of the folder"))
            elif path.is_file():
                yield Member(name, lambda path=path: path.open("rb"))  # type: ignore[misc]


def _of_zip(file: Path | BytesIO, title: str, refused: list[Refusal], opened: ExitStack) -> Iterator[Member]:
    try:
        archive = opened.enter_context(zipfile.ZipFile(file))
        entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInputError(f"{title} is damaged and cannot be read as a zip.") from error
    left = MOST_BYTES_IN_ALL
    for number, entry in enumerate(entries):
        if entry.is_dir() or _hidden(entry.filename.replace("\\", "/")):
            continue
        reason = _why_not(entry)
        if reason is None and (entry.file_size > left or number >= MOST_MEMBERS):
            reason = "comes after the most that is read from one zip (8 GiB, 500,000 files)"
        if reason is not None:
            refused.append(Refusal(entry.filename, reason))
            continue
        left -= entry.file_size
        yield Member(entry.filename, lambda entry=entry: _read(archive, entry))  # type: ignore[misc]


def _why_not(entry: zipfile.ZipInfo) -> str | None:
    if unsafe(entry.filename):
        return "has a name that leads out of the zip"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link, and links are not followed"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.file_size > MOST_BYTES:
        return f"unpacks to {entry.file_size:,} bytes, and at most {MOST_BYTES:,} are read"
    return None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """Unpack one member into memory, never more than its cap."""
    try:
        with archive.open(entry) as stream:
            data = stream.read(MOST_BYTES + 1)
    except Exception as error:  # a damaged archive may raise anything
        raise BadInputError("is damaged inside the zip") from error
    if len(data) > MOST_BYTES:
        raise BadInputError(f"unpacks to more than {MOST_BYTES:,} bytes")
    return BytesIO(data)


def unsafe(name: str) -> bool:
    """Whether a member's name is absolute or climbs out of where it lies.

    >>> unsafe("../a.png"), unsafe("/a.png"), unsafe("C:/a.png"), unsafe("a/b..png")
    (True, True, True, False)
    """
    name = name.replace("\\", "/")
    return name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or "\0" in name


def _hidden(name: str) -> bool:
    """Whether a file is one that systems leave about: .DS_Store, __MACOSX, Thumbs.db."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in parts)
