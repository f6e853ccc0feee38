"""Planes through latent space: frames, distances, what a run lays, and how far the pictures on one can be trusted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from exploring import Auto, FakeRun, Generator, pictures, tiny_run

import genlab
from genlab.core.errors import BadInputError
from genlab.latent.planes import extent_of, frame_through, kernel_width, usual_distance
from genlab.nn.inference import prior_codes
from genlab.workspace.results import LatentPlane

rng = np.random.default_rng(3)


def test_a_frame_is_orthonormal_and_holds_its_corners() -> None:
    corners = rng.normal(size=(3, 7))
    frame = frame_through(corners)
    basis = np.stack([frame.u, frame.v])
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    placed = frame.places(corners)
    np.testing.assert_allclose(placed[:, 2], 0, atol=1e-12)
    np.testing.assert_allclose(frame.codes(placed[:, :2]), corners, atol=1e-12)
    assert placed[0, 1] == pytest.approx(placed[1, 1])
    assert placed[0, 0] < placed[1, 0]
    assert placed[2, 1] > placed[0, 1]


def test_places_keep_every_distance_to_the_plane() -> None:
    frame, codes = frame_through(rng.normal(size=(3, 5))), rng.normal(size=(20, 5))
    x, y, beside = frame.places(codes).T
    across = np.linalg.svd(np.stack([frame.u, frame.v]))[2][2:]  # the directions that are left
    np.testing.assert_allclose(beside, np.linalg.norm((codes - frame.origin) @ across.T, axis=1), atol=1e-12)
    here = frame.codes(np.array([0.3, -0.8]))[0]
    expected = np.sqrt((x - 0.3) ** 2 + (y + 0.8) ** 2 + beside**2)
    np.testing.assert_allclose(expected, np.linalg.norm(codes - here, axis=1), atol=1e-12)


@pytest.mark.parametrize("corners", [np.zeros((3, 4)), np.outer([0, 1, 2], np.ones(4)), np.eye(3)[[0, 0, 1]]])
def test_codes_on_one_line_are_refused(corners: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="lie on one line"):
        frame_through(corners)


def test_the_extent_is_a_square_around_everything() -> None:
    places = rng.normal(size=(9, 2)) * (5, 1)
    left, right, bottom, top = extent_of(places)
    assert right - left == pytest.approx(top - bottom)
    assert (places > (left, bottom)).all()
    assert (places < (right, top)).all()
    assert extent_of(np.array([[0.0, 0.0]]), least=3.0) == (-3, 3, -3, 3)


def test_the_usual_distance_is_that_of_a_slow_loop() -> None:
    codes = rng.normal(size=(40, 3))
    slow = [min(np.linalg.norm(a - b) for j, b in enumerate(codes) if j != i) for i, a in enumerate(codes)]
    assert usual_distance(codes) == pytest.approx(np.quantile(slow, 0.95))
    assert usual_distance(np.ones((5, 2))) == 1.0
    scaled = usual_distance(7 * codes) / usual_distance(codes), kernel_width(7 * codes) / kernel_width(codes)
    assert scaled == (pytest.approx(7), pytest.approx(7))


def test_a_run_lays_planes_through_images_and_says_where_others_lie(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    images = run.images.images[[1, 2, 5]].astype(np.float32) / 255  # the third is held out
    plane = run.latent_plane(images)
    np.testing.assert_allclose(plane.frame.codes(plane.corners), run.encode(images).mean, atol=1e-6)
    indices, codes = run.encoded()
    assert plane.indices is not None
    others = ~np.isin(indices, [1, 2])
    assert plane.indices.tolist() == indices[others].tolist()
    np.testing.assert_allclose(plane.places, plane.frame.places(codes.mean[others]), atol=1e-9)
    assert plane.labels is not None
    assert plane.usual == usual_distance(codes.mean.astype(np.float64))
    assert run.latent_plane(images, limit=5).usual == run.latent_plane(images[::-1], limit=5).usual != plane.usual
    assert 3 <= len(run.latent_plane(images, limit=5).places) <= 5
    with pytest.raises(BadInputError, match="choose three images"):
        run.latent_plane()
    with pytest.raises(BadInputError, match="through three codes, and 2 were given"):
        run.latent_plane(images[:2])


def test_without_an_encoder_the_prior_says_where_codes_lie(tmp_path: Path) -> None:
    run = FakeRun(Generator(2), pictures(), tmp_path)
    plane = run.latent_plane(limit=300)
    assert plane.indices is None
    assert plane.labels is None
    assert plane.places.shape == (300, 3)
    assert np.abs(plane.places[:, :2].mean(0)).max() < 0.3
    assert plane.extent == (-3.0, 3.0, -3.0, 3.0) or plane.extent[1] - plane.extent[0] >= 6


def test_among_draws_of_the_prior_a_plane_shows_those_and_no_images(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    corners = np.concatenate([run.codes(seed) for seed in (4, 5, 6)])
    plane = run.latent_plane(corners, among="prior", limit=50)
    assert plane.indices is None
    drawn = prior_codes(run.model(), 50, 0)
    np.testing.assert_allclose(plane.places, plane.frame.places(drawn), atol=1e-9)
    other = FakeRun(Generator(3), pictures(), tmp_path).latent_plane(corners, among="prior", limit=50)
    np.testing.assert_array_equal(plane.places, other.places)


# How far pictures can be trusted -------------------------------------------------------------------------------------


def places_of(plane: LatentPlane, steps: int) -> list[np.ndarray]:
    """The middles of the cells of a plane, row by row from the top, one at a time."""
    left, right, bottom, top = plane.extent
    return [
        np.array([left + (column + 0.5) / steps * (right - left), top - (row + 0.5) / steps * (top - bottom)])
        for row in range(steps)
        for column in range(steps)
    ]


def test_the_round_trip_is_that_of_one_code_after_the_other(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    plane = run.latent_plane(run.images.images[[1, 2, 5]].astype(np.float32) / 255)
    slow = []
    for place in places_of(plane, 4):
        code = plane.frame.origin + place[0] * plane.frame.u + place[1] * plane.frame.v
        answer = run.encode(run.decode(code))
        assert answer.log_var is not None
        terms = [
            (mean - z) ** 2 / math.exp(log_var)
            for mean, z, log_var in zip(answer.mean[0], code, answer.log_var[0], strict=True)
        ]
        slow.append(math.sqrt(sum(terms) / len(terms)))
    np.testing.assert_allclose(run.round_trip(plane, steps=4).ravel(), slow, rtol=1e-5)
    assert run.round_trip(plane).shape == (24, 24)


def test_the_round_trip_of_codes_that_are_points_is_in_usual_distances(tmp_path: Path) -> None:
    run = FakeRun(Auto(2), pictures(), tmp_path)
    plane = run.latent_plane()
    slow = [
        np.linalg.norm(run.encode(run.decode(place)).mean[0] - place) / plane.usual for place in places_of(plane, 3)
    ]
    np.testing.assert_allclose(run.round_trip(plane, steps=3).ravel(), slow, rtol=1e-5)
    flow = FakeRun(genlab.create("realnvp", (1, 8, 8)), pictures(), tmp_path)
    through_three = flow.latent_plane(np.concatenate([flow.codes(seed) for seed in (1, 2, 3)]))
    assert flow.round_trip(through_three, steps=3).max() < 1e-3  # what is invertible comes back


def test_the_entropy_of_pixels_is_that_of_a_loop_over_them(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    plane = run.latent_plane(np.concatenate([3 * run.codes(seed) for seed in (4, 5, 6)]))
    slow = []
    for place in places_of(plane, 3):
        p = run.decode(plane.frame.codes(place)).array.ravel().astype(np.float64)
        slow.append(sum(-q * math.log2(q) - (1 - q) * math.log2(1 - q) for q in p) / len(p))
    found = run.pixel_entropy(plane, steps=3)
    np.testing.assert_allclose(found.ravel(), slow, rtol=1e-4)
    assert 0 < found.min() < found.max() <= 1


@pytest.mark.parametrize(
    ("name", "values", "able"),
    [
        ("vae", {"likelihood": "bernoulli", "hidden": 8}, True), ("vae", {"likelihood": "gaussian", "hidden": 8}, False),
        ("vae", {"likelihood": "gaussian", "sigma": 10.0, "hidden": 8}, False), ("soft_intro_vae", {"hidden": 8}, True),
        ("ava1", {}, False), ("realnvp", {}, False), ("gan", {}, False),
    ],
)  # fmt: skip
def test_only_a_decoder_with_a_say_in_each_pixel_has_an_entropy(
    name: str, values: dict, able: bool, tmp_path: Path
) -> None:
    run = FakeRun(genlab.create(name, (1, 8, 8), **values), pictures(), tmp_path)
    assert run.has_pixel_entropy() == able
    if not able:
        corners = np.concatenate([run.codes(seed) for seed in (1, 2, 3)])
        with pytest.raises(BadInputError, match="whose likelihood is Bernoulli"):
            run.pixel_entropy(run.latent_plane(corners, among="prior"))
