"""The program behind the AVA paper's tables: dense networks, one for each colour channel, with updates written by hand.

Symbols as in `genlab.models.ava`; a is the activation, h a hidden layer, e the error of an output before its activation
(what is added to it when the rate is 1), γ the rate. What the program does, and equations (5)-(16) of [1] do not say:

- a(v) = σ(½(v − ½)) everywhere, so that a' = ½ a (1 − a); all weights and biases start at 0, so that all units of a hidden
  layer stay equal for ever;
- each image is used alone and once; the weights of a layer move before the error passes through them;
- a network that has no target (encoder and discriminators) moves twice on the same activations;
- Σ is an output of the encoder like μ, between 0 and 1, and its error is ½ Σ⁻¹ a': the −I of (5) gets lost;
- a'/(1 − d) of (6) is computed at the decoder's own output x', and that of (14) at the encoder's own μ: the discriminators
  are trained and then never asked;
- the reconstruction error x − x' drives the decoder of the "GAN" too;
- the noise r is one number for the three channels of a code.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024, and the
        source code that its authors published with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.core.shapes import Shape
from genlab.nn.ava_card import JUDGES, LEANS

SLOPE, MIDDLE = 0.5, 0.5
VARIANTS = ("ava1", "ava2", "ava3", "ava4", "ava5", "vae", "gan")

Move = Callable[[str, "Passed", Tensor, int], None]
"""Called with a network's name, its pass, the errors of its outputs, and how often it moves on them."""


class Passed(NamedTuple):
    """One pass: what came in, both layers before their activation, and what each gave."""

    inputs: Tensor
    first: Tensor
    hidden: Tensor
    second: Tensor

    @property
    def logits(self) -> Tensor:
        """½(v − ½): the output is its sigmoid."""
        return SLOPE * (self.second - MIDDLE)

    @property
    def output(self) -> Tensor:
        """a(v) of the second layer."""
        return activate(self.second)


class ChannelNet(nn.Module):
    """`inputs` -> `hidden` -> `outputs` units, one network for each entry of `stack` (such as (channels,)).

    Maps (*stack, N, inputs) to a pass whose output is (*stack, N, outputs). With `copies`, each hidden unit stands for so
    many equal ones.
    """

    def __init__(self, stack: Sequence[int], inputs: int, hidden: int, outputs: int, copies: int = 1) -> None:
        super().__init__()
        self.copies = copies
        self.w1, self.b1 = zeros(*stack, inputs, hidden), zeros(*stack, 1, hidden)
        self.w2, self.b2 = zeros(*stack, hidden, outputs), zeros(*stack, 1, outputs)

    def forward(self, inputs: Tensor) -> Passed:
        """One pass; the gradient of each layer stops at what came into it."""
        inputs = inputs.detach()
        first = inputs @ self.w1 + self.b1
        hidden = activate(first.detach())
        return Passed(inputs, first, hidden, self.copies * (hidden @ self.w2) + self.b2)

    @torch.no_grad()
    def passed_back(self, passed: Passed, error: Tensor, rate: Tensor | float, times: int) -> tuple[Tensor, Tensor]:
        """Errors that the first and the second layer's weights see when the network moves `times` on one pass.

        Each time the second layer moves before the error goes through it: its weights are then W + kγ h e.
        """
        moved = passed.hidden.mT @ error / error.shape[-2]
        back = times * error @ self.w2.mT + 0.5 * times * (times + 1) * rate * error @ moved.mT
        return back * slope(passed.hidden), times * error

    def surrogate(self, passed: Passed, error: Tensor, rate: float, times: int) -> Tensor:
        """A loss whose gradient descent at `rate` moves the weights as the program does; only its gradient has a meaning."""
        first, second = self.passed_back(passed, error, rate, times)
        return -((passed.first * first).sum() + (passed.second * second).sum()) / error.shape[-2]

    @torch.no_grad()
    def move(self, passed: Passed, error: Tensor, rate: Tensor | float, times: int) -> None:
        """Move the weights by hand; `rate` may differ from network to network (*stack, 1, 1)."""
        first, second = (rate * back / error.shape[-2] for back in self.passed_back(passed, error, rate, times))
        for weight, bias, inputs, change in (
            (self.w1, self.b1, passed.inputs, first),
            (self.w2, self.b2, passed.hidden, second),
        ):
            weight.addcmul_(inputs.mT, change) if change.shape[-2] == 1 else weight.add_(inputs.mT @ change)
            bias.add_(change.sum(-2, keepdim=True))


class PerChannel(nn.Module):
    """A channel network as models use networks: (N, channels · inputs) or images in, logits (N, channels, outputs) out."""

    def __init__(self, net: ChannelNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: Tensor) -> Tensor:
        """½(v − ½) of each channel's outputs."""
        return self.net(by_channel(values, self.net)).logits.transpose(0, 1)


class ChannelEncoder(PerChannel):
    """Images (N, C, H, W) to means and log-variances, side by side: (N, 2 · C · latent_dim)."""

    def forward(self, values: Tensor) -> Tensor:
        """μ = a(v), and log Σ = log a(v)."""
        mean, variance = super().forward(values).chunk(2, dim=-1)
        return torch.cat([torch.sigmoid(mean).flatten(1), F.logsigmoid(variance).flatten(1)], 1)


class ChannelDecoder(PerChannel):
    """Codes (N, C · latent_dim) to logits of images (N, C, H, W)."""

    def __init__(self, net: ChannelNet, shape: Shape) -> None:
        super().__init__(net)
        self.shape = shape

    def forward(self, values: Tensor) -> Tensor:
        """½(v − ½) of each pixel."""
        return super().forward(values).reshape(len(values), *self.shape)


def by_channel(values: Tensor, net: ChannelNet) -> Tensor:
    """What each channel's network reads: (N, …) as (channels, N, inputs)."""
    return values.reshape(len(values), net.w1.shape[0], -1).transpose(0, 1)


def zeros(*shape: int) -> nn.Parameter:
    """Weights that start at 0."""
    return nn.Parameter(torch.zeros(*shape))


def activate(values: Tensor) -> Tensor:
    """σ(½(v − ½)), any shape."""
    return torch.sigmoid(SLOPE * (values - MIDDLE))


def slope(outputs: Tensor) -> Tensor:
    """The derivative a' = ½ a (1 − a) from outputs a, any shape."""
    return SLOPE * outputs * (1 - outputs)


def networks(
    variant: str, stack: Sequence[int], pixels: int, latent_dim: int, hidden: int, critic_hidden: int, copies: int = 1
) -> dict[str, ChannelNet]:
    """The networks of a variant ("ava1" to "ava5", "vae", "gan"), by the names of their players."""
    sizes = {"encoder": (pixels, hidden, 2 * latent_dim), "decoder": (latent_dim, hidden, pixels)}
    if variant == "gan":
        del sizes["encoder"]
    for critic, inputs in (("discriminator", pixels), ("encoding_discriminator", latent_dim)):
        if variant in JUDGES[critic]:
            sizes[critic] = (inputs, critic_hidden, 1)
    return {name: ChannelNet(stack, *size, copies) for name, size in sizes.items()}


@torch.no_grad()
def encoder_error(encoded: Tensor, fools: bool) -> Tensor:
    """Errors of (μ, Σ): −μ a' (plus a'/(1 − μ) · a' = ½ μ a' where codes are judged), and ½ Σ⁻¹ a'."""
    mean, variance = encoded.chunk(2, dim=-1)
    kl = torch.cat([-mean, 0.5 / variance], -1)
    fooling = torch.cat([SLOPE * mean, torch.zeros_like(variance)], -1) if fools else 0
    return (kl + fooling) * slope(encoded)


@torch.no_grad()
def decoder_error(images: Tensor, decoded: Tensor, fools: bool) -> Tensor:
    """Error of x': (x − x') a', plus a'/(1 − x') · a' = ½ x' a' where images are judged."""
    return (images - decoded + (SLOPE * decoded if fools else 0)) * slope(decoded)


@torch.no_grad()
def critic_error(on_real: Tensor, on_fake: Tensor, leaning: Tensor | None) -> Tensor:
    """Error of d(x'): a'/d at d(x), −a'/(1 − d) at d(x'), and a' times the sum of the errors that it leans to, if any."""
    error = SLOPE * (1 - on_real) - SLOPE * on_fake
    return error if leaning is None else error + slope(on_fake) * leaning.sum(-1, keepdim=True)


def learn(
    variant: str, nets: Mapping[str, ChannelNet], images: Tensor, noise: Tensor, move: Move
) -> tuple[Tensor, Tensor]:
    """The program's work on images (*stack, N, pixels), N = 1 in the paper, with noise r (*stack, N, latent_dim).

    Networks move one after another through `move`. Returns (μ, Σ) as the encoder last gave them, around which the
    program will draw codes: of the decoded image where codes are judged; (0, 1) for "gan".
    """
    judges = {critic for critic, having in JUDGES.items() if variant in having}
    leans = {critic for critic, having in LEANS.items() if variant in having}
    mean, variance, encoder_errors = torch.zeros_like(noise), torch.ones_like(noise), noise
    if variant != "gan":
        encoded = nets["encoder"](images)
        encoder_errors = encoder_error(encoded.output, "encoding_discriminator" in judges)
        mean, variance = encoded.output.detach().chunk(2, dim=-1)
        move("encoder", encoded, encoder_errors, 2)
    codes = mean + variance.sqrt() * noise
    decoded = nets["decoder"](codes)
    decoder_errors = decoder_error(images, decoded.output, "discriminator" in judges)
    move("decoder", decoded, decoder_errors, 1)
    if not judges:
        return mean, variance
    generated = nets["decoder"](codes).output
    if "discriminator" in judges:
        on_real, on_fake = (nets["discriminator"](seen) for seen in (images, generated))
        leaning = decoder_errors if "discriminator" in leans else None
        move("discriminator", on_fake, critic_error(on_real.output, on_fake.output, leaning), 2)
    if "encoding_discriminator" in judges:
        again, variance = nets["encoder"](generated).output.detach().chunk(2, dim=-1)
        on_real, on_fake = (nets["encoding_discriminator"](seen) for seen in (mean, again))
        leaning, mean = encoder_errors if "encoding_discriminator" in leans else None, again
        move("encoding_discriminator", on_fake, critic_error(on_real.output, on_fake.output, leaning), 2)
    return mean, variance


class ManyRuns(NamedTuple):
    """Runs of one variant that were trained side by side."""

    decoder: ChannelNet
    mean: Tensor
    variance: Tensor
    shape: Shape

    @torch.no_grad()
    def generate(self, count: int, generator: torch.Generator) -> Tensor:
        """Images (runs, count, C, H, W) in [0, 1], decoded around the last encoded μ, Σ of each run."""
        runs, channels = self.mean.shape[:2]
        noise = channel_noise((runs,), channels, count, self.mean.shape[-1], generator)
        images = self.decoder(self.mean + self.variance.sqrt() * noise).output
        return images.transpose(1, 2).reshape(runs, count, *self.shape)


def channel_noise(runs: Sequence[int], channels: int, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise (*runs, channels, count, size) in float64 that all channels of a code share."""
    noise = torch.randn(*runs, 1, count, size, generator=generator, dtype=torch.float64)
    return noise.expand(*runs, channels, count, size)


def train_many(
    variant: str, images: Tensor, rates: Sequence[float], seed: int = 0, latent_dim: int = 10, hidden: int = 100
) -> ManyRuns:
    """Train one run for each rate, all at once, on images (N, C, H, W) in their order: one pass, one image at a time.

    Every hidden layer has `hidden` equal units, which are computed as one. Repeat a rate for repeated runs: their noise
    differs.

    >>> runs = train_many("vae", torch.rand(4, 3, 8, 8), rates=[1.0, 0.1, 0.1])
    >>> runs.generate(2, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2, 3, 8, 8])
    """
    shape, generator = Shape(*images.shape[1:]), torch.Generator().manual_seed(seed)
    stack = (len(rates), shape.channels)
    nets = networks(variant, stack, shape.pixels, latent_dim, 1, 1, copies=hidden)
    nets = {name: net.double().requires_grad_(False) for name, net in nets.items()}
    rate = torch.tensor(rates, dtype=torch.float64)[:, None, None, None]

    def move(name: str, passed: Passed, error: Tensor, times: int) -> None:
        nets[name].move(passed, error, rate, times)

    mean, variance = torch.zeros(0), torch.zeros(0)
    for image in images.double().flatten(2):
        noise = channel_noise(stack[:1], shape.channels, 1, latent_dim, generator)
        mean, variance = learn(variant, nets, image[:, None], noise, move)
    return ManyRuns(nets["decoder"], mean, variance, shape)
