"""Ten people at once: what a committed gesture and a session cost the server: `python benchmarks/sessions.py [--quick] [PAGE …]`.

Ten tabs of a real Chromium, each a session of its own, stand on the Latent page of a shipped run, then ten on the Triplets
page, and on the board and the walk of the Interpolate page, the last three also for a run on 64x64 pixels in colour, with a
recogniser that is asked about the triplets. In turns each of them ends a gesture that Python hears of: a drag across the plane,
a click and a lasso on the map, a ring or a slider of the board let go, other ends of a walk; a click on the same map as a Plotly
chart stands beside it. The server's processor time is taken over all of them,
less what it uses at rest, and the memory that is its own (anonymous pages: libraries are shared with whatever else runs) before
and after nine of the ten came. Wall-clock time does not matter, but
run it on a machine that does nothing else. Where pages are named, the rows of the others are kept, each with its time.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from harness import RESULTS, report
from playwright.sync_api import Browser, Page, sync_playwright
from triplets_page import CHROMIUM, FLAGS, serve

RUN = "digits-vae"
LARGE = "log-ends-variant"  # 64x64 in colour
EYES = "log-ends-recognition"  # says which of its triplets are semi-hard
VIEW, FILMS = ".genlab[data-where=browser][data-shown]", ".genlab[data-films]"
SESSIONS = 10
REST = 1500  # milliseconds after a gesture: all that it sets off is over
Gesture = Callable[[Page, int], None]


def cpu(server: psutil.Process) -> float:
    """Processor seconds of the server and of what it started."""
    taken = server.cpu_times()
    return float(taken.user + taken.system + taken.children_user + taken.children_system)


def memory(server: psutil.Process) -> int:
    """Bytes that no other process can share: PSS would change with every other process that has PyTorch loaded."""
    text = Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    return 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))


def box_of(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector)
    found.scroll_into_view_if_needed()
    box = found.bounding_box()
    assert box
    return dict(box)


def pull(page: Page, selector: str, corners: list[tuple[float, float]]) -> None:
    """Drag over parts of the width and height of an element, and let go."""
    box = box_of(page, selector)
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def plane(page: Page, turn: int) -> None:
    pull(page, ".genlab canvas.finger", [(0.4, 0.4), (0.4 + 0.01 * (turn % 30), 0.6 - 0.01 * (turn % 17))])


def lasso(page: Page, turn: int) -> None:
    page.keyboard.down("Shift")
    side = 0.3 + 0.005 * (turn % 40)
    pull(page, ".st-key-map canvas[data-tool]", [(0.3, 0.3), (0.3 + side, 0.3), (0.3 + side, 0.7), (0.3, 0.7)])
    page.keyboard.up("Shift")


def click(page: Page, turn: int) -> None:
    spot = page.locator(".st-key-map canvas[data-tool]").evaluate(
        "(c, row) => c.scatter.screen(c.scatter.at[2 * row], c.scatter.at[2 * row + 1])", turn % 400
    )
    box = box_of(page, ".st-key-map canvas[data-tool]")
    page.mouse.click(box["x"] + spot[0], box["y"] + spot[1])


def chart(page: Page, turn: int) -> None:
    page.locator(".st-key-figure-map .point").nth(turn % 400).hover(force=True)
    page.locator(".st-key-figure-map .hoverlayer .hovertext").first.wait_for()
    page.mouse.down()
    page.mouse.up()


def ring(page: Page, turn: int) -> None:
    page.get_by_role("slider", name="Ring of the negatives").press("ArrowLeft" if turn % 2 else "ArrowRight")


def slider(page: Page, turn: int) -> None:
    page.locator(".genlab input[type=range]").first.press("ArrowLeft" if turn % 2 else "ArrowRight")


def ends(page: Page, turn: int) -> None:
    field = page.get_by_role("textbox", name="Ends (numbers)")
    field.fill(f"{turn % 500}, {turn % 470 + 9}")
    field.press("Enter")


def visit(browser: Browser, url: str, page: str, ready: str) -> Page:
    tab = browser.new_context(viewport={"width": 1280, "height": 1400}).new_page()
    tab.set_default_timeout(120_000)
    tab.goto(f"{url}/{page}")
    tab.locator(ready).first.wait_for()
    tab.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(state="attached")
    tab.wait_for_timeout(2 * REST)
    return tab


def at_rest(tab: Page, server: psutil.Process, seconds: float = 6) -> float:
    """Processor seconds a second while nobody does anything."""
    before = cpu(server)
    tab.wait_for_timeout(1000 * seconds)
    return (cpu(server) - before) / seconds


def cost(tabs: list[Page], server: psutil.Process, gesture: Gesture, rounds: int, idle: float) -> float:
    """Milliseconds of the server's processor for one gesture, the tabs in turns, after one of each that does not count."""
    for turn in range(1 + rounds):
        if turn == 1:
            before, began = cpu(server), time.monotonic()
        for place, tab in enumerate(tabs):
            tab.bring_to_front()
            gesture(tab, 7 * turn + 3 * place + 1)
            tab.wait_for_timeout(REST)
    spent = cpu(server) - before - idle * (time.monotonic() - began)
    return 1000 * spent / (rounds * len(tabs))


def measure(browser: Browser, url: str, server: psutil.Process, page: str, ready: str, gestures: dict[str, Gesture],
            sessions: int, rounds: int) -> dict[str, Any]:  # fmt: skip
    """Memory of each further session, and processor time of each gesture, on one page."""
    tabs = [visit(browser, url, page, ready)]
    for gesture in gestures.values():  # the first session's caches serve the others
        gesture(tabs[0], 0)
        tabs[0].wait_for_timeout(REST)
    alone = memory(server)
    for _ in range(sessions - 1):
        tabs.append(visit(browser, url, page, ready))
        for gesture in gestures.values():
            gesture(tabs[-1], 0)
            tabs[-1].wait_for_timeout(REST)
    each = (memory(server) - alone) / (sessions - 1)
    idle = at_rest(tabs[0], server)
    rows = {f"cpu_ms_{name}": cost(tabs, server, gesture, rounds, idle) for name, gesture in gestures.items()}
    after = memory(server)
    for tab in tabs:
        tab.context.close()
    return rows | {
        "mb_each_session": each / 1e6, "mb_of_the_first": alone / 1e6, "mb_after_all_gestures": after / 1e6,
        "cpu_ms_a_second_at_rest": 1000 * idle, "gestures_of_each_kind": rounds * sessions,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def main() -> None:
    quick = "--quick" in sys.argv
    sessions, rounds = (3, 2) if quick else (SESSIONS, 2)
    load = os.getloadavg()[0]
    pages: dict[str, tuple[str, str, dict[str, Gesture]]] = {
        "latent": (f"latent?run={RUN}&limit=500", VIEW, {"plane": plane, "click": click, "lasso": lasso}),
        "triplets": (f"triplets?run={RUN}&anchors=3", VIEW, {"ring": ring}),
        "triplets, 64x64 in colour": (f"triplets?run={LARGE}&anchors=3&hard-for={EYES}", VIEW, {"ring": ring}),
        "traverse": (f"interpolate?run={RUN}&way=Traverse", VIEW, {"board": slider}),
        "traverse, 64x64 in colour": (f"interpolate?run={LARGE}&way=Traverse", VIEW, {"board": slider}),
        "walk": (f"interpolate?run={RUN}&ends=3,500", FILMS, {"ends": ends}),
        "walk, 64x64 in colour": (f"interpolate?run={LARGE}&ends=3,500", FILMS, {"ends": ends}),
        "latent, as a Plotly chart": (f"latent?run={RUN}&limit=500&plotly=true", ".st-key-figure-map .point", {"click": chart}),
    }  # fmt: skip
    wanted = [argument for argument in sys.argv[1:] if argument != "--quick"]
    pages = {name: page for name, page in pages.items() if not wanted or name in wanted}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        server, url = serve(home)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            watched = psutil.Process(server.pid)
            rows = {name: measure(browser, url, watched, *page, sessions, rounds) for name, page in pages.items()}
        finally:
            browser.close()
            server.terminate()
            server.wait(10)
    told = {"run": RUN, "sessions": sessions, "load_average_before": load,
            "bar": "under 50 ms a gesture and 5 MB a session"}  # fmt: skip
    name = "sessions-quick" if quick else "sessions"
    file = RESULTS / f"{name}.json"
    kept = json.loads(file.read_text())["rows"] if wanted and file.exists() else {}
    report(name, kept | rows | told)


if __name__ == "__main__":
    main()
