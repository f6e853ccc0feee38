"""Generated sets: factors mean what they say, logs keep their identity, and a seed gives the same pixels."""

from __future__ import annotations

import numpy as np
import pytest

from genlab.data.log_ends import KINDS, log_ends
from genlab.data.sprites import SHAPES, draw, sprites


def drawn(shape: str, scale: float = 8, rotation: float = 0, x: float = 16, y: float = 16) -> np.ndarray:
    values = {"scale": scale, "rotation": rotation, "x": x, "y": y}
    columns = {name: np.array([value]) for name, value in values.items()}
    return draw(np.array([SHAPES.index(shape)]), **columns)[0] / 255


@pytest.mark.parametrize(("shape", "area"), [("square", 1.6**2), ("ellipse", np.pi * 0.55), ("heart", 3.6621 / 1.2**2)])
def test_sprites_cover_the_area_of_their_shape(shape, area):
    for scale, rotation in ((5, 0.3), (9, 2.0)):
        assert drawn(shape, scale, rotation).sum() == pytest.approx(area * scale**2, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_x_moves_right_and_y_moves_down(shape):
    still, moved = drawn(shape), drawn(shape, x=19, y=14)
    np.testing.assert_array_equal(np.roll(still, (-2, 3), axis=(0, 1)), moved)


def test_a_quarter_turn_is_a_quarter_turn():
    turned = drawn("heart", rotation=np.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(drawn("heart"), k=-1), atol=2 / 255)
    assert np.abs(turned - drawn("heart")).sum() > 10


def test_a_heart_stands_on_its_tip():
    rows = drawn("heart").sum(axis=1)
    filled = np.flatnonzero(rows)
    assert rows[filled[1]] > 2 * rows[filled[-2]]


def test_edges_are_anti_aliased():
    square = drawn("square", scale=7, rotation=0.4)
    assert ((square > 0) & (square < 1)).sum() > 20
    assert len(np.unique(square)) > 8


def test_sprites_are_seeded_balanced_and_inside_the_picture():
    one, same, other = sprites(300), sprites(300), sprites(300, seed=1)
    np.testing.assert_array_equal(one.images, same.images)
    assert not np.array_equal(one.images, other.images)
    assert np.bincount(one.labels).tolist() == [100, 100, 100]
    np.testing.assert_array_equal(one.labels, one.factors["shape"])
    edges = [one.images[..., 0, :], one.images[..., -1, :], one.images[..., 0], one.images[..., -1]]
    assert max(edge.max() for edge in edges) == 0


def test_sprite_factors_can_be_read_off_the_pixels():
    content = sprites(200)
    weight = content.images[:, 0].astype(float)
    centre = (weight * (np.arange(32) + 0.5)).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    symmetric = content.labels != SHAPES.index("heart")
    np.testing.assert_allclose(centre[symmetric], content.factors["x"][symmetric], atol=0.1)


@pytest.fixture(scope="module")
def logs():
    return log_ends(60)


def test_log_ends_have_four_photographs_each(logs):
    assert logs.images.shape == (240, 3, 64, 64)
    assert np.bincount(logs.factors["identity"]).tolist() == [4] * 60
    assert np.bincount(logs.factors["station"]).tolist() == [120, 120]
    assert np.bincount(logs.labels).tolist() == [60] * len(KINDS)
    for identity in range(60):
        mine = logs.factors["identity"] == identity
        assert len(set(logs.labels[mine])) == 1
        assert len(set(logs.factors["rings"][mine])) == 1
        assert len(set(logs.factors["rotation"][mine])) == 4


def test_whole_logs_are_held_out(logs):
    held = set(logs.factors["identity"][logs.validation])
    assert len(held) == 6
    assert not held & set(logs.factors["identity"][~logs.validation])


def test_log_ends_are_seeded(logs):
    np.testing.assert_array_equal(log_ends(4).images, log_ends(4).images)
    assert not np.array_equal(log_ends(4).images, log_ends(4, seed=1).images)


def test_the_forest_is_darker_and_warmer_than_the_sawmill(logs):
    forest, mill = (logs.images[logs.factors["station"] == station].mean(axis=(0, 2, 3)) for station in (0, 1))
    assert forest.mean() < mill.mean()
    assert forest[0] / forest[2] > mill[0] / mill[2]


def test_photographs_of_one_log_are_alike_and_still_differ(logs):
    """Colour in the middle of the face tells a log from the others better than chance, across stations."""
    middle = logs.images[:, :, 20:44, 20:44].astype(float)
    colour = middle.mean(axis=(2, 3)) / middle.mean(axis=(1, 2, 3))[:, None]
    for station in (0, 1):
        of_station = logs.factors["station"] == station
        colour[of_station] -= colour[of_station].mean(axis=0)
    identity, station = logs.factors["identity"], logs.factors["station"]
    distance = np.linalg.norm(colour[:, None] - colour[None], axis=-1)
    across = station[:, None] != station[None]
    same = identity[:, None] == identity[None]
    assert distance[across & same].mean() < 0.6 * distance[across & ~same].mean()
    assert len(np.unique(logs.images.reshape(240, -1), axis=0)) == 240
