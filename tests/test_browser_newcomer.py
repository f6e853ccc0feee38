"""A person's own picture on pages that show codes, in a real Chromium: where it lands is what the run says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Laboratory, at_rest, eventually, needs_chromium, pictures, visits
from test_browser_scatter import drop
from test_scatter import png

import genlab
from genlab.figures.images import Images
from genlab.ui.explore_gallery import data_url, image_name

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def run(lab: Laboratory) -> genlab.Run:
    return genlab.Workspace(lab.home).runs["digits-vae"]


@pytest.fixture(scope="module")
def context(chromium: Any) -> Any:
    return chromium.new_context(viewport={"width": 1280, "height": 1400})


@pytest.fixture
def visit(lab: Laboratory, context: Any) -> Iterator[Callable]:
    """Opens pages where pictures of one's own are asked for; `key` is that of the choice."""
    with visits(lab, context) as visit:

        def opened(page: str, key: str, **query: str) -> Any:
            tab = visit(page, **query)
            at_rest(tab)
            choose_own(tab, key)
            return tab

        yield opened


def choose_own(tab: Any, key: str) -> None:
    tab.locator(f".st-key-{key}-origin").get_by_text("My pictures", exact=True).click()
    ground(tab, key).wait_for()
    at_rest(tab)


def ground(tab: Any, key: str) -> Any:
    return tab.locator(small_map(key))


def small_map(key: str) -> str:
    return f".st-key-{key}-own-map canvas[data-painted]"


def names(tab: Any, key: str) -> list[str] | None:
    """What is marked on the small map."""
    found = marks(tab, key)
    return None if found is None else [mark[0] for mark in found]


def marks(tab: Any, key: str) -> list[Any]:
    """Names and places of what is marked on the small map; None while one map takes the place of another."""
    ask = "found => found.length === 1 ? found[0].scatter.marks.map(mark => [mark.name, mark.x, mark.y]) : null"
    return ground(tab, key).evaluate_all(ask)


def upload(tab: Any, key: str, name: str, content: bytes) -> None:
    tab.get_by_role("button", name="Your picture").last.click()
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    tab.locator(f"[class*=st-key-{key}-own-files] input[type=file]").set_input_files([file])


def held_out(run: genlab.Run, place: int) -> int:
    return int(np.sort(run.images.splits["validation"])[place])


def lands_as_the_run_says(tab: Any, run: genlab.Run, key: str, number: int, name: str) -> None:
    """The picture's place, reconstruction, neighbours and anomaly share are those of the run."""
    image, images = Images(run.images.images[[number]]), run.images
    eventually(lambda: names(tab, key) == [name], "the picture stands on the map")
    place = run.place(run.project("pca", limit=600), image)[0]
    assert np.allclose(marks(tab, key)[0][1:], place, atol=1e-4)
    near, anomaly = run.neighbours(image), run.anomaly(image)
    shown = tab.locator(f".st-key-pixels-{key}-own-0")
    shown.get_by_text("its reconstruction").wait_for()
    labels = shown.locator("figcaption").all_inner_texts()
    beside = zip(near.indices[0].tolist(), near.distances[0].tolist(), strict=True)
    assert labels == [name, "its reconstruction", *(f"{image_name(images, i)}, at {d:.2f}" for i, d in beside)]
    assert pictures(tab, f"{key}-own-0")[:2] == [data_url(each.picture()) for each in (image, run.reconstruct(image))]
    most = np.bincount(images.labels[near.indices[0]]).argmax()
    count = int((images.labels[near.indices[0]] == most).sum())
    tab.get_by_text(
        f"{count} of its 8 nearest images are of class {images.class_names[most]}. {anomaly.share[0]:.0%} of the "
        "held-out images are more probable"
    ).wait_for()


def test_an_uploaded_picture_is_an_end_of_a_walk(visit: Callable, run: genlab.Run) -> None:
    tab, number = visit("interpolate", "ends", run=run.id, ends="3, 9"), held_out(run, 40)
    tab.get_by_text("Until you hand one over: image 3 (0), image 9 (0).").wait_for()
    upload(tab, "ends", "mine.png", png(run.images.images[number]))
    lands_as_the_run_says(tab, run, "ends", number, "mine.png")
    tab.get_by_text("With your picture goes: image 3 (0).").wait_for()
    tab.get_by_text("From left to right between mine.png, image 3 (0)").wait_for()
    at_rest(tab)
    ends = [run.codes(Images(run.images.images[[each]]))[0] for each in (number, 3)]
    told = tab.locator(".genlab").evaluate("root => [...root.theatre.codes]")
    assert np.allclose(np.reshape(told, (2, -1)), ends, atol=1e-5)
    for button, found in (("away-0", []), ("undo", ["mine.png"])):
        tab.locator(f".st-key-ends-own-{button} button, .st-key-history-ends-own-{button} button").first.click()
        eventually(lambda found=found: names(tab, "ends") == found, "it goes, and comes back")


def test_a_dropped_picture_is_an_anchor_and_goes_along_to_other_pages(visit: Callable, run: genlab.Run) -> None:
    tab, number = visit("triplets", "anchors", run=run.id), held_out(run, 200)
    drop(tab, "dropped.png", png(run.images.images[number]), small_map("anchors"))
    lands_as_the_run_says(tab, run, "anchors", number, "dropped.png")
    tab.get_by_text("Anchor: dropped.png. 4 positives").wait_for()
    anchor, rebuilt = (pictures(tab, "triplet-0")[place] for place in (0, 5))
    image = Images(run.images.images[[number]])
    assert [anchor, rebuilt] == [data_url(each.picture()) for each in (image, run.reconstruct(image))]
    at_rest(tab)
    tab.get_by_role("link", name="Interpolate").click()
    tab.get_by_role("heading", name="Interpolate").wait_for()
    at_rest(tab)
    choose_own(tab, "ends")
    lands_as_the_run_says(tab, run, "ends", number, "dropped.png")


def test_a_run_without_a_decoder_says_why_it_shows_less(lab: Laboratory, context: Any) -> None:
    eyes = genlab.Workspace(lab.home).runs["log-ends-recognition"]
    with visits(lab, context) as visit:
        tab = visit("recognise", run=eyes.id, way="Map", limit="500")
        tab.locator(".st-key-map canvas[data-painted]").wait_for()
        at_rest(tab)
        drop(tab, "end.png", png(eyes.images.images[5]))
        shown = tab.locator(".st-key-pixels-newcomer-0")
        shown.get_by_text("There is no reconstruction and no anomaly score").wait_for()
        near = eyes.neighbours(Images(eyes.images.images[[5]]))
        labels = shown.locator("figcaption").all_inner_texts()
        beside = zip(near.indices[0].tolist(), near.distances[0].tolist(), strict=True)
        assert labels == ["end.png", *(f"{image_name(eyes.images, i)}, at {d:.2f}" for i, d in beside)]


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()
