"""The conditional VAE: encoder and decoder are told the label, so that images of a chosen class can be drawn.

log p(x|y) ≥ E_{q(z|x,y)}[log p(x|z, y)] − KL(q(z|x, y) ‖ p(z)); with p(y) = 1/K it is also a generative classifier,
for which the file is longer than most models.

References:
    [1] Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative Models, 2015.
    [2] Kingma, Rezende, Mohamed & Welling, Semi-Supervised Learning with Deep Generative Models, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import (
    Classifies,
    Decodes,
    Descends,
    DrawsCodes,
    HasPrior,
    ImportanceWeighted,
    Samples,
    SamplesByLabel,
)
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.blocks import mlp
from genlab.nn.density import draw_categories, in_blocks
from genlab.nn.importance import in_draws
from genlab.nn.likelihoods import Corruption, bernoulli_log_likelihood, corrupt
from genlab.nn.networks import Architecture, image_decoder, image_features
from genlab.nn.normal import DiagonalNormal, Point, normal_like, standard_log_prob
from genlab.nn.optimisers import adam

CARD = Card(
    title="Conditional VAE",
    family="variational",
    paper="Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative Models",
    year=2015,
    link="https://papers.nips.cc/paper/5775-learning-structured-output-representation-using-deep-conditional-generative-models",
    summary=(
        "A VAE that is told what it looks at. As the label says which digit it is, the code is left to say how it is "
        "written: slant, weight, width. Ask for a seven and it draws sevens; keep the code and change the label, "
        "and the same hand writes another digit. Asked which label explains an image best, it classifies."
    ),
    equations=(
        Equation("Bound given the label", r"\log p(x|y)\ge\mathbb E_{q(z|x,y)}[\log p(x|z,y)]-\mathrm{KL}(q(z|x,y)\,\|\,p(z))", "[1] (4)"),
        Equation("Objective", r"L=R+\beta\,\mathrm{KL}", "[1] (5), with a weight"),
        Equation("Classifier", r"q(y|x)\propto p(y)\,e^{\log p(x|\mu(x,y),y)-\mathrm{KL}(q(z|x,y)\|p(z))}", "[2] (7), at z = μ"),
        Equation("Bound without a label", r"\log p(x)\ge\mathbb E_{q(y|x)}[\mathrm{ELBO}(x|y)]-\mathrm{KL}(q(y|x)\,\|\,p(y))", "[2] (7)"),
        Equation("Code of an image", r"[\mu(x,y^*),\,e_{y^*}],\quad y^*=\arg\max_y q(y|x)", ""),
    ),
    departures=(
        "The prior of the code is N(0, I) whatever the label; in [1] it may depend on what is conditioned on.",
        "The label enters as a learned embedding behind the image's features, not as a plane of pixels.",
        "All classes are equally probable beforehand, however often each occurs in the set.",
        "The classifier is the bound of each class at the code's mean, turned into probabilities; [2] trains a network for it.",
        "A code is [z, embedding of the label], so that labels interpolate too. It is a point: the label has no variance, and "
        "so pages that need one for every coordinate (triplets, KL bars) are not offered.",
        "Images are encoded without their label: the most probable one takes its place.",
        "Without labels there is one class, and this is a plain VAE.",
        "Samples are the decoder's means; grey levels are scored by the Bernoulli likelihood as if they were probabilities.",
    ),
    scalars={
        "loss": Scalar("R + β·KL given the label, nats an image"),
        "reconstruction": Scalar("R = −log p(x|z, y), nats an image"),
        "kl": Scalar("KL(q(z|x, y) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
    },
    presets={
        "quick": {"epochs": 15, "batch_size": 64},
        "default": {"epochs": 30, "batch_size": 64},
        "paper": {"epochs": 100, "hidden": 500, "latent_dim": 50, "batch_size": 100},
    },
)  # fmt: skip


class ConditionalVAEParameters(Parameters):
    """Network, code and weights of a conditional VAE."""

    architecture: Architecture = parameter("mlp", "Dense layers, or convolutions for larger images.")
    latent_dim: int = parameter(
        16, "Dimensions of z, what the label leaves unsaid.", minimum=1, maximum=1024, symbol="d"
    )
    label_dim: int = parameter(8, "Dimensions of a label's embedding.", minimum=1, maximum=256, symbol="e")
    depth: int = parameter(1, "Dense layers before the code, and after it.", minimum=1, maximum=5)
    hidden: int = parameter(512, "Units of the dense layers.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    beta: float = parameter(1.0, "Weight of the KL term.", minimum=0, maximum=100, symbol=r"\beta")
    batch_norm: bool = parameter(False, "Batch normalisation between the layers.")
    dropout: float = parameter(0.0, "Part of the hidden units switched off while training.", minimum=0, maximum=0.95)
    corruption: Corruption = parameter("none", "Noise on the encoder's input; the target stays clean (denoising).")
    corruption_amount: float = parameter(0.3, "Strength of that noise.", minimum=0, maximum=1)
    learning_rate: float = parameter(1e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)


@register("conditional_vae", CARD)
class ConditionalVAE(
    Model, Descends, DrawsCodes, Decodes, HasPrior, Samples, SamplesByLabel, Classifies, ImportanceWeighted
):
    """Encoder and decoder with the label's embedding beside image and code."""

    Parameters = ConditionalVAEParameters
    pixel_measure = "bernoulli"

    def __init__(self, shape: Shape, classes: int, parameters: ConditionalVAEParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.groups = max(1, classes)
        self.latent_dim = p.latent_dim + p.label_dim
        between: dict[str, Any] = {"batch_norm": p.batch_norm, "dropout": p.dropout}
        net = (p.hidden, p.width)
        self.features, count = image_features(p.architecture, self.shape, *net, depth=p.depth, **between)
        told = mlp([count + p.label_dim, p.hidden], **between)
        self.head = nn.Sequential(told, nn.Linear(p.hidden, 2 * p.latent_dim))
        self.embedding = nn.Embedding(self.groups, p.label_dim)
        self.decoder = image_decoder(p.architecture, self.shape, self.latent_dim, *net, depth=p.depth, **between)

    def posterior(self, features: Tensor, labels: Tensor) -> DiagonalNormal:
        """q(z|x, y) of features (N, F) and labels (N,): mean and log-variance, (N, d) each."""
        told = torch.cat([features, self.embedding(labels).to(features.dtype)], dim=1)
        return DiagonalNormal(*self.head(told).to(self.embedding.weight.dtype).chunk(2, dim=1))

    def negative_log_likelihood(self, z: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """R = −log p(x|z, y) in nats an image (N,), of z (N, d), labels (N,) and images (N, C, H, W)."""
        return -bernoulli_log_likelihood(self.decoder(torch.cat([z, self.embedding(labels)], dim=1)), images)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: encoder, decoder and embeddings together."""
        return {"vae": adam(self.parameters(), self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """L = R + β·KL given the labels, averaged over the batch."""
        terms = self.terms(batch, corrupt(batch.images, self.p.corruption, self.p.corruption_amount))
        minimise(vae=terms["loss"])
        return {name: terms[name].detach() for name in ("reconstruction", "kl")}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same terms on held-out images, which nothing corrupts."""
        return self.terms(batch, batch.images)

    def terms(self, batch: Batch, seen: Tensor) -> dict[str, Tensor]:
        """`loss`, `reconstruction` and `kl` of a batch whose images the encoder sees as `seen`."""
        labels, posterior = self.labels_of(batch), self.drawn_from(batch._replace(images=seen))
        reconstruction = self.negative_log_likelihood(posterior.sample(), labels, batch.images).mean()
        kl = posterior.kl().sum() / len(labels)
        return {"loss": reconstruction + self.p.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def labels_of(self, batch: Batch) -> Tensor:
        """The labels (N,), all of the one class where there are none."""
        if batch.labels is None or not self.classes:
            return torch.zeros(len(batch.images), dtype=torch.long, device=batch.images.device)
        return batch.labels

    def drawn_from(self, batch: Batch) -> DiagonalNormal:
        """q(z|x, y) of images and their labels: mean and log-variance, (N, d) each."""
        return self.posterior(self.features(batch.images), self.labels_of(batch))

    def log_joint(self, images: Tensor) -> Tensor:
        """Log p(y) + the bound of log p(x|y) at z = μ(x, y), for every class: (N, groups) nats."""

        def of_block(images: Tensor) -> Tensor:
            labels = torch.arange(self.groups, device=images.device).repeat_interleave(len(images))
            posterior = self.posterior(self.features(images).repeat(self.groups, 1), labels)
            repeated = images.repeat(self.groups, 1, 1, 1)
            bound = -self.negative_log_likelihood(posterior.mean, labels, repeated) - posterior.kl().sum(1)
            return bound.view(self.groups, -1).T - math.log(self.groups)

        return in_blocks(of_block, images, self.groups * self.shape.values)

    def classify(self, images: Tensor) -> Tensor:
        """Log q(y|x), (N, classes): all zeros, for the one class, where the set had no labels."""
        return self.log_joint(images).log_softmax(1)

    def encode(self, images: Tensor) -> Point:
        """[μ(x, y*), embedding of y*], (N, latent_dim), with the most probable label y*."""
        labels = self.log_joint(images).argmax(1)
        z = self.posterior(self.features(images), labels).mean
        return Point(torch.cat([z, self.embedding(labels)], dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        """The mean of p(x|z, y): images (N, C, H, W) in [0, 1] of [z, embedding] (N, latent_dim)."""
        return torch.sigmoid(self.decoder(codes))

    def bound_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Terms of the bound of log p(x), (N,) nats, with one draw of (y, z) an image: `kl` holds KL(q(y|x) ‖ p(y)) too."""
        joint = self.log_joint(images).log_softmax(1)
        rows = torch.arange(len(images), device=images.device)
        labels = draw_categories(joint.exp(), rows, generator)
        posterior = self.posterior(self.features(images), labels)
        reconstruction = self.negative_log_likelihood(posterior.sample(generator), labels, images)
        kl_of_label = (joint.exp() * (joint + math.log(self.groups))).sum(1).clamp(min=0)
        return {"reconstruction": reconstruction, "kl": posterior.kl().sum(1) + kl_of_label}

    def log_weights(self, images: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Log p(x|z, y) p(z) p(y) − log q(z|x, y) q(y|x) for `count` draws of (y, z): (count, N) nats."""

        def weigh(images: Tensor, draws: int) -> Tensor:
            joint = self.log_joint(images).log_softmax(1)
            rows = torch.arange(len(images), device=images.device).repeat(draws)
            labels = draw_categories(joint.exp(), rows, generator)
            posterior = self.posterior(self.features(images)[rows], labels)
            z = posterior.sample(generator)
            log_p = standard_log_prob(z) - self.negative_log_likelihood(z, labels, images[rows]) - math.log(self.groups)
            return (log_p - posterior.log_prob(z) - joint[rows, labels]).view(draws, -1)

        return in_draws(weigh, images, count)

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes (count, latent_dim): z from N(0, temperature² I), the label evenly."""
        device = None if generator is None else generator.device
        labels = torch.randint(self.groups, (count,), generator=generator, device=device or self.device)
        return self._codes(labels, temperature, generator)

    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw images (count, C, H, W) of evenly drawn classes."""
        return self.decode(self.sample_prior(count, temperature=temperature, generator=generator))

    def sample_labels(
        self, labels: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one image for each label (N,): (N, C, H, W) in [0, 1]."""
        return self.decode(self._codes(labels, temperature, generator))

    def _codes(self, labels: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
        embedded = self.embedding(labels.to(self.device))
        z = embedded.new_empty(len(labels), self.p.latent_dim)
        return torch.cat([temperature * normal_like(z, generator), embedded], dim=1)
