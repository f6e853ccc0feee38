"""What the thesis's two autoencoders share: everything but the head that gives mean and log-variance.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model, need_multiple
from genlab.core.parameters import Parameters, parameter
from genlab.core.shapes import Shape
from genlab.nn.importance import NormalLatent
from genlab.nn.likelihoods import gaussian_log_likelihood, squared_error
from genlab.nn.normal import DiagonalNormal
from genlab.nn.optimisers import adam
from genlab.nn.thesis_layers import MirroredDecoder, MirroredEncoder, initialise

EQUATIONS = (
    Equation("ELBO loss", r"L = \mathrm{Reconstruction} + \beta\,\mathrm{KL}", "(17), with a weight"),
    Equation("Reconstruction", r"\sum_i (y_i - f(x_i))^2", "(18)"),
    Equation("KL", r"\frac1n\sum_{i=1}^n\sum_{j=1}^D -\tfrac12\left(1+\log\sigma_{ij}^2-\mu_{ij}^2-\sigma_{ij}^2\right)", "(19)"),
    Equation("Sampling", r"z = \mu + e^{\frac12\log\sigma^2}\,\varepsilon,\quad \varepsilon\sim\mathcal N(0, I)", "Algorithm 1"),
)  # fmt: skip

DEPARTURES = (
    "The thesis sums the squared error over the batch and averages the KL, so that its β is 1/B, the batch size hidden in "
    "the loss; here both are means over images with an explicit β, by default 1/32. Objective `thesis` brings the sum back "
    "(take β = 1 with it).",
    "The decoder ends in a sigmoid; the thesis's ReLU is an option. A ReLU there can die: a pixel that is negative for "
    "every image gets no gradient again.",
    "Any height and width that is a multiple of 32, grey or colour; the thesis has 256x256 colour alone. The feature map "
    "scales with the image, and the parameter counts of Table 5.4 hold at 256x256 colour.",
    "`width` scales all channels (32 is the thesis's), so that small images train on a small computer.",
    "Kernels are kept mirrored, which makes TensorFlow's padding free of copies; the network is the same to rounding.",
    "Convolutions start by He's rule. Keras's default, Glorot's, stays several times longer on the plateau where every "
    "image is reconstructed as the mean image.",
    "The thesis says neither learning rate nor batch size of its autoencoders; Adam's 5e-4 and 32 are stand-ins.",
    "Printed validation losses are running means over all epochs of a session, as the trackers were never reset, and the "
    "models were trained in sessions of different length: its Tables 6.7, 6.9 and 6.11 cannot be compared with one "
    "another. Here every epoch stands alone.",
    "The first row of Table 6.6 does not add up: 8,439.91 + 741.06 is 9,180.97, not 9,102.97.",
)  # fmt: skip

SCALARS = {
    "loss": Scalar("R + β·KL, an image (objective `thesis`: R of the whole batch + β·KL)"),
    "reconstruction": Scalar("R, squared error summed over an image's values, a mean over images"),
    "kl": Scalar("KL(q(z|x) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
    "psnr": Scalar("peak signal-to-noise ratio of the reconstructions, decibels, a mean over images", "higher"),
}

PRESETS = {
    "quick": {"epochs": 10, "batch_size": 32, "latent_dim": 32, "width": 8},
    "default": {"epochs": 50, "batch_size": 32, "latent_dim": 128, "width": 16},
    "paper": {"epochs": 400, "batch_size": 32, "latent_dim": 1024, "width": 32, "objective": "thesis", "beta": 1.0, "output": "relu"},
}  # fmt: skip


def thesis_card(title: str, summary: str, head: Equation, departures: tuple[str, ...] = ()) -> Card:
    """The card of one of the pair: what they share, with its own summary, head and departures."""
    return Card(
        title=title,
        family="variational",
        paper="Bruneel, Image generation through feature extraction and learning (master thesis, Linnaeus University)",
        year=2023,
        link="https://github.com/TiboBruneel/Thesis-VAE-Models",
        summary=summary,
        equations=(*EQUATIONS, head),
        departures=(*departures, *DEPARTURES),
        scalars=SCALARS,
        presets=PRESETS,
        sizes="heights and widths that are multiples of 32, grey or colour",
    )


class ThesisParameters(Parameters):
    """Size, output and objective of the thesis's autoencoders."""

    latent_dim: int = parameter(256, "Dimensions of the code.", minimum=1, maximum=2048, log=True, symbol="D")
    width: int = parameter(
        32, "Channels of the first convolution; the others are multiples of it.", minimum=1, maximum=64
    )
    output: Literal["sigmoid", "relu"] = parameter("sigmoid", "The last activation: sigmoid, or the thesis's ReLU.")
    objective: Literal["mean", "thesis"] = parameter(
        "mean", "Squared error a mean over images, or the thesis's sum over the batch."
    )
    beta: float = parameter(
        1 / 32, "Weight of the KL term; 1/32 is what objective thesis hides at 32 images a batch.", minimum=0, maximum=1000, symbol=r"\beta"
    )  # fmt: skip
    learning_rate: float = parameter(5e-4, "Step size of Adam.", minimum=1e-6, maximum=1, log=True)


class ThesisVAE(Model, Descends, NormalLatent):
    """Encoder, dense layer and decoder of [1], 5.2.1; subclasses give the head, `posterior`.

    It computes in the type of its weights: codes and images are float32 even where those are bfloat16.
    Raises `BadInputError` for heights and widths that are not multiples of 32.
    """

    Parameters = ThesisParameters
    title: ClassVar[str]

    def __init__(self, shape: Shape, classes: int, parameters: ThesisParameters) -> None:
        super().__init__(shape, classes, parameters)
        need_multiple(self.shape, 32, self.title)
        self.p = p = parameters
        self.latent_dim = p.latent_dim
        self.encoder = MirroredEncoder(self.shape, p.width)
        self.dense = nn.Linear(self.encoder.features, p.latent_dim)
        self.decoder = MirroredDecoder(self.shape, p.width, p.latent_dim)
        initialise(self)

    @abstractmethod
    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, D) from the dense layer's features (N, D), which have no activation."""

    def encode(self, images: Tensor) -> DiagonalNormal:
        """q(z|x): mean and log-variance, (N, latent_dim) each."""
        features = self.dense(self.encoder(images.to(self.dense.weight.dtype)))
        mean, log_var = self.posterior(features)
        return DiagonalNormal(mean.float(), log_var.float())

    def render(self, codes: Tensor) -> Tensor:
        """f(z): images (N, C, H, W) as the loss sees them; with a ReLU they may exceed 1."""
        activation = torch.sigmoid if self.p.output == "sigmoid" else torch.relu
        return activation(self.decoder(codes.to(self.dense.weight.dtype))).float()

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, D)."""
        return self.render(codes).clamp(max=1)

    def negative_log_likelihood(self, codes: Tensor, images: Tensor) -> Tensor:
        """−log p(x|z) in nats an image (N,): the squared error as a normal of variance ½, with its constant."""
        return -gaussian_log_likelihood(self.render(codes), images, math.sqrt(0.5))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """One player: encoder and decoder together."""
        return {"vae": adam(self.parameters(), self.p.learning_rate)}

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """Minimise the ELBO loss of [1] (17)."""
        terms = self.loss_terms(batch.images)
        minimise(vae=terms.pop("loss"))
        return {name: term.detach() for name, term in terms.items()}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same terms on held-out images."""
        return self.loss_terms(batch.images)

    def loss_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`loss`, `reconstruction`, `kl` and `psnr` of a batch, with one draw of z an image."""
        posterior = self.encode(images)
        errors = squared_error(self.render(posterior.sample(generator)), images)
        kl = posterior.kl().sum(1).mean()
        reconstruction = errors.sum() if self.p.objective == "thesis" else errors.mean()
        psnr = psnr_of(errors.detach() / self.shape.values).mean()
        return {"loss": reconstruction + self.p.beta * kl, "reconstruction": errors.mean(), "kl": kl, "psnr": psnr}

    def for_inference(self, precision: Literal["auto", "float32", "bfloat16"] = "auto") -> Self:
        """A frozen copy in evaluation mode, in bfloat16 where that is wanted.

        "auto" takes bfloat16 on processors that multiply in it (AMX, AVX-512 BF16) and on GPUs that compute in it; on
        other processors it may be slower than float32.
        """
        chosen = torch.float32
        if precision == "bfloat16" or (precision == "auto" and bfloat16_pays(self.device)):
            chosen = torch.bfloat16
        return copy.deepcopy(self).to(chosen).eval().requires_grad_(False)


def psnr_of(mean_squared_error: Tensor) -> Tensor:
    """−10 log₁₀ MSE, decibels, for values in [0, 1]; at most 100.

    >>> psnr_of(torch.tensor([0.01, 0.0]))
    tensor([ 20., 100.])
    """
    return -10 * mean_squared_error.clamp(min=1e-10).log10()


def bfloat16_pays(device: torch.device) -> bool:
    """Whether this device multiplies matrices faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = (
        torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    )  # newer than torch 2.9
    return device.type == "cpu" and any(capabilities.get(unit) for unit in ("amx_bf16", "avx512_bf16"))
