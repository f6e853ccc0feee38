"""The image sets of a laboratory: bundled, imported and thrown away."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.data.bundled import BUNDLED, make_bundled
from genlab.data.downloads import DOWNLOADS, make_download
from genlab.data.fitting import Size
from genlab.data.imageset import Content, ImageSet, SetInfo, open_set, read_info, write_info, write_set
from genlab.data.importing import Progress, import_images, source_title
from genlab.data.sources import Source

_STALE = 24 * 3600.0


class Datasets:
    """The image sets under one laboratory's root, safe for several processes at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Datasets(Path(root))["digits-8"].count
    1797
    """

    def __init__(self, root: Path | str) -> None:
        self.folder = Path(root) / "datasets"

    def __iter__(self) -> Iterator[str]:
        """Names of the sets that need no download."""
        return (info.name for info in self.infos() if info.available)

    def __len__(self) -> int:
        return sum(info.available for info in self.infos())

    def __contains__(self, name: object) -> bool:
        """Whether `self[name]` knows the set, one that it would download included."""
        return isinstance(name, str) and (name in BUNDLED or name in DOWNLOADS or name in self._present())

    def __getitem__(self, name: str) -> ImageSet:
        """Open a set, making or downloading it at its first use; raises `UnknownNameError`."""
        return self.fetch(name)

    def fetch(self, name: str, progress: Progress | None = None) -> ImageSet:
        """Open a set as `self[name]` does, with `progress(done, total, what)` where it must be downloaded."""
        directory = self.folder / name
        if name in self._present():
            return open_set(directory)
        if name not in self:
            raise UnknownNameError("image set", name, [info.name for info in self.infos()])
        try:
            return make_bundled(name, directory) if name in BUNDLED else make_download(name, directory, progress)
        except BadInputError:
            if name in self._present():  # another process was quicker
                return open_set(directory)
            raise

    def infos(self) -> list[SetInfo]:
        """What is known of every set; no pixels are read: own ones newest first, bundled ones, downloads.

        A set whose description is damaged is left out; opening it by its name says what is wrong.
        """
        present = {}
        for name in self._present():
            with suppress(BadInputError):
                present[name] = read_info(self.folder / name)
        known = {name: bundled.info for name, bundled in BUNDLED.items()}
        known |= {name: download.info for name, download in DOWNLOADS.items()}
        own = [info for name, info in present.items() if name not in known]
        own.sort(key=lambda info: info.created, reverse=True)
        return own + [present.get(name, info) for name, info in known.items()]

    def add(
        self,
        source: Source,
        *,
        name: str = "",
        size: Size | None = None,
        grey: bool | None = None,
        fit: str = "crop",
        background: str = "white",
        progress: Progress | None = None,
    ) -> ImageSet:
        """Import a path or a list of (file name, bytes); content that is here already gives that very set.

        The name defaults to the source's; a name that is taken gets a number. See `genlab.data.import_images`.
        """
        self._sweep()
        title = name or source_title(source)

        def imported(folder: Path) -> ImageSet:
            return import_images(
                source, folder, name=title, size=size, grey=grey, fit=fit, background=background, progress=progress
            )

        return self._placed(imported, title)

    def _placed(self, make: Callable[[Path], ImageSet], title: str) -> ImageSet:
        """A set that is made in a folder of its own and then gets its name; where it is here already, that one."""
        new = self.folder / f".new-{uuid.uuid4().hex}"
        made = make(new)
        try:
            same = (info.name for info in self.infos() if info.hash == made.hash)
            if present := next(same, None):
                return self.fetch(present)
            return self._settle(made, _slug(title))
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def gather(self, images: ImageSet, indices: Sequence[int] | np.ndarray, *, name: str = "") -> ImageSet:
        """A set of some images of another, with their labels and factors; what was held out stays so.

        Where none or all of them were held out, the new set is split anew. Content that is here already gives that
        very set; a name that is taken gets a number. Raises `BadInputError` where `indices` are none of the set's.
        """
        chosen = np.unique(np.asarray(indices, dtype=np.int64))
        if not len(chosen) or chosen[0] < 0 or chosen[-1] >= images.count:
            raise BadInputError(
                f"Choose at least one of the images 0 to {images.count - 1} of {images.title} for a set of their own."
            )
        self._sweep()
        title = name.strip() or f"Some of {images.title}"
        held = np.isin(chosen, images.splits["validation"])
        labels, names = None, ()
        if images.labels is not None:
            kept, labels = np.unique(images.labels[chosen], return_inverse=True)
            names = tuple(images.class_names[label] for label in kept)
        factors = {factor: values[chosen] for factor, values in images.factors.items()}
        validation = held if held.any() and not held.all() else None
        content = Content(np.asarray(images.images[chosen]), labels, names, factors, validation)
        source = f"{len(chosen)} images of {images.title}"
        about = {"synthetic": images.synthetic, "licence": images.licence, "source": source, "title": title}
        return self._placed(lambda folder: write_set(folder, content, **about), title)

    def resolve(self, name_or_path: str | os.PathLike[str] | ImageSet) -> ImageSet:
        """The set of a name, or of a path that is imported once for each content it has had."""
        if isinstance(name_or_path, ImageSet):
            return name_or_path
        name = os.fspath(name_or_path)
        if name in self:
            return self[name]
        path = Path(name).expanduser()
        if not path.exists():
            if os.sep in name or path.suffix:
                raise BadInputError(f"{path} does not exist; give the name of an image set or a path to images.")
            raise UnknownNameError("image set", name, [info.name for info in self.infos()])
        if (path / "set.json").is_file():
            return open_set(path)
        seen, key = self._seen(), _fingerprint(path)
        if seen.get(key) not in self._present():
            seen[key] = self.add(path).name
            self._remember(seen)
        return self[seen[key]]

    def remove(self, name: str) -> None:
        """Move a set to the trash, from where `restore` brings it back."""
        if name not in self._present():
            if name in self:
                raise BadInputError(f"{name} takes no space before its first use; there is nothing to remove.")
            raise UnknownNameError("image set", name, self._present())
        self._trash.mkdir(parents=True, exist_ok=True)
        (self.folder / name).rename(self._trash / f"{name}~{time.time_ns()}")

    def restore(self, name: str) -> ImageSet:
        """Bring the last removed set of that name back; raises when the name is taken by now."""
        candidates = sorted(path for path in self._trashed() if path.name.rpartition("~")[0] == name)
        if not candidates:
            raise UnknownNameError("removed image set", name, [info.name for info in self.trash()])
        if name in self._present():
            raise BadInputError(f"An image set called {name!r} is here; remove it before restoring the older one.")
        candidates[-1].rename(self.folder / name)
        return open_set(self.folder / name)

    def trash(self) -> list[SetInfo]:
        """What is in the trash, the latest first."""
        latest = sorted(self._trashed(), key=lambda path: path.name.rpartition("~")[2], reverse=True)
        return [read_info(path) for path in latest]

    @property
    def _trash(self) -> Path:
        return self.folder / ".trash"

    def _trashed(self) -> list[Path]:
        return [file.parent for file in self._trash.glob("*/set.json")]

    def _present(self) -> list[str]:
        return sorted(file.parent.name for file in self.folder.glob("[!.]*/set.json"))

    def _settle(self, imported: ImageSet, name: str) -> ImageSet:
        """Give an imported set the first name of `name`, `name-2`, … that nobody has, in one stroke."""
        number = 1
        while True:
            candidate = name if number == 1 else f"{name}-{number}"
            number += 1
            if candidate in self:
                continue
            write_info(imported.directory, imported.info.model_copy(update={"name": candidate}))
            try:
                imported.directory.rename(self.folder / candidate)
            except OSError:  # another process took the name in between
                if not (self.folder / candidate).exists():
                    raise
                continue
            return open_set(self.folder / candidate)

    def _seen(self) -> dict[str, str]:
        try:
            seen: dict[str, str] = json.loads((self.folder / ".sources.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return seen

    def _remember(self, seen: dict[str, str]) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".sources-", delete=False) as file:
            json.dump(seen, file)
        Path(file.name).replace(self.folder / ".sources.json")

    def _sweep(self) -> None:
        """Delete what an import that was killed left behind more than a day ago."""
        for left in [*self.folder.glob(".incoming-*"), *self.folder.glob(".new-*")]:
            with suppress(FileNotFoundError):  # its owner has just finished with it
                if time.time() - left.stat().st_mtime > _STALE:
                    shutil.rmtree(left, ignore_errors=True)


def _slug(title: str) -> str:
    """A name that is safe as a folder's and easy to type.

    >>> _slug("Holiday pictures (2)"), _slug("…")
    ('holiday-pictures-2', 'images')
    """
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-_")[:60] or "images"


def _fingerprint(path: Path) -> str:
    """A key of where a source lies and of the names, sizes and times of its files."""
    path = path.resolve()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    listing = [(str(file), (status := file.stat()).st_size, status.st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([str(path), listing]).encode()).hexdigest()
