"""What is decoded in a real Chromium while a finger moves: the same pixels as PyTorch, and nothing asked of anybody."""

from __future__ import annotations

import contextlib
import csv
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Laboratory, array, at_rest, download, eventually, needs_chromium, pixels, visits

import genlab
from genlab.latent import TripletSettings, sample_triplet_codes
from genlab.latent.triplets import inward_steps, uniform_draws
from genlab.latent.walks import lerp, slerp
from genlab.ui.routes import has_runtime, web_address

RUN = "digits-plane"
VIEW = ".genlab"
LISTENING = """window.told = 0; const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (message) {  // the sidebar asks now and then too; counted is what a view says
  window.told += /"(place|pins|radii)"/.test(new TextDecoder().decode(message));
  return send.call(this, message);
};"""

pytestmark = needs_chromium
with_runtime = pytest.mark.skipif(not has_runtime(), reason="the runtime was not fetched, as npm was not there")


@pytest.fixture(scope="module")
def run(lab: Laboratory) -> genlab.Run:
    found = genlab.Workspace(lab.home).runs[RUN]
    found.decoder()
    return found


@pytest.fixture(scope="module")
def context(chromium: Any) -> Any:
    opened = chromium.new_context(viewport={"width": 1280, "height": 1600}, accept_downloads=True)
    opened.add_init_script(LISTENING)
    return opened


@contextlib.contextmanager
def opened_views(lab: Laboratory, context, view: str, **always: str) -> Iterator[Callable]:
    """Opens pages with a view that stands and has shown a picture; in the end none of them has complained."""
    with visits(lab, context) as visit:

        def opened(page: str, where: str = "browser", **query: str) -> Any:
            tab = visit(page, **{**always, **query})
            tab.locator(f"{view}[data-where='{where}'][data-shown]").wait_for()
            at_rest(tab)
            return tab

        yield opened


@pytest.fixture
def visit(lab: Laboratory, context, run: genlab.Run) -> Iterator[Callable]:
    """Opens pages for one test; the view on each stands and has shown a picture."""
    with opened_views(lab, context, VIEW, run=RUN) as opened:
        yield opened


@pytest.fixture(scope="module")
def script(lab: Laboratory, context: Any) -> Iterator[Callable]:
    """What an expression gives of `m`, one of the scripts, and of `given`: on a page with nothing else on it."""
    tab = context.new_page()
    tab.goto(f"{lab.url}/_stcore/health")

    def told(module: str, body: str, given: object) -> Any:
        address = f"{web_address()}{module}"
        return tab.evaluate(f"async given => {{ const m = await import({address!r}); return {body}; }}", given)

    yield told
    tab.close()


def inside(tab, ask: str):
    """A value from within the view: `ask` is an expression of `view`."""
    return tab.locator(VIEW).evaluate(f"(root) => {{ const view = root.plane; return {ask}; }}")


def shown(tab, run: genlab.Run) -> np.ndarray:
    """Pixels (C, H, W) of the picture that stands on the page, once it is that of the present place."""
    eventually(
        lambda: inside(tab, "view.shown && view.shown.place.join() === view.place.join()"), "the picture is of now"
    )
    bytes = array(tab.locator(VIEW), "root.plane.shown.pictures.bytes").reshape(*run.config.data.shape[1:], 4)
    np.testing.assert_array_equal(pixels(tab.locator(f"{VIEW} canvas.picture")), bytes)
    return bytes[..., : run.config.data.shape[0]].transpose(2, 0, 1)


def finger(tab) -> dict[str, float]:
    canvas = tab.locator(f"{VIEW} canvas.finger")
    canvas.scroll_into_view_if_needed()
    return canvas.bounding_box()


@with_runtime
def test_a_drag_decodes_what_pytorch_decodes_and_asks_nobody(visit: Callable, run: genlab.Run) -> None:
    tab = visit("latent")
    plane, box = run.latent_plane(), finger(tab)
    left, right, bottom, top = plane.extent
    tab.mouse.move(box["x"] + 20, box["y"] + 20)
    tab.mouse.down()
    asked: list[str] = []
    told = tab.evaluate("window.told")
    tab.on("request", lambda request: asked.append(request.url))
    seen = []
    for across, down in [(0.5, 0.5), (0.2, 0.3), (0.9, 0.6), (0.45, 0.95), (0.02, 0.98)]:
        tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=5)
        pixels = shown(tab, run)
        place = np.array(inside(tab, "view.place"))
        expected = [left + across * (right - left), top - down * (top - bottom)]
        np.testing.assert_allclose(place, expected, atol=2 * (right - left) / box["width"])
        decoded = run.decode(plane.frame.codes(place)).array[0] * 255
        np.testing.assert_allclose(pixels, decoded, rtol=0, atol=2)
        seen.append(pixels)
    assert not asked
    assert tab.evaluate("window.told") == told
    assert len({picture.tobytes() for picture in seen}) == len(seen)
    tab.mouse.up()
    tab.get_by_text("whose codes lie nearest to the place let go of").wait_for()
    assert tab.evaluate("window.told") > told
    tab.wait_for_url(re.compile(r"at=-?\d+\.\d{3}%2C-?\d"))


def test_the_server_decodes_where_the_browser_cannot_and_the_page_says_so(
    visit: Callable, context, run: genlab.Run
) -> None:
    context.route("**/genlab/decoder/**", lambda route: route.abort())
    tab = visit("latent", where="server")
    context.unroute("**/genlab/decoder/**")
    tab.get_by_text("Decoded on the server, as it cannot be done in the browser").wait_for()
    box = finger(tab)
    tab.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    pixels = shown(tab, run)
    place = np.array(inside(tab, "view.place"))
    np.testing.assert_allclose(pixels, run.decode(place).array[0] * 255, rtol=0, atol=1)
    tab.mouse.up()


@with_runtime
def test_keys_move_and_pin_and_pins_are_taken_away(visit: Callable, run: genlab.Run) -> None:
    tab = visit("latent")
    before = inside(tab, "view.place")
    tab.locator(f"{VIEW} canvas.finger").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        tab.keyboard.press(key)
    place = inside(tab, "view.place")
    assert place[0] > before[0]
    assert place[1] > before[1]
    shown(tab, run)
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Go to pin 1").wait_for()
    given = download(tab, "Their codes (CSV)")
    row = next(csv.DictReader(given.path().read_text().splitlines()))
    np.testing.assert_allclose([float(row["z1"]), float(row["z2"])], place, atol=1e-9)
    tab.get_by_role("button", name="Take out pin 1").click()
    tab.get_by_role("button", name="Their codes (CSV)").wait_for(state="detached")


@with_runtime
def test_a_plane_is_taken_along_as_one_file(visit: Callable, run: genlab.Run, tmp_path: Path) -> None:
    tab = visit("latent")
    tab.get_by_text("Take this plane along").click()
    tab.get_by_text(re.compile(r"About [56] MB, of which 5 MB are the ONNX runtime")).wait_for()
    at_rest(tab)
    expected = run.exhibit(tmp_path / "page.html").read_bytes()
    given = download(tab, "One HTML file")
    assert given.suggested_filename.endswith("-exhibit.html")
    assert given.path().read_bytes() == expected
    given = download(tab, "A folder (zip)")
    with zipfile.ZipFile(given.path()) as archive:
        assert {"index.html", "data.json", "decoder.onnx", "web/plane.mjs", "web/LICENSE"} <= set(archive.namelist())


def test_what_is_far_from_every_code_is_told_so(visit: Callable, run: genlab.Run) -> None:
    plane = run.latent_plane()
    left, right, bottom, top = plane.extent
    corner = np.array([right, top]) * 0.999 + 0.001 * np.array([left, bottom])
    far = np.linalg.norm(plane.places[:, :2] - corner, axis=1).min() / plane.usual
    assert far > 1.5
    tab = visit("latent", at=f"{corner[0]:.3f},{corner[1]:.3f}")
    tab.get_by_text(f"{far:.1f} times as far from real images").wait_for()
    middle = plane.places[np.argmin(np.linalg.norm(plane.places[:, :2], axis=1)), :2]
    tab = visit("latent", at=f"{middle[0]:.3f},{middle[1]:.3f}")
    tab.get_by_text("As near to real images as they are to one another.").wait_for()


def test_the_arithmetic_of_the_browser_is_that_of_python(script: Callable) -> None:
    rng = np.random.default_rng(4)
    a, b, t = rng.normal(size=9), rng.normal(size=9), np.linspace(0, 1, 5)
    opposite = [(a, -2 * a), (a, np.zeros(9)), (a, 3 * a), (a, b)]
    for start, end in opposite:
        for name, function in (("lerp", lerp), ("slerp", slerp)):
            given = {"a": start.tolist(), "b": end.tolist(), "t": t.tolist()}
            found = script("latent.mjs", f"given.t.map(t => [...m.{name}(given.a, given.b, t)])", given)
            np.testing.assert_allclose(found, function(start, end, t), atol=1e-12)
    points, extent = rng.normal(size=(40, 3)), (-2.0, 2.0, -1.5, 2.5)
    given = {"points": points.ravel().tolist(), "extent": extent}
    body = "(f => [[...f.distance], [...f.density]])(m.field(given.points, given.extent, 8, 0.7))"
    distance, density = np.array(script("latent.mjs", body, given)).reshape(2, 8, 8)
    x, y = np.meshgrid(-2 + (np.arange(8) + 0.5) / 2, 2.5 - (np.arange(8) + 0.5) / 2)
    apart = np.linalg.norm(np.stack([x, y, np.zeros_like(x)], -1)[..., None, :] - points, axis=-1)
    np.testing.assert_allclose(distance, apart.min(-1), rtol=1e-6)
    kernel = np.exp(-0.5 * (apart / 0.7) ** 2).sum(-1)
    np.testing.assert_allclose(density, kernel / kernel.max(), rtol=1e-5)


@pytest.mark.parametrize("stochastic", ["off", "per_draw", "per_dimension"])
def test_triplets_of_the_browser_are_those_of_algorithm_3(script: Callable, stochastic: str) -> None:
    rng = np.random.default_rng(7)
    mean, log_var, middle = rng.normal(size=(2, 6)), rng.normal(size=(2, 6)), rng.normal(size=6)
    settings = TripletSettings(stochastic_radius=stochastic, positive_radius=0.2, negative_radius=0.7)
    draws = uniform_draws(6, 6, settings, np.random.default_rng(5))
    steps = inward_steps(mean, log_var, middle)
    repeated = [np.repeat(array, 3, axis=0) for array in (mean, log_var)]
    expected = sample_triplet_codes(*repeated, middle, generator=np.random.default_rng(5), **settings.model_dump())
    for row in range(6):
        given = {
            "anchor": {
                "mean": mean[row // 3].tolist(),
                "steps": steps[row // 3].tolist(),
            },
            "radii": {"positive": 0.2, "negative": 0.7},
            "toward": {"positive": settings.positive_toward_mean, "negative": settings.negative_toward_mean},
            "draw": {role: None if array is None else array[row].tolist() for role, array in draws.items()},
        }
        body = "Object.values(m.sampled(given.anchor, given.radii, given.toward, given.draw)).map(c => [...c])"
        np.testing.assert_allclose(script("latent.mjs", body, given), [side[row] for side in expected], atol=1e-12)


@with_runtime
def test_rings_draw_the_triplets_of_python_while_they_are_pulled(visit: Callable, run: genlab.Run) -> None:
    tab = visit("triplets", anchors="3,4", seed="2")
    images = run.images.tensor([3, 4]).numpy()
    ring = "(root) => { const rings = root.rings, box = rings.top.getBoundingClientRect(), [x, y] = rings.toPixels(rings.at);"
    tab.locator(f"{VIEW} canvas.finger").scroll_into_view_if_needed()
    x, y, radius = tab.locator(VIEW).evaluate(ring + "return [box.x + x, box.y + y, rings.ring('negative')]; }")
    tab.mouse.move(x - radius, y)
    tab.mouse.down()
    told = tab.evaluate("window.told")
    for pulled in (1.2, 1.3):
        tab.mouse.move(x - pulled * radius, y, steps=4)
        expected = round(0.3 * pulled, 2)
        tab.locator(f"{VIEW}[data-shown='0:0.15,{expected:g}']").wait_for()
        found = run.triplets(images, TripletSettings(negative_radius=expected), seed=2, draws=4)
        mine = np.concatenate([found.reconstructions.array[:1], found.positives.array[:4], found.negatives.array[:4]])
        np.testing.assert_allclose(first_channels(tab, "rings.pictures", 9), mine[:, 0] * 255, rtol=0, atol=2)
    assert tab.evaluate("window.told") == told
    tab.mouse.up()
    tab.wait_for_url(re.compile("negative_radius=0.39"))
    distance = f"negative, {found.distances['code']['negative'][0]:.3g}"
    tab.locator(".st-key-pixels-triplet-0").get_by_text(distance).first.wait_for()
    tab.get_by_role("slider", name="Ring of the positives").focus()
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_url(re.compile("positive_radius=0.14"))


def first_channels(tab, ask: str, count: int) -> np.ndarray:
    """The first channel (count, H, W) of pictures that a view holds."""
    return array(tab.locator(VIEW), f"root.{ask}.bytes").reshape(count, 28, 28, 4)[..., 0]


@with_runtime
def test_the_theatre_shows_both_ways_at_any_time_and_plays(visit: Callable, run: genlab.Run) -> None:
    tab = visit("interpolate", ends="0,500,1000")
    codes = run.codes(run.images.tensor([0, 500, 1000]).numpy())
    scrubber = tab.get_by_label("Along the way")
    for time, leg, t in [(0.35, 0, 0.7), (0.75, 1, 0.5)]:
        scrubber.fill(str(time))
        tab.locator(f"{VIEW}[data-shown='{time}']").wait_for()
        ways = [way(codes[leg], codes[leg + 1], np.array([t]))[0] for way in (lerp, slerp)]
        decoded = run.decode(np.stack(ways)).array[:, 0] * 255
        np.testing.assert_allclose(first_channels(tab, "theatre.pictures", 2), decoded, rtol=0, atol=2)
    tab.locator(f"{VIEW}[data-films='50']").wait_for()
    films = first_channels(tab, "theatre.reels", 50)
    ends = run.decode(codes[[0, 1, 2]]).array[:, 0] * 255
    np.testing.assert_allclose(films[[0, 12, 24]], ends, rtol=0, atol=2)
    np.testing.assert_allclose(films[[25, 37, 49]], ends, rtol=0, atol=2)
    before = float(scrubber.input_value())
    tab.get_by_role("button", name="Play").click()
    eventually(lambda: float(scrubber.input_value()) != before, "time passes")
    tab.get_by_role("button", name="Pause").click()


@with_runtime
def test_the_board_decodes_every_slider_and_what_the_others_would_do(visit: Callable, run: genlab.Run) -> None:
    tab = visit("interpolate", way="Traverse")
    found, start = run.traverse(), run.latent_statistics().mean
    first, second = found.dimensions
    tab.get_by_label(f"Dimension {first}", exact=True).fill("1.5")
    tab.locator(f"{VIEW}[data-films^='1.5,']").wait_for()
    tab.locator(f"{VIEW}[data-shown^='1.5,']").wait_for()
    moved = start.copy()
    moved[first] = 1.5
    np.testing.assert_allclose(
        first_channels(tab, "board.now", 1)[0], run.decode(moved).array[0, 0] * 255, rtol=0, atol=2
    )
    films = first_channels(tab, "board.films", 18).reshape(2, 9, 28, 28)
    codes = np.repeat(moved[None], 9, axis=0)
    codes[:, second] = np.linspace(-3, 3, 9)
    np.testing.assert_allclose(films[1], run.decode(codes).array[:, 0] * 255, rtol=0, atol=2)
    given = download(tab, "Its code (CSV)")
    row = next(csv.DictReader(given.path().read_text().splitlines()))
    assert float(row[f"z{first}"]) == pytest.approx(1.5)
    assert float(row[f"z{second}"]) == pytest.approx(start[second], abs=1e-6)
    tab.get_by_role("button", name="Back to the start").click()
    eventually(
        lambda: abs(tab.locator(VIEW).evaluate("(root) => root.board.values[0]") - start[first]) < 1e-9, "it goes back"
    )


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained("ERR_FAILED")
