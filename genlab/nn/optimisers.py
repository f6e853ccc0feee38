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
RMSprop = eager(torch.optim.RMSprop)
SGD = eager(torch.optim.SGD)


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
