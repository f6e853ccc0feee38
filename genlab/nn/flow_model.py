"""What every normalising flow shares: dequantised pixels, exact likelihoods, codes that are whole images.

A flow f turns an image's density into that of a simple code: log p(y) = log p(f(y)) + log |det ∂f/∂y|. Pixels are
counted in 256 levels, and a density of levels would be infinite, so noise u in [0, 1) spreads each level over its
cell, y = (255 x + u) / 256. By Jensen's inequality, log P(x) ≥ E_u log p(y) − C·H·W·log 256: what is reported is a
density over [0, 1], and its bits per dimension are those of 8-bit images, at most.

References:
    [1] Theis, van den Oord & Bethge, A note on the evaluation of generative models, 2015, 3.1 (dequantisation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, Encodes, Scores
from genlab.core.cards import Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.shapes import Shape
from genlab.nn.flow_layers import ActNorm, Transform
from genlab.nn.normal import Point, StandardNormalPrior
from genlab.nn.optimisers import adam

FLOW_EQUATIONS = (
    Equation("Change of variables", r"\log p(y)=\log p_Z(f(y))+\log\left|\det\frac{\partial f(y)}{\partial y}\right|", "Dinh et al. 2016 (3)"),
    Equation("Objective", r"L=-\tfrac1N\sum_i\log p(y_i)", "Bruneel 2023 (13)"),
    Equation("Dequantisation", r"y=\frac{255x+u}{256},\quad u\sim U[0,1)", "Theis et al. 2015, 3.1"),
    Equation("Logits of pixels", r"\operatorname{logit}\big(\alpha+(1-2\alpha)\,y\big)", "Dinh et al. 2016, 4.1"),
)  # fmt: skip
FLOW_SCALARS = {
    "loss": Scalar("−log p(y) of the dequantised image, nats an image; a density, so it may fall below 0"),
    "bits_per_dimension": Scalar("Code length of one 8-bit pixel value; 8 for uniform noise"),
}
FLOW_DEPARTURES = (
    "Scores are repeatable: each image brings its own fixed dequantisation noise, drawn from its pixels by a hash; "
    "training draws fresh noise.",
    "Codes of images are taken at the middle of each pixel's cell, so that an image decodes to itself.",
    "Decoded values beyond [0, 1], which the model finds possible but no pixel can have, are clipped.",
)


class FlowParameters(Parameters):
    """How pixels enter a flow, how far one layer may scale, and the step size."""

    alpha: float = parameter(
        1e-5,
        "Margin that keeps logits of pixels finite; 0 takes the pixels themselves, without logits.",
        minimum=0,
        maximum=0.4,
        symbol=r"\alpha",
    )
    learning_rate: float = parameter(3e-3, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)


class FlowModel(Model, Descends, Encodes, StandardNormalPrior, Scores):
    """Base of flows: a model sets `flow`, which maps pixels y (N, C, H, W) in [0, 1] to codes (N, C·H·W)."""

    flow: Transform
    started: Tensor

    def __init__(self, shape: Shape, classes: int, parameters: FlowParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.latent_dim = self.shape.values
        self.learning_rate = parameters.learning_rate
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def log_prior(self, codes: Tensor) -> Tensor:
        """Log-density of codes (N, D) under the prior, here N(0, I): (N,) nats."""
        return -0.5 * (codes.square() + math.log(2 * math.pi)).sum(1)

    def log_density(self, pixels: Tensor) -> Tensor:
        """The density log p(y) of pixels y (N, C, H, W) in [0, 1], by the change of variables: (N,) nats."""
        codes, log_det = self.flow(pixels)
        return self.log_prior(codes) + log_det

    def log_likelihood(self, images: Tensor) -> Tensor:
        """The density of images (N, C, H, W) at one fixed place of their cells, (N,) nats; unbiased on average."""
        return self.log_density(dequantise(images, own_noise(images)))

    def encode(self, images: Tensor) -> Point:
        """Codes (N, C·H·W): f of the middle of each cell."""
        codes, _ = self.flow(dequantise(images, torch.full_like(images, 0.5)))
        return Point(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W), clipped to [0, 1]: f⁻¹ of codes (N, C·H·W)."""
        return ((256 * self.flow.inverse(codes) - 0.5) / 255).clamp(0, 1)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player."""
        return {"flow": adam(self.parameters(), self.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """The mean of −log p(y) over a batch with fresh noise; the very first batch sets what starts from data."""
        pixels = dequantise(batch.images, torch.rand_like(batch.images))
        if step.index == 0 and not self.started:
            start_from_data(self.flow, pixels)
            self.started.fill_(True)
        loss = -self.log_density(pixels).mean()
        minimise(flow=loss)
        return {"bits_per_dimension": self.bits(loss.detach())}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same on held-out images, with noise of their own."""
        loss = -self.log_likelihood(batch.images).mean()
        return {"loss": loss, "bits_per_dimension": self.bits(loss)}

    def bits(self, loss: Tensor) -> Tensor:
        """Bits per dimension of a mean −log p(y) in nats: a cell is 1/256 wide, which adds 8."""
        return loss / (self.latent_dim * math.log(2)) + 8


def dequantise(images: Tensor, noise: Tensor) -> Tensor:
    """Spread levels over their cells, y = (255 x + u) / 256 in [0, 1]: each pixel is somewhere in its own ([1] 3.1).

    >>> dequantise(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.5])) * 256
    tensor([  0.0000, 255.5000])
    """
    return (255 * images + noise) / 256


def own_noise(images: Tensor) -> Tensor:
    """Uniform noise in [0, 1) that is a function of each image alone: the same image always brings the same noise.

    A 64-bit hash of an image's pixels seeds a counter, whose places are hashed once more (splitmix64).
    """
    pixels = (images.flatten(1) * 65535).round().to(torch.int64)
    places = torch.arange(1, pixels.shape[1] + 1, device=images.device) * 0x1E3779B97F4A7C15
    keys = _mixed((_mixed(places) * pixels).sum(1, keepdim=True))
    noise = (_mixed(keys + places) & 0xFFFFFF).to(images.dtype) / 2**24
    return noise.view_as(images)


def _mixed(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 with shifts that fit signed numbers; products wrap."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


@torch.no_grad()
def start_from_data(flow: Transform, pixels: Tensor) -> None:
    """Set every `ActNorm` of a flow from the first batch as it reaches that layer."""
    layers = [layer for layer in flow.modules() if isinstance(layer, ActNorm)]
    hooks = [layer.register_forward_pre_hook(lambda layer, inputs: layer.start(inputs[0])) for layer in layers]
    try:
        flow(pixels)
    finally:
        for hook in hooks:
            hook.remove()
