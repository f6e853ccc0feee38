"""From a finger on the plane to the picture under it, in a real Chromium: `python benchmarks/explorer.py [--quick]`.

Convolutional VAEs at 64x64 colour with decoders of about 0.2, 1 and 3 million parameters are made in a laboratory of
their own (a step of training each, as weights do not change the time). A mouse is dragged across the plane; the clock in the
page runs from each event of the pointer until its picture is on the canvas. The processor time of the server is taken
over the drag and over what follows when the mouse is let go. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from harness import report
from playwright.sync_api import Page, sync_playwright
from triplets_page import CHROMIUM, FLAGS, serve

import genlab
from genlab.data import Content, write_set
from genlab.nn.portable import weights_of_graph

WIDTHS = (17, 38, 66)
SIDE = 64
CLOCK = """root => {
  const { stream } = root.plane, { want, show } = stream;
  window.took = [];
  addEventListener("pointermove", event => { window.moved = event.timeStamp; }, true);
  stream.want = (codes, count, about) => want.call(stream, codes, count, Object.assign(about, { began: window.moved }));
  stream.show = (pictures, about) => { show(pictures, about); if (about.began) window.took.push([performance.now() - about.began, pictures.milliseconds]); };
}"""


def laboratory(home: str) -> dict[str, str]:
    """Runs by the size of their decoders."""
    lab = genlab.Workspace(home)
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (96, 3, SIDE, SIDE), dtype=np.uint8)
    images = write_set(Path(home) / "datasets" / "noise", Content(pixels, np.arange(96) % 2, ("even", "odd")))
    found = {}
    for width in WIDTHS:
        shape = {"architecture": "conv", "latent_dim": 2, "width": width, "batch_size": 96}
        run = lab.train("vae", images, epochs=1, device="cpu", name=f"width {width}", **shape).wait(timeout=600)
        found[f"{weights_of_graph(run.decoder().read_bytes()) / 1e6:.2f} million"] = run.id
    return found


def cpu(server: psutil.Process) -> float:
    """Processor seconds of the server so far."""
    taken = server.cpu_times()
    return float(taken.user + taken.system)


def drag(page: Page, box: dict[str, float], moves: int) -> None:
    """A circle across the plane, an event a frame."""
    for turn in np.linspace(0, 4 * np.pi, moves):
        page.mouse.move(
            box["x"] + box["width"] * (0.5 + 0.4 * np.cos(turn)), box["y"] + box["height"] * (0.5 + 0.4 * np.sin(turn))
        )
        page.wait_for_timeout(16)


def measure(page: Page, url: str, run: str, server: psutil.Process, moves: int, gestures: int) -> dict[str, Any]:
    page.goto(f"{url}/latent?run={run}")
    page.locator(".genlab[data-where=browser][data-shown]").wait_for(timeout=120_000)
    page.wait_for_timeout(5000)
    canvas = page.locator(".genlab canvas.finger")
    canvas.scroll_into_view_if_needed()
    page.locator(".genlab").evaluate(CLOCK)
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    before = cpu(server)
    drag(page, box, moves)
    dragging = cpu(server) - before
    times = page.evaluate("window.took")
    page.mouse.up()
    page.wait_for_timeout(3000)
    before, began = cpu(server), time.monotonic()
    for gesture in range(gestures):
        page.mouse.move(box["x"] + box["width"] * (0.3 + 0.02 * gesture), box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.up()
        page.wait_for_timeout(1500)
    committing, seconds = cpu(server) - before, time.monotonic() - began
    page.wait_for_timeout(2000)
    resting = cpu(server)
    page.wait_for_timeout(5000)
    idle = (cpu(server) - resting) / 5
    whole, alone = (sorted(column) for column in zip(*times, strict=True))
    return {
        "pictures": len(times), "moves": moves,
        "median_ms": statistics.median(whole), "p95_ms": whole[int(0.95 * len(whole))],
        "decode_median_ms": statistics.median(alone), "decode_p95_ms": alone[int(0.95 * len(alone))],
        "server_cpu_ms_while_dragging": 1000 * dragging,
        "server_cpu_ms_of_a_committed_gesture": 1000 * (committing - idle * seconds) / gestures,
        "server_cpu_ms_a_second_at_rest": 1000 * idle,
    }  # fmt: skip


def main() -> None:
    quick = "--quick" in sys.argv
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        runs = laboratory(home)
        server, url = serve(home)
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = browser.new_page(viewport={"width": 1280, "height": 1400})
                watched = psutil.Process(server.pid)
                rows = {
                    size: measure(page, url, run, watched, 150 if quick else 600, 3 if quick else 10)
                    for size, run in runs.items()
                }
                browser.close()
        finally:
            server.terminate()
            server.wait(10)
    rows |= {
        "image": "64x64 colour",
        "load_average_before": load,
        "bar": "median below 16 ms at 1 million parameters, idle",
    }  # type: ignore[dict-item]
    report("explorer-quick" if quick else "explorer", rows)


if __name__ == "__main__":
    main()
