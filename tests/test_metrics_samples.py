"""Memorised samples, samples told apart, paths between samples, and a third feature space: loops, closed forms, known extremes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from exploring import Density, FakeRun, Generator, Replay, Set

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.metrics import Subject, evaluate
from genlab.metrics.features import CLASSIFIER, ENLARGED, LITE0, PCA, Features, feature_spaces
from genlab.metrics.memorisation import copying, nearest_images
from genlab.metrics.paths import STEP, squared_speeds
from genlab.metrics.two_sample import two_sample_test

rng = np.random.default_rng(8)


def digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    images = (load_digits().images[:, None] / 16).astype(np.float32)
    return images[np.random.default_rng(0).permutation(len(images))]  # they come writer by writer


def subject_of(samples: np.ndarray, **more: Any) -> Subject:
    """Samples beside 300 held-out digits, and 1,000 training ones of which 300 serve as baselines."""
    images = digits()
    chunks = [images[300:800], images[800:1300]]
    return Subject(Replay(samples), images[:300], training=images[300:600], library=lambda: chunks, **more)


# --- memorised or invented -------------------------------------------------------------------------------------


def test_nearest_images_equal_a_loop_whatever_the_chunks() -> None:
    queries, training = rng.random((4, 1, 3, 5)), rng.random((11, 1, 3, 5))
    found = nearest_images(queries, [training[:2], training[2:9], training[9:]], neighbours=4)
    for i, query in enumerate(queries):
        apart = [math.sqrt(((query - other) ** 2).mean()) for other in training]
        order = sorted(range(11), key=apart.__getitem__)
        assert found.indices[i] == order[0]
        assert found.distances[i] == pytest.approx(apart[order[0]], rel=1e-9)
        assert found.relative[i] == pytest.approx(apart[order[0]] / np.mean([apart[j] for j in order[1:5]]), rel=1e-9)


def test_large_images_are_averaged_over_blocks_first() -> None:
    queries, training = rng.random((2, 3, 64, 96)), rng.random((3, 3, 64, 96))
    blocks = [rows.reshape(-1, 3, 21, 3, 32, 3).mean((3, 5)) for rows in (queries[:, :, :63], training[:, :, :63])]
    expected = np.sqrt(((blocks[0][0] - blocks[1]) ** 2).mean((1, 2, 3))).min()
    assert nearest_images(queries, [training]).distances[0] == pytest.approx(expected, rel=1e-5)


def test_a_copied_training_set_is_memorised_and_held_out_images_are_invented() -> None:
    images = digits()
    copied = evaluate(subject_of(images[900:1200]), ["memorisation"])["memorisation"]
    invented = evaluate(subject_of(images[:300]), ["memorisation"])["memorisation"]
    others = evaluate(subject_of(images[1300:1600]), ["memorisation"])["memorisation"]
    assert copied.value == 1
    assert copied.details["median_ratio"] == pytest.approx(0, abs=1e-6)
    assert invented.value == invented.baselines["held_out_images"] == pytest.approx(0.05, abs=0.004)
    assert invented.details["median_ratio"] == 1
    assert others.value < 0.12
    half = np.where(np.arange(300)[:, None, None, None] % 2, images[900:1200], images[1300:1600])
    assert evaluate(subject_of(half), ["memorisation"])["memorisation"].value == pytest.approx(0.5, abs=0.05)


def test_blurred_samples_are_not_called_memorised_nor_copies_with_a_little_noise_invented() -> None:
    images = digits()
    near = np.argsort(((images[1300:1600, None] - images[None, 300:1300]) ** 2).sum((2, 3, 4)), axis=1)[:, :30]
    blurred = images[300:1300][near].mean(1)  # what is common to like images, as a blurring decoder gives
    smooth = evaluate(subject_of(blurred), ["memorisation"])["memorisation"]
    assert smooth.details["median_ratio"] < 0.9  # plain distances would suspect them
    assert smooth.value < 0.05
    noisy = np.clip(images[900:1200] + 0.05 * rng.normal(size=(300, 1, 8, 8)), 0, 1).astype(np.float32)
    assert evaluate(subject_of(noisy), ["memorisation"])["memorisation"].value > 0.9


def test_copies_in_black_and_white_are_found_out_too() -> None:
    images = digits()
    for samples, share in ((images[900:1200], 1), (images[1300:1600], 0)):
        coarse = np.where(samples > 0.5, np.float32(0.9), np.float32(0.1))
        found = evaluate(subject_of(coarse), ["memorisation"])["memorisation"]
        assert found.value == pytest.approx(share, abs=0.12)
        assert (
            found.details["median_relative_distance"] < 1e-6
            if share
            else found.details["median_ratio"] == pytest.approx(1, abs=0.1)
        )


def test_without_held_out_images_nothing_is_called_memorised() -> None:
    images = digits()[:20]
    found = evaluate(Subject(Replay(images), images), ["memorisation"])["memorisation"]
    assert found.value == 0
    assert "says nothing" in found.remark
    one = copying(images[:2], images[2:4], [images[:1]])
    assert one.samples.relative[0] == 0
    assert np.isfinite(one.samples.relative).all()


# --- told apart ------------------------------------------------------------------------------------------------


def test_the_two_sample_test_equals_a_loop_and_scikit_learn() -> None:
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    first, second = rng.normal(size=(24, 3)), rng.normal(size=(17, 3)) + 0.7
    rows, kinds = np.concatenate([first, second]), np.repeat([0, 1], [24, 17])
    right = cross_val_score(KNeighborsClassifier(1), rows, kinds, cv=LeaveOneOut())
    found = two_sample_test(first, second, 0)
    assert found[:3] == pytest.approx((right.mean(), right[:24].mean(), right[24:].mean()), rel=1e-12)
    nearest = [min((j for j in range(41) if j != i), key=lambda j: math.dist(rows[i], rows[j])) for i in range(41)]
    reached = [np.mean([a == b for a, b in zip(kinds[order], kinds[order][nearest], strict=True)]) >= right.mean() - 1e-12
               for order in (rng.permutation(41) for _ in range(4000))]  # fmt: skip
    assert found.p_value == pytest.approx(np.mean(reached), abs=0.04)


def test_p_values_are_small_for_other_images_alone() -> None:
    alike = [two_sample_test(*rng.normal(size=(2, 60, 4)), seed).p_value for seed in range(60)]
    assert 0.3 < np.mean(alike) < 0.8
    assert np.mean(np.array(alike) < 0.1) < 0.25
    assert two_sample_test(rng.normal(size=(60, 4)), 1 + rng.normal(size=(60, 4)), 0).p_value < 0.01


def test_equally_near_images_share_the_vote() -> None:
    same = np.zeros((5, 2))
    assert two_sample_test(same, same, 0).accuracy == pytest.approx(4 / 9)  # of nine others four are of a kind
    assert two_sample_test(same, same + 1, 0).accuracy == 1
    copies = rng.normal(size=(30, 4))
    assert two_sample_test(copies, copies, 0).accuracy == 0  # each is nearest to its copy of the other kind


def test_real_images_pass_for_real_and_blurred_or_repeated_ones_do_not() -> None:
    images = digits()
    found = {
        name: evaluate(subject_of(samples), ["two_sample"])["two_sample"]
        for name, samples in (("real", images[1300:1600]), ("blurred", 0.7 * images[1300:1600] + 0.3 * images.mean(0)),
                              ("few", images[np.arange(300) % 6]))
    }  # fmt: skip
    assert abs(found["real"].value - found["real"].baselines["real_images"]) < 0.08
    assert found["real"].value < found["blurred"].value - 0.1
    assert found["blurred"].details["p_value"] < 0.01
    assert found["few"].details["samples_named_samples"] > 0.9
    timid = 0.5 * images[1300:1600] + 0.5 * images.mean(0)
    assert "crowd together" in evaluate(subject_of(timid), ["two_sample"])["two_sample"].remark
    assert found["real"].baseline == found["real"].baselines["real_images"]
    assert list(found["real"].baselines) == ["real_images", "mean_image", "noise"]


# --- paths -----------------------------------------------------------------------------------------------------


class Straight(Generator):
    """Pixels are a fixed linear map of two latent dimensions."""

    def decode(self, codes):
        return (codes @ self.layer.weight.T.to(codes)).view(-1, 1, 8, 8)


def test_the_speed_of_a_straight_walk_is_its_length() -> None:
    a, b = rng.normal(size=(2, 5, 3))
    values = squared_speeds(lambda t: a + t[:, None] * (b - a), lambda x: 2 * x, np.full(5, 0.3))
    assert values == pytest.approx(4 * ((b - a) ** 2).sum(1), rel=1e-9)


def test_path_length_equals_the_derivative_of_the_walk(monkeypatch: Any) -> None:
    """Through a linear decoder the speed of a great-circle walk has a closed form, and that of a line is constant."""
    torch.manual_seed(1)
    model, images = Straight().eval(), rng.random((40, 1, 8, 8)).astype(np.float32)
    pixels = Features("pixels", lambda rows: np.asarray(rows, np.float64).reshape(len(rows), -1))
    monkeypatch.setattr("genlab.metrics.features.feature_spaces", lambda *_: [pixels])
    found = evaluate(Subject(model, images, seed=2), ["path_length"])["path_length"]
    from genlab.nn.inference import prior_codes

    codes = prior_codes(model, 80, 2).astype(np.float64)
    places = np.random.default_rng(2).uniform(0, 1 - STEP, 40)
    weight = model.layer.weight.detach().double().numpy()
    expected = []
    for a, b, t in zip(codes[:40], codes[40:], places + STEP / 2, strict=True):
        u, lengths = a / np.linalg.norm(a), (np.linalg.norm(a), np.linalg.norm(b))
        v = b / lengths[1]
        omega = math.acos(np.clip(u @ v, -1, 1))
        w = (v - math.cos(omega) * u) / math.sin(omega)
        length = (1 - t) * lengths[0] + t * lengths[1]
        along = (lengths[1] - lengths[0]) * (u * math.cos(t * omega) + w * math.sin(t * omega))
        around = length * omega * (w * math.cos(t * omega) - u * math.sin(t * omega))
        expected.append(((weight @ (along + around)) ** 2).sum())
    assert found.value == pytest.approx(np.mean(expected), rel=2e-3)
    assert found.details["kind"] == "slerp"
    pairs = list(itertools.product(range(40), repeat=2))
    fading = np.mean([((images[i].astype(float) - images[j]) ** 2).sum() for i, j in pairs])
    assert found.baselines["fading_images"] == pytest.approx(fading, rel=0.25)  # of 40 drawn pairs

    class Flat(Straight):
        def sample_prior(self, count, *, temperature=1.0, generator=None):
            return torch.rand(count, 2, generator=generator)

    flat = Flat().eval()
    line = evaluate(Subject(flat, images, seed=2), ["path_length"])["path_length"]
    ends = prior_codes(flat, 80, 2).astype(np.float64)
    steps = (ends[40:] - ends[:40]) @ flat.layer.weight.detach().double().numpy().T
    assert line.details["kind"] == "lerp"
    assert line.value == pytest.approx((steps**2).sum(1).mean(), rel=2e-3)


# --- feature spaces --------------------------------------------------------------------------------------------


def test_the_space_that_is_asked_for_comes_first_and_an_absent_one_is_refused() -> None:
    images = digits()[:60]
    learned = Features(CLASSIFIER, lambda rows: rows.reshape(len(rows), -1))
    assert [space.name for space in feature_spaces(images, lambda: learned)] == [CLASSIFIER, PCA]
    assert [space.name for space in feature_spaces(images, lambda: learned, PCA)] == [PCA, CLASSIFIER]
    with pytest.raises(UnknownNameError, match="pixels-PCA"):
        feature_spaces(images, None, "pixels PCA")
    with pytest.raises(BadInputError, match="have none"):
        feature_spaces(images, None, CLASSIFIER)


def test_features_of_efficientnet_are_its_last_map_averaged(monkeypatch: Any) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    from genlab.nn.backbones import lite0

    images = digits()[:40]
    space, *others = feature_spaces(images, None, LITE0)
    assert [other.name for other in others] == [PCA]
    found = space.of(images)
    assert found.shape == (40, 1280)
    assert np.square(found).mean() == pytest.approx(1, rel=1e-5)
    network = lite0().eval()
    with torch.inference_mode():
        large = torch.nn.Upsample((ENLARGED, ENLARGED), mode="bilinear")(torch.from_numpy(images[7:9]))
        maps = network(large).numpy()
    expected = np.array([[plane.mean() for plane in one] for one in maps])
    largest = expected[0].argmax()
    assert found[7:9] / found[7, largest] == pytest.approx(expected / expected[0, largest], rel=1e-3, abs=1e-4)
    few = Subject(Replay(images[:8]), images[:8], training=images[8:16], features=LITE0)
    measured = evaluate(few, ["frechet"])["frechet"]
    assert measured.details["features"] == LITE0
    assert f"on {PCA}" in measured.details
    monkeypatch.setattr("genlab.metrics.features.find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"genlab\[recognition\]"):
        feature_spaces(images, None, LITE0)


# --- perceptual distance ---------------------------------------------------------------------------------------


def test_perceptual_distance_is_that_of_its_package() -> None:
    package = pytest.importorskip("stlpips_pytorch.stlpips")
    from genlab.metrics.perceptual import perceptual_distances

    a, b = rng.random((2, 18, 3, 64, 70)).astype(np.float32)
    one_by_one, to_one = perceptual_distances(a, b, b[3:4])
    network = package.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    for place in (0, 17):  # of the first and the second batch
        ours, theirs, same = (torch.from_numpy(rows) for rows in (a[[place]], b[[place]], b[[3]]))
        with torch.no_grad():
            assert one_by_one[place] == pytest.approx(network(ours, theirs, normalize=True).item(), rel=1e-5)
            assert to_one[place] == pytest.approx(network(ours, same, normalize=True).item(), rel=1e-5)
    grey, small = a[:2, :1, :20, :20], a[:1, :, :20, :20]
    (apart,) = perceptual_distances(grey, grey[::-1])
    assert apart == pytest.approx(perceptual_distances(grey.repeat(3, 1), grey[::-1].repeat(3, 1))[0], rel=1e-5)
    assert perceptual_distances(small, small)[0][0] == pytest.approx(0, abs=1e-6)


def test_perceptual_distance_is_a_metric_where_it_is_installed_and_refused_in_a_sentence_elsewhere(
    monkeypatch: Any,
) -> None:
    import genlab

    torch.manual_seed(0)
    subject = Subject(genlab.create("vae", (1, 8, 8), latent_dim=2, hidden=8).eval(), digits()[:6])
    monkeypatch.setattr("genlab.metrics.registry.find_spec", lambda name: None if name == "stlpips_pytorch" else name)
    assert "lpips" not in evaluate(subject)
    with pytest.raises(BadInputError, match=r"pip install 'genlab\[lpips\]'"):
        evaluate(subject, ["lpips"])
    monkeypatch.undo()
    pytest.importorskip("stlpips_pytorch")
    found = evaluate(subject, ["lpips"])["lpips"]
    assert found.n == 6
    assert found.value > 0
    assert found.baseline > 0
    assert found.warning


# --- beside a run ----------------------------------------------------------------------------------------------


def test_a_run_shows_its_samples_beside_their_nearest_training_images(tmp_path: Any) -> None:
    images = Set.of((digits()[:600] * 255).astype(np.uint8))
    training = images.images[images.splits["train"]].astype(np.float32) / 255
    half = np.where(np.arange(40)[:, None, None, None] % 2, training[50:90], digits()[700:740])
    found = FakeRun(Replay(half), images, tmp_path).memorised(40)
    assert found.share == pytest.approx(0.5, abs=0.1)
    assert (np.diff(found.relative) >= 0).all()
    assert found.relative[:20] == pytest.approx(np.zeros(20), abs=1e-6)
    assert np.array_equal(found.samples.array[:20], found.nearest.array[:20])
    assert sorted(found.indices[:20]) == sorted(images.splits["train"][51:90:2])
    assert np.array_equal(found.nearest.array * 255, images.images[found.indices])
    assert found.threshold < found.usual
    with pytest.raises(BadInputError, match="tiny run cannot draw new images"):
        FakeRun(Density(), images, tmp_path).memorised()
