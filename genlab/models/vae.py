"""The variational autoencoder: an encoder, a decoder and the evidence lower bound.

log p(x) ≥ E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)) = ELBO, with q(z|x) = N(μ(x), σ²(x)) and p(z) = N(0, I).

References:
    [1] Kingma & Welling, Auto-Encoding Variational Bayes, 2013 (the bound, its reparameterised gradient).
    [2] Higgins et al., beta-VAE, 2017 (the weight β).
    [3] Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016 (free bits).
    [4] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.7 (annealing of the reconstruction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.importance import NormalLatent
from genlab.nn.likelihoods import Corruption, bernoulli_log_likelihood, corrupt, gaussian_log_likelihood
from genlab.nn.networks import Architecture, image_decoder, image_features
from genlab.nn.normal import DiagonalNormal
from genlab.nn.optimisers import adam

CARD = Card(
    title="Variational autoencoder",
    family="variational",
    paper="Kingma & Welling, Auto-Encoding Variational Bayes",
    year=2013,
    link="https://arxiv.org/abs/1312.6114",
    summary=(
        "An encoder turns each image into a small cloud of codes, a decoder turns any code back into "
        "an image. Two forces balance: images must be rebuilt well, and the clouds must together fill "
        "a standard normal. Because they do, codes drawn from that normal decode into new images."
    ),
    equations=(
        Equation("Evidence lower bound", r"\log p(x) \ge \mathbb{E}_{q(z|x)}[\log p(x|z)] - \mathrm{KL}(q(z|x)\,\|\,p(z))", "[1] (3)"),
        Equation("KL of diagonal normals", r"\mathrm{KL} = \tfrac12\sum_j(\mu_j^2+\sigma_j^2-1-\log\sigma_j^2)", "[1] appendix B"),
        Equation("Reparameterisation", r"z=\mu(x)+\sigma(x)\odot\varepsilon,\quad \varepsilon\sim\mathcal N(0,I)", "[1] 2.4"),
        Equation("Objective", r"L = r\,R + \beta\,w\,\mathrm{KL}", "[2] (4), [4] 3.7.3"),
        Equation("Free bits", r"\mathrm{KL}_\lambda=\sum_j\max(\lambda,\ \mathrm{KL}_j)", "[3] (15)"),
    ),
    departures=(
        "Sums over pixels and means over the batch, as in the bound; a mean over pixels would hide a β of 1/pixels.",
        "The annealing r of the reconstruction (0 to 1) is offered beside KL warm-up, though only the latter is usual.",
        "Grey levels are scored by the Bernoulli likelihood as if they were probabilities; it is not a density there.",
        "Samples are the decoder's means: the pixels' own noise, which the likelihood allows for, is not drawn.",
        "Adam instead of the paper's Adagrad, and ReLU instead of its tanh.",
        "One of the theses behind this laboratory prints ELBO ≤ log p(x|z); what it bounds is log p(x).",
    ),
    scalars={
        "loss": Scalar("r·R + β·w·KL, nats an image"),
        "reconstruction": Scalar("R = −log p(x|z), nats an image"),
        "kl": Scalar("KL(q(z|x) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
    },
    presets={
        "quick": {"epochs": 15, "batch_size": 64},
        "default": {"epochs": 30, "batch_size": 64},
        "paper": {"epochs": 200, "hidden": 500, "latent_dim": 20, "batch_size": 100},
    },
)  # fmt: skip

BETA_CARD = CARD.model_copy(
    update={
        "title": "β-VAE",
        "paper": "Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
        "year": 2017,
        "link": "https://openreview.net/forum?id=Sy2fzU9gl",
        "summary": (
            "A VAE whose KL term weighs β times as much. Every nat that a code carries has to pay for itself, so that each "
            "dimension tends to take up one cause of the images, such as a place or a size, and to leave the others to "
            "its neighbours: the code is disentangled, and images blur. On the generated sprites, whose causes are known, "
            "three metrics (MIG, DCI, FactorVAE score) say how far it got."
        ),
        "departures": (
            "One network for all sizes, chosen by its parameters; the paper has one for each of its image sets.",
            "β is counted on sums over pixels and dimensions, as in the paper's (4); its normalised β is β·d over the number of pixel values.",
            *CARD.departures,
        ),
        "presets": {
            "quick": {"epochs": 15, "batch_size": 64, "latent_dim": 10},
            "default": {"epochs": 60, "batch_size": 64, "latent_dim": 10},
            "paper": {"epochs": 200, "architecture": "conv", "width": 32, "latent_dim": 10, "batch_size": 64, "learning_rate": 5e-4},
        },
    }
)  # fmt: skip


class VAEParameters(Parameters):
    """Network, likelihood, weights of the objective and noise of a VAE."""

    architecture: Architecture = parameter("mlp", "Dense layers, or convolutions for larger images.")
    latent_dim: int = parameter(16, "Dimensions of the code z.", minimum=1, maximum=1024, symbol="d")
    depth: int = parameter(1, "Dense layers before the code, and after it.", minimum=1, maximum=5)
    hidden: int = parameter(512, "Units of the dense layers.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    likelihood: Literal["bernoulli", "gaussian"] = parameter("bernoulli", "How a pixel is scored given z.")
    sigma: float = parameter(
        0.1, "Standard deviation of the Gaussian likelihood.", minimum=0.001, maximum=10, symbol=r"\sigma_x"
    )
    beta: float = parameter(
        1.0, "Weight of the KL term; above 1 disentangles and blurs.", minimum=0, maximum=100, symbol=r"\beta"
    )
    kl_warmup: float = parameter(0.0, "Epochs over which the KL's weight w grows from 0 to 1.", minimum=0, maximum=1000)
    annealing: float = parameter(
        0.0, "Epochs over which the reconstruction's weight r grows from 0 to 1.", minimum=0, maximum=1000, symbol="r"
    )
    free_bits: float = parameter(
        0.0, "Nats of KL per dimension that are not penalised.", minimum=0, maximum=10, advanced=True
    )
    batch_norm: bool = parameter(False, "Batch normalisation between the layers.")
    dropout: float = parameter(0.0, "Part of the hidden units switched off while training.", minimum=0, maximum=0.95)
    corruption: Corruption = parameter("none", "Noise on the input; the target stays clean.")
    corruption_amount: float = parameter(0.3, "Strength of that noise.", minimum=0, maximum=1)
    learning_rate: float = parameter(1e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)


@register("vae", CARD)
class VAE(Model, Descends, NormalLatent):
    """Encoder and decoder trained together on the negative evidence lower bound."""

    Parameters = VAEParameters

    def __init__(self, shape: Shape, classes: int, parameters: VAEParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.pixel_measure = "bernoulli" if p.likelihood == "bernoulli" else "density"
        self.latent_dim = p.latent_dim
        features, count = image_features(
            p.architecture, self.shape, p.hidden, p.width, depth=p.depth, batch_norm=p.batch_norm, dropout=p.dropout
        )
        self.encoder = nn.Sequential(features, nn.Linear(count, 2 * p.latent_dim))
        self.decoder = image_decoder(
            p.architecture,
            self.shape,
            p.latent_dim,
            p.hidden,
            p.width,
            depth=p.depth,
            batch_norm=p.batch_norm,
            dropout=p.dropout,
        )

    def encode(self, images: Tensor) -> DiagonalNormal:
        """q(z|x): mean and log-variance, (N, latent_dim) each."""
        return DiagonalNormal(*self.encoder(images).to(images.dtype).chunk(2, dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        """The mean of p(x|z): images (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(codes))

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """R = −log p(x|z) in nats an image (N,)."""
        logits = self.decoder(codes)
        if self.p.likelihood == "bernoulli":
            return -bernoulli_log_likelihood(logits, images)
        return -gaussian_log_likelihood(torch.sigmoid(logits), images, self.p.sigma)

    def weights(self, step: Step) -> tuple[float, float]:
        """(r, β·w) at a step: each grows linearly from 0 to its full value over its epochs."""
        grown = [
            min(1.0, step.epochs_done / epochs) if epochs else 1.0 for epochs in (self.p.annealing, self.p.kl_warmup)
        ]
        return grown[0], self.p.beta * grown[1]

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: encoder and decoder together."""
        return {"vae": adam(self.parameters(), self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """L = r·R + β·w·KL, averaged over the batch."""
        posterior = self.encode(corrupt(batch.images, self.p.corruption, self.p.corruption_amount))
        reconstruction = self.negative_log_likelihood(posterior.sample(), batch.images).mean()
        dimensions = posterior.kl()
        kl = dimensions.sum() / len(dimensions)
        penalised = dimensions.mean(0).clamp(min=self.p.free_bits).sum() if self.p.free_bits else kl
        r, w = self.weights(step)
        minimise(vae=r * reconstruction + w * penalised)
        return {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The objective at its full weights on held-out images."""
        terms = {name: term.mean() for name, term in self.bound_terms(batch.images).items()}
        return {"loss": terms["reconstruction"] + self.p.beta * terms["kl"], **terms}


class BetaVAEParameters(VAEParameters):
    """Those of a VAE, with a KL term that weighs more."""

    beta: float = parameter(
        4.0, "Weight of the KL term; the larger, the more disentangled and blurred.", minimum=0, maximum=100, symbol=r"\beta"
    )  # fmt: skip


@register("beta_vae", BETA_CARD)
class BetaVAE(VAE):
    """The same network and objective with β above 1."""

    Parameters = BetaVAEParameters
