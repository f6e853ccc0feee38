"""The Balance Metric against golden cases, a loop over pixels, and the figures of the orbit images."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.errors import BadInputError
from genlab.metrics import balance_baselines, balance_metric, balance_report

rng = np.random.default_rng(3)
CHOICES = {
    "raw_eq17": ("raw", "signed"),
    "raw_abs": ("raw", "absolute"),
    "unit_eq17": ("unit", "signed"),
    "unit_abs": ("unit", "absolute"),
}


def channels_first(array: np.ndarray, grey: bool) -> np.ndarray:
    return array[..., None, :, :] if grey else np.moveaxis(array, -1, -3)


def slow(generated: np.ndarray, images: np.ndarray, norm: str, sign: str) -> float:
    total = []
    for one in generated:
        for image in images:
            for row in range(image.shape[1]):
                for column in range(image.shape[2]):
                    d = math.sqrt(
                        sum(
                            (float(a) - float(b)) ** 2
                            for a, b in zip(one[:, row, column], image[:, row, column], strict=True)
                        )
                    )
                    d = d / math.sqrt(len(image)) if norm == "unit" else d
                    total.append(d * (1 - d) if sign == "signed" else abs(d * (1 - d)))
    return sum(total) / len(total)


@pytest.mark.parametrize("choice", CHOICES)
def test_golden_cases(shared: Path, choice: str) -> None:
    expected = json.loads((shared / "golden" / "bm_cases.json").read_text())
    with np.load(shared / "golden" / "bm_cases.npz") as arrays:
        for name, values in expected.items():
            grey = arrays[f"{name}__refs"].ndim == 3
            generated, images = (channels_first(arrays[f"{name}__{part}"], grey) for part in ("gen", "refs"))
            found = balance_metric(generated, images, *CHOICES[choice])
            assert found == pytest.approx(values[choice]["bm"], abs=1e-9)
            single = [balance_metric(torch.from_numpy(generated), image, *CHOICES[choice]) for image in images[:, None]]
            assert single == pytest.approx(values[choice]["bm_i"], abs=1e-9)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("choice", CHOICES)
def test_equals_a_loop_over_pixels(channels: int, choice: str, monkeypatch) -> None:
    generated, images = rng.random((3, channels, 4, 5)), rng.random((6, channels, 4, 5))
    monkeypatch.setattr("genlab.metrics.balance.CHUNK", channels * 40)
    assert balance_metric(generated, images, *CHOICES[choice]) == pytest.approx(
        slow(generated, images, *CHOICES[choice]), abs=1e-12
    )


def test_arrays_tensors_and_precisions_agree() -> None:
    generated, images = rng.random((2, 3, 6, 6)), rng.random((4, 3, 6, 6))
    exact = balance_metric(generated, images)
    assert balance_metric(torch.tensor(generated), torch.tensor(images)) == pytest.approx(exact, abs=1e-12)
    assert balance_metric(generated.astype(np.float32), torch.tensor(images).float()) == pytest.approx(exact, abs=1e-6)
    assert balance_metric(generated[0], images) == pytest.approx(balance_metric(generated[:1], images), abs=0)


def test_report_has_error_and_share_of_large_distances() -> None:
    generated, images = rng.random((2, 3, 4, 4)), rng.random((5, 3, 4, 4))
    report = balance_report(generated, images, sign="signed")
    d = np.sqrt(((generated[:, None] - images[None]) ** 2).sum(2))
    assert report["rmse"] == pytest.approx(np.sqrt(((generated[:, None] - images[None]) ** 2).mean()))
    assert report["fraction_above_one"] == pytest.approx((d > 1).mean())
    assert 0 < report["fraction_above_one"] < 1
    assert report["bm"] == pytest.approx((d * (1 - d)).mean())


def test_baselines_of_the_orbit_images(shared: Path) -> None:
    files = sorted((shared / "data" / "orbit-100x64").glob("*.png"))
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]).transpose(0, 3, 1, 2) / 255
    found = balance_baselines(images)
    expected = {
        "mean_image": 0.0498, "median_image": 0.0167, "training_images": 0.0294, "mid_grey": 0.2184, "white": 0.2377,
        "black": 0.2730, "shifted_mean": 0.2446,
    }  # fmt: skip
    assert len(images) == 36
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=6e-5)
    assert found["uniform_noise"] == pytest.approx(0.1929, abs=2e-3)


def test_baselines_against_many_images_stay_affordable_and_close(monkeypatch) -> None:
    images = rng.random((60, 1, 6, 6))
    whole = balance_baselines(images)
    monkeypatch.setattr("genlab.metrics.balance.BUDGET", 20 * images.size)
    part = balance_baselines(images)
    assert part["training_images"] == pytest.approx(whole["training_images"], rel=0.1)
    assert part["training_images"] != whole["training_images"]


@pytest.mark.parametrize(
    ("generated", "images", "words"),
    [
        (np.zeros((3, 4, 4)), np.zeros((2, 3, 4, 5)), "cannot be compared"),
        (np.full((1, 4, 4), 9.0), np.zeros((2, 1, 4, 4)), "generated image's values"),
        (np.zeros((1, 4, 4)), np.full((2, 1, 4, 4), -0.5), r"\[0, 1\]"),
        (np.zeros((1, 4, 4)), np.zeros((0, 1, 4, 4)), "at least one"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "shape"),
        (np.full((1, 4, 4), np.nan), np.zeros((1, 1, 4, 4)), "values"),
    ],
)
def test_bad_input_is_refused_in_words(generated: np.ndarray, images: np.ndarray, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        balance_metric(generated, images)


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(BadInputError, match="raw or unit"):
        balance_metric(np.zeros((1, 4, 4)), np.zeros((1, 1, 4, 4)), norm="euclid")
