"""Takes a picture of every page, light and dark, wide and narrow: `python docs/screenshots.py OUT [--url URL] [page …]`.

Without `--url` it starts a laboratory of its own on a free port (with `GENLAB_HOME` as it is) and stops it again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (1280, 800)
THEMES = ("light", "dark")
BUSY = '[data-testid="stStatusWidget"], [data-testid="stSpinner"], [data-testid="stSkeleton"], .status .bar'
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pages() -> list[str]:
    """Names of the pages, the first one first."""
    names = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
    return ["home", *(name for name in names if name != "home")]


@contextlib.contextmanager
def laboratory() -> Iterator[str]:
    """A server of this source tree, ended by its own process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(url)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:  # it waits for browsers that never hang up
            server.kill()
            server.wait()


def wait_until_healthy(url: str, seconds: float = 30) -> None:
    """Ask the health endpoint until it answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within {seconds:g} s")


def settled(page: Page, seconds: float = 60) -> None:
    """Wait until the script has run through, the pictures are there, and so is the decoder of a view."""
    page.wait_for_selector("h1", timeout=seconds * 1000)
    quiet, until = 0, time.monotonic() + seconds
    while quiet < 4 and time.monotonic() < until:
        quiet = 0 if page.locator(BUSY).count() else quiet + 1
        page.wait_for_timeout(250)


def full_height(page: Page) -> int:
    """How tall the page is when nothing scrolls."""
    height: int = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('[data-testid=stMain], section')].map(e => e.scrollHeight), 600)"
    )
    return min(height, 4000)


def shoot(browser: Browser, url: str, names: list[str], out: Path) -> None:
    """Every page in each theme and width, as NAME-THEME-WIDTH.png."""
    for theme in THEMES:
        for width in WIDTHS:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
            page = context.new_page()
            for name in names:
                page.goto(url if name == "home" else f"{url}/{name}")
                settled(page)
                page.set_viewport_size({"width": width, "height": full_height(page)})
                settled(page)
                page.screenshot(path=out / f"{name}-{theme}-{width}.png")
                page.set_viewport_size({"width": width, "height": 900})
                print(out / f"{name}-{theme}-{width}.png")
            context.close()


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=pages())
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    where = contextlib.nullcontext(arguments.url) if arguments.url else laboratory()
    with where as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        shoot(browser, url, arguments.names, arguments.out)
        browser.close()


if __name__ == "__main__":
    main()
