"""Shipped runs: one of every model, small enough to come along, made by one command, and without anybody's paths."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genlab.core.errors import UnknownNameError
from genlab.core.registry import models
from genlab.runs.config import read_config
from genlab.workspace.pretrain import RECIPES, pretrain

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"


def test_every_model_has_a_shipped_run_and_all_fit_into_40_mb() -> None:
    shipped = {folder.name: read_config(folder) for folder in CHECKPOINTS.iterdir() if folder.is_dir()}
    assert shipped.keys() == RECIPES.keys()
    assert {config.model for config in shipped.values()} == set(models())
    assert {name: (c.model, c.data.name, c.name) for name, c in shipped.items()} == {
        name: (recipe.model, recipe.data, recipe.name) for name, recipe in RECIPES.items()
    }
    assert sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) <= 40e6


def test_one_command_makes_a_shipped_run_with_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "digits-multinomial").mkdir()
    (tmp_path / "digits-multinomial" / "of-before").touch()
    (row,) = pretrain(["digits-multinomial"], tmp_path)
    assert (row["name"], row["model"], row["data"]) == ("digits-multinomial", "multinomial", "digits-8")
    made, files = tmp_path / row["name"], [path for path in (tmp_path / row["name"]).rglob("*") if path.is_file()]
    assert row["megabytes"] * 1e6 == pytest.approx(sum(path.stat().st_size for path in files))
    assert not (made / "of-before").exists()
    assert not any(str(Path.home()).encode() in path.read_bytes() or b"/tmp" in path.read_bytes() for path in files)
    shipped = CHECKPOINTS / row["name"]
    names = {str(path.relative_to(made)) for path in files}
    assert names == {str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file()}
    (weights,) = (name for name in names if name.endswith(".safetensors"))
    now, then = load_file(made / weights), load_file(shipped / weights)
    assert now.keys() == then.keys()
    assert all(torch.equal(now[name], then[name]) for name in now)


def test_an_unknown_shipped_run_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="digits-vae"):
        pretrain(["digits-vea"], tmp_path)
    assert not list(tmp_path.iterdir())
