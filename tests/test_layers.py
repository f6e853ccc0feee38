"""The direction of imports, and what is loaded before it is needed."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE_FILES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
HEAVY = {"torch", "torchvision", "sklearn", "umap", "skimage", "scipy", "mlxtend", "plotly"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "genlab"}
    return names


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_pages_import_only_the_public_layers(path: Path) -> None:
    allowed = ("genlab.ui", "genlab.workspace", "genlab.core", "genlab.Workspace", "genlab.Run")
    for name in imported(path):
        if name.split(".")[0] == "genlab" and name != "genlab":
            assert name.startswith(allowed), f"{path.name} imports {name}"
        assert name.split(".")[0] not in HEAVY | {"numpy", "sqlite3"}, f"{path.name} imports {name}"


def test_import_linter_contracts_hold() -> None:
    tool = shutil.which("lint-imports") or str(Path(sys.executable).with_name("lint-imports"))
    result = subprocess.run([tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "module",
    ["genlab", "genlab.core", "genlab.core.events", "genlab.core.capabilities", "genlab.workspace", "genlab.cli", "genlab.ui", "genlab.metrics", "genlab.runs", "genlab.jobs"],
)  # fmt: skip
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    heavy = HEAVY - {"plotly"} if module == "genlab.ui" else HEAVY  # Streamlit itself imports Plotly
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_step_of_training_does_not_import_the_compiler_of_pytorch() -> None:
    code = """
import sys, torch
from genlab.nn.optimisers import SGD, RMSprop, adam
weight = torch.nn.Parameter(torch.ones(2))
for player in (SGD([weight], lr=0.1), RMSprop([weight], lr=0.1), adam([weight], 0.1)):
    player.zero_grad()
    weight.square().sum().backward()
    player.step()
    player.load_state_dict(player.state_dict())
print("torch._dynamo" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_nothing_is_unpickled_and_no_host_is_named() -> None:
    for path in sorted((ROOT / "genlab").rglob("*.py")):
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path
        for line in text.splitlines():
            if "torch.load(" in line:
                assert "weights_only=True" in line, path
