"""Optimisers as every model uses them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Optimizer]) -> Any:
    """The same class of optimisers without what keeps PyTorch's compiler out of them.

    Their methods are wrapped to tell the compiler to stay away, and import it to say so: three seconds of processor time
    before the first step of every run. Nothing is compiled here, so the methods are taken as they are below the wrappers.
    """
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"__module__": __name__, **methods})


AdamW = eager(torch.optim.AdamW)
SGD = eager(torch.optim.SGD)


class RMSprop(eager(torch.optim.RMSprop)):  # type: ignore[misc]
    """RMSprop whose `weight_decay` λ is AdamW's, decoupled: θ ← (1 − γλ) θ before each step of size γ."""

    def __init__(self, parameters: Iterable[nn.Parameter], **values: Any) -> None:
        super().__init__(parameters, **values)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True

    @torch.no_grad()
    def step(self) -> None:
        """Take the decay off every weight that has a gradient, then step as ever."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            if decay:
                moving = [weight for weight in group["params"] if weight.grad is not None]
                torch._foreach_mul_(moving, 1 - group["lr"] * decay)
            group["weight_decay"] = 0.0  # or it would enter the running averages of gradients
        super().step()
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam in its fused form (one kernel for all weights); `weight_decay` is AdamW's, decoupled."""
    optimiser: Optimizer = AdamW(list(parameters), lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    return optimiser
