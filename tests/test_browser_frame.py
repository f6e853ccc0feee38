"""A fresh server in a real Chromium: the first page, and the address of a page nobody came through the front door for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Network, eventually, free_port

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; set CHROMIUM to its program")


@pytest.fixture(scope="module")
def screenshots() -> Any:
    """The script that takes the pictures of the documentation."""
    specification = importlib.util.spec_from_file_location("screenshots", ROOT / "docs" / "screenshots.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["screenshots"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def page(screenshots: Any, network: Network) -> Iterator[Any]:
    with screenshots.laboratory() as url, screenshots.sync_playwright() as play:
        browser = network.watch(play.chromium.launch(executable_path=CHROMIUM, args=screenshots.FLAGS))
        yield browser.new_context(base_url=url).new_page()
        browser.close()


@pytest.mark.parametrize("address", ["/", "/data"])
def test_the_very_first_visit_finds_the_whole_frame(page: Any, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda channel: asked.append(channel.url))
    page.goto(address)
    page.get_by_text("Runs on this machine only").first.wait_for()
    page.get_by_role("link", name="Train").first.wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == {"/": "genlab", "/data": "Data"}[address]
    assert page.locator('[data-testid="stException"]').count() == 0
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))]
    assert outside == []
    assert any(url.startswith("ws://127.0.0.1:") for url in asked)


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and terminal of a laboratory that somebody started who has a coding agent and a browser of their own."""
    opener = tmp_path / "opener"
    opener.write_text(f"#!/bin/sh\necho $1 > {tmp_path}/opened\n")
    opener.chmod(0o755)
    (tmp_path / ".claude").mkdir()
    own = {"HOME": str(tmp_path), "GENLAB_HOME": str(tmp_path / "genlab"), "BROWSER": f"{opener} %s"}
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1"}
    terminal = tmp_path / "terminal"
    with terminal.open("wb") as output:
        command = [sys.executable, "-m", "genlab", "app", "--port", str(free_port())]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            opened = tmp_path / "opened"
            eventually(lambda: opened.exists() and opened.read_text() != "", "a browser is opened")
            yield opened.read_text().strip(), terminal
        finally:
            server.kill()
            server.wait(10)


def test_who_starts_the_app_is_advertised_nothing(
    at_home: tuple[str, Path], screenshots: Any, network: Network
) -> None:
    url, terminal = at_home
    with screenshots.sync_playwright() as play:
        browser = network.watch(play.chromium.launch(executable_path=CHROMIUM, args=screenshots.FLAGS))
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("heading", level=1).wait_for()
        page.get_by_text("Runs on this machine only").first.wait_for()
        page.locator("[data-test-script-state=notRunning]").wait_for()
        assert page.get_by_text("coding agents").count() == 0
        browser.close()
    assert terminal.read_text().split() == [url]


def test_what_is_asked_of_another_machine_is_found_in_the_log(screenshots: Any, tmp_path: Path) -> None:
    log = Network(tmp_path / "network.log")
    with screenshots.sync_playwright() as play:
        browser = log.watch(play.chromium.launch(executable_path=CHROMIUM, args=screenshots.FLAGS))
        context = browser.new_context()
        context.route("**/*", lambda route: route.fulfill(body="here", content_type="text/html"))  # nobody is asked
        for host in ("127.0.0.1", "elsewhere.example"):
            context.new_page().goto(f"http://{host}:9/page")
        tab = context.new_page()
        tab.goto("data:text/html,here")
        tab.evaluate("fetch('http://127.0.0.1.example/fetched', { mode: 'no-cors' })")
        with tab.expect_websocket(lambda channel: channel.url.startswith("ws:")):
            tab.evaluate("void new WebSocket('ws://127.0.0.1:9/channel')")
        browser.close()
    assert log.outside() == ["http://elsewhere.example:9/page", "http://127.0.0.1.example/fetched"]
    assert {"http://127.0.0.1:9/page", "ws://127.0.0.1:9/channel"} <= set(log.asked())
