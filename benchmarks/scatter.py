"""How quickly the map of codes appears and follows a hand, against Plotly's in the same browser.

`python benchmarks/scatter.py [--counts 1000 10000 70000]` serves one page with the map and one with the chart of the
same points, visits each in Chromium, and writes benchmarks/results/scatter.json. First paint is from asking for the
page until the points are painted, a frame the time from one painted frame to the next while the mouse drags.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
PAGE = """
import numpy as np
import streamlit as st
from genlab.figures import projection_scatter
from genlab.ui.components.scatter import Colouring, scatter, sprite_sheet

count, way = int(st.query_params["count"]), st.query_params["way"]
rng = np.random.default_rng(0)
labels = rng.integers(0, 10, count)
points = rng.normal(size=(count, 2)) + 4 * np.column_stack([np.cos(labels), np.sin(labels)])

@st.cache_resource
def sheet(count):
    return sprite_sheet(rng.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8))

names = tuple(map(str, range(10)))
if way == "map":
    touched = scatter(points, key="map", numbers=np.arange(count), axes=("x", "y"), label="map",
                      colouring=Colouring("class", labels, names), sheet=lambda: sheet(count))
    st.write(f"{len(touched.rows)} selected")
else:
    figure = projection_scatter(points, labels=labels, class_names=names)
    figure.update_layout(dragmode="pan")
    st.plotly_chart(figure, key="chart", on_select="rerun")
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAINTED = {
    "map": "() => !!document.querySelector('.st-key-map')?.querySelector('*') && [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('canvas[data-painted]'))",
    "plotly": "() => { const plot = document.querySelector('.js-plotly-plot'); return !!plot?.querySelector('.main-svg .xtick') && (!!plot.querySelector('.point') || !!plot.querySelector('canvas.gl-canvas')); }",
}
FRAMES = """() => { window.frames_ = []; let before = performance.now();
  const step = now => { window.frames_.push(now - before); before = now; window.watching = requestAnimationFrame(step); };
  window.watching = requestAnimationFrame(step); }"""


def first_paint(page: Page, url: str, way: str, count: int) -> float:
    began = time.perf_counter()
    page.goto(f"{url}/?count={count}&way={way}", wait_until="commit")
    page.wait_for_function(PAINTED[way], polling=20, timeout=180_000)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - began


def dragging(page: Page, way: str, server: psutil.Process) -> dict[str, float]:
    """Frame times while the mouse drags in circles for some seconds, and the server's CPU meanwhile."""
    ground = page.locator("canvas[data-tool]" if way == "map" else ".nsewdrag").first
    box = ground.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.wait_for_timeout(1000)
    used = sum(server.cpu_times()[:2])
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    until, place = time.perf_counter() + 4, 0
    while time.perf_counter() < until:
        place += 1
        page.mouse.move(x + 60 * (place % 20 - 10) / 10, y + 40 * (place % 14 - 7) / 7)
    found = page.evaluate("() => { cancelAnimationFrame(window.watching); return window.frames_; }")[2:]
    page.mouse.up()
    spent = sum(server.cpu_times()[:2]) - used
    return {"median_ms": statistics.median(found), "p95_ms": statistics.quantiles(found, n=20)[-1] if len(found) > 1 else found[0],
            "frames": len(found), "server_cpu_ms": 1000 * spent}  # fmt: skip


def painting(page: Page) -> float:
    """The time of one painting of the map, in milliseconds, the median of twenty."""
    return page.locator("canvas[data-tool]").evaluate(
        "c => { const times = []; for (let i = 0; i < 20; i++) { const began = performance.now(); c.scatter.due = 'all'; c.scatter.paint(); times.push(performance.now() - began); } return times.sort((a, b) => a - b)[10]; }"
    )


def measure(url: str, counts: list[int], server: psutil.Process) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for way in ("map", "plotly"):
            warm = chromium.new_page(viewport={"width": 1280, "height": 900})
            first_paint(warm, url, way, 100)  # the server's imports are no part of it
            warm.close()
        for count in counts:
            for way in ("map", "plotly"):
                page = chromium.new_page(viewport={"width": 1280, "height": 900})
                paint = first_paint(page, url, way, count)
                row = {"count": count, "way": way, "first_paint_s": round(paint, 2)}
                row |= {name: round(value, 1) for name, value in dragging(page, way, server).items()}
                if way == "map":
                    row["painting_ms"] = round(painting(page), 1)
                rows.append(row)
                print(row, flush=True)
                page.close()
        chromium.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=[1000, 10_000, 70_000])
    arguments = parser.parse_args()
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "page.py"
        script.write_text(PAGE, encoding="utf-8")
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true", f"--server.port={port}",
                   "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]  # fmt: skip
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                    break
                time.sleep(0.1)
            rows = measure(url, arguments.counts, psutil.Process(server.pid))
        finally:
            server.kill()
            server.wait(10)
    document = {
        "machine": {"cpus": psutil.cpu_count(), "load": psutil.getloadavg()[0], "python": platform.python_version()},
        "rows": rows,
    }
    (HERE / "results" / "scatter.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
