"""How Streamlit calls the code of a component: an update may be overtaken by the next, and is then told to clean up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Laboratory, needs_chromium

from genlab.ui.components import browser, scatter

pytestmark = needs_chromium

VIEW = "export const mount = () => ({ update() {}, destroy() { window.left += 1; } });"
MAP = {
    "rows": "none", "count": 0, "points": "data:application/octet-stream;base64,", "sheet": None, "palette": ["#0072B2"],
    "sequential": ["#000000", "#ffffff"], "symbols": [], "axes": ["z1", "z2"], "marks": [], "when": None, "rebuilt": "",
    "colours": {"title": "", "names": [], "codes": None}, "chosen": "", "asked": 0, "label": "a map", "pictures": 0,
    "noun": "image", "drops": False,
}  # fmt: skip
CALLS = """async ([code, html, data]) => {
  window.left = 0;
  const disconnect = ResizeObserver.prototype.disconnect;
  ResizeObserver.prototype.disconnect = function () { window.left += 1; disconnect.call(this); };
  const { default: show } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const host = document.body.appendChild(document.createElement("div")), root = host.attachShadow({ mode: "open" });
  root.innerHTML = html;
  const component = { name: "it", key: "it", data, parentElement: root, setStateValue() {}, setTriggerValue() {} };
  const first = show(component), second = show(component);
  (await first)();
  const overtaken = window.left;
  const end = await second;
  host.remove();
  end();
  return [overtaken, window.left];
}"""


@pytest.fixture
def tab(lab: Laboratory, chromium: Any) -> Iterator[Any]:
    """A page of the laboratory's server where nothing of Streamlit runs."""
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/stub/VIEW.mjs", lambda route: route.fulfill(body=VIEW, content_type="text/javascript"))
    page.goto(f"{lab.url}/_stcore/health")
    yield page
    context.close()


def test_a_view_whose_update_was_overtaken_stays_in_use_until_it_leaves_the_page(tab: Any) -> None:
    assert tab.evaluate(CALLS, [browser.SHIM, "<div class='genlab'></div>", {"web": "/stub/"}]) == [0, 1]


def test_a_map_whose_update_was_overtaken_stays_in_use_until_it_leaves_the_page(tab: Any) -> None:
    code = "\n".join((scatter.HERE / part).read_text(encoding="utf-8") for part in scatter.PARTS)
    html = (scatter.HERE / "scatter.html").read_text(encoding="utf-8")
    assert tab.evaluate(CALLS, [code, html, MAP]) == [0, 1]
