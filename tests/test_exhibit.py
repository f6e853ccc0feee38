"""Folders and single files that explore without Python: they decode what PyTorch decodes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PATIENCE, needs_chromium

import genlab
from genlab.cli import root
from genlab.core.errors import BadInputError
from genlab.nn import portable
from genlab.ui.routes import has_runtime
from genlab.workspace import exhibit

pytestmark = pytest.mark.skipif(not has_runtime(), reason="the runtime was not fetched, as npm was not there")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "lab"))
    return genlab.Workspace(tmp_path / "lab")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "shown")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@needs_chromium
@pytest.mark.parametrize("alone", [False, True], ids=["folder", "file"])
def test_an_exhibit_decodes_what_pytorch_decodes(
    lab: genlab.Workspace, chromium: Any, served: str, tmp_path: Path, alone: bool
) -> None:
    """A folder through a server of files; a file as it lies on the disk, in a browser without a network."""
    run = lab.runs["digits-vae"]
    corners = run.codes(run.images.tensor([0, 500, 1000]).numpy())
    written = run.exhibit(tmp_path / "shown" / "page.html" if alone else tmp_path / "shown", corners, ["a", "b", "c"])
    plane, asked, said = run.latent_plane(corners), set[str](), list[str]()
    context = chromium.new_context(viewport={"width": 1000, "height": 900}, offline=alone)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.on("request", lambda request: asked.add(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(written.as_uri() if alone else served)
    found = dragged(tab)
    assert tab.get_by_role("heading").inner_text() == run.title
    context.close()
    place, pixels = np.array(found[0]), np.array(found[1]).reshape(28, 28, 4)[..., 0]
    np.testing.assert_allclose(pixels, run.decode(plane.frame.codes(place)).array[0, 0] * 255, rtol=0, atol=2)
    assert place[0] > 0
    assert all(url.startswith((written.as_uri() if alone else served, "data:", "blob:")) for url in asked)
    assert said == []


def dragged(tab) -> tuple[list[float], list[int]]:
    """A place that a mouse has dragged to, and the bytes of the picture there."""
    tab.locator(".genlab[data-where=browser][data-shown]").wait_for()
    box = tab.locator("canvas.finger").bounding_box()
    tab.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.7 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.3 * box["height"])
    tab.mouse.up()
    return tab.wait_for_function(
        """() => { const { shown, place } = document.querySelector(".genlab").plane;
        return shown && shown.place.join() === place.join() && [place, [...shown.pictures.bytes]]; }"""
    ).json_value()


def test_the_command_line_writes_exhibits_and_refuses_in_words(
    lab: genlab.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep" / "exhibit"
    assert root.run(["exhibit", "digits-gan", str(folder), "4", "5", "6", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["through"] == ["draw 4", "draw 5", "draw 6"]
    told = json.loads((folder / "data.json").read_text())["plane"]
    assert [corner["name"] for corner in told["corners"]] == document["through"]
    first = told["corners"][0]["at"]
    frame = {part: np.array(values) for part, values in told["frame"].items()}
    code = frame["origin"] + first[0] * frame["u"] + first[1] * frame["v"]
    np.testing.assert_allclose(code, lab.runs["digits-gan"].codes(4)[0], atol=1e-9)
    assert (folder / "web" / "LICENSE").read_text().startswith("MIT License")
    page = tmp_path / "deep" / "exhibit.html"
    assert root.run(["exhibit", "digits-gan", str(page), "4", "5", "6"]) == 0
    told = capsys.readouterr().out
    assert f"({page.stat().st_size / 1e6:.1f} MB): it opens by a double click" in told
    assert "MIT License" in page.read_text()
    assert not re.search(r"""(src|href)=.(?!data:)""", page.read_text())
    again = lab.runs["digits-gan"]
    corners = np.concatenate([again.codes(seed) for seed in (4, 5, 6)])
    same = again.exhibit(tmp_path / "same.html", corners, ["draw 4", "draw 5", "draw 6"])
    assert same.read_bytes() == page.read_bytes()
    for wrong, said in [
        ((str(folder),), "is not empty"),
        ((str(tmp_path / "x"), "1", "2"), "goes through three images, and 2 were given"),
        ((str(tmp_path / "x"), "a", "b", "c"), "seeds of its prior"),
    ]:
        assert root.run(["exhibit", "digits-gan", *wrong]) == 2
        assert said in capsys.readouterr().err


def test_without_the_runtime_there_is_no_exhibit(
    lab: genlab.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhibit, "RUNTIME", tmp_path)
    with pytest.raises(BadInputError, match="install npm, then install genlab again"):
        lab.runs["digits-plane"].exhibit(tmp_path / "shown")


def test_a_decoder_that_cannot_be_exported_is_refused_in_a_sentence(
    lab: genlab.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page.html"
    folder.mkdir()
    with pytest.raises(BadInputError, match="is a folder; choose another name"):
        lab.runs["digits-plane"].exhibit(folder)
    monkeypatch.setattr(portable, "_compare", lambda *_: (_ for _ in ()).throw(BadInputError("It differs.")))
    with pytest.raises(BadInputError, match=r"It differs\.$"):
        lab.runs["digits-plane"].exhibit(tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()
