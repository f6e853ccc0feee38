"""What pages fetch beside Streamlit's own: scripts, the ONNX runtime, decoders, pictures of codes where these fail, plays."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

import genlab
from genlab.core.errors import BadInputError, GenlabError
from genlab.ui.theatre_route import play
from genlab.workspace.export import decoder_key

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

HERE = Path(__file__).parent
FOLDERS = (HERE / "components" / "web", HERE / "vendor" / "onnxruntime-web")
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css"}
RUNTIME = "ort-wasm-simd-threaded.wasm"
LARGEST = 3_000_000 * 4 + 2**18  # bytes of a decoder that a browser is given: 3 million parameters
MOST_CODES = 4096  # in one question
OCTETS = "application/octet-stream"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def served_files() -> Mapping[str, Path]:
    """The files that browsers may fetch, by name."""
    found = (path for folder in FOLDERS for path in folder.glob("*") if path.suffix in TYPES)
    return {path.name: path for path in found}


@cache
def version() -> str:
    """A name for just these files: another content has another address, so that browsers may keep what they have."""
    digest = hashlib.blake2b(digest_size=6)
    for name, path in sorted(served_files().items()):
        digest.update(name.encode() + (b"" if path.suffix == ".wasm" else path.read_bytes()))
    return digest.hexdigest()


def base() -> str:
    """Where the routes below begin, as a path on this server."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}/genlab" if path else "/genlab"


def web_address() -> str:
    """The folder of the scripts, with a slash at its end."""
    return f"{base()}/web/{version()}/"


def has_runtime() -> bool:
    """Whether decoders can run in the browser: the runtime is fetched when genlab is installed, where npm is there."""
    return RUNTIME in served_files()


def decoder_addresses(run: genlab.Run) -> dict[str, Any]:
    """What a browser must know to decode codes of a run: its graph, the route that decodes instead, and the shape."""
    key = decoder_key(run)
    return {
        "graph": f"{base()}/decoder/{run.id}/{key}.onnx" if has_runtime() else None,
        "route": f"{base()}/decode/{run.id}",
        "name": f"{run.id}/{key}",
        "shape": list(run.config.data.shape),
    }


def rebuilt_address(run: genlab.Run) -> str:
    """Where the checkpoints of a run rebuild images of its set: a step follows; "" where it cannot."""
    return f"{base()}/rebuilt/{run.id}" if run.can("encodes", "decodes") else ""


def _run(request: Request) -> genlab.Run:
    return genlab.Workspace(os.environ.get("GENLAB_HOME") or None).runs[request.path_params["run"]]


async def web_file(request: Request) -> Response:
    """A script, a style or the runtime."""
    path = served_files().get(request.path_params["name"])
    if path is None:
        return Response(status_code=404)
    return FileResponse(path, media_type=TYPES[path.suffix], headers=FOREVER)


def decoder(request: Request) -> Response:
    """A run's decoder as ONNX, exported if need be; a sentence with status 422 where a browser cannot have it."""
    try:
        file = _run(request).decoder()
        size = file.stat().st_size
        if size > LARGEST:
            raise BadInputError(
                f"This decoder has about {size / 4e6:.1f} million parameters, more than the 3 million that a browser runs well."
            )
    except GenlabError as error:
        return JSONResponse({"error": str(error)}, 422)
    asked_for = request.path_params["key"] in file.name  # else the run has learned more since
    headers = FOREVER if asked_for else {"Cache-Control": "no-store"}
    return FileResponse(file, media_type=OCTETS, headers=headers)


async def decode(request: Request) -> Response:
    """Pixels as bytes (N, C, H, W) of codes as float32 (N, D): for decoders that no browser can run."""
    return await _answered(request, _pixels, OCTETS)


async def rebuilt(request: Request) -> Response:
    """What a checkpoint of a run rebuilds of the image whose number is sent as int32, as a PNG."""
    step = request.path_params["step"]
    return await _answered(request, lambda run, body: _rebuilt(run.at(step), body), "image/png")


async def _answered(request: Request, answer: Callable[[genlab.Run, bytes], bytes], type: str) -> Response:
    """What is computed of the bytes that were sent, or one sentence that says why not.

    A question from another site's page is refused by its content type, which no page may send unasked.
    """
    if request.headers.get("content-type") != OCTETS:
        return JSONResponse({"error": f"Send numbers as {OCTETS}."}, 415)
    body = await request.body()
    try:
        found = await run_in_threadpool(lambda: answer(_run(request), body))  # finding the run may wait for the index
    except GenlabError as error:
        return JSONResponse({"error": str(error)}, 422)
    return Response(found, media_type=type, headers={"Cache-Control": "no-store"})


def _pixels(run: genlab.Run, body: bytes) -> bytes:
    model: Any = run.model()
    if not body or len(body) % (4 * model.latent_dim) or len(body) > 4 * model.latent_dim * MOST_CODES:
        raise BadInputError(f"Send 1 to {MOST_CODES} codes of {model.latent_dim} float32 numbers each.")
    codes = np.frombuffer(body, dtype="<f4").reshape(-1, model.latent_dim)
    return np.rint(run.decode(codes).array * 255).astype(np.uint8).tobytes()


def _rebuilt(run: genlab.Run, body: bytes) -> bytes:
    number = int.from_bytes(body, "little")
    if len(body) != 4 or number >= run.images.count:
        raise BadInputError(f"Send the number of one image, 0 to {run.images.count - 1}, as int32.")
    file = io.BytesIO()
    run.reconstruct(np.asarray(run.images.images[[number]])).picture().save(file, "PNG", compress_level=1)
    return file.getvalue()


def extra_routes() -> list[BaseRoute]:
    """The routes, for `streamlit.App`."""
    start = base()
    return [
        Route(f"{start}/web/{{version}}/{{name}}", web_file),
        Route(f"{start}/decoder/{{run}}/{{key}}.onnx", decoder),
        Route(f"{start}/decode/{{run}}", decode, methods=["POST"]),
        Route(f"{start}/rebuilt/{{run}}/{{step:int}}", rebuilt, methods=["POST"]),
        Route(f"{start}/theatre", play, methods=["POST"]),
    ]


@asynccontextmanager
async def opening(_app: Any) -> AsyncIterator[None]:
    """While the server runs: once it answers, a browser is shown the laboratory, unless it was told to stay headless."""
    task = None if st.get_option("server.headless") else asyncio.create_task(_open_browser())
    yield
    if task:
        task.cancel()


async def _open_browser() -> None:
    import webbrowser

    address, port = st.get_option("server.address") or "127.0.0.1", st.get_option("server.port")
    for _ in range(300):
        await asyncio.sleep(0.1)
        with suppress(OSError), socket.create_connection((address, port), timeout=1):
            await run_in_threadpool(webbrowser.open, f"http://{address}:{port}{base().removesuffix('/genlab')}")
            return
