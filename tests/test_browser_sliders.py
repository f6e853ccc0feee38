"""Sliders whose pictures a real Chromium decodes as they move: PyTorch's pixels, and nothing asked while they are dragged."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Laboratory, at_rest, download, eventually, needs_chromium, pixels, visits

import genlab
from genlab.ui.explore_pick import one_of_each
from genlab.ui.explore_styles import mean_style
from genlab.ui.routes import has_runtime

RUN = "digits-plane"
VIEW = ".genlab"
LISTENING = """window.told = 0; const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (message) {  // the sidebar asks now and then too; counted is what a slider says
  window.told += /"strength"/.test(new TextDecoder().decode(message));
  return send.call(this, message);
};"""

pytestmark = needs_chromium
with_runtime = pytest.mark.skipif(not has_runtime(), reason="the runtime was not fetched, as npm was not there")


def exported(lab: Laboratory, name: str) -> genlab.Run:
    """A run whose decoder is there for the browser already."""
    run = genlab.Workspace(lab.home).runs[name]
    run.decoder()
    return run


@pytest.fixture(scope="module")
def run(lab: Laboratory) -> genlab.Run:
    return exported(lab, RUN)


@pytest.fixture(scope="module")
def context(chromium: Any) -> Any:
    opened = chromium.new_context(viewport={"width": 1280, "height": 1400}, accept_downloads=True)
    opened.add_init_script(LISTENING)
    return opened


@pytest.fixture
def visit(lab: Laboratory, context: Any) -> Iterator[Callable]:
    """Opens pages with a slider that stands and has shown its pictures."""
    with visits(lab, context) as visit:

        def opened(where: str = "browser", **query: str) -> Any:
            tab = visit("interpolate", **{"run": RUN, **query})
            tab.locator(f"{VIEW}[data-where='{where}'][data-shown]").wait_for()
            at_rest(tab)
            return tab

        yield opened


def strength(tab: Any) -> float:
    return float(tab.locator(VIEW).evaluate("root => root.strength.at"))


def shown(tab: Any) -> np.ndarray:
    """The first channel (N, H, W) of the pictures, once they are those of where the slider stands."""
    eventually(
        lambda: tab.locator(VIEW).evaluate("root => Number(root.dataset.shown) === root.strength.at"), "they are of now"
    )
    return np.stack([pixels(canvas)[..., 0] for canvas in tab.locator(f"{VIEW} canvas").all()])


def drag(tab: Any, share: float) -> None:
    """The mouse, held down, to a share of the slider's length."""
    box = tab.locator(f"{VIEW} input[type=range]").bounding_box()
    tab.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=4)


@with_runtime
def test_codes_move_along_two_selections_while_the_strength_is_dragged(visit: Callable, run: genlab.Run) -> None:
    asked = {"way": "Attributes", "attribute-of": "Selections", "these": "3,8-10", "those": "20-22", "edited": "5,6"}
    tab = visit(**asked, strength="2.0")
    every = run.encode(run.images.tensor([3, 8, 9, 10, 20, 21, 22, 5, 6]).numpy()).mean.astype(np.float64)
    direction = every[:4].mean(0) - every[4:7].mean(0)
    drag(tab, 0.5)
    tab.mouse.down()
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    told, seen = tab.evaluate("window.told"), []
    for share in (0.6, 0.9, 0.2, 0.75):
        drag(tab, share)
        seen.append((share, strength(tab), shown(tab)))
    assert requests == []
    assert tab.evaluate("window.told") == told
    for share, at, found in seen:
        assert at == pytest.approx(-2 + 4 * share, abs=0.15)
        expected = run.decode(every[7:] + at * direction).array[:, 0] * 255
        np.testing.assert_allclose(found, expected, rtol=0, atol=2)
    assert len({found.tobytes() for _, _, found in seen}) == 4
    tab.mouse.up()
    tab.wait_for_url(re.compile(rf"[?&]s={at:.4g}"))
    assert tab.evaluate("window.told") > told
    row = next(csv.DictReader(download(tab, "Their codes (CSV)").path().read_text().splitlines()))
    np.testing.assert_allclose([float(row["z0"]), float(row["z1"])], every[7] + at * direction, atol=1e-6)
    again = visit(**asked, strength="2.0", s=f"{at:.4g}")
    np.testing.assert_array_equal(shown(again), seen[-1][2])


@with_runtime
def test_a_strength_is_taken_back_and_put_to_rest(visit: Callable, run: genlab.Run) -> None:
    tab = visit(way="Attributes")
    codes = run.codes(run.images.tensor(one_of_each(run.images, 1)).numpy())
    unmoved = shown(tab)
    np.testing.assert_allclose(unmoved[0], run.decode(codes).array[0, 0] * 255, rtol=0, atol=2)
    tab.locator(f"{VIEW} input[type=range]").focus()
    tab.keyboard.press("End")
    tab.wait_for_url(re.compile(r"[?&]s=1\b"))
    moved = shown(tab)
    assert np.abs(moved.astype(int) - unmoved).max() > 30
    tab.keyboard.press("Control+z")
    tab.wait_for_url(lambda url: "s=1" not in url)
    assert (strength(tab), np.abs(shown(tab).astype(int) - unmoved).max()) == (0, 0)
    tab.get_by_role("button", name="Redo").click()
    tab.wait_for_url(re.compile(r"[?&]s=1\b"))
    np.testing.assert_array_equal(shown(tab), moved)
    tab.get_by_role("button", name="Not moved").click()
    tab.wait_for_url(lambda url: "s=1" not in url)
    np.testing.assert_array_equal(shown(tab), unmoved)


def test_the_server_decodes_a_strength_where_the_browser_cannot(visit: Callable, context: Any, run: genlab.Run) -> None:
    context.route("**/genlab/decoder/**", lambda route: route.abort())
    tab = visit(where="server", way="Attributes", s="0.5")
    context.unroute("**/genlab/decoder/**")
    tab.get_by_text("Decoded on the server, as it cannot be done in the browser").wait_for()
    before = shown(tab)
    tab.locator(f"{VIEW} input[type=range]").fill("-0.8")
    assert strength(tab) == pytest.approx(-0.8)
    assert np.abs(shown(tab).astype(int) - before).max() > 30


@with_runtime
def test_truncation_pulls_styles_to_their_mean(visit: Callable, lab: Laboratory) -> None:
    run = exported(lab, "digits-stylegan")
    tab = visit(run=run.id, way="Style mixing", rows="2", columns="1", seed="5")
    mean, styles = mean_style(run), np.concatenate([run.codes(seed) for seed in (5, 6, 7)])
    np.testing.assert_allclose(shown(tab), run.decode(styles).array[:, 0] * 255, rtol=0, atol=2)
    drag(tab, 0.5)
    tab.mouse.down()
    told = tab.evaluate("window.told")
    for share in (0.0, 0.35, 0.9):
        drag(tab, share)
        pulled = mean + strength(tab) * (styles - mean)
        np.testing.assert_allclose(shown(tab), run.decode(pulled).array[:, 0] * 255, rtol=0, atol=2)
    assert tab.evaluate("window.told") == told
    tab.mouse.up()
    tab.wait_for_url(re.compile(r"truncation=1\.\d"))
    drawn = run.sample(1, seed=5, temperature=0.6).array[0]
    (style,) = run.codes(5)
    np.testing.assert_allclose(run.decode(mean[0] + 0.6 * (style - mean[0])).array[0], drawn, atol=1e-4)


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained("ERR_FAILED")
