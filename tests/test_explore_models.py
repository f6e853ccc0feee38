"""Exploring every registered model, and a run that was really trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exploring import FakeRun, Set, floats, pictures
from small import small

import genlab
from genlab.core.batch import Batch
from genlab.core.capabilities import Fits
from genlab.core.errors import BadInputError
from genlab.core.registry import models
from genlab.figures import Images
from genlab.workspace.codes import read

METHODS = {
    "sample": lambda run, images: run.sample(2),
    "sample by label": lambda run, images: run.sample(2, labels=1),
    "encode": lambda run, images: run.encode(images),
    "reconstruct": lambda run, images: run.reconstruct(images),
    "interpolate": lambda run, images: run.interpolate(images[0], images[1], steps=3),
    "interpolate in the prior": lambda run, images: run.interpolate(0, 1, steps=3),
    "traverse": lambda run, images: run.traverse(steps=2, dimensions=[0]),
    "triplets": lambda run, images: run.triplets(images[:1]),
    "project": lambda run, images: run.project("pca"),
    "neighbours": lambda run, images: run.neighbours(images[:1], count=2),
    "likelihoods": lambda run, images: run.likelihoods(images),
    "evaluate": lambda run, images: run.evaluate(),
}
NEEDS = {
    "sample": {"samples"},
    "sample by label": {"samples_by_label"},
    "encode": {"encodes"},
    "reconstruct": {"encodes", "decodes"},
    "interpolate": {"encodes", "decodes"},
    "interpolate in the prior": {"has_prior", "decodes"},
    "traverse": {"decodes"},
    "triplets": {"encodes_normal", "decodes"},
    "project": {"encodes"},
    "neighbours": {"encodes"},
    "evaluate": set(),
}


@pytest.fixture(scope="module")
def data() -> Set:
    return pictures(20, (1, 32, 32))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Where all models find the classifier of the pictures whose features their samples are compared in."""
    return SimpleNamespace(root=tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("name", models())
def test_every_model_does_what_it_can_and_refuses_the_rest_in_words(
    name: str, data: Set, lab: SimpleNamespace, tmp_path: Path
) -> None:
    model = small(name, (1, 32, 32), classes=2)
    if issubclass(type(model), Fits):
        images, labels = torch.from_numpy(data.images).float() / 255, torch.from_numpy(data.labels)
        list(model.fit(Batch(images, labels), iterations=2))
    run = FakeRun(model, data, tmp_path)
    run.lab = lab
    for what, method in METHODS.items():
        able = run.can(*NEEDS[what]) if what in NEEDS else run.can("scores") or run.can("bounds")
        if able:
            check(method(run, floats(run, 4)), what)
        else:
            with pytest.raises(BadInputError, match="tiny run"):
                method(run, floats(run, 4))


def check(found, what: str) -> None:
    if isinstance(found, Images):
        assert found.array.shape[1:] == (1, 32, 32)
        assert np.isfinite(found.array).all()
        assert "tiny run" in found.caption
    if what == "evaluate":
        assert found
        assert all(np.isfinite(measured.value) for measured in found.values())
        json.dumps({name: measured.as_dict() for name, measured in found.items()}, allow_nan=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run, trained by the worker on 8x8 digits."""
    lab = genlab.Workspace(tmp_path_factory.mktemp("lab"))
    return lab.train("vae", "digits-8", epochs=1, latent_dim=2, hidden=16, batch_size=256).wait(timeout=120)


def test_a_real_run_explores_what_it_was_trained_on(trained) -> None:
    anchors = read(trained.images, np.arange(2))
    assert trained.triplets(anchors, draws=2).negatives.array.shape == (4, 1, 8, 8)
    assert trained.project(limit=50).points.shape == (50, 2)
    assert len(trained.plane(steps=4)) == 16
    assert trained.name in trained.sample(2).caption
    kept = list((trained.directory / "artefacts" / "cache").iterdir())
    assert len(kept) == 1
    again = genlab.Workspace(trained.lab.root).runs[trained.id]
    assert np.array_equal(again.encoded()[1].mean, trained.encoded()[1].mean)


def test_evaluation_is_on_held_out_images_or_on_another_set(trained) -> None:
    held_out = read(trained.images, np.sort(trained.images.splits["validation"]))
    found = trained.evaluate(["mse", "bm"])
    assert found["mse"].n == len(held_out)
    assert found["mse"].value == pytest.approx(((trained.reconstruct(held_out).array - held_out) ** 2).mean(), rel=1e-5)
    train = read(trained.images, np.sort(trained.images.splits["train"])[:1000])
    assert found["mse"].baseline == pytest.approx(((held_out - train.mean(0)) ** 2).mean(), rel=0.02)
    for against in (trained.images, "digits-8"):
        whole = trained.evaluate(["mse"], against=against, limit=5000)["mse"]
        assert whole.n == trained.images.count
    assert trained.evaluate(["mse"], limit=10)["mse"].n == 10
    with pytest.raises(BadInputError, match="digits-28"):
        trained.evaluate(["mse"], against="digits-82")
