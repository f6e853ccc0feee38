"""Exploring a run: samples, codes and walks, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exploring import Auto, Density, FakeRun, Generator, floats, pictures, tiny_run

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.latent.walks import slerp


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return tiny_run(tmp_path / "run")


def test_samples_are_the_same_for_the_same_seed_and_prefix_free_of_count(run: FakeRun) -> None:
    assert np.array_equal(run.sample(5, seed=3).array, run.sample(5, seed=3).array)
    assert not np.array_equal(run.sample(5, seed=3).array, run.sample(5, seed=4).array)
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        expected = run.model().sample(5, generator=generator).numpy()
    assert np.array_equal(run.sample(5, seed=3).array, expected)
    assert "tiny run" in run.sample(2).caption


def test_temperature_zero_gives_one_image_over_and_over(run: FakeRun) -> None:
    cold = run.sample(4, temperature=0.0).array
    assert np.allclose(cold, cold[:1], atol=1e-6)
    assert np.allclose(cold[0], run.decode(np.zeros(3)).array[0], atol=1e-6)


def test_sampling_more_than_a_batch_keeps_every_image(run: FakeRun, monkeypatch) -> None:
    monkeypatch.setattr("genlab.nn.inference.VALUES_AT_ONCE", 64 * 4)
    assert run.sample(11).array.shape == (11, 1, 8, 8)
    assert run.encode(floats(run, 11)).mean.shape == (11, 3)


def test_labels_by_name_number_and_list(tmp_path: Path) -> None:
    run = FakeRun(Generator(), pictures(), tmp_path)
    assert (run.sample(4, labels="dog").array > 0.49).all()
    assert (run.sample(4, labels=0).array < 0.11).all()
    means = run.sample(labels=["cat", 1, "0"]).array.mean((1, 2, 3))
    assert (means > 0.3).tolist() == [False, True, False]
    with pytest.raises(UnknownNameError, match="cat"):
        run.sample(labels="cow")
    with pytest.raises(UnknownNameError):
        run.sample(labels=2)


def test_encoding_is_deterministic_and_independent_of_the_batch(run: FakeRun, monkeypatch) -> None:
    whole = run.encode(floats(run, 20))
    monkeypatch.setattr("genlab.nn.inference.VALUES_AT_ONCE", 64 * 3)
    assert np.allclose(whole.mean, run.encode(floats(run, 20)).mean, atol=1e-6)
    with torch.no_grad():
        oracle = run.model().encode(torch.from_numpy(floats(run, 20)))
    assert np.allclose(whole.log_var, oracle.log_var, atol=1e-6)
    assert run.encode(floats(run, 1)[0]).mean.shape == (1, 3)


def test_reconstruction_decodes_the_mean(run: FakeRun) -> None:
    images = floats(run, 3)
    assert np.allclose(run.reconstruct(images).array, run.decode(run.encode(images).mean).array)


def test_interpolation_runs_from_end_to_end(run: FakeRun) -> None:
    images = floats(run, 4)
    strip = run.interpolate(images[0], images[1], steps=5, kind="lerp")
    assert len(strip) == 5
    assert np.allclose(strip.array[[0, -1]], run.reconstruct(images[:2]).array, atol=1e-6)
    codes = run.encode(images).mean
    middle = run.decode((codes[0] + codes[1]) / 2).array[0]
    assert np.allclose(strip.array[2], middle, atol=1e-6)
    rows = run.interpolate(codes[:2], codes[2:], steps=3)
    between = run.decode(slerp(codes[1], codes[3], np.array([0.5]))).array[0]
    assert np.allclose(rows.array[4], between, atol=1e-6)


def test_without_an_encoder_the_walk_runs_through_the_prior_and_says_so(tmp_path: Path) -> None:
    run = FakeRun(Generator(), pictures(), tmp_path)
    strip = run.interpolate(3, 8, steps=4)
    assert "no encoder" in strip.caption
    assert "prior" in strip.caption
    ends = run.decode(np.concatenate([run.codes(3), run.codes(8)]))
    assert np.allclose(strip.array[[0, -1]], ends.array, atol=1e-6)
    with pytest.raises(BadInputError, match=r"no encoder.*seeds"):
        run.interpolate(floats(run, 1), floats(run, 1))


def test_walks_lead_through_every_point_and_close(run: FakeRun) -> None:
    images = floats(run, 3)
    walk = run.walk(images, steps=4)
    assert len(walk) == 3 * 2 + 1
    assert np.allclose(walk.array[[0, 3, 6]], run.reconstruct(images).array, atol=1e-6)
    assert len(run.walk(images, steps=4, closed=True)) == 9
    assert len(run.walk([1, 2, 3], steps=3)) == 5
    with pytest.raises(BadInputError, match="two points"):
        run.walk(images[:1])


def test_attributes_add_their_mean_difference(run: FakeRun) -> None:
    images = floats(run, 6)
    direction = run.attribute(images[:2], images[2:])
    codes = run.encode(images).mean
    assert np.allclose(direction, codes[:2].mean(0) - codes[2:].mean(0), atol=1e-6)
    edited = run.edit(images[:2], direction, [0, 2])
    assert np.allclose(edited.array[3], run.decode(codes[1] + 2 * direction).array[0], atol=1e-6)


def test_traversal_moves_one_dimension_most_used_first(run: FakeRun) -> None:
    statistics = run.latent_statistics()
    found = run.traverse(floats(run, 1), steps=3, span=2)
    assert found.dimensions.tolist() == np.argsort(-statistics.kl, kind="stable").tolist()
    assert np.allclose(found.values, [[-2, 0, 2]] * 3)
    code = run.encode(floats(run, 1)).mean[0].copy()
    code[found.dimensions[1]] = 2
    assert np.allclose(found.images.array[5], run.decode(code).array[0], atol=1e-6)
    assert run.traverse(dimensions=[2], steps=4).images.array.shape == (4, 1, 8, 8)
    with pytest.raises(BadInputError, match="0 to 2"):
        run.traverse(dimensions=[3])


def test_traversal_of_point_codes_spans_their_deviations(tmp_path: Path) -> None:
    run = FakeRun(Auto(), pictures(), tmp_path)
    codes = run.encoded()[1].mean.astype(np.float64)
    found = run.traverse(steps=2, span=1.5, dimensions=[1])
    low, high = codes[:, 1].mean() - 1.5 * codes[:, 1].std(), codes[:, 1].mean() + 1.5 * codes[:, 1].std()
    assert np.allclose(found.values, [[low, high]], atol=1e-5)
    assert found.kl is None


def test_traversal_without_an_encoder_starts_at_the_prior_mean(tmp_path: Path) -> None:
    run = FakeRun(Generator(), pictures(), tmp_path)
    found = run.traverse(steps=3)
    assert found.dimensions.tolist() == [0, 1]
    assert np.allclose(found.images.array[1], run.decode(np.zeros(2)).array[0], atol=1e-6)


def test_plane_shows_z2_upwards(tmp_path: Path, run: FakeRun) -> None:
    flat = FakeRun(Generator(), pictures(), tmp_path)
    sheet = flat.plane(steps=3, span=2)
    assert np.allclose(sheet.array[0], flat.decode([-2, 2]).array[0], atol=1e-6)
    assert np.allclose(sheet.array[8], flat.decode([2, -2]).array[0], atol=1e-6)
    with pytest.raises(BadInputError, match="latent_dim=2"):
        run.plane()


@pytest.mark.parametrize("what", ["sample", "encode", "decode", "reconstruct", "project", "traverse", "interpolate"])
def test_what_is_lacking_is_said_with_what_to_pick(what: str, tmp_path: Path) -> None:
    run = FakeRun(Density(), pictures(), tmp_path)
    images = np.zeros((1, 8, 8))
    arguments = {"encode": [images], "reconstruct": [images], "decode": [np.zeros(2)]}.get(what, [])
    with pytest.raises(BadInputError, match=r"tiny run cannot .*; pick a"):
        getattr(run, what)(*arguments)


def test_wrong_shapes_are_refused_in_words(run: FakeRun) -> None:
    with pytest.raises(BadInputError, match="8x8 grey, and these are 4x4 colour"):
        run.encode(np.zeros((3, 4, 4)))
    with pytest.raises(BadInputError, match=r"\(N, 3\)"):
        run.decode(np.zeros((2, 4)))
    with pytest.raises(BadInputError, match="not finite"):
        run.decode([0.0, np.nan, 0.0])
    with pytest.raises(BadInputError, match="at least 2 steps"):
        run.interpolate(0, 1, steps=1)
    with pytest.raises(UnknownNameError, match="slerp"):
        run.interpolate(0, 1, kind="slurp")
    with pytest.raises(BadInputError, match="At least one"):
        run.sample(0)
