"""The main job in a real Chromium: upload, train, close the tab, come back, explore; and nothing leaves the machine.

The tests of this file build on one another, in their order, in one laboratory behind one server.
"""

from __future__ import annotations

import io
import re
import signal
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from browsing import Laboratory, at_rest, download, eventually, needs_chromium, pictures, visits

import genlab
from genlab.core.registry import find

CLASSES = (0, 1, 7)

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """One of its own: in the end its server is killed."""
    laboratory = Laboratory(tmp_path_factory.mktemp("laboratory"))
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Any:
    return chromium.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)


@pytest.fixture
def visit(lab: Laboratory, browser) -> Iterator[Callable]:
    with visits(lab, browser) as opened:
        yield opened


def digits_in_folders() -> bytes:
    """A zip of real handwritten digits, one folder for each class, and a text that calls itself an image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            if label in CLASSES and index < 300:
                image = io.BytesIO()
                Image.fromarray((pixels * 15).astype("uint8")).save(image, "PNG")
                archive.writestr(f"{label}/{index:03d}.png", image.getvalue())
        archive.writestr("7/letter.png", b"Dear laboratory, this is no image.")
    return file.getvalue()


def changes(tab, key: str, before: list[str]) -> None:
    eventually(lambda: pictures(tab, key) != before, f"the pictures of {key} change")


def run_of(lab: Laboratory, name: str) -> genlab.Run:
    return genlab.Workspace(lab.home).runs[name]


def test_images_come_in_through_the_data_page(lab: Laboratory, visit: Callable) -> None:
    tab = visit("data")
    tab.get_by_text("Import images", exact=True).first.click()
    upload = {"name": "my-digits.zip", "mimeType": "application/zip", "buffer": digits_in_folders()}
    tab.locator("input[type=file]").first.set_input_files(upload)
    tab.get_by_role("button", name="Import", exact=True).click()
    note = tab.get_by_text(re.compile(r"“my-digits” is in: \d+ images of 8x8 grey\. 1 files? w"))
    note.wait_for()
    images = genlab.Workspace(lab.home).datasets["my-digits"]
    assert images.class_names == tuple(map(str, CLASSES))
    assert f"{images.count} images" in note.inner_text()


def test_training_goes_on_while_the_tab_is_closed(lab: Laboratory, visit: Callable) -> None:
    tab = visit("train", data="my-digits", model="vae")
    tab.get_by_text("Quick", exact=True).click()
    epochs = tab.get_by_label("Epochs", exact=True)
    quick = str(find("vae").preset("quick")[1]["epochs"])
    values = "fields => fields.map(field => field.value)"  # two while one form takes the place of another
    eventually(lambda: epochs.evaluate_all(values) == [quick], "the preset's values stand in the form")
    epochs.fill("40")
    epochs.press("Enter")
    tab.get_by_text("Changed from the preset: epochs 40").wait_for()
    at_rest(tab)  # what is typed into a field that is being drawn anew would be lost
    name = tab.get_by_label("Name of the run")
    name.fill("My first run")
    name.press("Enter")
    at_rest(tab)
    tab.get_by_role("button", name="Start training").click()
    tab.get_by_role("button", name="Watch it").click()
    tab.get_by_role("heading", name="My first run").wait_for()
    tab.close()
    eventually(lambda: run_of(lab, "My first run").status == "finished", "the run finishes without a tab")
    tab = visit("runs", run=run_of(lab, "My first run").id)
    tab.get_by_text("Training is over.").wait_for()
    tab.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    assert run_of(lab, "My first run").state.epoch == 40


def test_sample_draws_and_downloads(lab: Laboratory, visit: Callable) -> None:
    tab = visit("sample", run=run_of(lab, "My first run").id)
    before = pictures(tab, "samples")
    tab.get_by_text("36 new images drawn by “My first run”, temperature 1, seed 0.").wait_for()
    tab.get_by_role("button", name="casino").click()
    tab.get_by_text("temperature 1, seed 1.").wait_for()
    changes(tab, "samples", before)
    given = download(tab, "Download 36 images")
    with zipfile.ZipFile(given.path()) as archive:
        assert len(archive.namelist()) == 36


def test_points_of_the_latent_space_lead_to_images(lab: Laboratory, visit: Callable) -> None:
    tab = visit("latent", run=run_of(lab, "My first run").id)
    before = pictures(tab, "point")
    ground = tab.locator(".st-key-map canvas[data-painted]")
    box = ground.bounding_box()
    spot = ground.evaluate("(c) => c.scatter.screen(c.scatter.at[80], c.scatter.at[81])")
    tab.mouse.click(box["x"] + spot[0], box["y"] + spot[1])
    changes(tab, "point", before)
    tab.locator(".st-key-map [data-tool=lasso]").first.click()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=4)
    tab.mouse.up()
    tab.get_by_text(re.compile(r"The \d+ selected images of my-digits")).wait_for()
    assert pictures(tab, "selection")


def test_the_latent_space_as_a_chart_leads_to_images_too(lab: Laboratory, visit: Callable) -> None:
    tab = visit("latent", run=run_of(lab, "My first run").id, plotly="true")
    before = pictures(tab, "point")
    points = tab.locator(".st-key-figure-map .point")
    points.first.wait_for()
    assert points.count() > 60
    points.nth(40).hover(force=True)
    tab.locator(".st-key-figure-map .hoverlayer .hovertext").first.wait_for()
    tab.mouse.down()
    tab.mouse.up()
    changes(tab, "point", before)


def test_walks_are_shown_and_taken_away(lab: Laboratory, visit: Callable) -> None:
    tab = visit("interpolate", run=run_of(lab, "My first run").id)
    before = pictures(tab, "walk")
    assert len(before) == 2
    tab.get_by_text("Pick from pictures").click()
    tab.get_by_role("button", name=re.compile(r"^image 3 \(")).click()
    changes(tab, "walk", before)
    assert tab.get_by_role("textbox", name="Ends (numbers)").input_value().endswith(", 3")
    given = download(tab, "Film (GIF)")
    assert given.path().read_bytes()[:4] == b"GIF8"
    tab.get_by_text("Traverse", exact=True).click()
    assert len(pictures(tab, "traversal")) == 10
    tab.get_by_text("Attributes", exact=True).click()
    assert len(pictures(tab, "attribute")) == 3


def test_sliders_change_the_triplets_at_once(lab: Laboratory, visit: Callable) -> None:
    tab = visit("triplets", run=run_of(lab, "My first run").id)
    before = pictures(tab, "triplet-0")
    assert len(before) == 10
    tab.get_by_role("slider", name="Negative radius").focus()
    for _ in range(20):
        tab.keyboard.press("ArrowRight")
    changes(tab, "triplet-0", before)
    eventually(lambda: "negative_radius=0.5" in tab.url, "the radius stands in the address")
    tab.get_by_role("slider", name="Positive radius").focus()
    tab.keyboard.press("End")
    tab.get_by_text("lower the positive radius or raise the negative one").wait_for()
    tab.get_by_role("button", name="thesis").click()
    eventually(lambda: pictures(tab, "triplet-0") == before, "the thesis's values give the first picture again")


def test_images_from_files_can_be_anchors(lab: Laboratory, visit: Callable) -> None:
    from skimage.data import chelsea

    from genlab.figures.images import Images

    photo = io.BytesIO()
    Images(chelsea().transpose(2, 0, 1)).picture().save(photo, "JPEG")
    tab = visit("triplets", run=run_of(lab, "My first run").id)
    pictures(tab, "triplet-0")
    tab.get_by_text("My pictures", exact=True).click()
    tab.get_by_role("button", name="Your picture").click()
    upload = {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    tab.locator("input[type=file]").set_input_files([upload])
    tab.get_by_text("Anchor: cat.jpg").wait_for()


def test_runs_are_compared_under_an_address_of_their_own(lab: Laboratory, visit: Callable) -> None:
    tab = visit("compare", runs=run_of(lab, "My first run").id, seed="4")
    tab.get_by_text(re.compile("images from each of “My first run”, all from seed 4")).wait_for()
    assert len(pictures(tab, "rebuilt")) == 2
    tab.get_by_text("Seconds", exact=True).click()
    tab.get_by_text("loss of “My first run” over seconds").wait_for()
    assert "seed=4" in tab.url
    assert "axis=Seconds" in tab.url


def test_nothing_left_the_machine_and_nobody_complained(lab: Laboratory) -> None:
    lab.nobody_complained()


def test_killing_the_server_does_not_touch_training(lab: Laboratory, visit: Callable) -> None:
    tab = visit("train", data="my-digits", model="vae")
    epochs = tab.get_by_label("Epochs", exact=True)
    epochs.fill("90000")
    epochs.press("Enter")
    tab.get_by_text("Changed from the preset: epochs 90000").wait_for()
    tab.get_by_role("button", name="Start training").click()
    tab.get_by_role("button", name="Watch it").first.wait_for()
    run = next(iter(genlab.Workspace(lab.home).runs))
    eventually(lambda: run.status == "running" and run.state.epoch > 0, "the run is on its way")
    worker = psutil.Process(run.state.pid)
    tab.close()
    lab.server.send_signal(signal.SIGKILL)
    lab.server.wait(10)
    epoch = run.state.epoch
    eventually(lambda: run.state.epoch > epoch, "it goes on without the server")
    assert worker.is_running()
    run.stop()
    eventually(lambda: run.status == "finished", "it stops when asked")
    assert run.state.message == "" or "stop" in run.state.message.lower()
    assert lab.hosts - {"data", "blob"} == {"127.0.0.1"}
