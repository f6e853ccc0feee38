"""A laboratory in a real Chromium: the server, the browser, and how tests read what is drawn in it."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

import genlab

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # the address bar's own pages, which each tab would load; this takes the place of Playwright's list, so its best are here
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,HttpsUpgrades,PaintHolding,MediaRouter,OptimizationHints",
]
PATIENCE = 60_000  # milliseconds: machines that test are often busy
INSIDE = ("data", "blob", "file")  # schemes of what a browser has itself, or finds on this machine's disk
LONGEST_LINE = 300  # characters of an address in the log: pictures may be written in one
KINDS = {"Float32Array": "f4", "Float64Array": "f8", "Uint8Array": "u1", "Uint8ClampedArray": "u1"}

# What stands first in a message is its kind, after a hash and metadata; 0x5a asks the script to run, 0x22 says that it
# begins, 0x30 that it ends, where 2 means: because it was asked again; there 0x5a stands for a message that was sent
# before, which a page may have let go of. The numbers are those of Streamlit's protocol.
WATCHING = """window.script = "asked";
{
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (message) {
    if (message[0] === 0x5a) window.script = "asked";
    return send.call(this, message);
  };
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        const bytes = new Uint8Array(data);
        let at = 0;
        while (bytes[at] === 0x0a || bytes[at] === 0x12) {
          let size = 0, shift = 0;
          do size |= (bytes[++at] & 0x7f) << shift, shift += 7; while (bytes[at] & 0x80);
          at += 1 + size;
        }
        if (bytes[at] === 0x5a) console.error("Streamlit refers to an earlier message: see .streamlit/config.toml");
        if (bytes[at] === 0x22) window.script = "runs";
        if (bytes[at] === 0x30 && window.script === "runs") window.script = bytes[at + 1] === 2 ? "asked" : "done";
      });
    }
  };
}"""

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; set CHROMIUM")


class Network:
    """Whatever browsers ask for: each request and each channel of each tab, in a file of a line each."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def watch(self, browser: Any) -> Any:
        """The same browser; all that is opened in it from now on is written down."""
        opened = browser.new_context

        def watched(**options: Any) -> Any:
            context = opened(**options)
            context.on("request", lambda request: self._write(request.method, request.url))
            context.on("page", lambda tab: tab.on("websocket", lambda channel: self._write("WEBSOCKET", channel.url)))
            return context

        browser.new_context = watched
        return browser

    def _write(self, method: str, url: str) -> None:
        with self.file.open("a") as log:
            log.write(f"{method} {url[:LONGEST_LINE]}\n")

    def asked(self) -> list[str]:
        return [line.split(" ", 1)[1] for line in self.file.read_text().splitlines()]

    def outside(self) -> list[str]:
        """What was asked of another machine: of any but this one by its number, as names may lead anywhere."""
        parts = ((url, urlsplit(url)) for url in self.asked())
        return [url for url, part in parts if part.scheme not in INSIDE and part.hostname != "127.0.0.1"]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Laboratory:
    """A server of this source tree with a home of its own, and the browser that visits it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.headless=true",
            f"--server.port={port}",
        ]
        environment = {**os.environ, "GENLAB_HOME": str(home), "OMP_NUM_THREADS": "1"}
        self.output = (home / "server.log").open("wb")
        self.server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.output, stderr=subprocess.STDOUT)
        eventually(self.healthy, "the server answers")

    def healthy(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
            return True
        return False

    def open(self, context: Any, page: str, **query: str) -> Any:
        """A new tab; it writes down whom it talks to and what goes wrong in it."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return self.follow(context, f"{self.url}/{page}?{asked}")

    def follow(self, context: Any, address: str) -> Any:
        """A new tab at this address."""
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.add_init_script(WATCHING)
        tab.on(
            "request", lambda request: self.hosts.add(urlsplit(request.url).hostname or urlsplit(request.url).scheme)
        )
        tab.on("websocket", lambda channel: self.hosts.add(urlsplit(channel.url).hostname))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("console", self._heard)
        tab.goto(address)
        tab.get_by_role("heading", level=1).wait_for()
        return tab

    def _heard(self, message: Any) -> None:
        # Streamlit asks below a page's address first whether it is healthy; its own 404 there means nothing
        if message.type == "error" and "/_stcore/" not in message.location["url"]:
            self.complaints.append(f"{message.text} {message.location['url']}")

    def nobody_complained(self, *but: str) -> None:
        """Nothing left the machine, and neither a page nor the server said of a mistake, but for these words."""
        said = sorted({words for words in self.complaints if not any(allowed in words for allowed in but)})
        assert self.hosts - {"data", "blob"} == {"127.0.0.1"}
        assert not said, "\n".join(said)
        assert b"Traceback" not in (self.home / "server.log").read_bytes()

    def close(self) -> None:
        self.server.kill()
        self.server.wait(10)
        self.output.close()
        for run in genlab.Workspace(self.home).runs:
            if not run.shipped and run.state.pid and psutil.pid_exists(run.state.pid) and run.status == "running":
                os.kill(run.state.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """One server for all files of tests: starting one, and importing PyTorch in it, takes long."""
    opened = Laboratory(tmp_path_factory.mktemp("laboratory"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lab(laboratory: Laboratory) -> Laboratory:
    """The shared laboratory; of whom was asked and what was said it keeps what belongs to this file."""
    laboratory.hosts.clear()
    laboratory.complaints.clear()
    return laboratory


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The log of all browsers of this process; in the end, nothing may have been asked of any other machine."""
    log = Network(tmp_path_factory.getbasetemp() / "network.log")
    yield log
    assert log.outside() == []


@pytest.fixture(scope="module")
def chromium(network: Network) -> Iterator[Any]:
    """A browser. It is not shared by files: beside Playwright's loop nothing else could use `asyncio.run`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = network.watch(play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS))
        yield opened
        opened.close()


@contextlib.contextmanager
def visits(lab: Laboratory, context: Any) -> Iterator[Callable]:
    """Opens tabs, and looks at each before it closes: no box of an error may stand there."""
    tabs = []

    def opened(page: str, **query: str) -> Any:
        tabs.append(lab.open(context, page, **query))
        return tabs[-1]

    yield opened
    for tab in tabs:
        if not tab.is_closed():
            assert not tab.get_by_test_id("stException").count()
            for said in ("Something unexpected went wrong", "did not start"):
                assert not tab.get_by_text(said).count()
            tab.close()


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"it did not come true within {seconds:g} s that {what}"
        time.sleep(0.1)


def at_rest(tab: Any) -> None:
    """Wait until Python has answered all that the page said to it, and the answer has been drawn to its end."""
    tab.evaluate("() => new Promise(done => setTimeout(done))")  # widgets speak in a timeout too, set before this one
    tab.wait_for_function("window.script === 'done'", polling=50)  # not by frames: those are drawn by the processor
    tab.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(state="attached")


def download(tab: Any, name: str) -> Any:
    """What a button of the page gives, once the page is at rest: until then it would give what was there before."""
    at_rest(tab)
    with tab.expect_download() as awaited:
        tab.get_by_role("button", name=name).first.click()
    return awaited.value


def array(place: Any, ask: str) -> np.ndarray:
    """A typed array of the page, `ask` of the element `root`, as bytes: as a list of numbers it would take seconds."""
    read = f"""async root => {{
        const found = await ({ask}), bytes = new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
        const carried = new FileReader();
        carried.readAsDataURL(new Blob([bytes]));
        await new Promise(done => {{ carried.onload = done; }});
        return [found.constructor.name, carried.result];
    }}"""
    kind, text = place.evaluate(read)
    return np.frombuffer(base64.b64decode(text.partition(",")[2]), KINDS[kind])


def pixels(canvas: Any) -> np.ndarray:
    """Bytes (H, W, 4) that stand on a canvas."""
    ask = "root.getContext('2d').getImageData(0, 0, root.width, root.height).data"
    return array(canvas, ask).reshape(-1, canvas.evaluate("canvas => canvas.width"), 4)


def pictures(tab: Any, key: str) -> list[str]:
    """Addresses of the pictures in one part of a page, once they are there."""
    images = tab.locator(f".st-key-pixels-{key} img")
    images.first.wait_for()
    return images.evaluate_all("images => images.map(image => image.src)")
