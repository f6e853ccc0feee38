"""Recognition: images as unit vectors, near one another where they show the same log, face or digit.

f(x) = W maxpool(g(x)) + b, scaled to length 1, learned with L = mean of max(d(a, p) − d(a, n) + m, 0) over triplets of
an anchor, a positive that shows the same and a negative that does not.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.4.
    [2] Schroff, Kalenichenko & Philbin, FaceNet: A Unified Embedding for Face Recognition and Clustering, 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, Embeds
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.backbones import Backbone, Remembering, backbone
from genlab.nn.normal import Point
from genlab.nn.optimisers import adam
from genlab.nn.triplet import triplet_loss, triplet_statistics
from genlab.nn.triplet_settings import TripletSource

CARD = Card(
    title="Recognition by triplets",
    family="recognition",
    paper="Bruneel, Image generation through feature extraction and learning, 5.4",
    year=2023,
    link="https://arxiv.org/abs/1503.03832",
    summary=(
        "Learns not what an image is but which images show the same thing, such as one log photographed at two places. Each "
        "image becomes a point on a sphere; the triplet loss pulls an image (anchor) towards another of the same thing "
        "(positive) until one of something else (negative) is farther away by a margin. Things it has never seen can then be "
        "recognised by asking which known image lies nearest."
    ),
    equations=(
        Equation("Embedding", r"f(x)=\frac{h(x)}{\lVert h(x)\rVert_2},\qquad h(x)=W\max_{u,v}g(x)_{uv}+b", "[1] Table 5.5"),
        Equation("Triplet loss", r"L=\operatorname{mean}\,\max\big(d(a,p)-d(a,n)+m,\,0\big),\quad d(x,y)=\lVert f(x)-f(y)\rVert_2", "[1] (16)"),
        Equation("Semi-hard negative", r"d(a,p)<d(a,n)<d(a,p)+m", "[1] 5.4.2, [2] 3.2"),
    ),
    departures=(
        "The default backbone is a small network from scratch with a learning rate of 0.001, so that it learns in a minute "
        "without a download; the thesis takes EfficientNet-B0 with the weights of ImageNet and 0.0001 (preset paper).",
        "The thesis freezes the backbone and its code trains it: here it is a flag, off by default.",
        "Without a semi-hard negative a pair of real images, or of triplets drawn once, takes its farthest negative, as the library "
        "behind the thesis's code does; the text speaks of semi-hard ones only.",
        "Batches are drawn so that each holds several images of a thing; the thesis has a list of ready triplets.",
        "Triplets from another run are by default drawn anew around every image in every epoch, and only those are kept that are "
        "semi-hard for the network as it is at that step, as the thesis's future work asks (kept); where none is, the step learns "
        "nothing. The thesis drew them once (drawn_once) and learned from all. Mixed with real ones, the same holds for both. All three images are decoded ones, so that blur does not "
        "tell them apart, and every image counts as something of its own: labels are not used.",
        "The thesis's accuracy is not defined in its text: shares of right triplets, identification among N candidates and "
        "verification are reported side by side, each with its chance level.",
    ),
    scalars={
        "loss": Scalar("mean hinge of the mined triplets; when all images are embedded alike it stays at the margin, or at 0 where only semi-hard triplets are kept"),
        "active": Scalar("share of all triplets of a batch that break the margin"),
        "semi_hard": Scalar("share of all triplets whose negative is farther than the positive, but within the margin", "neither"),
        "positive_distance": Scalar("mean distance of two images that show the same, from 0 to 2"),
        "negative_distance": Scalar("mean distance of two images that do not; √2 where directions are independent", "higher", 2**0.5),
    },
    presets={
        "quick": {"epochs": 8, "batch_size": 64, "embedding_dim": 64},
        "default": {"epochs": 30, "batch_size": 64},
        "paper": {"backbone": "efficientnet_b0", "frozen": True, "learning_rate": 1e-4, "epochs": 33, "batch_size": 32, "augmentation": "photograph"},
    },
    sizes="any size, grey or colour; at least 32x32 with a pretrained backbone",
)  # fmt: skip


class NetworkParameters(Parameters):
    """The network that embeds images, and its loss."""

    backbone: Backbone = parameter(
        "small_cnn", "What sees the images: a small network from scratch, or one that was trained on ImageNet."
    )
    frozen: bool = parameter(
        False,
        "Leave a pretrained backbone as it is and train the last layer alone, which is much faster: what it sees in an image is "
        "computed once and kept. Varied images (augmentation) and triplets drawn anew never come again, so for these it is not.",
    )
    width: int = parameter(16, "Channels of the small network's largest maps.", minimum=4, maximum=256)
    embedding_dim: int = parameter(
        1024, "Numbers in the vector that stands for an image.", minimum=2, maximum=4096, symbol="D"
    )
    margin: float = parameter(
        0.6, "How much farther than the positive the negative should be; no distance exceeds 2.", minimum=0.01, maximum=2, step=0.05, symbol="m"
    )  # fmt: skip
    mining: Literal["semi_hard", "batch_all"] = parameter(
        "semi_hard",
        "One semi-hard negative for each positive pair, the nearest, or the farthest where none is; or all semi-hard ones and no other.",
    )
    learning_rate: float = parameter(1e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)

    @pydantic.model_validator(mode="after")
    def _only_what_has_learned_is_frozen(self) -> NetworkParameters:
        if self.frozen and self.backbone == "small_cnn":
            raise ValueError(
                "A small_cnn begins from scratch and has to learn; set frozen to false, or choose another backbone."
            )
        return self  # fmt: skip


class RecognitionParameters(TripletSource, NetworkParameters):
    """The network, its loss, and where its triplets come from."""


@register("recognition", CARD)
class Recognition(Model, Descends, Embeds):
    """A backbone, the maximum of each of its maps, a dense layer, and a sphere."""

    Parameters = RecognitionParameters
    learns_from = "identities"

    def __init__(self, shape: Shape, classes: int, parameters: RecognitionParameters) -> None:
        super().__init__(shape, classes, parameters)
        if not classes:
            raise BadInputError(
                "Recognition needs labels that say which images show the same; choose a set with labels."
            )
        self.p = p = parameters
        self.latent_dim = p.embedding_dim
        self.backbone, features = backbone(p.backbone, self.shape, p.width)
        self.head = nn.Linear(features, p.embedding_dim)
        if p.frozen:
            self.backbone.requires_grad_(False)
            # images that are not varied come again in every epoch; apart, so that varied ones leave room for those held out
            self.seen, self.held_out = Remembering(self._features), Remembering(self._features)

    def train(self, mode: bool = True) -> Recognition:
        """As ever, but for a frozen backbone, whose running means stay too."""
        super().train(mode)
        if self.p.frozen:
            self.backbone.eval()
        return self

    def _features(self, images: Tensor) -> Tensor:
        """The maximum of each of the backbone's maps, (N, F)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.p.frozen):
            maps: Tensor = self.backbone(images)
            return maps.amax((2, 3))

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors (N, embedding_dim)."""
        kept = self._features if not self.p.frozen else self.seen if self.training else self.held_out
        return F.normalize(self.head(kept(images)).float(), dim=1)

    def encode(self, images: Tensor) -> Point:
        """The same vectors, as codes without a variance."""
        return Point(self.embed(images))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: whatever is not frozen."""
        learning = [weight for weight in self.parameters() if weight.requires_grad]
        return {"embedding": adam(learning, self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """Mine the batch for triplets and pull them right."""
        embeddings, labels = self.embed(batch.images), self._labels(batch)
        minimise(embedding=self._loss(embeddings, labels))
        return triplet_statistics(embeddings.detach(), labels, self.p.margin)

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same of held-out images."""
        embeddings, labels = self.embed(batch.images), self._labels(batch)
        return {"loss": self._loss(embeddings, labels), **triplet_statistics(embeddings, labels, self.p.margin)}

    def _loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """That of all pairs, or of those with a semi-hard negative, (,)."""
        p = self.p
        return triplet_loss(embeddings, labels, p.margin, p.mining, semi_hard_only=p.drops_others)

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise BadInputError("Recognition needs labels that say which images show the same; these images have none.")
        return batch.labels
