"""What the documentation says is what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_example_model_can_be_added_and_trained(tmp_path: Path) -> None:
    """Save the documented file as a model, then find, train and use it by its name."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/adding-a-model.md").read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "linear_autoencoder.py").write_text(code.group(1))
    script = f"""
import numpy as np, torch
import genlab.models
genlab.models.__path__.append({str(tmp_path)!r})
from sklearn.datasets import load_digits
from genlab.core.events import EpochFinished
from genlab.core.registry import find
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.training.loop import Training
images = (load_digits().images[:200, None] * 255 / 16).astype(np.uint8)
torch.manual_seed(0)
model = find("linear_autoencoder").create((1, 8, 8), latent_dim=4, learning_rate=0.01)
data = ArrayBatches(images, None, {{"train": np.arange(200)}})
events = list(Training(model, data, TrainingSettings(epochs=30, batch_size=50)).events())
losses = [event.scalars["loss"] for event in events if isinstance(event, EpochFinished)]
x = images.reshape(200, -1) / 255
best = (np.linalg.svd(x, compute_uv=False)[4:] ** 2).sum() / 200  # no rank-4 map does better
assert losses[-1] < losses[0] and losses[-1] > best, (losses, best)
print(losses[-1] / best)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert 1 < float(result.stdout) < 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_pages_of_the_models_are_what_their_cards_say() -> None:
    """`python docs/model_pages.py` writes them again."""
    result = subprocess.run(
        [sys.executable, "docs/model_pages.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_folder_of_the_package_is_described() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    folders = {path.parent.name for path in (ROOT / "genlab").glob("*/__init__.py")} - {"_app"}
    assert not {folder for folder in folders if folder not in text}
