"""The training theatre in a real Chromium: what is drawn is what the engine computed, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Laboratory, array, at_rest, eventually, needs_chromium, pixels, visits

from genlab.figures.palette import PALETTE
from genlab.workspace.theatre import Theatre, scene

VIEW = ".genlab.toy"
CANVAS = f"{VIEW} .square canvas"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def contexts(chromium: Any) -> dict[str, Any]:
    window = {"width": 1280, "height": 1400}
    return {wish: chromium.new_context(viewport=window, reduced_motion=wish) for wish in ("reduce", "no-preference")}


@pytest.fixture
def motion() -> str:
    return "reduce"


@pytest.fixture
def visit(lab: Laboratory, contexts: dict[str, Any], motion: str) -> Iterator[Callable]:
    """Opens the theatre; `motion` is how much of it the visitor wants."""
    with visits(lab, contexts[motion]) as visit:

        def opened(**query: str) -> Any:
            tab = visit("theatre", **query)
            tab.locator(VIEW).wait_for()
            at_rest(tab)
            return tab

        yield opened


def inside(tab: Any, ask: str) -> Any:
    """A value from within the view: `ask` is an expression of `view`."""
    return tab.locator(VIEW).evaluate(f"(root) => {{ const view = root.cloud; return {ask}; }}")


def drawn(tab: Any) -> np.ndarray:
    """Pixels (height, width, 3) of the square, once what it shows has been painted."""
    inside(tab, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    return pixels(tab.locator(CANVAS))[..., :3]


def part(tab: Any, name: str, index: int) -> np.ndarray:
    return array(tab.locator(VIEW), f"root.cloud.frames[{index}].parts.{name}.data")


def samples(tab: Any, index: int) -> np.ndarray:
    return part(tab, "samples", index).reshape(-1, 2)


def stepped(tab: Any, name: str, step: int) -> None:
    tab.get_by_role("button", name=name, exact=True).click()
    tab.locator(f"{VIEW}[data-shown='{step}']").wait_for()


def stroke(tab: Any, corners: list[tuple[float, float]]) -> None:
    """Draw a line by hand; corners are from the upper left of the square, which is 1 wide."""
    tab.locator(CANVAS).scroll_into_view_if_needed()
    box = tab.locator(CANVAS).bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=12)
    tab.mouse.up()


def test_steps_draw_the_samples_of_the_engine(visit: Callable) -> None:
    tab = visit(model="gan", cloud="moons", seed="4")
    tab.locator(f"{VIEW}[data-shown='0']").wait_for()
    first = drawn(tab)
    for step in (1, 2, 3):
        stepped(tab, "Step both", step)
    frames = Theatre().play(scene("gan", "moons", seed=4), steps=3)
    np.testing.assert_array_equal(samples(tab, 3).astype(np.float32), frames.parts["samples"][-1])
    np.testing.assert_array_equal(part(tab, "field", 3), frames.parts["field"][-1])
    picture = drawn(tab)
    assert (picture != first).any(2).mean() > 0.01
    ink = np.array([int(PALETTE[1][at : at + 2], 16) for at in (1, 3, 5)])
    rows = np.clip((1 - samples(tab, 3)[:, 1]) * picture.shape[0], 0, picture.shape[0] - 1).astype(int)
    columns = np.clip(samples(tab, 3)[:, 0] * picture.shape[1], 0, picture.shape[1] - 1).astype(int)
    assert (np.abs(picture[rows, columns].astype(int) - ink).max(1) < 60).mean() > 0.8
    tab.locator(CANVAS).focus()
    tab.keyboard.press("ArrowLeft")
    tab.locator(f"{VIEW}[data-shown='2']").wait_for()
    tab.keyboard.press("ArrowRight")
    tab.locator(f"{VIEW}[data-shown='3']").wait_for()
    assert inside(tab, "view.history") == "bbb"
    assert np.array_equal(drawn(tab), picture)


def test_the_discriminator_alone_leaves_the_samples_where_they_are(visit: Callable) -> None:
    tab = visit(model="gan", cloud="ring", seed="1")
    stepped(tab, "Step both", 1)
    with_field = drawn(tab)
    tab.get_by_role("button", name="D only").click()
    stepped(tab, "Step D", 2)
    assert np.array_equal(samples(tab, 1), samples(tab, 2))
    assert not np.array_equal(with_field, drawn(tab))
    for layer in ("Verdict", "Best verdict", "Pulls"):
        tab.get_by_role("button", name=layer, exact=True).click()
    bare = drawn(tab)
    stepped(tab, "Step D", 3)
    assert np.array_equal(drawn(tab), bare)
    tab.get_by_role("button", name="G only").click()
    stepped(tab, "Step G", 4)
    assert not np.array_equal(drawn(tab), bare)
    assert inside(tab, "view.history") == "bddg"
    tab.get_by_label("Step", exact=True).fill("1")
    stepped(tab, "Step G", 2)  # another way from there, and back again
    assert inside(tab, "view.history") == "bg"
    engine = Theatre().play(scene("gan", "ring", seed=1), "bg")
    np.testing.assert_array_equal(samples(tab, 2).astype(np.float32), engine.parts["samples"][0])
    tab.get_by_role("button", name="Undo").click()
    tab.locator(f"{VIEW}[data-shown='1']").wait_for()
    assert inside(tab, "[view.history, view.frames.length]") == ["bddg", 5]


def test_between_two_steps_the_discriminator_moves_first(visit: Callable) -> None:
    tab = visit(model="gan", cloud="ring")
    stepped(tab, "Step both", 1)
    address = "performance.getEntriesByType('resource').map(e => e.name).find(n => n.endsWith('/cloud_paint.mjs'))"
    ask = f"""async root => {{
        const {{ Moment }} = await import({address}), frames = root.cloud.frames;
        const seen = [0.25, 0.5, 0.75].map(at => new Moment(frames, at, true));
        return seen.map(m => [m.value("field", 700, m.early), m.value("samples", 5)]);
    }}"""
    seen = np.array(tab.locator(VIEW).evaluate(ask))
    field, place = (
        np.array(inside(tab, f"view.frames.map(f => f.parts.{part})"))
        for part in ("field.data[700]", "samples.data[5]")
    )
    np.testing.assert_allclose(seen[:, 0], [field.mean(), field[1], field[1]], rtol=1e-6)
    np.testing.assert_allclose(seen[:, 1], [place[0], place[0], place.mean()], rtol=1e-6)


@pytest.mark.parametrize("motion", ["no-preference"])
@pytest.mark.parametrize("model", ["vae", "realnvp", "gmm"])
def test_it_plays_by_itself_and_pauses(visit: Callable, model: str) -> None:
    tab = visit(model=model, cloud="spiral")
    eventually(lambda: inside(tab, "view.frames.length") > 12 and inside(tab, "view.at") > 1, "it plays")
    tab.locator(CANVAS).focus()
    tab.keyboard.press("Space")
    tab.locator(f"{VIEW}[data-shown]").wait_for()
    at = inside(tab, "view.at")
    step = inside(tab, f"view.frames[{at}].step")
    expected = Theatre().play(scene(model, "spiral"), "b" * step)
    np.testing.assert_array_equal(samples(tab, at).astype(np.float32), expected.parts["samples"][0])
    assert inside(tab, "view.running") is None
    codes = tab.get_by_role("img", name="Codes of the points")
    assert codes.is_visible() == (model != "gmm")
    if model != "gmm":
        assert codes.evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)")


def test_a_cloud_drawn_by_hand_is_learned(visit: Callable) -> None:
    tab = visit(model="gmm", cloud="drawn")
    tab.get_by_text("Draw here with the pointer or a finger").wait_for()
    stroke(tab, [(0.2, 0.3), (0.8, 0.3)])
    tab.locator(f"{VIEW}[data-shown='0']").wait_for()
    points = array(tab.locator(VIEW), "root.cloud.points").reshape(-1, 2)
    assert len(points) == 1024
    np.testing.assert_allclose(points.mean(0), [0.5, 0.7], atol=0.02)
    assert points[:, 1].std() < 0.02
    stepped(tab, "Step", 1)
    at_rest(tab)
    tab.get_by_role("button", name="Clear drawing").click()
    tab.get_by_text("Draw here with the pointer or a finger").wait_for()


def test_strokes_and_clearing_are_taken_back_with_the_play_of_each_drawing(visit: Callable) -> None:
    tab = visit(model="gmm", cloud="drawn")
    undo, redo = (tab.locator(VIEW).get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))

    def stands(strokes: int, step: int | None) -> None:
        """So many strokes in the view and in Python, whose scene they are, and the play of them at this step."""
        if step is None:
            tab.locator(f"{VIEW}:not([data-shown])").wait_for()
            tab.get_by_text("Draw here with the pointer or a finger").wait_for()
        else:
            tab.locator(f"{VIEW}[data-shown='{step}']").wait_for()
        at_rest(tab)
        assert inside(tab, "view.strokes.length") == strokes
        assert inside(tab, "view.data.scene?.strokes.length ?? 0") == strokes

    stands(0, None)
    assert undo.is_disabled()
    stroke(tab, [(0.2, 0.3), (0.8, 0.3)])
    stands(1, 0)
    for step in (1, 2):
        stepped(tab, "Step", step)
    first, one = inside(tab, "view.data.name"), drawn(tab)
    stroke(tab, [(0.2, 0.7), (0.8, 0.7)])
    eventually(lambda: inside(tab, "view.data.name") != first, "another drawing is learned")
    stands(2, 0)
    both = drawn(tab)
    tab.get_by_role("button", name="Clear drawing").click()
    stands(0, None)
    undo.click()
    stands(2, 0)
    np.testing.assert_array_equal(drawn(tab), both)
    tab.locator(CANVAS).press("Control+z")
    stands(1, 2)
    assert inside(tab, "view.data.name") == first
    np.testing.assert_array_equal(drawn(tab), one)
    for step in (1, 0):
        undo.click()
        stands(1, step)
    undo.click()
    stands(0, None)
    assert undo.is_disabled()
    for strokes, step in [(1, 0), (1, 1), (1, 2), (2, 0), (0, None)]:
        redo.click()
        stands(strokes, step)
    assert redo.is_disabled()


def test_whatever_was_done_in_a_play_is_taken_back_and_done_again(visit: Callable) -> None:
    tab = visit(model="gan", cloud="ring", seed="1")
    tab.locator(f"{VIEW}[data-shown='0']").wait_for()
    undo, redo = (tab.locator(VIEW).get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))

    def press(name: str) -> Callable:
        return lambda: tab.get_by_role("button", name=name, exact=True).click()

    def scrub() -> None:
        tab.get_by_label("Step", exact=True).fill("0")

    def state() -> list[Any]:
        """The turns up to the frame that is shown, who moves, and whether the field is shown."""
        pressed = tab.get_by_role("button", name="Verdict", exact=True).get_attribute("aria-pressed")
        return [*inside(tab, "[view.history.slice(0, view.frames[view.at]?.step), view.turn]"), pressed]

    done: list[Callable] = [press("Verdict")]
    for name, turn in (
        ("D", "D only"),
        ("G", "G only"),
        ("both", "Both"),
    ) * 2:  # more ways than are kept with their frames
        done += [press(turn), lambda name=name: stepped(tab, f"Step {name}", 1), scrub]
    seen = [state()]
    for act in done:
        act()
        eventually(lambda: state() != seen[-1], "something is another way now")
        seen.append(state())
    assert [turns for turns, *_ in seen if turns] == ["d", "g", "b"] * 2
    expected = {turns: Theatre().play(scene("gan", "ring", seed=1), turns).parts["samples"][0] for turns in "dgb"}
    for button, states in ((undo, seen[-2::-1]), (redo, seen[1:])):
        for before in states:
            button.click()
            eventually(lambda before=before: state() == before, "it is as it was")
            if before[0]:
                shown = samples(tab, inside(tab, "view.at")).astype(np.float32)
                np.testing.assert_array_equal(shown, expected[before[0]])
        assert button.is_disabled()


def test_who_moves_and_how_fast_is_kept_where_the_view_is_built_anew(visit: Callable) -> None:
    tab = visit()
    tab.locator(f"{VIEW}[data-shown='0']").wait_for()
    tab.get_by_role("button", name="D only").click()
    tab.get_by_label("Speed").select_option("Slow motion")
    pages = tab.get_by_test_id("stSidebarNav")  # of pages without pictures, whose loading would be cut short
    for name, shown in (("Studies", False), ("Theatre", True)):
        pages.get_by_role("link", name=name, exact=True).click()
        tab.locator(f"{VIEW}[data-shown='0']").wait_for(state="visible" if shown else "detached")
        at_rest(tab)
    assert tab.get_by_role("button", name="D only").get_attribute("aria-pressed") == "true"
    assert inside(tab, "[view.turn, view.single.textContent, view.speed.value]") == ["d", "Step D", "crawl"]
    tab.get_by_text("Two moons", exact=True).click()
    eventually(lambda: "moons" in inside(tab, "view.data.of"), "another play is there")
    assert inside(tab, "[view.turn, view.speed.value]") == ["d", "crawl"]


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()
