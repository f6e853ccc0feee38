"""The autoencoder: through a narrow (or noisy, or tied) code and back, minding only the reconstruction.

h = g(Wx + b), x' = f(W*h + c), and L = mean of ‖x − x'‖² (or the cross-entropy) over the images.

References:
    [1] Nikhil, Ravi & Shri, Generative Modelling and GANs, 2023, section 3.6.
    [2] Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008.
    [3] Bank, Koenigstein & Giryes, Autoencoders, 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Decodes, Descends, Encodes
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.likelihoods import Corruption, bernoulli_log_likelihood, corrupt, squared_error
from genlab.nn.networks import Architecture, image_decoder, image_features
from genlab.nn.normal import Point
from genlab.nn.optimisers import adam

CARD = Card(
    title="Autoencoder",
    family="autoencoder",
    paper="Nikhil, Ravi & Shri, Generative Modelling and GANs, 3.6",
    year=2023,
    link="https://arxiv.org/abs/2003.05991",
    summary=(
        "One network squeezes an image into a short code, another rebuilds the image from it. What survives "
        "the squeeze is what the images have in common. Nothing says where codes lie, so there is no prior to "
        "draw from and this model does not sample: decode a random code and you may land in a gap between the codes."
    ),
    equations=(
        Equation("Encoder and decoder", r"h=g(Wx+b),\qquad \hat x=f(W^{*}h+c)", "[1] 3.6"),
        Equation("Squared error", r"L=\frac1m\sum_{i=1}^m\lVert\hat x_i-x_i\rVert^2", "[1] 3.6"),
        Equation("Cross-entropy", r"L=-\frac1m\sum_{i=1}^m\sum_j x_{ij}\log\hat x_{ij}+(1-x_{ij})\log(1-\hat x_{ij})", "[1] 3.6"),
        Equation("Regularised", r"L+\lambda\lVert W\rVert^2", "[1] 3.6.1"),
        Equation("Tied weights", r"W^{*}=W^{\top}", "[1] 3.6.1"),
        Equation("Denoising", r"\hat x=f(g(\tilde x)),\quad\tilde x\sim q(\tilde x\mid x),\quad\text{target }x", "[2] 2.2"),
    ),
    departures=(
        "Errors are summed over an image's values and averaged over images, so that λ means the same at every size.",
        "The code itself is linear (the seed's g on it would keep it in a box); the layers before it use ReLU.",
        "The printed cross-entropy lacks its average over the images, and its minus sign reaches the first term alone as typeset.",
        "λ penalises weights, not biases.",
    ),
    scalars={
        "loss": Scalar("reconstruction + λ‖W‖², an image"),
        "reconstruction": Scalar("squared error or cross-entropy, summed over an image's values"),
    },
    presets={
        "quick": {"epochs": 15, "batch_size": 64},
        "default": {"epochs": 30, "batch_size": 64},
        "paper": {"epochs": 50, "depth": 0, "loss": "mse"},
    },
)  # fmt: skip


class AutoencoderParameters(Parameters):
    """Network, loss, noise and restraints of an autoencoder."""

    architecture: Architecture = parameter("mlp", "Dense layers, or convolutions for larger images.")
    latent_dim: int = parameter(
        32, "Numbers in the code; above the image's own it is over-complete.", minimum=1, maximum=8192, symbol="d"
    )
    depth: int = parameter(1, "Dense layers before the code, and after it; 0 is a single W.", minimum=0, maximum=5)
    hidden: int = parameter(400, "Units of the dense layers.", minimum=4, maximum=4096)
    width: int = parameter(16, "Channels of the first convolution.", minimum=4, maximum=256)
    tied: bool = parameter(False, "Decode with the encoder's own weights, transposed (dense layers only).")
    loss: Literal["mse", "bce"] = parameter("bce", "Squared error or cross-entropy, summed over an image.")
    weight_decay: float = parameter(
        0.0, "Weight of the squared weights in the loss.", minimum=0, maximum=10, symbol=r"\lambda"
    )
    batch_norm: bool = parameter(False, "Batch normalisation between the layers (not with tied weights).")
    dropout: float = parameter(0.0, "Part of the hidden units switched off while training.", minimum=0, maximum=0.95)
    corruption: Corruption = parameter("none", "Noise on the input; the target stays clean.")
    corruption_amount: float = parameter(0.3, "Strength of that noise.", minimum=0, maximum=1)
    learning_rate: float = parameter(1e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)

    @pydantic.model_validator(mode="after")
    def _only_dense_layers_are_tied(self) -> AutoencoderParameters:
        if self.tied and self.architecture != "mlp":
            raise ValueError("Tied weights need dense layers; set architecture to mlp, or tied to false.")
        if self.tied and self.batch_norm:
            raise ValueError(
                "Tied weights run the very same layers backwards; set batch_norm to false, or tied to false."
            )
        return self


class TiedDecoder(nn.Module):
    """The encoder's dense layers run backwards, each with its weight transposed and a bias of its own."""

    def __init__(self, layers: list[nn.Linear], shape: Shape, dropout: float) -> None:
        super().__init__()
        self.layers = tuple(reversed(layers))  # in a tuple, so that the weights stay the encoder's alone
        self.biases = nn.ParameterList(torch.zeros(layer.in_features) for layer in self.layers)
        self.shape, self.dropout = shape, dropout

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (N, C, H, W) of codes (N, D)."""
        x = codes
        for place, (layer, bias) in enumerate(zip(self.layers, self.biases, strict=True)):
            if place:
                x = F.dropout(F.relu(x), self.dropout, self.training)
            x = F.linear(x, layer.weight.T, bias)
        return x.view(-1, *self.shape)


@register("autoencoder", CARD)
class Autoencoder(Model, Descends, Encodes, Decodes):
    """Encoder and decoder trained together on the reconstruction alone."""

    Parameters = AutoencoderParameters

    def __init__(self, shape: Shape, classes: int, parameters: AutoencoderParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        between: dict[str, Any] = {"depth": p.depth, "batch_norm": p.batch_norm, "dropout": p.dropout}
        features, count = image_features(p.architecture, self.shape, p.hidden, p.width, **between)
        self.encoder = nn.Sequential(features, nn.Linear(count, p.latent_dim))
        if p.tied:
            layers = [module for module in self.encoder.modules() if isinstance(module, nn.Linear)]
            self.decoder: nn.Module = TiedDecoder(layers, self.shape, p.dropout)
        else:
            self.decoder = image_decoder(p.architecture, self.shape, p.latent_dim, p.hidden, p.width, **between)

    def encode(self, images: Tensor) -> Point:
        """The codes of images: points (N, latent_dim) without a variance."""
        return Point(self.encoder(images).to(images.dtype))

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(codes))

    def reconstruction(self, codes: Tensor, images: Tensor) -> Tensor:
        """Σ (x − x')² or the cross-entropy, summed over each image: (N,)."""
        logits = self.decoder(codes)
        if self.p.loss == "bce":
            return -bernoulli_log_likelihood(logits, images)
        return squared_error(torch.sigmoid(logits), images)

    def penalty(self) -> Tensor:
        """λ‖W‖² over the weights of all layers, biases left out."""
        squares = [weight.square().sum() for name, weight in self.named_parameters() if name.endswith("weight")]
        return self.p.weight_decay * torch.stack(squares).sum()

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: encoder and decoder together."""
        return {"autoencoder": adam(self.parameters(), self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """Rebuild the clean images from their noisy copies."""
        noisy = corrupt(batch.images, self.p.corruption, self.p.corruption_amount)
        reconstruction = self.reconstruction(self.encode(noisy).mean, batch.images).mean()
        minimise(autoencoder=reconstruction + self.penalty() if self.p.weight_decay else reconstruction)
        return {"reconstruction": reconstruction.detach()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same on held-out images without noise."""
        reconstruction = self.reconstruction(self.encode(batch.images).mean, batch.images).mean()
        return {"loss": reconstruction + self.penalty(), "reconstruction": reconstruction}
