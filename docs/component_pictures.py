"""Takes a picture of every part that moves under a finger, and writes docs/components.md: `python docs/component_pictures.py [name …]`.

Each in light and dark, in a window of 1280 and of 800 pixels, of the runs that come with genlab, in a laboratory of its own.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from screenshots import FLAGS, ROOT, THEMES, WIDTHS, laboratory, settled

import genlab

IMAGES = ROOT / "docs" / "images" / "components"
PAGE = ROOT / "docs" / "components.md"
COLOURS = 96  # of a picture, which stays small so


class Shot(NamedTuple):
    """One part: its name, title and a sentence, where it stands, and what is done before the picture is taken."""

    name: str
    title: str
    sentence: str
    address: str
    part: str
    ready: str
    before: Callable[[Page], None] = lambda page: None


def pull(page: Page, canvas: str, corners: list[tuple[float, float]]) -> None:
    """Drag over parts of the width and height of an element, and let go."""
    found = page.locator(canvas).first
    found.scroll_into_view_if_needed()
    box = found.bounding_box()
    assert box, f"{canvas} is not to be seen"
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def lasso(page: Page) -> None:
    """Catch some points of the map."""
    page.keyboard.down("Shift")
    pull(page, ".st-key-map canvas[data-tool]", [(0.3, 0.3), (0.6, 0.25), (0.65, 0.6), (0.35, 0.65), (0.3, 0.3)])
    page.keyboard.up("Shift")


def own_picture(page: Page) -> None:
    """Put a picture from a file on the map: a seven, drawn here."""
    seven = Image.new("L", (28, 28))
    for step in range(60):
        x, y = (6 + step / 2, 6.0) if step < 30 else (21 - (step - 30) / 3, 6 + (step - 30) / 1.8)
        seven.paste(255, (round(x), round(y), round(x) + 3, round(y) + 3))
    content = io.BytesIO()
    seven.save(content, "PNG")
    page.get_by_role("button", name="Your picture").click()
    page.locator('[data-testid="stFileUploader"] input').set_input_files(
        {"name": "seven.png", "mimeType": "image/png", "buffer": content.getvalue()}
    )
    page.get_by_text("nearest images are of class").wait_for()
    page.keyboard.press("Escape")


def pins(page: Page) -> None:
    """Move across the plane and keep two pictures."""
    for corners in ([(0.45, 0.5), (0.35, 0.4)], [(0.35, 0.4), (0.6, 0.62)]):
        pull(page, ".st-key-finger canvas.finger", corners)
        page.keyboard.press("Enter")


def play(page: Page) -> None:
    """Let the cloud be learned for some steps."""
    for step in range(1, 13):
        page.get_by_role("button", name="Step both", exact=True).click()
        page.locator(f".genlab.toy[data-shown='{step}']").wait_for()


SHOTS = (
    Shot("map", "The map of codes", "Up to 70,000 dots follow a drag; Shift catches many, the legend counts what is caught.",
         "latent?run=digits-vae&limit=2000&colour=class", ".st-key-map", ".st-key-map canvas[data-tool]", lasso),
    Shot("pictures", "Pictures for dots", "The same, with the images themselves at a size of one's choice.",
         "latent?run=digits-plane&limit=1000&colour=class&pictures=26", ".st-key-map", ".st-key-map canvas[data-tool]"),
    Shot("own", "A picture of one's own", "Dropped, chosen or photographed, it gets its place among the codes, on every page that shows them.",
         "latent?run=digits-vae&limit=500&colour=class", ".st-key-wide-map", ".st-key-map canvas[data-tool]", own_picture),
    Shot("time", "Through time", "The points glide from checkpoint to checkpoint, with the loss beside them.",
         "latent?run={traveller}&limit=1000&colour=class&time=true", ".st-key-map", ".st-key-map canvas[data-tool]"),
    Shot("plane", "A plane under the finger", "Decoded in the browser; shades say how far it can be trusted, pins keep pictures.",
         "latent?run=digits-vae&limit=500&shade=round-trip", ".st-key-finger", ".genlab[data-where=browser][data-shown] canvas.finger", pins),
    Shot("rings", "Rings of a triplet", "Both radii of Algorithm 3 around an anchor, pulled; the triplets follow.",
         "triplets?run=digits-vae&anchors=3", ".st-key-rings", ".st-key-rings .genlab[data-where=browser][data-shown]"),
    Shot("walks", "Two walks", "Straight and spherical over the density, with film strips that play and can be scrubbed.",
         "interpolate?run=digits-vae&way=Walk", ".st-key-theatre", ".st-key-theatre .genlab[data-where=browser][data-shown]"),
    Shot("board", "A board of dimensions", "Each row is a slider of one latent dimension, the most used first.",
         "interpolate?run=digits-vae&way=Traverse", ".st-key-board", ".st-key-board .genlab[data-where=browser][data-shown]"),
    Shot("strength", "A strength", "How far codes are moved along an attribute, decoded while it is pulled.",
         "interpolate?run=digits-vae&way=Attributes", ".st-key-sliding-s", ".st-key-sliding-s .genlab[data-where=browser][data-shown]"),
    Shot("many", "One finger on several models", "Runs with one prior decode the same code side by side.",
         "compare?runs=digits-vae&runs=digits-ava1&runs=digits-ava3&runs=digits-ava5", ".st-key-many", ".st-key-many .genlab[data-where=browser][data-shown]"),
    Shot("styles", "Style mixing", "Coarse styles of the rows, fine ones of the columns, from a StyleGAN.",
         "interpolate?run=digits-stylegan&way=Style mixing", ".st-key-pixels-mixing", ".st-key-pixels-mixing img"),
    Shot("cloud", "The training theatre", "Generator, discriminator and its field on a cloud, step by step.",
         "theatre?model=gan&cloud=moons", ".st-key-theatre-view", ".genlab.toy[data-shown]", play),
    Shot("tour", "A guided tour", "Five minutes on the real pages, a stop at a time.",
         "latent?tour=latent-space.1&run=digits-plane&limit=1000", ".st-key-tour", ".st-key-tour"),
)  # fmt: skip


def travels() -> str:
    """Train a VAE on digits, so that there is a run with several checkpoints; returns its id."""
    lab = genlab.Workspace()
    run = lab.train("vae", lab.datasets["digits-28"], preset="quick", epochs=6, name="A traveller")
    return run.wait().id


def take(page: Page, address: str, shot: Shot, file: Path) -> None:
    """One picture."""
    page.goto(address)
    settled(page)
    page.locator(shot.ready).first.wait_for(timeout=60_000)
    shot.before(page)
    settled(page)
    page.mouse.move(2, 2)
    part = page.locator(shot.part).first
    part.scroll_into_view_if_needed()
    picture = Image.open(io.BytesIO(part.screenshot()))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(file.name, picture.size, file.stat().st_size)


def written() -> str:
    """docs/components.md."""
    lines = [
        "# Components",
        "",
        "What moves under a finger, in light and dark, in a window of 1280 and of 800 pixels, on runs that come with genlab;",
        "`python docs/component_pictures.py` takes the pictures again.",
    ]
    for shot in SHOTS:
        lines += ["", f"## {shot.title}", "", shot.sentence, "", "| light | dark |", "| --- | --- |"]
        for width in WIDTHS:
            cells = (
                f"![{shot.title}, {theme}, {width} px](images/components/{shot.name}-{theme}-{width}.png)"
                for theme in THEMES
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def take_all(browser: Browser, url: str, shots: Sequence[Shot], traveller: str) -> None:
    """Each part in each theme and width."""
    for theme, width in itertools.product(THEMES, WIDTHS):
        window: ViewportSize = {"width": width, "height": 1400}
        page = browser.new_page(viewport=window, color_scheme=theme, reduced_motion="reduce")
        for shot in shots:
            address = f"{url}/{shot.address.format(traveller=traveller)}"
            take(page, address, shot, IMAGES / f"{shot.name}-{theme}-{width}.png")
        page.close()


def main() -> None:
    """Take the pictures that are asked for, all by default, and write the page."""
    shots = [shot for shot in SHOTS if shot.name in sys.argv[1:]] or SHOTS
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as player:
        os.environ["GENLAB_HOME"] = home
        traveller = travels()
        with laboratory() as url:
            browser = player.chromium.launch(executable_path=chromium, args=FLAGS)
            take_all(browser, url, shots, traveller)
            browser.close()
    PAGE.write_text(written())


if __name__ == "__main__":
    main()
