"""What is done in a view is taken back there, by buttons and by keys, and Python hears of it: in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import test_browser_explorer as explorer
from browsing import Laboratory, at_rest, download, eventually, needs_chromium
from test_browser_explorer import VIEW, first_channels, inside, shown, with_runtime

import genlab
from genlab.latent.triplets import TRIPLET_PRESETS

pytestmark = needs_chromium

run, context, visit, script = explorer.run, explorer.context, explorer.visit, explorer.script


def button(tab, name: str):
    return tab.locator(VIEW).get_by_role("button", name=name, exact=True)


def touch(tab, across: float, down: float) -> list[float]:
    """Press and let go somewhere on the plane; the place that it then stands at."""
    box = explorer.finger(tab)
    tab.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
    return inside(tab, "view.place")


@with_runtime
def test_places_and_pins_of_the_plane_are_taken_back(visit: Callable, run: genlab.Run) -> None:
    tab = visit("latent")
    assert button(tab, "Undo").is_disabled()
    first = touch(tab, 0.3, 0.4)
    before = shown(tab, run)
    second = touch(tab, 0.7, 0.6)
    after = shown(tab, run)
    assert not np.array_equal(before, after)
    button(tab, "Pin this picture").click()
    tab.get_by_role("button", name="Go to pin 1").wait_for()
    tab.wait_for_url(re.compile("at=" + "%2C".join(f"{value:.3f}" for value in second)))
    button(tab, "Undo").click()
    tab.get_by_role("button", name="Go to pin 1").wait_for(state="detached")
    tab.get_by_role("button", name="Their codes (CSV)").wait_for(state="detached")
    assert inside(tab, "view.place") == second
    tab.keyboard.press("Control+z")  # the button has the focus
    np.testing.assert_array_equal(shown(tab, run), before)
    assert inside(tab, "view.place") == first
    tab.wait_for_url(re.compile("at=" + "%2C".join(f"{value:.3f}" for value in first)))
    tab.keyboard.press("Control+Shift+z")
    np.testing.assert_array_equal(shown(tab, run), after)
    button(tab, "Redo").click()
    tab.get_by_role("button", name="Go to pin 1").wait_for()
    tab.get_by_role("button", name="Their codes (CSV)").wait_for()
    assert button(tab, "Redo").is_disabled()
    touch(tab, 0.5, 0.5)
    tab.locator(f"{VIEW} canvas.finger").press("Control+y")  # there is nothing to be done again after another gesture
    assert inside(tab, "view.pins.length") == 1


@with_runtime
def test_layers_and_shades_of_the_plane_are_taken_back(visit: Callable) -> None:
    tab = visit("latent")
    names = ("Pictures", "Density", "Points", "Round trip")

    def layers() -> list[bool]:
        return [button(tab, name).get_attribute("aria-pressed") == "true" for name in names]

    done = [
        ("Points", 0b0100),
        ("Pictures", 0b1100),
        ("Round trip", 0b1001),
        ("Density", 0b1100),
        ("Round trip", 0b1001),
    ]
    seen = [[False, True, True, False]]
    assert layers() == seen[0]
    for name, expected in done:
        button(tab, name).click()
        seen.append([bool(expected & bit) for bit in (8, 4, 2, 1)])
        assert layers() == seen[-1]
    tab.locator(f"{VIEW}[data-shade='round-trip']").wait_for()
    at_rest(tab)
    for before in seen[-2::-1]:
        button(tab, "Undo").click()
        assert layers() == before
    assert button(tab, "Undo").is_disabled()
    tab.locator(f"{VIEW}[data-shade='']").wait_for()
    eventually(lambda: "shade=" not in tab.evaluate("location.href"), "the address lets go of the shade")
    for after in seen[1:]:
        button(tab, "Redo").click()
        assert layers() == after
    tab.locator(f"{VIEW}[data-shade='round-trip']").wait_for()
    tab.wait_for_url(re.compile("shade=round-trip"))


@with_runtime
def test_radii_are_taken_back_wherever_they_were_moved(visit: Callable) -> None:
    tab = visit("triplets", anchors="3,4", seed="2")
    positive, negative = (tab.get_by_role("slider", name=f"Ring of the {role}s") for role in ("positive", "negative"))

    def stands(radii: str) -> None:
        """In the view, in its picture and in Python, which has both in the address or at their defaults."""
        tab.locator(f"{VIEW}[data-shown='0:{radii}']").wait_for()
        one, other = (float(radius) for radius in radii.split(","))
        title = f"radius {one:.2f}"
        tab.locator(VIEW).get_by_text(re.compile(title)).wait_for()
        sliders = [tab.get_by_role("slider", name=f"{name} radius") for name in ("Positive", "Negative")]
        eventually(
            lambda: [float(slider.input_value()) for slider in sliders] == [one, other],
            "sliders follow",
        )

    stands("0.15,0.3")
    before = first_channels(tab, "rings.pictures", 9)
    positive.press("ArrowLeft")
    stands("0.14,0.3")
    negative.press("ArrowRight")
    stands("0.14,0.31")
    slider = tab.get_by_role("slider", name="Negative radius")
    slider.press("ArrowRight")
    tab.locator(f"{VIEW}[data-shown^='0:0.14,0.3']:not([data-shown='0:0.14,0.31'])").wait_for()
    at_rest(tab)
    for _ in range(2):
        button(tab, "Undo").click()
    stands("0.14,0.3")
    negative.press("Control+z")
    stands("0.15,0.3")
    np.testing.assert_array_equal(first_channels(tab, "rings.pictures", 9), before)
    assert button(tab, "Undo").is_disabled()
    negative.press("Control+Shift+z")
    button(tab, "Redo").click()
    stands("0.14,0.31")
    toward = tab.get_by_role("slider", name="Negative toward mean")
    tab.get_by_role("button", name="code", exact=True).click()  # a preset: all sliders at once
    preset = TRIPLET_PRESETS["code"]
    stands(f"{preset.positive_radius:g},{preset.negative_radius:g}")
    assert float(toward.input_value()) == preset.negative_toward_mean != 0.85
    button(tab, "Undo").click()
    stands("0.14,0.31")
    eventually(lambda: float(toward.input_value()) == 0.85, "the probabilities are taken back with the radii")


@with_runtime
def test_sliders_of_the_board_are_taken_back(visit: Callable, run: genlab.Run) -> None:
    tab = visit("interpolate", way="Traverse")
    first, second = run.traverse().dimensions
    start = tab.locator(VIEW).evaluate("(root) => [...root.board.values]")
    before = first_channels(tab, "board.now", 1)

    def stands(values: list[float]) -> None:
        told = ",".join(map(str, values))
        tab.locator(f"{VIEW}[data-shown='{told}'][data-films='{told}']").wait_for()

    tab.get_by_label(f"Dimension {first}", exact=True).fill("1.5")
    stands([1.5, start[1]])
    tab.get_by_label(f"Dimension {second}", exact=True).fill("-0.6")
    stands([1.5, -0.6])
    button(tab, "Back to the start").click()
    eventually(lambda: np.array_equal(first_channels(tab, "board.now", 1), before), "it is back at the start")
    tab.keyboard.press("Control+z")
    stands([1.5, -0.6])
    button(tab, "Undo").click()
    stands([1.5, start[1]])
    assert float(tab.get_by_label(f"Dimension {second}", exact=True).input_value()) == pytest.approx(start[1], abs=0.02)
    button(tab, "Redo").click()
    stands([1.5, -0.6])
    given = download(tab, "Its code (CSV)")
    code = np.loadtxt(given.path(), delimiter=",", skiprows=1)
    assert code[[first, second]] == pytest.approx([1.5, -0.6])


@with_runtime
def test_the_time_and_the_ends_of_a_walk_are_taken_back(visit: Callable) -> None:
    tab = visit("interpolate", ends="0,500")
    scrubber, ends = tab.get_by_label("Along the way"), tab.get_by_role("textbox", name="Ends (numbers)")
    scrubber.fill("0.35")
    tab.locator(f"{VIEW}[data-shown='0.35']").wait_for()
    before = first_channels(tab, "theatre.pictures", 2)
    ends.fill("0, 500, 1000")
    ends.press("Enter")
    tab.locator(f"{VIEW}[data-films='50']").wait_for()
    scrubber.fill("0.75")
    tab.locator(f"{VIEW}[data-shown='0.75']").wait_for()
    scrubber.press("Control+z")
    tab.locator(f"{VIEW}[data-shown='0.35']").wait_for()
    button(tab, "Undo").click()
    tab.locator(f"{VIEW}[data-films='26']").wait_for()
    eventually(lambda: ends.input_value() == "0,500", "Python's field has the former ends")
    eventually(lambda: np.array_equal(first_channels(tab, "theatre.pictures", 2), before), "so has the picture")
    button(tab, "Redo").click()
    tab.locator(f"{VIEW}[data-films='50']").wait_for()
    eventually(lambda: ends.input_value() == "0, 500, 1000", "Python's field has the later ends again")
    assert tab.locator(VIEW).evaluate("(root) => root.theatre.time") == pytest.approx(0.35)
    button(tab, "Redo").click()
    tab.locator(f"{VIEW}[data-shown='0.75']").wait_for()
    tab.get_by_text("Pick from pictures").click()
    picture = tab.locator(".thumbnails button").nth(5)
    picture.click()

    def chosen() -> tuple[str, str]:
        return ends.input_value(), picture.get_attribute("aria-pressed")

    eventually(lambda: chosen() == ("0, 500, 1000, 5", "true"), "a click chooses a picture")
    tab.locator(".st-key-history-ends-undo").get_by_role("button").click()
    eventually(lambda: chosen() == ("0, 500, 1000", "false"), "the choice is taken back")
    tab.locator(".st-key-history-ends-redo").get_by_role("button").click()
    eventually(lambda: chosen() == ("0, 500, 1000, 5", "true"), "and made again")


def test_answers_that_were_overtaken_are_passed_over(script: Callable) -> None:
    body = """((told) => given.map(([act, value]) => act === "tell" ? (told.tell(value), null) : told.takes(value)))(new m.Told())"""
    steps = [
        ("takes", 1, True), ("takes", 1, False), ("tell", 2, None), ("tell", 3, None), ("takes", 1, False),
        ("takes", 2, False), ("takes", 3, True), ("tell", 4, None), ("takes", 9, True), ("takes", 9, False),
    ]  # fmt: skip
    found = script("history.mjs", body, [step[:2] for step in steps])
    assert found == [expected for *_, expected in steps]


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()
