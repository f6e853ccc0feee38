"""A run at its checkpoints: each answers with its own weights, and the codes of one glide to those of the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
from genlab.core.errors import BadInputError
from genlab.runs.checkpoints import save_checkpoint
from genlab.runs.directory import RunDirectory
from genlab.ui.explore_time import moments_of, what_lacks

STEPS = {10: 1, 20: 2, 30: 3}


@pytest.fixture
def run(tmp_path: Path) -> genlab.Run:
    return traveller(genlab.Workspace(tmp_path))


def traveller(lab: genlab.Workspace) -> genlab.Run:
    """A VAE on digits whose latent space only turns from the first checkpoint to the second, and then moves."""
    run = lab.prepare("vae", lab.datasets["digits-8"], name="traveller", device="cpu", latent_dim=3, hidden=8)
    torch.manual_seed(0)
    model = genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=8)
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    for step, epoch in STEPS.items():
        save_checkpoint(run.directory / "checkpoints", model, None, step=step, epoch=epoch, loss=1 / step)
        with torch.no_grad():
            last = model.encoder[-1]
            if step == 10:
                last.weight[:3], last.bias[:3] = turn @ last.weight[:3], turn @ last.bias[:3] + 5
            else:
                last.weight.add_(torch.randn_like(last.weight) * 0.3)
                for weight in model.decoder.parameters():
                    weight.add_(torch.randn_like(weight) * 0.3)
    files = RunDirectory(run.directory)
    files.set_state(files.state.model_copy(update={"status": "finished"}))
    return run


def test_a_run_answers_as_it_was_at_a_step(run: genlab.Run) -> None:
    assert run.steps() == STEPS
    images = run.images.images[:4]
    codes = [run.at(step).encode(images).mean for step in STEPS]
    assert np.array_equal(codes[-1], run.encode(images).mean)
    assert all(np.abs(codes[i] - codes[j]).max() > 0.01 for i, j in ((0, 1), (1, 2), (0, 2)))
    assert np.array_equal(run.at(10).sample(3, seed=2).array, run.at(10).sample(3, seed=2).array)
    assert run.at(10).title == "traveller at step 10"
    early = run.at(10).neighbours(images, count=2)
    assert not (run.directory / "artefacts" / "cache").exists()  # kept for the newest weights alone
    late = run.neighbours(images, count=2)
    assert list((run.directory / "artefacts" / "cache").iterdir())
    assert np.abs(early.distances - late.distances).max() > 0.01
    assert np.array_equal(run.at(30).neighbours(images, count=2).distances, late.distances)
    with pytest.raises(BadInputError, match="no checkpoint at step 11; there are: 10, 20, 30"):
        run.at(11).model()


def test_what_only_turned_stays_where_it_was(run: genlab.Run) -> None:
    projection = run.project("pca", limit=200)
    history = run.history(projection)
    assert history.frames.shape == (3, 200, 2)
    assert (history.steps.tolist(), history.epochs.tolist()) == ([10, 20, 30], [1, 2, 3])
    assert np.array_equal(history.frames[2], projection.points)
    assert np.allclose(history.frames[0], history.frames[1], atol=1e-4)
    assert np.abs(history.frames[1] - history.frames[2]).mean() > 0.01
    unturned = projection.pca.transform(run.at(20).encode(run.images.images[projection.indices]).mean)
    further = np.linalg.norm(unturned - unturned.mean(0) - history.frames[2] + history.frames[2].mean(0))
    assert np.linalg.norm(history.frames[1] - history.frames[2]) <= further


def test_further_images_go_the_way_of_those_on_the_map(run: genlab.Run) -> None:
    projection = run.project("pca", limit=200)
    history = run.history(projection)
    images = run.images.images
    again = run.places_through(history, images[projection.indices[:5]])
    assert again.shape == (3, 5, 2)
    np.testing.assert_allclose(again, history.frames[:, :5], atol=1e-4)
    others = np.setdiff1d(np.arange(run.images.count), projection.indices)[:4]
    found = run.places_through(history, images[others])
    np.testing.assert_allclose(found[2], run.place(projection, images[others]), atol=1e-4)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)  # the latent space only turned
    assert np.abs(found[1] - found[2]).max() > 0.01


def test_only_axes_can_stay(run: genlab.Run) -> None:
    with pytest.raises(BadInputError, match="laid out by tsne"):
        run.history(run.project("tsne", limit=50))


def test_what_cannot_travel_is_said_with_what_to_do(run: genlab.Run) -> None:
    flat = run.project("pca", limit=50)
    assert what_lacks(flat, False, 3) == ""
    assert "Train one of your own" in what_lacks(flat, False, 1)
    assert "Choose PCA" in what_lacks(run.project("tsne", limit=50), False, 3)
    assert "choose 2-D axes" in what_lacks(run.project("pca", dimensions=3, limit=50), False, 3)
    assert "switch the chart off" in what_lacks(flat, True, 3)


def test_moments_name_their_epochs_and_carry_the_loss() -> None:
    scalars = [{"step": 10, "epoch": 1, "loss": 3.0, "validation_loss": 4.0}, {"step": 20, "epoch": 2, "loss": float("nan")},
               {"step": 30, "epoch": 3, "loss": 1.0, "validation_loss": 2.0}]  # fmt: skip
    moments = moments_of(np.array([10, 30]), np.array([1, 3]), scalars, 30)
    assert moments.titles == ("epoch 1", "epoch 3")
    assert moments.curve == ((10.0, 4.0), (30.0, 2.0))
    assert (moments.at, moments.what) == (1, "validation loss")
    assert moments_of(np.array([10, 30]), np.array([1, 3]), [], 77).at == 1
    assert moments_of(np.array([10, 30]), np.array([1, 3]), scalars, 10).at == 0
