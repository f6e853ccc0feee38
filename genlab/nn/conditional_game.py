"""The adversarial game with labels: both players are told which class an image is of; `cgan` and `cdcgan` share it.

References:
    [1] Mirza & Osindero, Conditional Generative Adversarial Nets, 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.capabilities import SamplesByLabel
from genlab.core.parameters import parameter
from genlab.nn.game import GameParameters, Turn, TwoPlayerGame
from genlab.nn.normal import normal_like

LABEL_SPREAD = 0.2  # of the numbers that stand for a new label

CONDITIONAL_DEPARTURES = (
    "A code is the noise beside the label's vector, [z, e(y)], so that a walk between two codes also walks between labels.",
    "The vectors of labels start five times smaller than the noise: as large as the noise, they drowned it here, and each "
    "class came to have a single image.",
    "Unlabelled images count as one class: the game is then the plain one.",
    "Images drawn without a label have labels drawn evenly, not as often as in the training images; while training, "
    "generated images have the labels of the real ones beside them.",
)


class ConditionalParameters(GameParameters):
    """The game, and the size of what stands for a label."""

    label_dim: int = parameter(
        16, "Numbers that stand for a label in a code; they are learned.", minimum=1, maximum=512, symbol="e"
    )


class LabelledGenerator(nn.Module):
    """A vector for each label, and the network that turns codes [z, e(y)] into images in [0, 1]."""

    def __init__(self, classes: int, label_dim: int, network: nn.Module) -> None:
        super().__init__()
        self.labels = nn.Embedding(classes, label_dim)
        nn.init.normal_(self.labels.weight, 0.0, LABEL_SPREAD)
        self.network = network

    def codes(self, noise: Tensor, labels: Tensor) -> Tensor:
        """[z, e(y)]: (N, D) of noise (N, d) and labels (N,)."""
        return torch.cat([noise, self.labels(labels).to(noise)], dim=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) of codes (N, D)."""
        images: Tensor = self.network(codes)
        return images


class ConditionalGame(TwoPlayerGame, SamplesByLabel):
    """min_G max_D E log D(x|y) + E log(1 − D(G(z|y)|y)), [1] (2), or any other adversarial loss given y.

    A model sets `p`, `latent_dim` = d + e, `generator` (a `LabelledGenerator`) and `critic` ((images, labels) ->
    logits), and calls `begin`.
    """

    p: ConditionalParameters
    generator: LabelledGenerator
    classes: int

    @property
    def kinds(self) -> int:
        """Classes that the players know: one where the images have no labels."""
        return max(1, self.classes)

    def noise(self, count: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """The part z of codes: (count, d)."""
        like = self.generator.labels.weight
        return temperature * normal_like(like.new_empty(count, self.p.latent_dim), generator)

    def training_codes(self, count: int, labels: Tensor | None) -> Tensor:
        """New noise beside the labels of the real images."""
        labels = self.generator.labels.weight.new_zeros(count).long() if labels is None else labels
        return self.generator.codes(self.noise(count), labels)

    def judge(self, images: Tensor, turn: Turn) -> Tensor:
        """Logits (N,) of images, given the labels of the turn."""
        labels = (
            torch.zeros(len(images), dtype=torch.long, device=images.device) if turn.labels is None else turn.labels
        )
        logits: Tensor = self.critic(images, labels)
        return logits

    def label_codes(
        self, labels: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (N, D) of labels (N,) with new noise, in the words of the generator that samples."""
        drawing: LabelledGenerator = self.drawing  # type: ignore[assignment]
        return drawing.codes(self.noise(len(labels), temperature, generator), labels)

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Codes (count, D) of labels that are drawn evenly; `temperature` scales the noise alone."""
        device = None if generator is None else generator.device
        labels = torch.randint(self.kinds, (count,), generator=generator, device=device)
        labels = labels.to(self.generator.labels.weight.device)
        return self.label_codes(labels, temperature=temperature, generator=generator)

    def sample_labels(
        self, labels: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """One image for each label (N,): (N, C, H, W) in [0, 1]."""
        return self.decode(self.label_codes(labels, temperature=temperature, generator=generator))
