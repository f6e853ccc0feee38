"""Exploring a run: shapes, determinism, what is cached, what is refused and how."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import genlab
from genlab.core.batch import Batch
from genlab.core.capabilities import Encodes, Fits, SamplesByLabel, Scores, capabilities
from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.registry import models
from genlab.core.shapes import Shape
from genlab.figures import Images
from genlab.latent import TripletSettings, sample_triplet_codes
from genlab.latent.walks import slerp
from genlab.nn.normal import Point, StandardNormalPrior
from genlab.workspace.codes import read
from genlab.workspace.explore import Explore

rng = np.random.default_rng(5)


class Set(SimpleNamespace):
    """Just what exploring reads of an image set."""

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray | None = None) -> Set:
        index = np.arange(len(images))
        return cls(
            images=images, labels=labels, count=len(images), hash=f"{hash(images.tobytes()) & 0xFFFFFFFFFFFF:x}",
            splits={"train": index[index % 5 > 0], "validation": index[index % 5 == 0]}, factors={"size": index / 7},
        )  # fmt: skip


class FakeRun(Explore):
    def __init__(self, model: Model, images: Set, directory: Path, shipped: bool = False) -> None:
        self._model, self._images, self._shipped = model.eval(), images, shipped
        self._directory, self.title = directory, "tiny run"
        self.config = SimpleNamespace(data=SimpleNamespace(class_names=("cat", "dog")))
        self.encodings = 0

    def model(self, step=None):
        return self._model

    @property
    def images(self):
        return self._images

    @property
    def directory(self):
        return self._directory

    @property
    def shipped(self):
        return self._shipped

    def can(self, *names: str) -> bool:
        return set(names) <= set(capabilities(type(self._model)))


def pictures(count: int = 30, shape=(1, 8, 8)) -> Set:
    return Set.of(rng.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % 2)


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    torch.manual_seed(0)
    return FakeRun(genlab.create("vae", (1, 8, 8), latent_dim=3, hidden=16), pictures(), tmp_path / "run")


class Generator(Model, StandardNormalPrior, SamplesByLabel):
    """A decoder with a prior and no encoder."""

    Parameters = Parameters

    def __init__(self, latent_dim: int = 2) -> None:
        super().__init__(Shape(1, 8, 8), 2, Parameters())
        self.latent_dim = latent_dim
        self.layer = torch.nn.Linear(latent_dim, 64)

    def decode(self, codes):
        return torch.sigmoid(self.layer(codes)).view(-1, 1, 8, 8)

    def sample_labels(self, labels, *, temperature=1.0, generator=None):
        noise = torch.rand(len(labels), 1, 8, 8, generator=generator) * 0.1
        return noise + 0.5 * labels.view(-1, 1, 1, 1)


class Auto(Generator, Encodes):
    """Codes are the first pixels: points without a variance."""

    def encode(self, images):
        return Point(images.flatten(1)[:, : self.latent_dim] * 4)


class Density(Model, Scores):
    Parameters = Parameters

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.register_buffer("zero", torch.zeros(1))

    def log_likelihood(self, images):
        return -images.flatten(1).sum(1)


def floats(run: FakeRun, count: int) -> np.ndarray:
    return run.images.images[:count].astype(np.float32) / 255


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
    assert np.array_equal(run.place(found, images), found.points[3:5])


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


@pytest.mark.parametrize("name", models())
def test_every_model_does_what_it_can_and_refuses_the_rest_in_words(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = genlab.create(name, (1, 32, 32), classes=2)
    data = pictures(20, (1, 32, 32))
    if issubclass(type(model), Fits):
        images, labels = torch.from_numpy(data.images).float() / 255, torch.from_numpy(data.labels)
        list(model.fit(Batch(images, labels), iterations=2))
    run = FakeRun(model, data, tmp_path)
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
