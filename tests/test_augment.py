"""Varied copies of training images: what moves, how far, and that the same is drawn again on resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.model import Model
from genlab.core.parameters import Parameters
from genlab.core.settings import TrainingSettings
from genlab.core.shapes import Shape
from genlab.data.loader import ArrayBatches
from genlab.training.augment import augmented, vary
from genlab.training.loop import Training


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(count: int, shape: tuple[int, int, int] = (2, 6, 9)) -> Tensor:
    return torch.rand(count, *shape, generator=draws(5))


def test_mirrored_images_are_reversed_or_left_and_both_happen_about_as_often() -> None:
    images = numbered(200)
    varied = vary(images, "mirror", 0.1, draws())
    same = [torch.equal(a, b) for a, b in zip(images, varied, strict=True)]
    turned = [torch.equal(a.flip(2), b) for a, b in zip(images, varied, strict=True)]
    assert all(one != other for one, other in zip(same, turned, strict=True))
    assert 70 < sum(turned) < 130


def test_shifts_are_whole_pixels_within_the_amount_and_repeat_the_edge() -> None:
    images = numbered(120)
    varied = vary(images, "shift", 0.34, draws())
    seen = set()
    for image, moved in zip(images, varied, strict=True):
        padded = np.pad(image.numpy(), ((0, 0), (3, 3), (3, 3)), mode="edge")
        places = [
            (down, right)
            for down in range(-3, 4)
            for right in range(-3, 4)
            if np.array_equal(padded[:, 3 + down : 9 + down, 3 + right : 12 + right], moved.numpy())
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert {down for down, _ in seen} == {-2, -1, 0, 1, 2}  # 0.34 · 6 = 2 rows
    assert {right for _, right in seen} == {-3, -2, -1, 0, 1, 2, 3}  # 0.34 · 9 = 3 columns


def test_an_affine_move_of_nothing_changes_nothing() -> None:
    images = numbered(4)
    torch.testing.assert_close(vary(images, "affine", 0.0, draws()), images, rtol=0, atol=1e-6)


def test_an_affine_move_turns_scales_and_shifts_about_the_centre_in_pixels() -> None:
    """Each pixel recomputed from the inverse map in pixel coordinates, on an oblong picture, by a linear ramp."""
    height, width, amount = 24, 40, 0.1
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    ramps = torch.stack((rows, columns))[None].expand(6, -1, -1, -1) / width  # linear: interpolation is exact inside
    varied = vary(ramps, "affine", amount, draws(3)) * width
    turn, scale, right, down = (2 * torch.rand(4, 6, generator=draws(3)) - 1) * amount
    for index in range(6):
        angle, factor = float(turn[index]) * math.pi / 2, math.exp(float(scale[index]))
        x, y = columns - width / 2, rows - height / 2
        from_x = (math.cos(angle) * x - math.sin(angle) * y) / factor + float(right[index]) * width + width / 2
        from_y = (math.sin(angle) * x + math.cos(angle) * y) / factor + float(down[index]) * height + height / 2
        inside = (from_x > 1) & (from_x < width - 1) & (from_y > 1) & (from_y < height - 1)
        assert inside.sum() > height * width / 2
        torch.testing.assert_close(varied[index, 0][inside], from_y[inside], rtol=0, atol=1e-3)
        torch.testing.assert_close(varied[index, 1][inside], from_x[inside], rtol=0, atol=1e-3)
        assert abs(angle) <= math.radians(9)
        assert math.exp(-0.1) <= factor <= math.exp(0.1)


@pytest.mark.parametrize("kind", ["mirror", "shift", "affine", "mirror_affine"])
def test_images_stay_in_range_and_each_goes_its_own_way(kind: str) -> None:
    images = numbered(1).expand(32, -1, -1, -1)
    varied = vary(images, kind, 0.4, draws())
    assert varied.shape == images.shape
    assert 0 <= varied.min() <= varied.max() <= 1
    different = len({tuple(image.flatten().tolist()) for image in varied})
    assert different == 2 if kind == "mirror" else different > 10


def test_both_sets_are_varied_labels_stay_and_the_step_decides() -> None:
    settings = TrainingSettings(augmentation="shift", augmentation_amount=0.4)
    batch = Batch(numbered(16), torch.arange(16), numbered(16))
    one, again, other = (augmented(batch, settings, step) for step in (3, 3, 4))
    assert one.second is not None
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.images, other.images)
    assert not torch.equal(one.images, one.second)  # the same pictures, with draws of their own
    assert not torch.equal(batch.second, one.second)
    assert one.labels is batch.labels
    assert augmented(batch, TrainingSettings(), 3) is batch
    assert not torch.equal(one.images, augmented(batch, settings.model_copy(update={"seed": 1}), 3).images)


class Watcher(Model, Descends):
    """Remembers what it was shown."""

    Parameters = Parameters

    def __init__(self) -> None:
        super().__init__(Shape(1, 8, 8), 0, Parameters())
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []
        self.held_out: list[Tensor] = []

    def players(self) -> dict[str, torch.optim.Optimizer]:
        return {"one": torch.optim.SGD(self.parameters(), lr=0.1)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> dict[str, Tensor]:
        self.seen.append(batch.images)
        minimise(one=self.weight.sum())
        return {"noise": torch.rand(())}

    def validation_step(self, batch: Batch) -> dict[str, Tensor]:
        self.held_out.append(batch.images)
        return {"loss": torch.zeros(())}


def shown(augmentation: str, stop_at: int = 0) -> tuple[Watcher, list[float]]:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    data = ArrayBatches(pixels, None, {"train": np.arange(16), "validation": np.arange(16, 20)})
    settings = TrainingSettings(epochs=3, batch_size=4, augmentation=augmentation, device="cpu")
    model = Watcher()
    training, noise = Training(model, data, settings), []
    for event in training.events():
        if event is not None and event.kind == "epoch":
            noise.append(event.scalars["noise"])
        if stop_at and training.step == stop_at:
            state = copy.deepcopy(training.state())
            torch.rand(10)
            training = Training(model, data, settings)
            training.load_state(state)
            for event in training.events():
                if event is not None and event.kind == "epoch":
                    noise.append(event.scalars["noise"])
            break
    return model, noise


def test_a_resumed_run_sees_the_same_copies_and_validation_none() -> None:
    plain, noise = shown("none")
    whole, whole_noise = shown("mirror_affine")
    stopped, stopped_noise = shown("mirror_affine", stop_at=6)
    assert len(whole.seen) == len(stopped.seen) == 12
    assert all(torch.equal(a, b) for a, b in zip(whole.seen, stopped.seen, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(whole.seen, plain.seen, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole.held_out, plain.held_out, strict=True))
    assert noise == whole_noise == stopped_noise  # the training's own noise is left alone
