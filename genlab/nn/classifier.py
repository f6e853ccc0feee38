"""A small convolutional classifier, whose last hidden layer serves as features of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.seeding import aside
from genlab.nn.optimisers import adam

FEATURES = 64
BATCH = 64


class SmallClassifier(nn.Module):
    """Three strided 3x3 convolutions and two dense layers: images (N, C, H, W) of any size to logits (N, classes)."""

    scale: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, FEATURES),
        )
        self.last = nn.Linear(FEATURES, classes)
        self.register_buffer("scale", torch.ones(()))

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer (N, 64), after its ReLU, over `scale`."""
        return torch.relu(self.maps(images)) / self.scale

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        return self.last(torch.relu(self.maps(images)))


def train_classifier(
    images: Tensor, labels: Tensor, classes: int, *, steps: int = 600, seed: int = 0
) -> SmallClassifier:
    """A classifier of uint8 images (N, C, H, W), trained by Adam with a step size that falls to 0; the same for the same seed.

    `scale` makes the mean square of a feature over (up to 1,000 of) these images 1.
    """
    with aside(seed), torch.enable_grad(), torch.inference_mode(False):
        network = SmallClassifier(images.shape[1], classes)
        optimiser = adam(network.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            rows = torch.randint(len(images), (min(BATCH, len(images)),))
            optimiser.zero_grad()
            F.cross_entropy(network(images[rows].float() / 255), labels[rows]).backward()
            optimiser.step()
            schedule.step()
        network.eval().requires_grad_(False)
        network.scale = network.features(images[:1000].float() / 255).square().mean().sqrt().clamp(min=1e-6)
    return network
