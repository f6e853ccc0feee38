"""Parts of pages that run in the browser: Python on one side, plain JavaScript on the other."""


def heard() -> None:
    """Being told is enough: Streamlit then runs the part of the page again, which reads what was told."""
