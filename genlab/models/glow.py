"""GLOW: a flow of activation normalisation, learned mixing of channels, and affine couplings.

References:
    [1] Kingma & Dhariwal, Glow: Generative Flow with Invertible 1x1 Convolutions, 2018.
    [2] Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2016 (levels, logits of pixels).
    [3] Bruneel, Image generation through feature extraction and learning, 2023, appendix A.2.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from genlab.core.cards import Card, Equation
from genlab.core.model import need_multiple
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.couplings import HalfCoupling, conv_conditioner, from_zero
from genlab.nn.flow_layers import ActNorm, Chain, InvertibleConv, Logit, MultiScale, Squeeze, Transform
from genlab.nn.flow_model import FLOW_DEPARTURES, FLOW_EQUATIONS, FLOW_SCALARS, FlowModel, FlowParameters

CARD = Card(
    title="GLOW",
    family="flow",
    paper="Kingma & Dhariwal, Glow: Generative Flow with Invertible 1x1 Convolutions",
    year=2018,
    link="https://arxiv.org/abs/1807.03039",
    summary=(
        "A flow whose every step has three parts: a normalisation that starts from the first batch, a learned mixing of "
        "the channels (a 1x1 convolution that can be undone), and a coupling in which one half of the channels tells how "
        "to stretch and shift the other. After each level half of the channels are done, and the rest is looked at more "
        "coarsely. An image and its code hold the same numbers of values, so that every image, seen or not, has a code and "
        "decodes to itself; walking between two codes blends two images."
    ),
    equations=(
        *FLOW_EQUATIONS,
        Equation("Actnorm", r"z_{i,j}=s\odot x_{i,j}+b,\quad \log|\det|=H\,W\sum_c\log|s_c|", "[1] table 1"),
        Equation("Invertible 1x1 convolution", r"W=PL\,(U+\operatorname{diag}(s)),\quad \log|\det|=H\,W\sum_c\log|s_c|", "[1] (10), (11)"),
        Equation("Affine coupling", r"y_a=x_a\odot e^{s(x_b)}+t(x_b),\quad \log|\det|=\sum_j s(x_b)_j", "[1] table 1, [2] (5)"),
        Equation("Bounded scale", r"s=B\tanh(r/B)", "[2] 4.1, here without a learned factor"),
        Equation("Prior of a half that leaves", r"z_i\,|\,h_i\sim\mathcal N(\mu(h_i),\,\sigma^2(h_i)),\quad \varepsilon=\frac{z_i-\mu(h_i)}{\sigma(h_i)}", "[1] 3.4, code"),
    ),
    departures=(
        "log s = B tanh(r / B); the paper's code takes s = sigmoid(r + 2), which can come so near to 0 that samples overflow.",
        "A half that leaves is standardised by its learned prior, so that the code is N(0, I) as a whole; the prior's "
        "spread is bounded as the couplings' scales are.",
        "At the coarsest level the prior has a mean and a spread for each value, not only for each channel.",
        "Logits of pixels go in rather than pixels; a margin of 0 switches that off, as the paper has it.",
        "The couplings' networks have plain convolutions, without activation normalisation inside, and a learned number for "
        "each place after the first; they are narrow at the first level and double.",
        "Sides are halved as often as they are even, at most as often as there are levels.",
        *FLOW_DEPARTURES,
    ),
    scalars=FLOW_SCALARS,
    presets={
        "quick": {"epochs": 7, "batch_size": 64, "learning_rate": 3e-3},
        "default": {"epochs": 20, "batch_size": 64, "learning_rate": 2e-3},
        "paper": {"epochs": 1800, "steps": 32, "width": 256, "alpha": 0.0, "learning_rate": 1e-3, "batch_size": 64},
    },
    sizes="even heights and widths, grey or colour",
)  # fmt: skip


class GlowParameters(FlowParameters):
    """Levels, steps and networks of GLOW."""

    levels: int = parameter(3, "Levels at most; each halves height and width.", minimum=1, maximum=8, symbol="L")
    steps: int = parameter(4, "Steps of flow in each level.", minimum=1, maximum=64, symbol="K")
    width: int = parameter(32, "Channels inside the couplings' networks at the first level; they double at each level.", minimum=1, maximum=512)  # fmt: skip
    coupling: Literal["affine", "additive"] = parameter("affine", "Whether couplings stretch and shift, or only shift.")
    bound: float = parameter(2.0, "Largest |log s|: one coupling scales by at most its exponential.", minimum=0.1, maximum=10, symbol="B")  # fmt: skip


@register("glow", CARD)
class Glow(FlowModel):
    """Levels of a squeeze and K steps; between levels half of the channels leave, given the other half."""

    Parameters = GlowParameters

    def __init__(self, shape: Shape, classes: int, parameters: GlowParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = parameters
        need_multiple(self.shape, 2, "GLOW")
        levels: list[Transform] = []
        leaving: list[Transform] = []
        c, h, w = self.shape
        while True:
            c, h, w = 4 * c, h // 2, w // 2
            width = parameters.width * 2 ** len(levels)
            steps = [layer for _ in range(parameters.steps) for layer in self.step(Shape(c, h, w), width)]
            levels.append(Chain(Squeeze(), *steps))
            if len(levels) == parameters.levels or h % 2 or w % 2:
                break
            c //= 2
            prior = from_zero(nn.Conv2d(c, 2 * c, 3, padding=1))
            leaving.append(HalfCoupling(prior, c, bound=parameters.bound))
        levels[-1] = Chain(levels[-1], ActNorm(c, h, w))
        self.flow = Chain(Logit(parameters.alpha), MultiScale(self.shape, levels, leaving))

    def step(self, shape: Shape, width: int) -> tuple[Transform, ...]:
        """One step of flow on maps of a shape ([1] figure 2a)."""
        half, affine = shape.channels // 2, self.p.coupling == "affine"
        network = conv_conditioner(Shape(half, *shape[1:]), half * (1 + affine), width)
        coupling = HalfCoupling(network, half, bound=self.p.bound if affine else 0)
        return ActNorm(shape.channels, 1, 1), InvertibleConv(shape.channels), coupling
