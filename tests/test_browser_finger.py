"""One finger in a real Chromium: on several models at once, on the shades of a plane, and on a screen that is touched."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Laboratory, array, download, eventually, needs_chromium, pixels
from scipy.ndimage import map_coordinates
from test_browser_explorer import LISTENING, VIEW, finger, first_channels, opened_views, with_runtime

import genlab
from genlab.figures.palette import SEQUENTIAL
from genlab.ui.routes import has_runtime
from genlab.workspace.results import LatentPlane

PLANE = "digits-plane"
SHARING = ("digits-vae", "digits-soft-intro-vae", "digits-ava5")
OTHER = "digits-dcgan"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def runs(lab: Laboratory) -> list[genlab.Run]:
    found = [genlab.Workspace(lab.home).runs[name] for name in (*SHARING, PLANE)]
    for run in found:
        run.decoder()
    return found


@pytest.fixture(scope="module")
def context(chromium: Any) -> Any:
    opened = chromium.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True, has_touch=True)
    opened.add_init_script(LISTENING)
    return opened


@pytest.fixture
def visit(lab: Laboratory, context, runs: list[genlab.Run]) -> Iterator[Callable]:
    """Opens pages for one test; the view on each stands and has shown a picture."""
    with opened_views(lab, context, VIEW) as opened:
        yield opened


def inside(tab, ask: str):
    """A value from within the view, whichever it is: `ask` is an expression of `view`."""
    return tab.locator(VIEW).evaluate(
        f"(root) => {{ const view = root.many ?? root.plane ?? root.rings; return {ask}; }}"
    )


def shown_at(tab) -> np.ndarray:
    """The place of the finger, once the view shows what lies there."""
    eventually(
        lambda: tab.locator(VIEW).get_attribute("data-shown") == inside(tab, "view.pad.place.join()"),
        "the pictures are of the present place",
    )
    return np.array(inside(tab, "view.pad.place"))


# Several models ------------------------------------------------------------------------------------------------------


def compared(*names: str) -> dict[str, str]:
    """Runs for the address of the Compare page."""
    return {"runs": "&runs=".join(names)}


def cast(tab) -> np.ndarray:
    """Pictures (R, H, W) as they stand on the page, each of its own model."""
    return np.array([pixels(canvas)[..., 0] for canvas in tab.locator(f"{VIEW} .cast canvas").all()])


def shared_plane(runs: list[genlab.Run], seed: int = 0) -> LatentPlane:
    """The plane through three draws that all of these runs get from their seeds."""
    corners = np.concatenate([runs[-2].codes(one) for one in range(seed, seed + 3)])
    return runs[0].latent_plane(corners, among="prior")


@with_runtime
def test_every_model_shows_what_pytorch_decodes_of_the_same_code(visit: Callable, runs: list[genlab.Run]) -> None:
    tab = visit("compare", **compared(*SHARING, OTHER))
    plane, box = shared_plane(runs), finger(tab)
    left, right, bottom, top = plane.extent
    tab.mouse.move(box["x"] + 20, box["y"] + 20)
    tab.mouse.down()
    told, asked = tab.evaluate("window.told"), list[str]()
    tab.on("request", lambda request: asked.append(request.url))
    for across, down in [(0.5, 0.5), (0.2, 0.3), (0.9, 0.6), (0.1, 0.95)]:
        tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=5)
        place = shown_at(tab)
        expected = [left + across * (right - left), top - down * (top - bottom)]
        np.testing.assert_allclose(place, expected, atol=2 * (right - left) / box["width"])
        code = plane.frame.codes(place)
        decoded = np.stack([run.decode(code).array[0, 0] for run in runs[:3]]) * 255
        np.testing.assert_allclose(cast(tab), decoded, rtol=0, atol=2)
        assert np.abs(decoded[0] - decoded[1]).max() > 20
    assert not asked
    assert tab.evaluate("window.told") == told
    tab.mouse.up()
    tab.wait_for_url(re.compile(r"at=-?\d+\.\d{3}%2C-?\d"))
    assert tab.evaluate("window.told") > told
    given = download(tab, "Their code (CSV)")
    row = next(csv.DictReader(given.path().read_text().splitlines()))
    np.testing.assert_allclose([float(row[f"z{d}"]) for d in range(1, 17)], plane.frame.codes(place)[0], atol=1e-9)
    tab.get_by_role("button", name="Undo").click()
    assert shown_at(tab).tolist() == [0, 0]
    tab.wait_for_url(re.compile("at=0.000%2C0.000"))
    tab.get_by_text("“DCGAN on digits” (none of the others has codes of 64 dimensions)").wait_for()


def test_a_link_brings_the_place_back_and_the_server_helps_one_of_them(
    visit: Callable, context, runs: list[genlab.Run]
) -> None:
    context.route("**/genlab/decoder/digits-ava5/**", lambda route: route.abort())
    where = "browser server" if has_runtime() else "server"
    tab = visit("compare", where, **compared(*SHARING), **{"at": "0.750,-1.250", "together-seed": "5"})
    context.unroute("**/genlab/decoder/digits-ava5/**")
    place = shown_at(tab)
    assert place.tolist() == [0.75, -1.25]
    code = shared_plane(runs, 5).frame.codes(place)
    decoded = np.stack([run.decode(code).array[0, 0] for run in runs[:3]]) * 255
    np.testing.assert_allclose(cast(tab), decoded, rtol=0, atol=2)
    tab.locator(f"{VIEW} .cast figure:has-text('AVA5')").get_by_text("decoded on the server").wait_for()


def test_runs_that_share_no_prior_are_told_why_and_which_would(lab: Laboratory, context) -> None:
    tab = lab.open(context, "compare", **compared("digits-vae", OTHER, "digits-autoencoder"))
    tab.get_by_text("No two of these runs can decode the same code.").wait_for()
    tab.get_by_text("“VAE on digits”: none of the others has codes of 16 dimensions.").wait_for()
    tab.get_by_text("“Denoising autoencoder on digits”: it has no prior").wait_for()
    tab.get_by_text(re.compile("worth a try: .*AVA")).wait_for()
    tab.close()


# Shades --------------------------------------------------------------------------------------------------------------


def colour_at(tab, place: np.ndarray) -> np.ndarray:
    """The colour (3,) of the ground at a place of the plane."""
    ask = "(([x, y]) => [...view.pad.base.getContext('2d').getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data])"
    return np.array(inside(tab, f"{ask}(view.pad.ground.toPixels({place[0]}, {place[1]}))"))[:3]


def ramp(value: float) -> np.ndarray:
    """The colour of a number from 0 to 1."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in SEQUENTIAL])
    at = np.clip(value, 0, 1) * (len(stops) - 1)
    return np.array([np.interp(at, range(len(stops)), channel) for channel in stops.T])


@pytest.mark.parametrize(
    ("shade", "title", "unit"), [("round-trip", "Round trip", "σ"), ("entropy", "Decoder uncertainty", "bits a pixel")]
)
def test_a_shade_has_the_numbers_of_python_its_colours_and_its_legend(
    visit: Callable, runs: list[genlab.Run], shade: str, title: str, unit: str
) -> None:
    run, where = runs[-1], "browser" if has_runtime() else "server"
    plane = run.latent_plane()
    values = run.round_trip(plane) if shade == "round-trip" else run.pixel_entropy(plane)
    tab = visit("latent", where, run=PLANE)
    tab.get_by_role("button", name="Points", exact=True).click()
    tab.get_by_role("button", name=title).click()
    tab.locator(f"{VIEW}[data-shade='{shade}']").wait_for()
    tab.wait_for_url(re.compile(f"shade={shade}"))
    told = array(tab.locator(VIEW), "root.plane.pad.layers.shade.values")
    np.testing.assert_allclose(told, values.ravel(), rtol=1e-5, atol=1e-6)
    most = np.quantile(values, 0.95)
    tab.locator(f"{VIEW} .scale").get_by_text(f"{most:#.2g} {unit}").wait_for()
    left, right, bottom, top = plane.extent
    near = 0
    for row, column in [(12, 12), (8, 14), (15, 9), (10, 11), (14, 13)]:
        place = np.array([left + (column + 0.5) / 24 * (right - left), top - (row + 0.5) / 24 * (top - bottom)])
        if inside(tab, f"view.pad.ground.farness({place[0]}, {place[1]})") < 1:  # not hatched
            np.testing.assert_allclose(colour_at(tab, place), ramp(values[row, column] / most), atol=6)
            near += 1
    assert near >= 3
    linked = visit("latent", where, run=PLANE, shade=shade, at="0.500,-0.700")
    linked.locator(f"{VIEW}[data-shade='{shade}']").wait_for()
    at = [(top + 0.7) / (top - bottom) * 24 - 0.5, (0.5 - left) / (right - left) * 24 - 0.5]
    here = map_coordinates(values, np.array(at)[:, None], order=1, mode="nearest")[0]
    linked.locator(f"{VIEW} .here").get_by_text(f"{title}: {here:#.2g} {unit}").wait_for()
    linked.get_by_role("button", name=title).click()
    linked.locator(f"{VIEW}[data-shade='']").wait_for()
    eventually(lambda: "shade=" not in linked.evaluate("location.href"), "the address lets go of the shade")


# Touch ---------------------------------------------------------------------------------------------------------------


class Hand:
    """Fingers on the screen of a tab: places in the window by number."""

    def __init__(self, tab) -> None:
        self.session = tab.context.new_cdp_session(tab)
        self.down: dict[int, tuple[float, float]] = {}

    def put(self, number: int, x: float, y: float) -> None:
        kind = "touchMove" if number in self.down else "touchStart"
        self.down[number] = (x, y)
        self._send(kind)

    def lift(self) -> None:
        self.down.clear()
        self._send("touchEnd")

    def _send(self, kind: str) -> None:
        spots = [{"x": x, "y": y, "id": number} for number, (x, y) in self.down.items()]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    def swipe(self, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> None:
        for share in np.linspace(0, 1, steps):
            self.put(0, *(np.array(start) + share * (np.array(end) - start)).tolist())
        self.lift()


def scrolled(tab) -> float:
    return tab.get_by_test_id("stMain").evaluate("main => main.scrollTop")


@with_runtime
def test_a_touch_drags_across_the_plane_and_a_second_finger_does_not_disturb(
    visit: Callable, runs: list[genlab.Run]
) -> None:
    tab, run = visit("latent", run=PLANE), runs[-1]
    box, hand = finger(tab), Hand(tab)
    before = scrolled(tab)
    spot = lambda across, down: (box["x"] + across * box["width"], box["y"] + down * box["height"])  # noqa: E731
    for at in [(0.5, 0.8), (0.4, 0.5), (0.3, 0.2)]:
        hand.put(0, *spot(*at))
    left, right, bottom, top = run.latent_plane().extent
    expected = [left + 0.3 * (right - left), top - 0.2 * (top - bottom)]
    near = lambda place: np.allclose(place, expected, rtol=0, atol=2 * (right - left) / box["width"])  # noqa: E731
    eventually(lambda: near(shown_at(tab)), "the picture is of the place under the finger")
    place = shown_at(tab)
    listen = "event => { window.second ||= !event.isPrimary; }, { capture: true }"
    tab.evaluate(f"addEventListener('pointermove', {listen})")
    hand.put(1, *spot(0.8, 0.8))
    hand.put(1, *spot(0.9, 0.9))
    tab.wait_for_function("window.second", polling=50)
    assert shown_at(tab).tolist() == place.tolist()
    picture = first_channels(tab, "plane.shown.pictures", 1)[0]
    np.testing.assert_allclose(picture, run.decode(place).array[0, 0] * 255, rtol=0, atol=2)
    hand.lift()
    tab.get_by_text("whose codes lie nearest to the place let go of").wait_for()
    assert scrolled(tab) == before


def test_a_touch_pulls_a_ring(visit: Callable) -> None:
    tab = visit("triplets", "browser" if has_runtime() else "server", run=PLANE, anchors="3", seed="2")
    tab.locator(f"{VIEW} canvas.finger").scroll_into_view_if_needed()
    hand, ring = Hand(tab), "(([x, y], box) => [box.x + x, box.y + y, view.ring('negative')])"
    x, y, radius = inside(tab, f"{ring}(view.toPixels(view.at), view.top.getBoundingClientRect())")
    before = scrolled(tab)
    hand.swipe((x, y + radius), (x, y + 1.3 * radius))
    tab.wait_for_url(re.compile("negative_radius=0.39"))
    assert scrolled(tab) == before


def test_a_touch_moves_the_map_and_two_zoom_it(visit: Callable) -> None:
    tab = visit("latent", "browser" if has_runtime() else "server", run=PLANE)
    ground = tab.locator(".st-key-map canvas[data-tool]")
    ground.scroll_into_view_if_needed()
    box, hand, before = ground.bounding_box(), Hand(tab), scrolled(tab)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    view = lambda: ground.evaluate("canvas => ({ ...canvas.scatter.view })")  # noqa: E731
    first = view()
    at = ground.evaluate("({ scatter }) => scatter.screen(scatter.at[0], scatter.at[1])")
    hand.put(0, box["x"] + at[0], box["y"] + at[1])
    tab.locator("[data-part=card]").wait_for()  # a finger that rests shows what it is on
    hand.put(0, box["x"] + at[0] + 30, box["y"] + at[1])
    tab.locator("[data-part=card]").wait_for(state="hidden")
    hand.lift()
    hand.swipe((x, y), (x + 40, y - 60))
    eventually(lambda: view() != first, "the map moves with the finger")
    scale = view()["scale"]
    for apart in (40, 60, 80):
        hand.put(0, x - apart, y)
        hand.put(1, x + apart, y)
    hand.lift()
    eventually(lambda: view()["scale"] == pytest.approx(2 * scale, rel=0.02), "the map grows with their distance")
    assert scrolled(tab) == before


@with_runtime
def test_a_touch_pulls_along_a_film(visit: Callable) -> None:
    tab = visit("interpolate", run=PLANE, ends="0,500")
    tab.locator(f"{VIEW}[data-films]").wait_for()
    film, hand = tab.locator(f"{VIEW} canvas.film").first, Hand(tab)
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    y = box["y"] + box["height"] / 2
    hand.swipe((box["x"] + 0.1 * box["width"], y), (box["x"] + 0.6 * box["width"], y))
    eventually(
        lambda: abs(float(tab.locator(VIEW).get_attribute("data-shown")) - 0.6) < 0.02, "the film is at the finger"
    )


def test_beside_the_canvases_a_touch_scrolls_the_page(visit: Callable) -> None:
    tab = visit("latent", "browser" if has_runtime() else "server", run=PLANE)
    box, hand, before = finger(tab), Hand(tab), scrolled(tab)
    hand.swipe(
        (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), (box["x"] + box["width"] / 2, box["y"] + 20)
    )
    assert scrolled(tab) == before
    side = tab.locator(f"{VIEW} .readout").bounding_box()
    x, y = side["x"] + side["width"] - 8, side["y"] + side["height"] / 2
    down = min(before, 300) > 50
    hand.swipe((x, y), (x, y + (250 if down else -250)), steps=25)
    eventually(lambda: abs(scrolled(tab) - before) > 50, "the page scrolls under a finger beside the plane")


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained("ERR_FAILED")
