"""What the server hands out beside the pages: scripts, decoders, and pixels of codes; each refusal is a sentence."""

from __future__ import annotations

import asyncio
import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

import genlab
from genlab.nn.portable import decode_graph

routes: Any = import_module("genlab.ui.routes")
OCTETS = "application/octet-stream"


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Run:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "lab"))
    return genlab.Workspace(tmp_path / "lab").runs["digits-plane"]


def request(body: bytes = b"", type: str = OCTETS, **names: object) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", type.encode())], "path_params": names}
    return Request(scope, receive)


def sentence(answer: Any) -> str:
    return str(json.loads(answer.body)["error"])


def test_addresses_lead_to_what_is_there(run: genlab.Run) -> None:
    told = routes.decoder_addresses(run)
    key = told["name"].rpartition("/")[2]
    assert told["shape"] == [1, 28, 28]
    assert told["route"] == "/genlab/decode/digits-plane"
    answer = routes.decoder(request(run=run.id, key=key))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert decode_graph(Path(answer.path).read_bytes(), np.zeros((1, 2))).shape == (1, 1, 28, 28)
    assert answer.headers.get("access-control-allow-origin") is None
    later = routes.decoder(request(run=run.id, key="another"))
    assert later.headers["cache-control"] == "no-store"


def test_what_no_browser_can_run_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = routes.decoder(request(run="digits-naive-bayes", key="x"))
    assert answer.status_code == 422
    assert "has no decoder to export" in sentence(answer)
    monkeypatch.setattr(routes, "LARGEST", 10_000)
    answer = routes.decoder(request(run="digits-plane", key="x"))
    assert answer.status_code == 422
    assert "million parameters, more than the 3 million that a browser runs well" in sentence(answer)


def test_codes_become_the_pixels_of_pytorch(run: genlab.Run) -> None:
    codes = np.random.default_rng(1).normal(size=(3, 2)).astype("<f4")
    answer = asyncio.run(routes.decode(request(codes.tobytes(), run=run.id)))
    pixels = np.frombuffer(answer.body, np.uint8).reshape(3, 1, 28, 28)
    np.testing.assert_allclose(pixels, run.decode(codes).array * 255, rtol=0, atol=0.5001)


@pytest.mark.parametrize("body", [b"", b"12345", bytes(8 * 5000), np.full(2, np.nan, "<f4").tobytes()])
def test_what_are_no_codes_is_refused_in_words(body: bytes) -> None:
    answer = asyncio.run(routes.decode(request(body, run="digits-plane")))
    assert answer.status_code == 422
    assert sentence(answer).endswith(".")


def test_an_image_comes_back_as_a_checkpoint_rebuilds_it(run: genlab.Run) -> None:
    (step,) = run.steps()
    answer = asyncio.run(routes.rebuilt(request(np.int32(7).tobytes(), run=run.id, step=step)))
    with Image.open(io.BytesIO(answer.body)) as picture:
        found = np.asarray(picture)
    expected = run.reconstruct(run.images.images[[7]]).array[0, 0] * 255
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.5001)
    assert routes.rebuilt_address(run) == f"/genlab/rebuilt/{run.id}"
    for body, at, said in (
        (np.int32(run.images.count).tobytes(), step, "Send the number of one image"),
        (b"", step, "Send the number of one image"),
        (np.int32(7).tobytes(), step + 1, f"no checkpoint at step {step + 1}"),
    ):
        refused = asyncio.run(routes.rebuilt(request(body, run=run.id, step=at)))
        assert refused.status_code == 422
        assert said in sentence(refused)


def test_a_page_of_another_site_cannot_ask(run: genlab.Run) -> None:
    answer = asyncio.run(routes.decode(request(bytes(8), type="text/plain", run=run.id)))
    assert answer.status_code == 415
    assert asyncio.run(routes.rebuilt(request(bytes(4), type="text/plain", run=run.id, step=1))).status_code == 415


def test_only_the_files_of_the_views_are_handed_out() -> None:
    good = asyncio.run(routes.web_file(request(name="plane.mjs", version="x")))
    assert good.media_type == "text/javascript"
    for name in ("../browser.py", "LICENSE", "__init__.py", "/etc/passwd"):
        assert asyncio.run(routes.web_file(request(name=name, version="x"))).status_code == 404
