"""Where things lie that belong to genlab itself."""

from __future__ import annotations

from pathlib import Path


def app_root() -> Path:
    """The folder of app.py, pages and checkpoints: the checkout, or `_app` inside the installed package.

    >>> (app_root() / "app.py").exists()
    True
    """
    package = Path(__file__).resolve().parent.parent
    return package.parent if (package.parent / "app.py").exists() else package / "_app"
