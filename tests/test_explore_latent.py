"""A run's latent space: triplets, kept codes, projections, neighbours and likelihoods."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from exploring import Auto, Density, FakeRun, floats, pictures, tiny_run
from visiting import visit

import genlab
from genlab.core.errors import BadInputError
from genlab.latent import TripletSettings, sample_triplet_codes
from genlab.ui.explore_latent import IMPROBABLE, KIN, _values


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return tiny_run(tmp_path / "run")


def test_triplets_are_algorithm_three_decoded(run: FakeRun) -> None:
    anchors, settings = floats(run, 2), TripletSettings(positive_radius=0.2, negative_radius=0.6)
    found = run.triplets(anchors, settings, seed=4, draws=3)
    posterior = run.encode(anchors)
    global_mean = run.encode(floats(run, 30)[run.images.splits["train"]]).mean.mean(0)
    assert np.allclose(found.global_mean, global_mean, atol=1e-6)
    mean, log_var = (np.repeat(array.astype(np.float64), 3, axis=0) for array in posterior)
    draw = np.random.default_rng(4)
    expected = sample_triplet_codes(
        mean, log_var, found.global_mean, positive_radius=0.2, negative_radius=0.6, generator=draw
    )
    assert np.array_equal(found.positive_codes, expected[0])
    assert np.array_equal(found.negative_codes, expected[1])
    assert np.allclose(found.negatives.array[4], run.decode(expected[1][4]).array[0], atol=1e-6)
    assert np.allclose(found.reconstructions.array, run.reconstruct(anchors).array, atol=1e-6)
    assert np.allclose(found.distances["code"]["positive"], 0.2 * np.linalg.norm(log_var, axis=1))
    assert np.allclose(found.distances["code"]["negative"], 0.6 * np.linalg.norm(log_var, axis=1))
    gap = found.positives.array[5] - found.reconstructions.array[1]
    assert found.distances["pixel"]["positive"][5] == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-4)


def test_moving_a_radius_keeps_the_directions(run: FakeRun) -> None:
    narrow = run.triplets(floats(run, 1), TripletSettings(positive_radius=0.1), seed=1)
    wide = run.triplets(floats(run, 1), TripletSettings(positive_radius=0.2), seed=1)
    moves = [found.positive_codes - found.anchor_codes for found in (narrow, wide)]
    assert np.allclose(2 * moves[0], moves[1])
    assert np.abs(moves[0]).max() > 1e-4


def test_triplets_need_a_variance(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot sample triplets; pick a model whose codes have a variance"):
        FakeRun(Auto(), pictures(), tmp_path).triplets(np.zeros((1, 8, 8)))


def test_codes_are_kept_in_memory_and_on_disk(run: FakeRun, monkeypatch, tmp_path: Path) -> None:
    first = run.encoded("train")[1]
    assert run.encoded("train")[1] is first
    files = list((tmp_path / "run" / "artefacts" / "cache").iterdir())
    assert len(files) == 1
    twin = genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16)
    twin.load_state_dict(run.model().state_dict())
    again = FakeRun(twin, run.images, tmp_path / "run")
    monkeypatch.setattr(twin, "encode", lambda images: pytest.fail("the file was not used"))
    assert np.array_equal(again.encoded("train")[1].log_var, first.log_var)


def test_a_torn_cache_file_or_other_weights_are_not_used(run: FakeRun, tmp_path: Path) -> None:
    first = run.encoded("train")[1]
    (file,) = (tmp_path / "run" / "artefacts" / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    twin = genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16)
    twin.load_state_dict(run.model().state_dict())
    assert np.allclose(FakeRun(twin.eval(), run.images, tmp_path / "run").encoded("train")[1].mean, first.mean)
    torch.nn.init.normal_(twin.encoder[-1].weight)
    fresh = genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16)
    assert not np.allclose(FakeRun(fresh, run.images, tmp_path / "run").encoded("train")[1].mean, first.mean)
    assert len(list((tmp_path / "run" / "artefacts" / "cache").iterdir())) == 1


def test_large_codes_stay_in_memory(run: FakeRun, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("genlab.workspace.codes.LARGEST", 100)
    run.encoded()
    assert not (tmp_path / "run").exists()


def test_shipped_runs_are_never_written_to(run: FakeRun, tmp_path: Path) -> None:
    shipped = FakeRun(run.model(), pictures(), tmp_path / "shipped", shipped=True)
    shipped.triplets(floats(run, 1))
    assert not (tmp_path / "shipped").exists()


def test_projection_carries_indices_labels_and_scalars(run: FakeRun) -> None:
    found = run.project("pca", limit=10, split="all", seed=2)
    assert found.points.shape == (10, 2)
    assert (np.diff(found.indices) > 0).all()
    assert found.labels.tolist() == (found.indices % 2).tolist()
    assert np.allclose(found.scalars["size"], found.indices / 7)
    brightness = run.images.images[found.indices].mean((1, 2, 3)) / 255
    assert np.allclose(found.scalars["brightness"], brightness, atol=1e-5)
    assert np.array_equal(found.points, run.project("pca", limit=10, split="all", seed=2).points)
    images = floats(run, 30)[found.indices]
    assert np.allclose(run.place(found, images), found.points, atol=1e-5)
    assert np.allclose(run.encode(images).mean, found.codes, atol=1e-6)
    assert run.project("pca", dimensions=3).points.shape == (24, 3)


def test_projection_scalar_kl_equals_the_loop(run: FakeRun) -> None:
    found = run.project("pca", limit=5)
    codes = run.encode(floats(run, 30)[found.indices])
    for row in range(5):
        total = sum(
            0.5 * (m**2 + np.exp(v) - 1 - v)
            for m, v in zip(codes.mean[row].tolist(), codes.log_var[row].tolist(), strict=True)
        )
        assert found.scalars["KL / nats"][row] == pytest.approx(total, rel=1e-4)


def test_a_place_among_tsne_points_is_the_nearest_ones(run: FakeRun) -> None:
    found = run.project("tsne", limit=12)
    images = floats(run, 30)[found.indices[3:5]]
    assert np.allclose(run.place(found, images), found.points[3:5], rtol=1e-3)


def test_neighbours_begin_with_the_image_itself(run: FakeRun) -> None:
    found = run.neighbours(floats(run, 30)[[7]], count=3)
    assert found.indices[0, 0] == 7
    assert found.distances[0, 0] == pytest.approx(0, abs=1e-5)
    assert (np.diff(found.distances[0]) >= 0).all()


def test_likelihoods_exact_and_bound(run: FakeRun, tmp_path: Path) -> None:
    exact = FakeRun(Density(), pictures(), tmp_path).likelihoods(np.full((2, 1, 8, 8), 0.5))
    assert exact.values.tolist() == [-32.0, -32.0]
    assert exact.kind == "exact"
    bound = run.likelihoods(floats(run, 3), seed=1)
    terms = run.model().bound_terms(torch.from_numpy(floats(run, 3)), torch.Generator().manual_seed(1))
    assert np.allclose(bound.values, -(terms["reconstruction"] + terms["kl"]).detach().numpy(), rtol=1e-5)
    assert bound.kind == "bound"
    assert len(run.likelihoods(limit=4).values) == 4


def test_one_triplet_takes_a_few_milliseconds(tmp_path: Path) -> None:
    model = genlab.create("vae", (3, 64, 64), architecture="conv", latent_dim=32)
    run = FakeRun(model, pictures(6, (3, 64, 64)), tmp_path)
    anchor = floats(run, 1)
    run.triplets(anchor)
    seconds = []
    for seed in range(10):
        start = time.perf_counter()
        run.triplets(anchor, seed=seed)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.15


@pytest.mark.parametrize(("name", "colour"), [("digits-nice", IMPROBABLE), ("log-ends-recognition", KIN)])
def test_points_are_coloured_by_what_the_run_itself_minimises(
    name: str, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path))
    run = genlab.Workspace(tmp_path).runs[name]
    app = visit("latent", run=name, limit=500, colour=colour)
    assert any(f"coloured by {colour}" in caption.value for caption in app.caption)
    other = ({IMPROBABLE, KIN} - {colour}).pop()
    assert other not in app.selectbox(key="colour").options
    projection = run.project("pca", limit=60)
    found = _values(run, projection, colour)
    if colour == IMPROBABLE:
        with torch.no_grad():
            expected = -run.model().log_likelihood(run.images.tensor(projection.indices)).numpy()
    else:
        gaps = np.linalg.norm(projection.codes[:, None] - projection.codes, axis=2)
        others = (projection.labels[:, None] == projection.labels) & ~np.eye(60, dtype=bool)
        expected = np.where(others, gaps, np.inf).min(1)
        expected[np.isinf(expected)] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.nanstd(found) > 0
