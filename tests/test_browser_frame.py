"""A fresh server in a real Chromium: the first page, and the address of a page nobody came through the front door for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
def page(screenshots: Any) -> Iterator[Any]:
    with screenshots.laboratory() as url, screenshots.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=screenshots.FLAGS)
        yield browser.new_page(base_url=url)
        browser.close()


@pytest.mark.parametrize("address", ["/", "/data"])
def test_the_very_first_visit_finds_the_whole_frame(page: Any, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_text("Runs on this machine only").first.wait_for()
    page.get_by_role("link", name="Train").first.wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == {"/": "genlab", "/data": "Data"}[address]
    assert page.locator('[data-testid="stException"]').count() == 0
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))]
    assert outside == []
