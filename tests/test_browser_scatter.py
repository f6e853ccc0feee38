"""The map of codes in a real Chromium: what is caught, what is shown, what an address brings back."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from browsing import Laboratory, array, at_rest, eventually, needs_chromium, pictures, pixels, visits
from matplotlib.path import Path as Outline
from PIL import Image
from test_travel import traveller

import genlab
from genlab.figures.images import Images
from genlab.ui.components.scatter import name_of, unpacked
from genlab.ui.explore_pick import parse_numbers

RUN, LIMIT = "digits-plane", 500
GROUND = ".st-key-map canvas[data-tool]"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def run(lab: Laboratory) -> genlab.Run:
    return genlab.Workspace(lab.home).runs[RUN]


@pytest.fixture(scope="module")
def projection(run: genlab.Run):
    return run.project("pca", limit=LIMIT)


@pytest.fixture(scope="module")
def context(chromium: Any) -> Any:
    return chromium.new_context(viewport={"width": 1280, "height": 1400}, accept_downloads=True, has_touch=True)


@pytest.fixture
def visit(lab: Laboratory, context) -> Iterator[Callable]:
    """Opens the map in tabs for one test."""
    with visits(lab, context) as visit:

        def opened(**query: str) -> Any:
            tab = visit("latent", **{"run": RUN, "limit": str(LIMIT), **query})
            tab.locator(f"{GROUND}[data-painted='{LIMIT}'][data-sheet]").wait_for()
            at_rest(tab)
            return tab

        yield opened


def inside_of(tab, ask: str):
    """A value from within the map: `ask` is an expression of `map`. None while one map takes the place of another."""
    value = f"(found) => {{ if (found.length !== 1) return null; const map = found[0].scatter; return {ask}; }}"
    return tab.locator(GROUND).evaluate_all(value)


def places(tab, points: np.ndarray) -> np.ndarray:
    """Where points (N, 2) stand in the window, by the view that the map says it has."""
    tab.locator(GROUND).scroll_into_view_if_needed()
    box = tab.locator(GROUND).evaluate("(c) => { const b = c.getBoundingClientRect(); return [b.x, b.y]; }")
    x, y, scale, width, height = inside_of(tab, "[map.view.x, map.view.y, map.view.scale, map.width, map.height]")
    middle = np.array(box) + np.array([width, height]) / 2
    return middle + (points - [x, y]) * [scale, -scale]


def draw(tab, corners: np.ndarray, *held: str) -> None:
    for key in held:
        tab.keyboard.down(key)
    tab.mouse.move(*corners[0])
    tab.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        tab.mouse.move(*corner, steps=5)
    tab.mouse.up()
    for key in held:
        tab.keyboard.up(key)


def address(tab) -> str:
    """The address as the browser knows it; what Playwright remembers of it waits for its next word from there."""
    return tab.evaluate("location.href")


def caught(tab, numbers: np.ndarray) -> set[int]:
    """The numbers of the images that the address says are selected."""
    text = parse_qs(urlsplit(address(tab)).query).get("chosen", [""])[0]
    rows, _, bits = text.partition(".")
    assert rows in ("", name_of(numbers))
    return set(numbers[unpacked(bits, len(numbers))].tolist())


def agree(found: set[int], numbers: np.ndarray, spots: np.ndarray, corners: np.ndarray) -> bool:
    """Whether just the points inside are found; one within half a pixel of the line may be either."""
    path = Outline([*corners, corners[0]], closed=True)
    distances = np.min([_distance(spots, a, b) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)], axis=0)
    sure = distances > 0.5
    assert sure.mean() > 0.97
    expected = path.contains_points(spots)
    return {int(n) for n in numbers[sure & expected]} == found & {int(n) for n in numbers[sure]}


def _distance(spots: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    share = np.clip((spots - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(spots - (a + share[:, None] * (b - a)), axis=1)


def star(spots: np.ndarray) -> np.ndarray:
    """An outline that is not convex, around the middle of the points."""
    angles = np.arange(10) / 10 * 2 * np.pi
    radii = np.where(np.arange(10) % 2, 45, 150)[:, None]
    return np.rint(spots.mean(0) + radii * np.column_stack([np.cos(angles), np.sin(angles)]))


def test_a_lasso_catches_just_the_points_inside(visit: Callable, projection) -> None:
    tab, numbers = visit(), projection.indices
    spots = places(tab, projection.points)
    outline = star(spots)
    draw(tab, outline, "Shift")
    tab.get_by_text(re.compile(r"The \d+ selected images of")).wait_for()
    eventually(lambda: "chosen=" in address(tab), "the selection stands in the address")
    found = caught(tab, numbers)
    assert 20 < len(found) < 480
    assert agree(found, numbers, spots, outline)
    assert tab.locator("[data-part=tally]").inner_text() == f"{len(found)} of 500"
    legend = tab.locator(".entry .count").all_inner_texts()
    assert sum(int(entry.split(" of ")[0]) for entry in legend) == len(found)
    assert len(pictures(tab, "selection")) == 1


def test_two_lassos_make_a_direction(visit: Callable, run: genlab.Run, projection) -> None:
    tab = visit()
    spots = places(tab, projection.points)
    middle, groups = np.median(spots[:, 0]), []
    for side, away in (("these", -1), ("minus those", 1)):
        half = np.array([[0, -150], [120, -150], [120, 150], [0, 150]]) * [away, 1] + [
            middle + 10 * away,
            spots[:, 1].mean(),
        ]
        before = caught(tab, projection.indices)
        draw(tab, np.rint(half), "Shift")
        eventually(lambda: caught(tab, projection.indices) not in (set(), before), "the lasso catches points")  # noqa: B023
        groups.append(sorted(caught(tab, projection.indices)))
        at_rest(tab)
        tab.get_by_role("button", name=f"Take as “{side}”").click()
        tab.get_by_text(f"{len(groups[-1])} images as “{side.removeprefix('minus ')}”").wait_for()
    tab.get_by_role("link", name="These minus those").click()
    tab.get_by_text(f"mean code of these {len(groups[0])} images − mean code of those {len(groups[1])}").wait_for()
    query = parse_qs(urlsplit(tab.url).query)
    assert [parse_numbers(query[side][0], run.images.count, most=500) for side in ("these", "those")] == groups


def test_what_is_caught_can_be_added_to_taken_out_and_taken_back(visit: Callable, projection) -> None:
    tab, numbers = visit(), projection.indices
    spots = places(tab, projection.points)
    low, high = np.rint(np.quantile(spots, [0.2, 0.55], axis=0))
    box = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    tab.locator("[data-tool=box]").first.click()
    tab.mouse.move(*low)
    tab.mouse.down()
    tab.mouse.move(*high, steps=4)
    tab.mouse.up()
    eventually(lambda: bool(caught(tab, numbers)), "the box catches points")
    first = caught(tab, numbers)
    assert agree(first, numbers, spots, box)
    tab.locator("[data-tool=lasso]").first.click()
    draw(tab, star(spots), "Control")
    eventually(lambda: caught(tab, numbers) > first, "points are added")
    both = caught(tab, numbers)
    draw(tab, star(spots), "Alt")
    eventually(lambda: caught(tab, numbers) < first, "points are taken out")
    tab.keyboard.press("Control+z")
    eventually(lambda: caught(tab, numbers) == both, "one step back")
    tab.keyboard.press("Control+z")
    eventually(lambda: caught(tab, numbers) == first, "another step back")
    tab.get_by_role("button", name="Redo on the map").click()
    eventually(lambda: caught(tab, numbers) == both, "a step forth again")
    tab.keyboard.press("Control+Shift+z")
    eventually(lambda: caught(tab, numbers) < first, "and another")
    assert tab.get_by_role("button", name="Redo on the map").is_disabled()
    tab.locator(GROUND).press("Escape")
    eventually(lambda: not caught(tab, numbers), "nothing is selected")
    assert "chosen=" not in address(tab)


def test_the_pointer_shows_the_image_of_its_point(visit: Callable, run: genlab.Run, projection) -> None:
    tab = visit()
    spots = places(tab, projection.points)
    alone = np.argsort([np.partition(np.linalg.norm(spots - spot, axis=1), 1)[1] for spot in spots])[-3:]
    card = tab.locator(".st-key-map [data-part=card]")
    for row in alone.tolist():
        tab.mouse.move(*spots[row])
        number = int(projection.indices[row])
        card.get_by_text(f"image {number}", exact=True).wait_for()
        assert np.array_equal(pixels(card.locator("canvas"))[..., 0], run.images.images[number, 0])
        assert card.locator(".value").inner_text() == run.images.class_names[run.images.labels[number]]


def test_a_click_leads_to_the_image_and_a_link_restores_it(visit: Callable, run: genlab.Run, projection) -> None:
    tab = visit()
    spots = places(tab, projection.points)
    row = int(np.argmin(spots[:, 0]))
    tab.mouse.click(*spots[row])
    number = int(projection.indices[row])
    tab.get_by_text(re.compile(f"^Image {number} ")).wait_for()
    eventually(lambda: caught(tab, projection.indices) == {number}, "the image stands in the address")
    tab.locator(GROUND).press("i")
    eventually(lambda: "pictures=28" in address(tab), "the pictures stand in the address")
    query = {name: values[0] for name, values in parse_qs(urlsplit(address(tab)).query).items()}
    again = visit(**{name: value for name, value in query.items() if name not in ("run", "limit")}, colour="brightness")
    again.get_by_text(re.compile(f"^Image {number} ")).wait_for()
    assert inside_of(again, "map.chosen.indexOf(1)") == row
    assert inside_of(again, "[map.pictures, map.size]") == [True, 28]
    assert "coloured by brightness" in again.locator(".st-key-map ~ *, p").all_inner_texts().__str__()


def test_classes_can_be_hidden_and_are_not_caught_then(visit: Callable, run: genlab.Run, projection) -> None:
    tab, numbers = visit(), projection.indices
    entries = tab.locator(".entry")
    counts = dict(
        zip(entries.locator(".name").all_inner_texts(), entries.locator(".count").all_inner_texts(), strict=True)
    )
    assert counts == {name: str((projection.labels == i).sum()) for i, name in enumerate(run.images.class_names)}
    entries.nth(3).click()
    assert entries.nth(3).get_attribute("aria-pressed") == "false"
    for name, pressed in (("Undo on the map", "true"), ("Redo on the map", "false")):
        tab.get_by_role("button", name=name).click()
        assert entries.nth(3).get_attribute("aria-pressed") == pressed
    spots = places(tab, projection.points)
    low, high = spots.min(0) - 10, spots.max(0) + 10
    draw(tab, np.array([low, [high[0], low[1]], high, [low[0], high[1]]]), "Shift")
    eventually(lambda: bool(caught(tab, numbers)), "all others are caught")
    assert caught(tab, numbers) == set(numbers[projection.labels != 3].tolist())


def test_keys_and_fingers_move_the_view(visit: Callable, context) -> None:
    tab = visit()
    tab.locator(GROUND).focus()
    x, _, scale = inside_of(tab, "[map.view.x, map.view.y, map.view.scale]")
    tab.keyboard.press("ArrowRight")
    assert inside_of(tab, "map.view.x") == pytest.approx(x + 60 / scale)
    tab.keyboard.press("+")
    assert inside_of(tab, "map.view.scale") == pytest.approx(1.25 * scale)
    tab.keyboard.press("0")
    assert inside_of(tab, "map.view.scale") == pytest.approx(scale)
    box = tab.locator(GROUND).bounding_box()
    middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    fingers = context.new_cdp_session(tab)

    def touch(kind: str, *spread: float) -> None:
        spots = [{"x": middle[0] + apart, "y": middle[1], "id": i} for i, apart in enumerate(spread)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    touch("touchStart", -30, 30)
    touch("touchMove", -60, 60)
    touch("touchEnd")
    wide = pytest.approx(2 * scale, rel=0.05)
    eventually(lambda: inside_of(tab, "map.view.scale") == wide, "two fingers zoom")
    assert inside_of(tab, "map.chosen.indexOf(1)") == -1
    eventually(lambda: not inside_of(tab, "map.history.waiting"), "the pinch is a gesture that has ended")
    view = inside_of(tab, "map.view")
    pinched = view["scale"]
    tab.mouse.move(*middle)
    tab.mouse.down()
    tab.mouse.move(*(middle + 40), steps=4)
    tab.mouse.up()
    moved = inside_of(tab, "map.view")
    assert [moved["x"], moved["y"]] == pytest.approx([view["x"] - 40 / pinched, view["y"] + 40 / pinched])
    for _ in range(3):
        tab.mouse.wheel(0, -100)
    eventually(lambda: inside_of(tab, "map.view.scale") > 1.5 * pinched, "the wheel zooms")
    for before in (moved, view):  # three turns of the wheel are one gesture
        tab.locator(GROUND).press("Control+z")
        assert inside_of(tab, "map.view") == pytest.approx(before)
    tab.get_by_role("button", name="Undo on the map").click()
    assert inside_of(tab, "map.view.scale") == pytest.approx(scale)
    assert tab.get_by_role("button", name="Undo on the map").is_disabled()  # the keys led back to where it began
    for _ in range(2):
        tab.keyboard.press("Control+Shift+z")
    assert inside_of(tab, "map.view") == pytest.approx(moved)


def expected_hop(points: np.ndarray, row: int, way: tuple[int, int]) -> int:
    """The nearest point within 45 degrees of a way, by angles."""
    gaps = points - points[row]
    angles = np.arctan2(gaps[:, 1], gaps[:, 0]) - np.arctan2(way[1], way[0])
    distances = np.linalg.norm(gaps, axis=1)
    ahead = (np.cos(angles) >= np.cos(np.pi / 4) - 1e-9) & (distances > 0)
    return int(np.where(ahead, distances, np.inf).argmin())


def test_keys_step_from_image_to_image_and_select(visit: Callable, run: genlab.Run, projection) -> None:
    tab, numbers = visit(), projection.indices
    points = projection.points.astype(np.float32).astype(np.float64)
    tab.locator(GROUND).focus()
    middle = np.array(inside_of(tab, "[map.view.x, map.view.y]"))
    tab.keyboard.press("Shift+ArrowUp")
    row = int(np.linalg.norm(points - middle, axis=1).argmin())
    card = tab.locator(".st-key-map [data-part=card]")
    ways = {"ArrowRight": (1, 0), "ArrowUp": (0, 1), "ArrowLeft": (-1, 0), "ArrowDown": (0, -1)}
    for key in ["ArrowRight"] * 3 + ["ArrowUp"] * 2 + ["ArrowLeft"] * 2 + ["ArrowDown"]:
        card.get_by_text(f"image {numbers[row]}", exact=True).wait_for()
        tab.keyboard.press(f"Shift+{key}")
        row = expected_hop(points, row, ways[key])
    card.get_by_text(f"image {numbers[row]}", exact=True).wait_for()
    assert np.array_equal(pixels(card.locator("canvas"))[..., 0], run.images.images[numbers[row], 0])
    tab.keyboard.press("Enter")
    eventually(lambda: caught(tab, numbers) == {int(numbers[row])}, "Enter selects it")
    tab.get_by_text(re.compile(f"^Image {numbers[row]} ")).wait_for()
    tab.keyboard.press("Shift+ArrowLeft")
    also = expected_hop(points, row, (-1, 0))
    tab.keyboard.press("Control+Enter")
    eventually(lambda: caught(tab, numbers) == {int(numbers[row]), int(numbers[also])}, "and Ctrl-Enter another one")
    for _ in range(200):  # as far as it goes: the map follows
        tab.keyboard.press("Shift+ArrowLeft")
    last = numbers.tolist().index(int(card.get_attribute("data-number")))
    assert expected_hop(points, last, (-1, 0)) == last or not (points[:, 0] < points[last, 0]).any()
    tab.keyboard.press("+")
    tab.keyboard.press("Escape")
    assert card.is_hidden()


def test_pictures_take_the_place_of_dots(visit: Callable) -> None:
    tab = visit()
    ask = "map.canvas.getContext('2d').getImageData(0, 0, map.canvas.width, map.canvas.height).data.filter((v, i) => i % 4 === 3 && v).length"
    dots = inside_of(tab, ask)
    tab.locator("[data-part=pictures]").click()
    eventually(lambda: inside_of(tab, ask) > 2 * dots, "pictures cover more than dots")
    small = inside_of(tab, ask)
    size = tab.locator("[data-part=size]")
    size.focus()
    tab.keyboard.press("End")
    eventually(lambda: inside_of(tab, ask) > small, "larger ones still more")
    for stands in ([True, 28], [False, 28]):
        tab.keyboard.press("Control+z")
        assert inside_of(tab, "[map.pictures, map.size]") == stands
    eventually(lambda: "pictures=" not in address(tab) and inside_of(tab, ask) == dots, "dots again, and Python knows")
    tab.keyboard.press("Control+y")
    eventually(lambda: "pictures=28" in address(tab) and inside_of(tab, ask) == small, "and the small pictures again")


def test_pictures_that_take_long_move_as_they_lie_until_the_view_rests(visit: Callable) -> None:
    tab = visit(pictures="28")
    eventually(lambda: inside_of(tab, "!!map.layer"), "pictures are painted")
    wrong, covered, told = tab.locator(GROUND).evaluate(
        """overlay => {
          const map = overlay.scatter, { width, height } = map.canvas;
          const bytes = canvas => canvas.getContext("2d").getImageData(0, 0, width, height).data;
          map.layer.took = 1000;
          const before = bytes(map.layer.canvas);
          map.pan(60, 0);
          map.paint();
          const now = bytes(map.canvas);
          let wrong = 0, covered = 0;
          for (let y = 80; y < height - 80; y++) {  // between the words of the axes
            for (let x = 80; x < width - 160; x++) {
              const from = 4 * (y * width + x), to = from + 4 * 60;
              if (before[from + 3] < 255) continue;
              covered++;
              for (let part = 0; part < 4; part++) if (before[from + part] !== now[to + part]) { wrong++; break; }
            }
          }
          return [wrong, covered, map.drawn];
        }"""
    )
    assert (wrong, told) == (0, None)
    assert covered > 10_000
    eventually(lambda: inside_of(tab, "!!map.drawn"), "they are painted where they belong")
    assert inside_of(tab, "[map.layer.view.x, map.layer.view.y]") == inside_of(tab, "[map.view.x, map.view.y]")


def test_a_selection_becomes_an_image_set(visit: Callable, lab: Laboratory, projection) -> None:
    tab, numbers = visit(), projection.indices
    spots = places(tab, projection.points)
    draw(tab, star(spots), "Shift")
    tab.get_by_role("button", name="Make an image set").click()
    tab.get_by_label("Its name").fill("Caught")
    tab.get_by_label("Its name").press("Enter")
    at_rest(tab)
    tab.get_by_role("button", name="Make it").click()
    tab.get_by_text("“Caught” is among the image sets now.").wait_for()
    assert genlab.Workspace(lab.home).datasets["caught"].count == len(caught(tab, numbers))


def drop(tab, name: str, content: bytes, ground: str = GROUND) -> None:
    """Let a file fall on the map."""
    tab.locator(ground).evaluate(
        """(canvas, [name, text]) => {
          const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
          const carried = new DataTransfer();
          carried.items.add(new File([bytes], name, { type: "image/png" }));
          for (const kind of ["dragover", "drop"]) canvas.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(content).decode()],
    )


def test_a_dropped_picture_lands_among_its_class(visit: Callable, run: genlab.Run, projection) -> None:
    tab, images = visit(), run.images
    held = np.sort(images.splits["validation"])
    near = run.neighbours(Images(images.images[held])).indices
    sure = held[(images.labels[near] == images.labels[held][:, None]).all(1)]
    number = int(sure[len(sure) // 2])
    label = images.labels[number]
    file = io.BytesIO()
    Images(images.images[number]).picture().save(file, "PNG")
    drop(tab, "mine.png", file.getvalue())
    tab.get_by_text(f"8 of its 8 nearest images are of class {images.class_names[label]}.").wait_for()
    eventually(lambda: inside_of(tab, "map.marks.length") == 1, "the picture stands on the map")
    at = np.array(inside_of(tab, "[map.marks[0].x, map.marks[0].y]"))
    assert np.allclose(at, run.place(projection, Images(images.images[[number]]))[0], atol=1e-4)
    own = projection.points[projection.labels == label]
    gaps = np.linalg.norm(own[:, None] - own, axis=2) + np.diag(np.full(len(own), np.inf))
    assert np.linalg.norm(own - at, axis=1).min() <= gaps.min(1).max()
    share = run.anomaly(Images(images.images[[number]])).share[0]
    tab.get_by_text(f"{share:.0%} of the held-out images are more probable").wait_for()
    tab.get_by_role("button", name="Your picture").click()
    for button, count in (("away-0", 0), ("undo", 1)):
        tab.locator(f".st-key-newcomer-{button} button, .st-key-history-newcomer-{button} button").first.click()
        eventually(lambda count=count: inside_of(tab, "map.marks.length") == count, "it goes, and comes back")
    tab.keyboard.press("Escape")
    drop(tab, "letter.png", b"Dear laboratory, this is no image.")
    tab.get_by_text(re.compile("letter.png.*not.*image")).wait_for()


def test_a_picture_from_files_is_placed_by_tsne_too(visit: Callable, run: genlab.Run) -> None:
    tab = visit(method="t-SNE")
    file = io.BytesIO()
    Images(run.images.images[7]).picture().save(file, "PNG")
    tab.get_by_role("button", name="Your picture").click()
    tab.locator("input[type=file]").first.set_input_files(
        [{"name": "seven.png", "mimeType": "image/png", "buffer": file.getvalue()}]
    )
    tab.get_by_text("t-SNE cannot place what it has not seen").wait_for()
    laid_out = run.project("tsne", limit=LIMIT)
    eventually(lambda: inside_of(tab, "map.marks.length") == 1, "the picture stands on the map")
    at = inside_of(tab, "[map.marks[0].x, map.marks[0].y]")
    assert np.allclose(at, run.place(laid_out, Images(run.images.images[[7]]))[0], rtol=1e-3, atol=1e-3)


def spread(tab) -> np.ndarray:
    """Where the points (N, 2) stand."""
    return array(tab.locator(GROUND), "root.scatter.at").reshape(-1, 2)


def drawn_as(tab, run: genlab.Run) -> None:
    """The fixed samples on the page are those of a checkpoint, to two grey levels."""
    shown = tab.locator(".st-key-pixels-moment-samples img").evaluate(
        "async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]"
    )
    with Image.open(io.BytesIO(bytes(shown))) as picture:
        found = np.asarray(picture.convert("L"), dtype=float)
    expected = np.asarray(run.sample(24, seed=0).grid(8), dtype=float)
    enlarged = found.shape[1] // expected.shape[1]
    np.testing.assert_allclose(found[::enlarged, ::enlarged], expected, rtol=0, atol=2)


def test_the_image_on_the_card_is_rebuilt_by_the_checkpoint_under_the_slider(lab: Laboratory, visit: Callable) -> None:
    run = traveller(genlab.Workspace(lab.home))
    projection = run.project("pca", limit=LIMIT)
    tab = visit(run=run.id, time="true")
    tab.get_by_text("as it was after epoch 3 (step 30)").wait_for()
    tab.locator("[data-part=when]").scroll_into_view_if_needed()
    spots = places(tab, projection.points)
    tab.mouse.move(*spots[int(np.argmin(spots[:, 0]))])
    card = tab.locator(".st-key-map [data-part=card]")
    card.wait_for()
    number = int(card.get_attribute("data-number"))
    image = run.images.images[[number]]

    def rebuilt_after(epoch: int) -> np.ndarray:
        card.locator(f"canvas.rebuilt[data-title='epoch {epoch}']").wait_for()
        card.get_by_text(f"and as rebuilt after epoch {epoch}").wait_for()
        found = pixels(card.locator("canvas.rebuilt"))[..., 0]
        expected = run.at(10 * epoch).reconstruct(image).array[0, 0] * 255
        np.testing.assert_allclose(found, expected, rtol=0, atol=2)
        np.testing.assert_array_equal(pixels(card.locator("canvas").first)[..., 0], image[0, 0])
        return found

    last = rebuilt_after(3)
    slider = tab.locator("[data-part=when]").bounding_box()
    tab.mouse.move(slider["x"] + slider["width"] - 8, slider["y"] + slider["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2, steps=4)
    middle = rebuilt_after(2)
    tab.mouse.move(slider["x"] + 8, slider["y"] + slider["height"] / 2, steps=4)
    first = rebuilt_after(1)
    assert card.get_attribute("data-number") == str(number)
    assert "step=10" not in address(tab)  # Python hears when it is let go
    tab.mouse.up()
    tab.get_by_text("as it was after epoch 1 (step 10)").wait_for()
    drawn_as(tab, run.at(10))
    assert np.abs(last - middle.astype(float)).max() > 10
    assert np.abs(middle - first.astype(float)).max() > 10
    tab.locator(".st-key-time label").first.click()
    tab.get_by_text("as it was after epoch").wait_for(state="detached")
    at_rest(tab)
    tab.mouse.move(*places(tab, projection.points)[5])
    card.wait_for()
    assert card.locator("canvas").count() == 1


def test_a_picture_of_ones_own_goes_with_its_point_through_time(lab: Laboratory, visit: Callable) -> None:
    run = traveller(genlab.Workspace(lab.home))
    projection = run.project("pca", limit=LIMIT)
    tab = visit(run=run.id, time="true")
    file = io.BytesIO()
    Images(run.images.images[projection.indices[0]]).picture().save(file, "PNG")
    drop(tab, "one.png", file.getvalue())
    eventually(lambda: inside_of(tab, "map.marks.length") == 1, "the picture stands on the map")
    stood = []
    for frame in (2, 1, 0):
        stood.append(inside_of(tab, "[map.marks[0].x, map.marks[0].y]"))
        np.testing.assert_allclose(stood[-1], spread(tab)[0], atol=1e-3)
        assert inside_of(tab, "map.moment") == frame
        tab.locator("[data-part=when]").focus()
        tab.keyboard.press("ArrowLeft")
    tab.locator(GROUND).press("Control+z")
    np.testing.assert_allclose(inside_of(tab, "[map.marks[0].x, map.marks[0].y]"), stood[1], atol=1e-6)
    assert np.abs(np.subtract(stood[0], stood[1])).max() > 0.01


def test_a_map_that_cannot_travel_says_why(visit: Callable) -> None:
    tab = visit(time="true")
    tab.get_by_text("this run keeps a single checkpoint").wait_for()
    assert tab.locator(".st-key-time input").is_disabled()
    assert not tab.get_by_text("as it was after epoch").count()


def test_points_glide_through_the_checkpoints(lab: Laboratory, visit: Callable) -> None:
    run = traveller(genlab.Workspace(lab.home))
    history = run.history(run.project("pca", limit=LIMIT))
    tab = visit(run=run.id, time="true")

    def stands_at(frame: int) -> bool:
        return np.allclose(spread(tab), history.frames[frame], atol=1e-4)

    tab.get_by_text("as it was after epoch 3 (step 30)").wait_for()
    assert stands_at(2)
    drawn_as(tab, run.at(30))
    late = pictures(tab, "moment-samples")
    tab.locator("[data-part=when]").focus()
    tab.keyboard.press("ArrowLeft")
    assert stands_at(1)
    tab.get_by_text("as it was after epoch 2 (step 20)").wait_for()
    eventually(lambda: pictures(tab, "moment-samples") != late, "the samples are those of the checkpoint")
    assert "step=20" in address(tab)
    drawn_as(tab, run.at(20))
    tab.keyboard.press("Control+z")
    assert stands_at(2)
    eventually(lambda: "step=30" in address(tab), "Python hears that the last checkpoint is back")
    tab.keyboard.press("Control+Shift+z")
    assert stands_at(1)
    eventually(lambda: "step=20" in address(tab), "and that it stands before it again")
    cursor = tab.locator(".curve line").get_attribute("x1")
    tab.locator("[data-part=play]").click()
    eventually(lambda: stands_at(2), "the points arrive at the last checkpoint")
    assert tab.locator(".curve line").get_attribute("x1") != cursor
    eventually(lambda: pictures(tab, "moment-samples") == late, "the samples are the last ones again")
    linked = visit(run=run.id, time="true", step="10")
    linked.get_by_text("as it was after epoch 1 (step 10)").wait_for()
    assert np.allclose(spread(linked), history.frames[0], atol=1e-4)


def test_a_tour_leads_through_the_pages_and_sets_them(lab: Laboratory, context) -> None:
    tab = lab.open(context, "")
    tab.locator(".st-key-tour-latent-space button").click()
    tab.get_by_text("Every image has a place").wait_for()
    tab.locator(f"{GROUND}[data-painted='2000'][data-sheet]").wait_for()
    at_rest(tab)
    eventually(lambda: inside_of(tab, "map.pictures") is False, "dots to begin with")
    tab.get_by_role("button", name="Next").click()
    tab.get_by_text("Pictures in the place of dots", exact=True).wait_for()
    at_rest(tab)
    eventually(lambda: inside_of(tab, "[map.pictures, map.size]") == [True, 26], "pictures take the place of dots")
    tab.get_by_role("button", name="Next").click()
    tab.get_by_text("The way back", exact=True).wait_for()
    tab.locator(f"{GROUND}[data-painted='1000']").wait_for()
    at_rest(tab)
    tab.get_by_role("button", name="Next").click()
    tab.get_by_role("heading", name="Interpolate").wait_for()
    ends = tab.get_by_role("textbox", name="Ends (numbers)")
    ends.wait_for()
    assert ends.input_value() == "12, 2946"
    at_rest(tab)
    tab.get_by_role("button", name="Leave the tour").click()
    tab.get_by_text("A walk between two images").wait_for(state="detached")
    assert "tour=" not in address(tab)
    tab.close()


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()
