"""What a browser must know to show a plane of latent space, and a folder that shows one without Python."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.palette import PALETTE
from genlab.runs.files import copy_file

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane
    from genlab.workspace.run import Run

UI = Path(genlab.__file__).parent / "ui"
VIEWS, RUNTIME = UI / "components" / "web", UI / "vendor" / "onnxruntime-web"

README = """# {title}

A plane of the latent space of “{title}” ({model}, {data}), decoded in the browser: drag across it.

Browsers read such pages from a server only. Any server of files will do, for example, in this folder:

    python3 -m http.server --bind 127.0.0.1 8000      then open http://127.0.0.1:8000
    npx serve                                          or whatever serves a web site, a school's own included

Nothing is asked of any other machine. `decoder.onnx` takes codes (N, {size}) and gives images (N, {shape}) in [0, 1].
`web/` holds genlab's views (MIT) and the ONNX runtime of Microsoft (MIT, see web/LICENSE).
"""


def packed(array: np.ndarray) -> str:
    """Numbers as base64 of float32, which the browser reads as they are.

    >>> packed(np.array([1.0, 2.0]))
    'AACAPwAAAEA='
    """
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def ground_of(plane: LatentPlane) -> dict[str, Any]:
    """A plane and the codes around it, as the views of the browser take them."""
    return {
        "frame": {part: array.tolist() for part, array in plane.frame._asdict().items()},
        "extent": plane.extent,
        "points": packed(plane.places),
        "labels": None if plane.labels is None else plane.labels.tolist(),
        "palette": PALETTE,
        "usual": plane.usual,
        "width": plane.width,
    }


def view_of(run: Run, plane: LatentPlane, names: Sequence[str]) -> dict[str, Any]:
    """All that the view of a plane takes but its decoder; `names` are those of the corners, none for two dimensions."""
    flat = not len(plane.corners)
    middle = plane.places[int(np.argmin(np.linalg.norm(plane.places, axis=1))), :2].tolist()
    return ground_of(plane) | {
        "corners": [{"name": name, "at": at} for name, at in zip(names, plane.corners.tolist(), strict=True)],
        "axes": ["z1", "z2"] if flat else ["x", "y"],
        "noun": "draws from the prior" if plane.indices is None else "real images",
        "place": middle if flat else [0.0, 0.0],
        "pins": [],
        "label": f"A plane of the latent space of {run.title}. Drag, or use the arrow keys; Enter pins a picture.",
    }


def write_exhibit(run: Run, folder: Path, corners: Any = None, names: Sequence[str] = ()) -> Path:
    """A folder that shows a plane of a run's latent space in any browser, from any server of files and without Python.

    `corners` are three images or codes with their `names`; None shows two dimensions whole. Raises `BadInputError` for a
    folder that holds something already, and where the runtime for browsers is missing.
    """
    if not list(RUNTIME.glob("*.wasm")):
        raise BadInputError(
            "An exhibit needs the ONNX runtime for browsers, which was not fetched when genlab was installed; "
            "install npm, then install genlab again."
        )
    if folder.exists() and any(folder.iterdir()):
        raise BadInputError(f"{folder} is not empty; choose a new folder.")
    plane, decoder = run.latent_plane(corners), run.decoder()
    shape = list(run.config.data.shape)
    data = view_of(run, plane, names) | {
        "name": run.id,
        "decoder": {"graph": "decoder.onnx", "route": None, "name": run.id, "shape": shape},
    }
    for source in (*VIEWS.glob("*"), *RUNTIME.glob("*")):
        if source.is_file() and source.name != "exhibit.html":
            copy_file(source, folder / "web" / source.name)
    shutil.copyfile(VIEWS / "exhibit.html", folder / "index.html")
    copy_file(decoder, folder / "decoder.onnx")
    about = {"title": run.title, "model": run.config.title, "data": run.config.data.title, "count": len(plane.places)}
    (folder / "data.json").write_text(json.dumps({"about": about, "plane": data}), encoding="utf-8")
    said = README.format(
        title=run.title, model=run.config.title, data=run.config.data.title,
        size=len(plane.frame.origin), shape=", ".join(map(str, shape)),
    )  # fmt: skip
    (folder / "README.md").write_text(said, encoding="utf-8")
    return folder
