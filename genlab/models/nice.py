"""NICE: the first deep flow, of additive couplings and one diagonal scaling.

z = S f_K(… f_1(x)), where each f_k adds to one half of the values what a network makes of the other half. Adding
never changes a volume, so that only the scaling S = diag(exp(s)) enters the determinant.

References:
    [1] Dinh, Krueger & Bengio, NICE: Non-linear Independent Components Estimation, 2014.
    [2] Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2016 (logits of pixels).
    [3] Bruneel, Image generation through feature extraction and learning, 2023, appendix A.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.core.cards import Card, Equation
from genlab.core.errors import BadInputError
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.couplings import HalfCoupling, dense_conditioner
from genlab.nn.flow_layers import ActNorm, Chain, EvenOdd, Logit, Transform
from genlab.nn.flow_model import FLOW_DEPARTURES, FLOW_EQUATIONS, FLOW_SCALARS, FlowModel, FlowParameters

CARD = Card(
    title="NICE",
    family="flow",
    paper="Dinh, Krueger & Bengio, NICE: Non-linear Independent Components Estimation",
    year=2014,
    link="https://arxiv.org/abs/1410.8516",
    summary=(
        "An invertible network that turns an image into as many independent numbers as it has pixels. Each layer adds "
        "to one half of the pixels something computed from the other half; undoing it is a subtraction. Because the "
        "network can be run backwards, the exact probability of an image is known, and new images are made by "
        "running it backwards on noise. At the end one factor a dimension says how much that dimension matters."
    ),
    equations=(
        *FLOW_EQUATIONS,
        Equation("Additive coupling", r"y_{I_1}=x_{I_1},\quad y_{I_2}=x_{I_2}+m(x_{I_1})", "[1] 3.2"),
        Equation("Log-likelihood", r"\log p(x)=\sum_i\big[\log p_{H_i}(f_i(x))+s_i\big]", "[1] 3.3"),
        Equation("Logistic prior", r"\log p_{H}(h)=-\log(1+e^{h})-\log(1+e^{-h})", "[1] 3.4"),
    ),
    departures=(
        "The couplings are additive, as in the paper; one of the theses behind this laboratory calls them affine.",
        "Logits of pixels go in rather than pixels; a margin of 0 switches that off, as the paper has it.",
        "The diagonal scaling starts at what gives the first batch variance 1, and has a shift beside it: from 0 it would "
        "take thousands of steps to learn how narrow the background is.",
        "Each network's last layer starts at zero, and Adam has its usual decay rates.",
        *FLOW_DEPARTURES,
    ),
    scalars=FLOW_SCALARS,
    presets={
        "quick": {"epochs": 30, "batch_size": 64, "learning_rate": 2e-3},
        "default": {"epochs": 60, "batch_size": 64, "learning_rate": 2e-3},
        "paper": {"epochs": 1500, "hidden": 1000, "depth": 5, "alpha": 0.0, "learning_rate": 1e-3, "batch_size": 200},
    },
)  # fmt: skip


class NiceParameters(FlowParameters):
    """Couplings, their networks, and the distribution of the codes."""

    couplings: int = parameter(
        4, "Additive couplings; each moves the half that the one before kept.", minimum=2, maximum=32
    )
    hidden: int = parameter(256, "Units of the couplings' dense layers.", minimum=4, maximum=4096)
    depth: int = parameter(2, "Dense layers inside each coupling.", minimum=1, maximum=8)
    prior: Literal["logistic", "normal"] = parameter("logistic", "Distribution of the codes.")  # fmt: skip


@register("nice", CARD)
class Nice(FlowModel):
    """Additive couplings of the even and the odd values, then a diagonal scaling."""

    Parameters = NiceParameters

    def __init__(self, shape: Shape, classes: int, parameters: NiceParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.p = p = parameters
        if self.shape.values < 2:
            raise BadInputError(f"NICE takes images of at least two values, and these are {shape}; enlarge them.")
        even, odd = (self.shape.values + 1) // 2, self.shape.values // 2
        layers: list[Transform] = []
        for place in range(p.couplings):
            kept, moved = (odd, even) if place % 2 else (even, odd)
            network = dense_conditioner(kept, moved, p.hidden, p.depth)
            layers.append(HalfCoupling(network, kept, bound=0, swap=bool(place % 2)))
        self.flow = Chain(Logit(p.alpha), EvenOdd(self.shape), *layers, ActNorm(self.shape.values))

    def log_prior(self, codes: Tensor) -> Tensor:
        """Log-density of independent logistic or normal values, (N,) nats ([1] 3.4)."""
        if self.p.prior == "normal":
            return super().log_prior(codes)
        return -(F.softplus(codes) + F.softplus(-codes)).sum(1)

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes (count, C·H·W) from the prior, spread by the temperature."""
        noise = super().sample_prior(count, generator=generator)
        if self.p.prior == "normal":
            return temperature * noise
        # Φ(ε) is uniform, and log-odds of uniform numbers are logistic; both tails keep their digits
        return temperature * (torch.special.log_ndtr(noise) - torch.special.log_ndtr(-noise))
