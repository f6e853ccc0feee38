"""Measures of recognition against slow loops, scikit-learn, pytorch-metric-learning and embeddings whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor

from genlab import figures
from genlab.core.capabilities import Embeds
from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.shapes import Shape
from genlab.metrics import METRICS, Subject, evaluate
from genlab.metrics.recognition import Compared, compared, ranks, recall_at, roc, triplet_accuracy, verification
from genlab.metrics.registry import find
from genlab.nn.normal import Point

NAMES = (
    "triplet_order_accuracy",
    "triplet_margin_accuracy",
    "identification_top1",
    "identification_top5",
    "recall_at_5",
    "verification_auc",
    "verification_eer",
)
STATIONS = [None, np.tile([0, 0, 1, 1], 9)]


def clustered(noise: float, count: int = 36, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around one direction for each of nine identities; one identity has a single image."""
    random = np.random.default_rng(seed)
    identities = np.repeat(np.arange(9), count // 9)
    identities[-3:] = 7
    vectors = random.normal(size=(9, 5))[identities] + noise * random.normal(size=(count, 5))
    vectors[3] = vectors[2] = vectors[20]  # ties, within an identity and between two
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), identities


def allowed(i: int, j: int, stations: np.ndarray | None) -> bool:
    return i != j if stations is None else bool(stations[i] != stations[j])


@pytest.fixture(params=STATIONS, ids=["all images", "between stations"])
def case(request: pytest.FixtureRequest) -> tuple[Compared, np.ndarray, np.ndarray | None]:
    vectors, identities = clustered(0.6)
    return compared(vectors, identities, request.param), identities, request.param


Case = tuple[Compared, np.ndarray, "np.ndarray | None"]


def test_distances_are_those_between_the_vectors() -> None:
    vectors, identities = clustered(0.6)
    expected = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.testing.assert_allclose(compared(vectors, identities).distances, expected, atol=3e-8)


@pytest.mark.parametrize("margin", [0.0, 0.6])
def test_triplets_equal_a_loop_over_all_of_them(case: Case, margin: float) -> None:
    pairs, identities, stations = case
    right = total = 0
    for a, p, n in itertools.product(range(36), repeat=3):
        compares = allowed(a, p, stations) and allowed(a, n, stations)
        if compares and identities[a] == identities[p] != identities[n]:
            total += 1
            right += pairs.distances[a, p] + margin < pairs.distances[a, n]
    share, triplets = triplet_accuracy(pairs, margin)
    assert triplets == total
    assert share == pytest.approx(right / total, abs=1e-12)
    assert 0.05 < share < 0.95


def test_ranks_equal_a_loop_over_queries(case: Case) -> None:
    pairs, identities, stations = case
    expected, most = [], 0
    for query in range(36):
        nearest: dict[int, float] = {}
        for other in range(36):
            if allowed(query, other, stations):
                name = int(identities[other])
                nearest[name] = min(nearest.get(name, np.inf), pairs.distances[query, other])
        if identities[query] in nearest:
            own = nearest[int(identities[query])]
            expected.append(sum(distance <= own for distance in nearest.values()))
            most = max(most, len(nearest))
    places, candidates = ranks(pairs)
    assert places.tolist() == expected
    assert candidates == most
    assert 0 < (places == 1).mean() < 1


def test_recall_equals_a_loop_and_its_chance_a_drawing(case: Case) -> None:
    pairs, identities, stations = case
    hits, chances, random = [], [], np.random.default_rng(0)
    for query in range(36):
        others = np.array([i for i in range(36) if allowed(query, i, stations)])
        right = identities[others] == identities[query]
        if right.any():
            # of a tie the wrong image comes first
            order = np.lexsort((right, pairs.distances[query, others]))
            hits.append(bool(right[order[:5]].any()))
            chances.append(np.mean([random.permutation(right)[:5].any() for _ in range(400)]))
    hit, chance = recall_at(pairs, 5)
    assert hit.tolist() == hits
    assert chance == pytest.approx(np.mean(chances), abs=0.02)


def test_the_roc_curve_equals_a_count_at_every_threshold(case: Case) -> None:
    pairs, identities, stations = case
    chosen = [(i, j) for i, j in itertools.combinations(range(36), 2) if allowed(i, j, stations)]
    same = np.array([identities[i] == identities[j] for i, j in chosen])
    distances = np.array([pairs.distances[i, j] for i, j in chosen])
    verified = verification(pairs)
    curve = roc(verified)
    points = {(float((distances[~same] <= t).mean()), float((distances[same] <= t).mean())) for t in distances} | {
        (0.0, 0.0)
    }
    drawn = list(zip(curve.accepted.tolist(), curve.found.tolist(), strict=True))
    assert set(drawn) <= points
    assert (drawn[0], drawn[-1]) == ((0, 0), (1, 1))
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(sorted(points)))
    assert curve.area == pytest.approx(area, abs=1e-12)
    assert curve.area == pytest.approx(verified.auc, abs=1e-12)
    assert curve.at in points
    assert (curve.at[0] + 1 - curve.at[1]) / 2 == pytest.approx(verified.eer, abs=1e-12)
    nothing = roc(verification(compared(np.eye(3), np.arange(3))))
    assert (nothing.area, nothing.accepted.tolist(), nothing.found.tolist()) == (0.5, [0, 1], [0, 1])


def test_a_roc_curve_has_chance_its_corners_and_the_threshold() -> None:
    accepted, found = np.array([0, 0, 0.5, 1]), np.array([0, 0.5, 1, 1])
    figure = figures.roc_curve(accepted, found, (0.5, 1.0), name="“a run”", area=0.875, threshold=0.4)
    chance, curve, at = figure.data
    assert (list(chance.x), list(chance.y)) == ([0, 1], [0, 1])
    assert (list(curve.x), list(curve.y)) == (accepted.tolist(), found.tolist())
    assert ((at.x[0], at.y[0]), at.name, curve.name) == ((0.5, 1.0), "threshold 0.40", "“a run”, area 0.875")
    many = np.linspace(0, 1, 10_000)
    drawn = figures.roc_curve(many, many, (0.5, 0.5), name="x", area=0.5, threshold=1).data[1]
    assert (len(drawn.x), drawn.x[0], drawn.x[-1]) == (500, 0, 1)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_identification_and_recall_are_there_for_every_k(k: int) -> None:
    vectors, identities = clustered(0.6)
    names = [f"identification_top{k}", f"recall_at_{k}"]
    found = evaluate(Subject(Given(5), vectors[:, None, None].astype(np.float32), labels=identities), names)
    pairs = compared(vectors.astype(np.float32), identities)
    places, candidates = ranks(pairs)
    assert found[names[0]].value == pytest.approx(np.mean([place <= k for place in places.tolist()]))
    assert found[names[0]].baseline == pytest.approx(min(1, k / candidates))
    hit, chance = recall_at(pairs, k)
    assert (found[names[1]].value, found[names[1]].baseline) == (pytest.approx(hit.mean()), pytest.approx(chance))
    assert "recall_at_0" not in METRICS
    for wrong in ("recall_at_0", "recall_at_", "recall_at_x", "mse5"):
        with pytest.raises(UnknownNameError, match=wrong):
            find(wrong)


def test_verification_equals_scikit_learn(case: Case) -> None:
    pairs, identities, stations = case
    chosen = [(i, j) for i, j in itertools.combinations(range(36), 2) if allowed(i, j, stations)]
    rows, columns = np.array(chosen).T
    same, scores = identities[rows] == identities[columns], -pairs.distances[rows, columns]
    found = verification(pairs)
    assert (len(found.same), len(found.other)) == (same.sum(), (~same).sum())
    assert found.auc == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    accepted, kept, thresholds = roc_curve(same, scores, drop_intermediate=False)
    at = np.abs(accepted - (1 - kept)).argmin()
    assert found.eer == pytest.approx((accepted[at] + 1 - kept[at]) / 2, abs=1e-12)
    assert found.threshold == pytest.approx(-thresholds[at], abs=1e-12)
    assert 0.02 < found.eer < 0.5


def test_the_first_choice_is_what_another_library_calls_precision_at_one() -> None:
    calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.inference import CustomKNN

    vectors, identities = clustered(0.6)
    vectors[2:4] = np.eye(5)[:2]  # the library breaks ties as they come
    places, _ = ranks(compared(vectors, identities))
    nearest = CustomKNN(LpDistance(normalize_embeddings=False))
    oracle = calculator.AccuracyCalculator(
        include=("precision_at_1",), device=torch.device("cpu"), k=1, knn_func=nearest
    )
    expected = oracle.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(identities))
    assert (places == 1).mean() == pytest.approx(expected["precision_at_1"])


def test_nothing_to_compare_is_chance_and_not_a_number_that_lies() -> None:
    alone = compared(np.eye(3), np.arange(3))
    assert triplet_accuracy(alone) == (0.0, 0)
    assert ranks(alone)[0].tolist() == []
    assert recall_at(alone, 5)[0].tolist() == []
    assert verification(alone).eer == 0.5


class Given(Model, Embeds):
    """Embeds images of one row as that row."""

    def __init__(self, size: int) -> None:
        super().__init__(Shape(1, 1, size), 2, Parameters())
        self.latent_dim = size
        self.register_buffer("nothing", torch.zeros(1))

    def embed(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def encode(self, images: Tensor) -> Point:
        return Point(self.embed(images))


def subject(noise: float, stations: bool = True) -> Subject:
    vectors, identities = clustered(noise)
    factors = {"identity": identities, **({"station": STATIONS[1]} if stations else {})}
    images = vectors.astype(np.float32)[:, None, None]
    return Subject(Given(5), images, labels=identities % 2, factors=factors)


@pytest.mark.parametrize("stations", [True, False])
@pytest.mark.parametrize("noise", [0.0, 0.5, 20.0])
def test_every_metric_is_in_its_range_beside_its_chance(noise: float, stations: bool) -> None:
    found = evaluate(subject(noise, stations), NAMES)
    assert set(found) == set(NAMES)
    for name, measured in found.items():
        low, high = METRICS[name].range
        assert low is not None
        assert high is not None
        assert low <= measured.value <= high
        assert measured.baseline is not None
        assert measured.warning  # 36 images are few
        assert "9 identities in 36 held-out images" in measured.remark


def test_better_embeddings_score_better_and_those_of_noise_score_chance() -> None:
    good, poor = evaluate(subject(0.3), NAMES), evaluate(subject(50.0), NAMES)
    for name in NAMES:
        sign = 1 if METRICS[name].direction == "higher" else -1
        assert sign * (good[name].value - poor[name].value) > 0.1, name
    for name in ("triplet_order_accuracy", "verification_auc", "verification_eer"):
        assert poor[name].value == pytest.approx(0.5, abs=0.12)
    assert poor["identification_top1"].baseline == pytest.approx(1 / 9)
    assert good["identification_top1"].details["candidates"] == 9


def test_identities_are_the_factor_where_it_is_known_and_else_the_labels() -> None:
    vectors, identities = clustered(0.1)
    images = vectors.astype(np.float32)[:, None, None]
    labelled = Subject(Given(5), images, labels=identities)
    assert labelled.identities.tolist() == identities.tolist()
    assert subject(0.1).identities.tolist() == identities.tolist()
    with pytest.raises(BadInputError, match="no labels"):
        evaluate(Subject(Given(5), images), ["identification_top1"])
