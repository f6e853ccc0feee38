"""Addresses bring views back: what was set by hand in a real Chromium stands again where its address is opened anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import test_browser_explorer as explorer
import test_browser_theatre as theatre
from browsing import Laboratory, at_rest, eventually, needs_chromium, pixels, visits
from test_browser_explorer import VIEW, finger, inside, shown, with_runtime

import genlab
from genlab.workspace.theatre import Theatre, scene

pytestmark = needs_chromium

run, context, visit = explorer.run, explorer.context, explorer.visit


@pytest.fixture(scope="module")
def strangers(chromium: Any) -> Iterator[dict[str, Any]]:
    """Browser profiles that share nothing with those in which views are set, by how much motion they want."""
    window = {"width": 1280, "height": 1600}
    found = {wish: chromium.new_context(viewport=window, reduced_motion=wish) for wish in ("reduce", "no-preference")}
    yield found
    for context in found.values():
        context.close()


@pytest.fixture
def reopened(lab: Laboratory, strangers: dict[str, Any]) -> Iterator[Callable]:
    """Opens the address that a tab has come to, where nothing is known but that."""
    tabs = []

    def opened(tab: Any) -> Any:
        at_rest(tab)
        calm = tab.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
        again = lab.follow(strangers["reduce" if calm else "no-preference"], address(tab))
        tabs.append(again)
        again.set_viewport_size(tab.viewport_size)
        at_rest(again)
        return again

    yield opened
    for tab in tabs:
        tab.close()


@pytest.fixture
def play(lab: Laboratory, chromium: Any) -> Iterator[Callable]:
    """Opens the training theatre where no play begins by itself."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1400}, reduced_motion="reduce")
    with visits(lab, context) as visit:

        def opened(**query: str) -> Any:
            tab = visit("theatre", **query)
            tab.locator(theatre.VIEW).wait_for()
            at_rest(tab)
            return tab

        yield opened
    context.close()


def address(tab: Any) -> str:
    return str(tab.evaluate("location.href"))


def views(tab: Any) -> list[np.ndarray]:
    """What stands on the pictures of a view."""
    return [pixels(canvas) for canvas in tab.locator(f"{VIEW} :is(canvas.picture, canvas.film, canvas.cell)").all()]


def same(tab: Any, again: Any) -> None:
    """Both views show the same, once the later one does."""
    for mark in ("shown", "films"):
        if value := tab.locator(VIEW).get_attribute(f"data-{mark}"):
            again.locator(f"{VIEW}[data-{mark}='{value}']").wait_for()
    ours, theirs = views(tab), views(again)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2)  # the server decodes until the decoder is there


@with_runtime
def test_a_link_brings_the_sliders_of_the_board_back(visit: Callable, reopened: Callable, run: genlab.Run) -> None:
    tab = visit("interpolate", way="Traverse")
    first, second = run.traverse().dimensions
    tab.get_by_text("Start from an image").click()
    tab.get_by_role("textbox", name="Start (numbers)").wait_for()
    at_rest(tab)
    tab.get_by_label(f"Dimension {first}", exact=True).fill("1.5")
    tab.get_by_label(f"Dimension {second}", exact=True).fill("-0.6")
    tab.locator(f"{VIEW}[data-films='1.5,-0.6']").wait_for()
    again = reopened(tab)
    same(tab, again)
    assert again.get_by_label(f"Dimension {first}", exact=True).input_value() == "1.5"
    again.get_by_role("button", name="Back to the start").click()
    eventually(lambda: "moved=" not in address(again), "the address lets go of it")
    at_rest(again)  # the address is written before Python has finished
    assert "from-image=true" in address(again)
    again.get_by_text("Start from an image").click()
    again.get_by_role("textbox", name="Start (numbers)").wait_for(state="detached")
    few = tab.get_by_role("slider", name="Dimensions")
    few.press("ArrowLeft")
    tab.get_by_label(f"Dimension {second}", exact=True).wait_for(state="detached")
    at_rest(tab)
    assert "moved=" not in address(tab)  # another board, which stands at its start
    assert "shown=1" in address(tab)


@with_runtime
def test_a_link_brings_a_walk_and_its_moment_back(visit: Callable, reopened: Callable) -> None:
    tab = visit("interpolate")
    tab.get_by_text("Prior draws", exact=True).click()
    tab.get_by_role("slider", name="Draws").press("ArrowRight")
    seed = tab.get_by_role("spinbutton", name="Seed")
    seed.fill("7")
    seed.press("Enter")
    tab.get_by_text("seeds 7 to 9").first.wait_for()
    tab.locator(f"{VIEW}[data-films='50']").wait_for()
    tab.get_by_label("Along the way").fill("0.35")
    tab.get_by_role("button", name="Play").click()
    eventually(lambda: float(tab.get_by_label("Along the way").input_value()) > 0.36, "time passes")
    tab.get_by_role("button", name="Pause").click()
    again = reopened(tab)
    same(tab, again)
    again.get_by_text("seeds 7 to 9").first.wait_for()
    again.get_by_label("Along the way").fill("0")
    eventually(lambda: "along=" not in address(again), "the start of the way is not in the address")


@with_runtime
def test_a_link_brings_the_pins_of_the_plane_back(visit: Callable, reopened: Callable, run: genlab.Run) -> None:
    tab = visit("latent")
    box = finger(tab)
    for number, (across, down) in enumerate([(0.3, 0.4), (0.7, 0.6)], start=1):
        tab.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
        shown(tab, run)
        tab.get_by_role("button", name="Pin this picture").click()
        tab.get_by_role("button", name=f"Go to pin {number}").wait_for()
    again = reopened(tab)
    again.get_by_role("button", name="Go to pin 2").wait_for()
    again.get_by_role("button", name="Pinned pictures (PNG)").wait_for()
    pins = "view.pins.map(pin => pin.place)"
    np.testing.assert_allclose(inside(again, pins), inside(tab, pins), rtol=0, atol=0.0005)
    for left in (1, 0):
        again.get_by_role("button", name="Take out pin 1").click()
        places = ";".join(",".join(f"{value:.3f}" for value in place) for place in inside(again, pins))
        eventually(
            lambda places=places: parse_qs(urlsplit(address(again)).query).get("pins", [""])[0] == places,
            f"{left} pins stand in the address",
        )


@with_runtime
def test_a_link_brings_the_anchor_of_the_rings_and_the_chart_back(visit: Callable, reopened: Callable) -> None:
    tab = visit("triplets", anchors="3,4,500", view="Distances")
    canvas = tab.locator(f"{VIEW} canvas.finger")
    canvas.scroll_into_view_if_needed()
    spot = "(root) => { const { rings } = root, box = rings.top.getBoundingClientRect(), at = rings.toPixels(rings.placed(rings.means.subarray(2 * rings.size))); return [box.x + at[0], box.y + at[1]]; }"
    tab.mouse.click(*tab.locator(VIEW).evaluate(spot))
    tab.locator(f"{VIEW}[data-shown^='2:']").wait_for()
    tab.get_by_text("pixel", exact=True).click()
    tab.get_by_text("root mean square difference of decoded pixels").first.wait_for()
    again = reopened(tab)
    same(tab, again)
    again.get_by_text("root mean square difference of decoded pixels").first.wait_for()
    button = again.locator(VIEW).get_by_role("button", name="Undo", exact=True)
    assert button.is_disabled()
    anchors = again.get_by_role("textbox", name="Anchors (numbers)")
    anchors.fill("3, 4")
    anchors.press("Enter")
    again.locator(f"{VIEW}[data-shown^='1:']").wait_for()
    eventually(lambda: "anchor=1" in address(again), "the last of the anchors that are left is active")
    tab.locator(VIEW).get_by_role("button", name="Undo", exact=True).click()
    tab.locator(f"{VIEW}[data-shown^='0:']").wait_for()
    eventually(lambda: "anchor=" not in address(tab), "the first anchor is not in the address")


def test_a_link_brings_the_play_of_the_theatre_back(play: Callable, reopened: Callable) -> None:
    tab = play(model="gan", cloud="moons", seed="4", latent_dim="1", learning_rate="0.002")
    theatre.stepped(tab, "Step both", 1)
    tab.get_by_role("button", name="D only").click()
    for step in (2, 3):
        theatre.stepped(tab, "Step D", step)
    tab.get_by_text("Parameters", exact=True).click()
    size = tab.get_by_role("slider", name="Batch size")
    size.press("ArrowRight")
    tab.locator(f"{theatre.VIEW}[data-shown='0']").wait_for()  # another play
    at_rest(tab)
    tab.get_by_role("button", name="D only").click()
    theatre.stepped(tab, "Step D", 1)
    tab.get_by_role("button", name="Both").click()
    for step in (2, 3):
        theatre.stepped(tab, "Step both", step)
    tab.get_by_label("Step", exact=True).fill("2")
    tab.locator(f"{theatre.VIEW}[data-shown='2']").wait_for()
    again = reopened(tab)
    again.locator(f"{theatre.VIEW}[data-shown='2'][data-frames='3']").wait_for()
    assert theatre.inside(again, "view.history") == "db"
    values = {"latent_dim": 1, "learning_rate": 0.002, "batch_size": 256}
    scenes = [theatre.inside(each, "view.data.scene.values") for each in (tab, again)]
    assert scenes[0] == scenes[1]
    assert values.items() <= scenes[0].items()
    expected = Theatre().play(scene("gan", "moons", seed=4, **scenes[0]), "db").parts["samples"][0]
    np.testing.assert_array_equal(theatre.samples(again, 2).astype(np.float32), expected)
    np.testing.assert_array_equal(theatre.drawn(again), theatre.drawn(tab))
    again.get_by_text("VAE", exact=True).click()
    eventually(
        lambda: not re.search("latent_dim=|moment=", address(again)), "another model has its own values and moments"
    )


def test_a_link_brings_a_drawing_back_or_says_that_it_does_not(play: Callable, reopened: Callable) -> None:
    tab = play(model="gmm", cloud="drawn")
    for number, corners in enumerate([[(0.2, 0.3), (0.8, 0.3)], [(0.5, 0.6)]], start=1):
        theatre.stroke(tab, corners)
        eventually(
            lambda number=number: theatre.inside(tab, "view.data.scene?.strokes.length") == number,
            "Python knows the stroke",
        )
        at_rest(tab)
    theatre.stepped(tab, "Step", 1)
    again = reopened(tab)
    again.locator(f"{theatre.VIEW}[data-shown='1']").wait_for()
    assert theatre.inside(again, "view.strokes") == theatre.inside(tab, "view.strokes")
    np.testing.assert_array_equal(theatre.samples(again, 1), theatre.samples(tab, 1))
    now, then = theatre.drawn(tab), theatre.drawn(again)
    assert np.abs(now.astype(int) - then).mean() < 0.05  # grey levels: edges are not always smoothed in the same way
    theatre.stepped(again, "Step", 2)
    assert np.abs(now.astype(int) - theatre.drawn(again)).mean() > 0.5
    said = "The drawing is too long for the address, so a link to this page leaves it out."
    assert not again.get_by_text(said).count()
    rng = np.random.default_rng(3)
    scribble = rng.integers(0, 1000, (1500, 2)) / 1000
    theatre.inside(again, f"view.draw([{scribble.tolist()}])")
    again.get_by_text(said).wait_for()
    assert "strokes=" not in address(again)


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()
