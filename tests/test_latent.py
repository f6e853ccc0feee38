"""Walks, traversals, projections and neighbours against geometry, loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.neighbors import NearestNeighbors

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.latent import walks
from genlab.latent.align import aligned
from genlab.latent.neighbours import nearest
from genlab.latent.project import Layout, among, pca, project
from genlab.latent.traverse import order, traversal

rng = np.random.default_rng(7)
T = np.linspace(0, 1, 11)


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


@pytest.mark.parametrize("dimensions", [2, 3, 64])
def test_slerp_walks_a_great_circle_at_constant_speed(dimensions: int) -> None:
    a, b = rng.normal(size=(2, dimensions))
    walk = walks.slerp(a, b, T)
    assert np.allclose(walk[0], a)
    assert np.allclose(walk[-1], b)
    omega = angle(a, b)
    assert np.allclose(angle(walk[:-1], walk[1:]), omega / 10, atol=1e-7)
    assert np.allclose(angle(a, walk) + angle(walk, b), omega, atol=1e-6)
    assert np.linalg.matrix_rank(walk, tol=1e-9) == 2
    expected = (1 - T) * np.linalg.norm(a) + T * np.linalg.norm(b)
    assert np.allclose(np.linalg.norm(walk, axis=1), expected)


def test_slerp_of_unit_vectors_is_the_textbook_formula() -> None:
    a, b = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 5)))
    omega = angle(a, b)
    textbook = [(np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega) for t in T]
    assert np.allclose(walks.slerp(a, b, T), textbook, atol=1e-12)


def test_lerp_cuts_through_the_middle_where_slerp_does_not() -> None:
    a, b = rng.normal(size=(2, 512))
    lengths = [np.linalg.norm(walk(a, b, np.array([0.5]))) for walk in (walks.lerp, walks.slerp)]
    assert lengths[0] < 0.8 * np.linalg.norm(a)
    assert lengths[1] == pytest.approx((np.linalg.norm(a) + np.linalg.norm(b)) / 2)


@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-9, 1e-6])
def test_slerp_between_nearly_parallel_codes_is_the_straight_line(gap: float) -> None:
    a = rng.normal(size=6)
    b = 2 * a + gap * rng.normal(size=6)
    assert np.allclose(walks.slerp(a, b, T), walks.lerp(a, b, T), atol=1e-9)


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-7])
def test_slerp_between_opposite_codes_turns_half_a_circle(gap: float) -> None:
    a = rng.normal(size=4)
    a /= np.linalg.norm(a)
    walk = walks.slerp(a, -a + gap * rng.normal(size=4), T)
    assert np.allclose(np.linalg.norm(walk, axis=1), 1, atol=1e-6)
    assert np.allclose(angle(a, walk), T * np.pi, atol=1e-5)
    assert np.array_equal(walk, walks.slerp(a, walk[-1], T)) or gap
    assert np.isfinite(walk).all()


def test_slerp_with_a_zero_code_or_one_dimension_stays_finite() -> None:
    a = rng.normal(size=4)
    assert np.allclose(walks.slerp(np.zeros(4), a, T), T[:, None] * a)
    assert np.allclose(walks.slerp(a, np.zeros(4), T), (1 - T)[:, None] * a)
    assert not walks.slerp(np.zeros(4), np.zeros(4), T).any()
    line = walks.slerp(np.array([1.0]), np.array([-2.0]), T)
    assert np.allclose(line[[0, -1], 0], [1, -2])
    assert np.isfinite(line).all()


def test_many_pairs_equal_one_pair_at_a_time() -> None:
    a, b = rng.normal(size=(2, 5, 7))
    a[2] = 0
    b[3] = -a[3]
    for walk in walks.KINDS.values():
        together = walk(a, b, T)
        assert together.shape == (5, 11, 7)
        assert np.allclose(together, [walk(x, y, T) for x, y in zip(a, b, strict=True)], atol=1e-12)


def test_paths_pass_through_every_point_once() -> None:
    points = rng.normal(size=(4, 3))
    walk = walks.path(points, 5)
    assert len(walk) == 3 * 4 + 1
    assert np.allclose(walk[::4], points)
    assert np.allclose(walk[4:9], walks.slerp(points[1], points[2], np.linspace(0, 1, 5)))
    closed = walks.path(points, 5, closed=True)
    assert len(closed) == 16
    assert np.allclose(closed[::4], points)
    assert np.allclose(closed[13:], walks.slerp(points[3], points[0], np.linspace(0, 1, 5))[1:-1])


@pytest.mark.parametrize(("points", "steps"), [(np.zeros((1, 3)), 5), (np.zeros((2, 3)), 1), (np.zeros(3), 5)])
def test_a_path_needs_points_and_steps(points: np.ndarray, steps: int) -> None:
    with pytest.raises(BadInputError, match="at least"):
        walks.path(points, steps)


def test_unknown_kinds_and_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="slerp"):
        walks.path(np.zeros((2, 3)), 3, kind="serp")
    with pytest.raises(BadInputError, match="3 and 4 dimensions"):
        walks.lerp(np.zeros(3), np.zeros(4), T)


def test_plane_reads_like_a_map() -> None:
    assert walks.plane(2, 3.0).tolist() == [[-3, 3], [3, 3], [-3, -3], [3, -3]]


def test_attribute_arithmetic_equals_its_definition() -> None:
    with_it, without = rng.normal(size=(5, 3)), rng.normal(size=(8, 3))
    towards = walks.direction(with_it, without)
    assert np.allclose(towards, [np.mean(with_it[:, j]) - np.mean(without[:, j]) for j in range(3)])
    moved = walks.along(with_it, towards, [-1, 0.5])
    assert np.allclose(moved[2, 1], with_it[2] + 0.5 * towards)
    assert moved.shape == (5, 2, 3)


def test_traversal_equals_a_loop() -> None:
    code, dimensions, values = rng.normal(size=6), np.array([4, 0, 2]), rng.normal(size=(3, 5))
    found = traversal(code, dimensions, values)
    for row, dimension in enumerate(dimensions):
        for column in range(5):
            expected = code.copy()
            expected[dimension] = values[row, column]
            assert np.array_equal(found[row, column], expected)


def test_order_is_largest_first_and_stable() -> None:
    assert order(np.array([1.0, 3.0, 3.0, 0.0])).tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_equals_scikit_learn_up_to_sign(dimensions: int) -> None:
    codes = rng.normal(size=(40, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 3
    found, theirs = pca(codes, dimensions), SklearnPCA(dimensions, svd_solver="full").fit(codes)
    assert np.allclose(found.explained, theirs.explained_variance_ratio_)
    signs = np.sign((found.components * theirs.components_).sum(1))
    assert np.allclose(found.components, theirs.components_ * signs[:, None])
    new = rng.normal(size=(5, 6))
    assert np.allclose(found.transform(new), theirs.transform(new) * signs)


def test_pca_axes_do_not_flip() -> None:
    codes = rng.normal(size=(30, 4)) * [4, 3, 2, 1]
    axes = pca(codes, 2).components
    assert (axes[np.arange(2), np.abs(axes).argmax(1)] > 0).all()
    assert np.allclose(pca(codes[::-1], 2).components, axes)


def test_pca_with_fewer_latent_dimensions_than_axes() -> None:
    points, axes, _ = project(np.arange(5.0)[:, None], "pca", 2)
    assert np.allclose(np.abs(points[:, 0]), [2, 1, 0, 1, 2])
    assert not points[:, 1].any()
    assert np.allclose(axes.explained, [1])
    constant = project(np.ones((5, 3)), "pca", 2).points
    assert np.allclose(constant, 0)


def test_tsne_is_deterministic_and_keeps_clusters_apart() -> None:
    codes = np.concatenate([rng.normal(size=(20, 8)), rng.normal(size=(20, 8)) + 30])
    points, axes, _ = project(codes, "tsne", 2, seed=1)
    assert axes is None
    assert np.array_equal(points, project(codes, "tsne", 2, seed=1)[0])
    near = nearest(points, points, 2)[0][:, 1]
    assert ((near < 20) == (np.arange(40) < 20)).all()
    assert project(codes[:6, :2], "tsne", 3)[0].shape == (6, 3)


def test_umap_is_deterministic_and_reports_its_progress() -> None:
    codes = np.concatenate([rng.normal(size=(20, 8)), rng.normal(size=(20, 8)) + 30])
    heard: list[tuple[float, str]] = []
    points, _, fitted = project(codes, "umap", 2, seed=1, progress=lambda share, text: heard.append((share, text)))
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 5
    assert np.array_equal(points, project(codes, "umap", 2, seed=1)[0])
    near = nearest(points, points, 2)[0][:, 1]
    assert ((near < 20) == (np.arange(40) < 20)).all()
    placed = among(Layout(points, umap=fitted), codes, codes[[3, 33]] + 0.1)
    assert (np.linalg.norm(placed - points[[3, 33]], axis=1) < np.linalg.norm(points[3] - points[33]) / 4).all()


def test_what_tsne_has_not_seen_goes_between_its_neighbours() -> None:
    codes, points = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    query = rng.normal(size=3)
    near = sorted((float(np.linalg.norm(code - query)), row) for row, code in enumerate(codes))[:8]
    expected = sum(points[row] / distance for distance, row in near) / sum(1 / distance for distance, _ in near)
    placed = among(Layout(points), codes, np.array([query, codes[7]]))
    assert np.allclose(placed, [expected, points[7]])
    twins = among(Layout(points), np.repeat(codes[:20], 2, axis=0), codes[[4]])
    assert np.allclose(twins, points[8:10].mean(0))


def test_projections_refuse_what_they_cannot_lay_out() -> None:
    with pytest.raises(BadInputError, match="at least 4 images"):
        project(np.zeros((3, 2)), "pca")
    with pytest.raises(UnknownNameError, match="umap"):
        project(np.zeros((9, 2)), "umapp")
    with pytest.raises(BadInputError, match="2 or 3"):
        project(np.zeros((9, 2)), "pca", 4)


def test_neighbours_equal_scikit_learn(monkeypatch) -> None:
    codes, queries = rng.normal(size=(50, 5)) + 100, rng.normal(size=(9, 5)) + 100
    monkeypatch.setattr("genlab.latent.neighbours.CHUNK", 1000)
    index, distance = nearest(codes, queries, 4)
    theirs = NearestNeighbors(n_neighbors=4).fit(codes).kneighbors(queries)
    assert np.array_equal(index, theirs[1])
    assert np.allclose(distance, theirs[0])
    assert nearest(codes, codes[:2], 99)[0].shape == (2, 50)


def test_codes_are_laid_onto_others_as_near_as_turning_allows() -> None:
    from scipy.linalg import orthogonal_procrustes

    codes, onto = rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) + 3
    turn, _ = orthogonal_procrustes(codes - codes.mean(0), onto - onto.mean(0))
    found = aligned(codes, onto)
    assert np.allclose(found, (codes - codes.mean(0)) @ turn + onto.mean(0))
    assert np.allclose(np.linalg.norm(found[0] - found[1:], axis=1), np.linalg.norm(codes[0] - codes[1:], axis=1))
    mirrored = codes[:, ::-1] * [1, -1, 1, 1] + 7
    assert np.allclose(aligned(mirrored, codes), codes)
