"""RealNVP: affine couplings under checkerboard and channel masks, at several scales.

References:
    [1] Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2016.
    [2] Kingma & Dhariwal, Glow, 2018 (activation normalisation).
    [3] Bruneel, Image generation through feature extraction and learning, 2023, appendix A.2.
"""

from __future__ import annotations

from torch import Tensor

from genlab.core.cards import Card, Equation
from genlab.core.model import need_multiple
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.couplings import MaskedCoupling, channel_halves, checkerboard, conv_conditioner
from genlab.nn.flow_layers import ActNorm, Chain, Logit, MultiScale, Squeeze, Transform
from genlab.nn.flow_model import FLOW_DEPARTURES, FLOW_EQUATIONS, FLOW_SCALARS, FlowModel, FlowParameters

CARD = Card(
    title="RealNVP",
    family="flow",
    paper="Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP",
    year=2016,
    link="https://arxiv.org/abs/1605.08803",
    summary=(
        "NICE with scales: each coupling multiplies and shifts the hidden half of an image by what a convolutional "
        "network makes of the visible half, so that it may stretch and squeeze space as it needs. Halves are taken "
        "first as the two colours of a checkerboard, then, after each 2x2 block has become four channels, as halves "
        "of the channels. After each scale half of the values are done, and the rest is looked at more coarsely."
    ),
    equations=(
        *FLOW_EQUATIONS,
        Equation("Affine coupling", r"y=b\odot x+(1-b)\odot\big(x\odot e^{s(b\odot x)}+t(b\odot x)\big)", "[1] (9)"),
        Equation("Its determinant", r"\log|\det J|=\sum_j(1-b)_j\,s(b\odot x)_j", "[1] (6)"),
        Equation("Bounded scale", r"s=B\tanh(r/B)", "[1] 4.1, here without a learned factor"),
        Equation("Scales", r"(z^{(i+1)},h^{(i+1)})=f^{(i+1)}(h^{(i)})", "[1] (14)"),
    ),
    departures=(
        "Activation normalisation instead of batch normalisation, so that an image's likelihood does not depend on the others in its batch.",
        "Each coupling's network is three convolutions, with a learned number for each place after the first, rather than residual blocks.",
        "The coarsest values are normalised one by one and not channel by channel, so that each place has a mean and a spread of its own.",
        "Scales are bounded by B tanh(r / B); the paper multiplies the tanh by a learned factor, which bounds nothing.",
        "The margin of the logits is smaller than the paper's 0.05: then the dark of a background stays wide, and is quickly learned.",
        "Sides are halved as often as they are even; what remains gets four checkerboard couplings, as the paper's last scale.",
        *FLOW_DEPARTURES,
    ),
    scalars=FLOW_SCALARS,
    presets={
        "quick": {"epochs": 3, "batch_size": 64, "learning_rate": 2e-3},
        "default": {"epochs": 20, "batch_size": 64, "learning_rate": 2e-3},
        "paper": {"epochs": 200, "levels": 5, "width": 64, "alpha": 0.05, "learning_rate": 1e-3, "batch_size": 64},
    },
    sizes="even heights and widths or a single row, grey or colour",
)  # fmt: skip


class RealNVPParameters(FlowParameters):
    """Scales and networks of RealNVP."""

    levels: int = parameter(3, "Scales at most; each but the last halves height and width.", minimum=1, maximum=8)
    width: int = parameter(
        16, "Channels inside the couplings' networks at the first scale; they double at each.", minimum=1, maximum=512
    )
    bound: float = parameter(2.0, "Largest |s|: one coupling scales by at most its exponential.", minimum=0.1, maximum=10, symbol="B")  # fmt: skip


@register("realnvp", CARD)
class RealNVP(FlowModel):
    """Three checkerboard couplings, a squeeze and three channel couplings at each scale; four checkerboards at the last."""

    Parameters = RealNVPParameters

    def __init__(self, shape: Shape, classes: int, parameters: RealNVPParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = parameters
        if min(self.shape[1:]) > 1:  # a single row has no blocks of 2x2, and stays at one scale
            need_multiple(self.shape, 2, "RealNVP")
        levels: list[Transform] = []
        c, h, w = self.shape
        while len(levels) < parameters.levels - 1 and h % 2 == 0 and w % 2 == 0:
            width = parameters.width * 2 ** len(levels)
            fine = self.checkerboards(Shape(c, h, w), 3, width)
            c, h, w = 4 * c, h // 2, w // 2
            levels.append(Chain(*fine, Squeeze(), *self.channels(Shape(c, h, w), 3, 2 * width)))
            c //= 2
        last = self.checkerboards(Shape(c, h, w), 4, parameters.width * 2 ** len(levels))
        levels.append(Chain(*last, ActNorm(c, h, w)))
        start, leaving = ActNorm(self.shape.channels, 1, 1), [Chain() for _ in levels[1:]]
        self.flow = Chain(Logit(parameters.alpha), start, MultiScale(self.shape, levels, leaving))

    def checkerboards(self, shape: Shape, count: int, width: int) -> list[Transform]:
        """Couplings under alternating checkerboards, each with its normalisation."""
        masks = [checkerboard(shape, odd=bool(place % 2)) for place in range(count)]
        return [layer for mask in masks for layer in self.coupling(shape, mask, width)]

    def channels(self, shape: Shape, count: int, width: int) -> list[Transform]:
        """Couplings that keep the first and the last half of the channels in turns."""
        masks = [channel_halves(shape.channels, last=bool(place % 2)) for place in range(count)]
        return [layer for mask in masks for layer in self.coupling(shape, mask, width)]

    def coupling(self, shape: Shape, mask: Tensor, width: int) -> tuple[Transform, Transform]:
        """One masked coupling and the normalisation of what it gives."""
        network = conv_conditioner(shape, 2 * shape.channels, width)
        return MaskedCoupling(network, mask, bound=self.p.bound), ActNorm(shape.channels, 1, 1)
