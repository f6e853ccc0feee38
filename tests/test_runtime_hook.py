"""The runtime for browsers is fetched when genlab is built: whole, as expected, or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from genlab.ui import routes

pytest.importorskip("hatchling", reason="hatchling builds genlab, and need not be there to run it")
ROOT = Path(__file__).resolve().parent.parent
CONTENTS = {"a.mjs": b"export {}", "a.wasm": b"\0asm"}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook, expecting two small files."""
    specification = importlib.util.spec_from_file_location("browser_runtime", ROOT / ".build" / "browser_runtime.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "FILES", {n: hashlib.sha256(c).hexdigest() for n, c in CONTENTS.items()})
    return module


def pretended_npm(folder: Path, contents: dict[str, bytes]) -> Path:
    """A program that answers `npm pack` with a package of these files, and writes down how it was called."""
    package = folder / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    program = folder / "npm"
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nopen({str(folder / 'called')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"shutil.copy({str(package)!r}, sys.argv[sys.argv.index('--pack-destination') + 1] + '/x.tgz')\n"
    )
    program.chmod(0o755)
    return program


def built(hook: ModuleType, root: Path, npm: Path | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hook warned of while it prepared a build of the project at `root`."""
    monkeypatch.setattr(hook.shutil, "which", lambda _: npm and str(npm))
    said: list[str] = []
    hook.RuntimeHook.initialize(
        SimpleNamespace(root=str(root), app=SimpleNamespace(display_warning=said.append)), "", {}
    )
    return said


def test_files_are_taken_out_of_the_package_once(hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = pretended_npm(tmp_path, {**CONTENTS, "other.js": b"left"})
    assert built(hook, tmp_path / "project", npm, monkeypatch) == []
    folder = tmp_path / "project" / hook.FOLDER
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS
    called = (tmp_path / "called").read_text()
    assert f"pack {hook.PACKAGE} " in called
    assert built(hook, tmp_path / "project", npm, monkeypatch) == []
    assert (tmp_path / "called").read_text() == called
    (folder / "a.mjs").write_bytes(b"spoilt")
    built(hook, tmp_path / "project", npm, monkeypatch)
    assert (folder / "a.mjs").read_bytes() == CONTENTS["a.mjs"]


@pytest.mark.parametrize("contents", [{**CONTENTS, "a.wasm": b"another"}, {"a.mjs": CONTENTS["a.mjs"]}])
def test_what_is_not_as_expected_is_left_out(hook, contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = built(hook, tmp_path / "project", pretended_npm(tmp_path, contents), monkeypatch)
    assert len(said) == 1
    assert "could not be fetched" in said[0]
    assert not any(path.is_file() for path in (tmp_path / "project").rglob("*"))


def test_without_npm_the_build_goes_on(hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = built(hook, tmp_path, None, monkeypatch)
    assert said == [f"npm is not here, so {hook.PACKAGE} is left out: pages decode on the server."]


def test_pages_know_whether_the_runtime_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "FOLDERS", (tmp_path,))
    assert not routes.has_runtime()
    (tmp_path / routes.RUNTIME).write_bytes(b"\0asm")
    assert routes.has_runtime()
    (tmp_path / "LICENSE").write_text("MIT")
    assert list(routes.served_files()) == [routes.RUNTIME]
