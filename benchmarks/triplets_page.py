"""From a slider on the Triplets page to new pictures, in a real Chromium: `python benchmarks/triplets_page.py [--quick]`.

A 64 px convolutional VAE with 64 codes is trained for an epoch in a laboratory of its own; then a key moves the
negative radius, again and again, and the clock in the page runs from the key's event until other pictures stand
there, decoded. Wall-clock time: run it on a machine that does nothing else.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from harness import report
from playwright.sync_api import Page, sync_playwright

import genlab

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
REST = 1500  # milliseconds between two presses
PART = ".st-key-pixels-triplet-0"
CLOCK = """part => {
  const last = () => [...document.querySelectorAll(`${part} img`)].at(-1);  // a negative: it moves with its radius
  const before = last().src;
  window.took = null;
  addEventListener("keydown", () => {
    const began = performance.now();
    const look = async () => {
      if (!last() || last().src === before) return setTimeout(look, 2);
      await last().decode();
      window.took = performance.now() - began;
    };
    look();
  }, {once: true, capture: true});
}"""


def laboratory(home: str) -> str:
    """Train the model that is measured; the run's id."""
    lab = genlab.Workspace(home)
    shape = {"architecture": "conv", "latent_dim": 64, "width": 32}
    run = lab.train("vae", "log-ends", epochs=1, device="cpu", name="measured", **shape)
    return run.wait(timeout=600).id


def serve(home: str) -> tuple[subprocess.Popen[bytes], str]:
    """A server of this source tree on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "genlab", "app", "--no-browser", f"--port={port}"]
    environment = {**os.environ, "GENLAB_HOME": home}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            return server, url
        except OSError:
            time.sleep(0.1)
    server.kill()
    raise TimeoutError("the server did not answer within 30 s")


def press(page: Page) -> float:
    """Milliseconds from one key press to other pictures."""
    page.evaluate(CLOCK, PART)
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(REST)  # the page asks itself nothing meanwhile
    took: float = page.evaluate("() => window.took")
    return took


def measure(url: str, run: str, rounds: int, **query: Any) -> dict[str, Any]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        page.goto(f"{url}/triplets?run={run}&{asked}")
        page.locator(f"{PART} img").first.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        page.get_by_role("slider", name="Negative radius").focus()
        times = [press(page) for _ in range(rounds + 2)][2:]  # the first two warm caches
        browser.close()
    quartiles = statistics.quantiles(times, n=4)
    return {"median_ms": quartiles[1], "quartiles_ms": [quartiles[0], quartiles[2]], "times_ms": times}


def main() -> None:
    rounds = 5 if "--quick" in sys.argv else 25
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        run = laboratory(home)
        server, url = serve(home)
        try:
            rows = {f"{draws} draws": measure(url, run, rounds, draws=draws) for draws in (1, 4, 8)}
        finally:
            server.terminate()
            server.wait(10)
    rows |= {"image": "64x64 colour", "load_average_before": load, "bar": "median below 150 ms at 4 draws"}
    report("triplets-page-quick" if "--quick" in sys.argv else "triplets-page", rows)


if __name__ == "__main__":
    main()
