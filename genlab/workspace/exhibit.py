"""What a browser must know to show a plane of latent space, and folders and single files that show one without Python."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.palette import PALETTE
from genlab.runs.files import copy_file, write_atomically

if TYPE_CHECKING:
    from genlab.workspace.results import LatentPlane
    from genlab.workspace.run import Run

UI = Path(genlab.__file__).parent / "ui"
VIEWS, RUNTIME = UI / "components" / "web", UI / "vendor" / "onnxruntime-web"
LICENCE = RUNTIME / "LICENSE"

PARTS = "<!-- parts -->"  # the place in exhibit.html for what differs
SERVED = """<link rel="stylesheet" href="web/explore.css">
<script type="module">
  import { show } from "./web/exhibit.mjs";
  const told = await (await fetch("data.json")).json();
  told.plane.decoder.graph = new URL(told.plane.decoder.graph, location.href).href; // the worker has another address
  show(told);
</script>"""

README = """# {title}

A plane of the latent space of “{title}” ({model}, {data}), decoded in the browser: drag across it.

Browsers read such folders from a server only (`genlab exhibit RUN page.html` writes one file that opens by a double click).
Any server of files will do, for example, in this folder:

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


def write_exhibit(run: Run, target: Path, corners: Any = None, names: Sequence[str] = ()) -> Path:
    """What shows a plane of a run's latent space in any browser and without Python: a folder, for any server of files, or
    where the name ends in .html one file that opens by itself.

    `corners` are three images or codes with their `names`; None shows two dimensions whole. Raises `BadInputError` for a
    folder that holds something already, where the runtime for browsers is missing, and for a decoder that cannot be exported.
    """
    if not list(RUNTIME.glob("*.wasm")):
        raise BadInputError(
            "An exhibit needs the ONNX runtime for browsers, which was not fetched when genlab was installed; "
            "install npm, then install genlab again."
        )
    alone = target.suffix.lower() == ".html"
    if alone and target.is_dir():
        raise BadInputError(f"{target} is a folder; choose another name for the file.")
    if not alone and target.exists() and any(target.iterdir()):
        raise BadInputError(f"{target} is not empty; choose a new folder.")
    plane, decoder = run.latent_plane(corners), run.decoder()
    about = {"title": run.title, "model": run.config.title, "data": run.config.data.title, "count": len(plane.places)}
    shape = list(run.config.data.shape)
    told = {"graph": "decoder.onnx", "route": None, "name": run.id, "shape": shape}
    data = json.dumps({"about": about, "plane": view_of(run, plane, names) | {"name": run.id, "decoder": told}})
    if alone:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, _one_file(data, decoder).encode())
    else:
        _write_folder(target, data, decoder)
        said = README.format(**about, size=len(plane.frame.origin), shape=", ".join(map(str, shape)))
        (target / "README.md").write_text(said, encoding="utf-8")
    return target


def named_parts(name: str) -> list[str]:
    """The files of the views and of the runtime that a module of the views names."""
    path = VIEWS / name
    return re.findall(r'"(?:\./)?([\w.-]+\.(?:mjs|wasm))"', path.read_text(encoding="utf-8")) if path.is_file() else []


def parts_of(name: str) -> dict[str, Path]:
    """A module, and all that it names and they name in turn, where they lie; what is named comes first."""
    found: dict[str, Path] = {}
    for other in named_parts(name):
        found |= parts_of(other)
    return found | {name: next(path for path in (VIEWS / name, RUNTIME / name) if path.is_file())}


def _write_folder(folder: Path, data: str, decoder: Path) -> None:
    for name, path in {**parts_of("exhibit.mjs"), "explore.css": VIEWS / "explore.css", "LICENSE": LICENCE}.items():
        copy_file(path, folder / "web" / name)
    copy_file(decoder, folder / "decoder.onnx")
    (folder / "data.json").write_text(data, encoding="utf-8")
    (folder / "index.html").write_text(_frame().replace(PARTS, SERVED), encoding="utf-8")


def _one_file(data: str, decoder: Path) -> str:
    """A page that holds all of its parts as compressed text."""
    fixed = "\n".join(_packed_part(name, path) for name, path in parts_of("exhibit.mjs").items())
    own = _script("decoder.onnx", decoder.read_bytes()) + _script("data.json", data.encode())
    style, begin = ((VIEWS / name).read_text(encoding="utf-8") for name in ("explore.css", "exhibit_file.mjs"))
    said = f"<!--\nThe ONNX runtime, which decodes:\n\n{LICENCE.read_text(encoding='utf-8')}-->"
    parts = f'<style>\n{style}</style>\n{said}\n{fixed}\n{own}<script type="module">\n{begin}</script>'
    return _frame().replace(PARTS, parts)


def _frame() -> str:
    return (VIEWS / "exhibit.html").read_text(encoding="utf-8")


@lru_cache(maxsize=32)
def _packed_part(name: str, path: Path) -> str:
    return _script(name, path.read_bytes(), [other for other in named_parts(name) if other.endswith(".mjs")])


def _script(name: str, content: bytes, names: Sequence[str] = ()) -> str:
    """A part of a page, which the page itself unpacks; `names` are the other parts that it names."""
    text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    naming = f' data-names="{" ".join(dict.fromkeys(names))}"' if names else ""
    return f'<script type="text/plain" data-part="{name}"{naming}>{text}</script>'
