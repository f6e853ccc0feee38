"""Views whose code the server hands out as modules: each is a file `web/NAME.mjs` with a function `mount`."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from genlab.ui.routes import web_address

WEB = Path(__file__).parent / "web"
SHIM = """
const views = new WeakMap();
export default async function (component) {
  const root = component.parentElement;
  if (!views.has(root)) {
    views.set(root, import(new URL(component.data.web + "VIEW.mjs", location.href).href).then(module => module.mount(component)));
  }
  try {
    const view = await views.get(root);
    view.update(component);
    return () => { // called too where another update has overtaken this one: then the view is in use
      if (root.isConnected) return;
      views.delete(root);
      view.destroy();
    };
  } catch (error) {
    console.error(error);
    root.querySelector(".genlab").textContent = "This part of the page did not start; reload the page.";
  }
}
"""


@cache
def _view(name: str) -> Any:
    return st.components.v2.component(
        f"genlab_{name}",
        html="<div class='genlab'></div>",
        css="".join(
            file.read_text(encoding="utf-8") for file in (WEB / "explore.css", WEB / f"{name}.css") if file.is_file()
        ),
        js=SHIM.replace("VIEW", name),
    )


def view(name: str, data: dict[str, Any], *, key: str, **heard: Any) -> Any:
    """Show `web/NAME.mjs` with its data; returns what it told. `heard` are callbacks such as `on_place_change`."""
    return _view(name)(key=key, data={"web": web_address(), **data}, **heard)


def doubles(array: np.ndarray) -> str:
    """Numbers as base64 of float64, so that the browser samples what Python does.

    >>> doubles(np.array([1.0]))
    'AAAAAAAA8D8='
    """
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f8").tobytes()).decode()
