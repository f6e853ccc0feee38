"""What all tests share: where the optional reference data lies, one thread, and a laboratory of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for threads in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # Numba's, begun by UMAP, would be PyTorch's from then on too
    os.environ.setdefault(threads, "1")  # before PyTorch is imported: test files run side by side
pytest.register_assert_rewrite("visiting")  # so that it says what went wrong
pytest_plugins = ("browsing",)
LONG = (
    "test_browser",
    "test_portable",
    "test_theatre",
    "test_studies",
    "test_contract",
    "test_explore_models",
    "test_faults",
    "test_pages",
    "test_cli",
    "test_workspace",
    "test_tours",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no worker begins one when the others have nothing left."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it are skipped without it."""
    folder = Path(os.environ.get("GENLAB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference data is not here ({folder}); set GENLAB_SHARED to its folder")
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the person's own laboratory."""
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "home"))
