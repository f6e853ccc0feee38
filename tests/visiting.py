"""Pages of the laboratory opened without a browser, and nothing may go wrong on them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parent.parent / "app.py"


def visit(page: str, **query: object) -> AppTest:
    """A page after its script ran, its address with this query, with nothing gone wrong."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page(f"pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return fine(app.run())


def fine(app: AppTest) -> AppTest:
    """The same page, which shows no error."""
    assert not app.exception
    assert [error.value for error in app.error] == []
    return app
