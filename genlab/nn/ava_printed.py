"""AVA's update equations (5)-(16) as printed: errors at an output, "weights = 1" between networks.

An update that is no gradient becomes a loss whose gradient has the stated error at the stated place: ⟨output, sg error⟩
has the gradient sg error at that output, and ordinary backpropagation carries it to the weights behind it.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Judged(NamedTuple):
    """What a discriminator saw, its logits (N, 1) on both, and what is paid for fooling it.

    `paid` (N, …) is the output that gets the error: x', or μ(x).
    """

    real: Tensor
    fake: Tensor
    on_real: Tensor
    on_fake: Tensor
    paid: Tensor


def fooling(judged: Judged) -> Tensor:
    """A loss that adds a'_d/(1 − d) to the error of every value of `paid`, [1] (6) and (14).

    d is that on the generated; with a logistic d, a'_d = d(1 − d), and the error is d itself.
    """
    d = torch.sigmoid(judged.on_fake.detach()).flatten()
    return -(d * judged.paid.flatten(1).sum(1)).mean()


def leaning(judged: Judged, logistic: bool) -> Tensor:
    """−c·d with c = sg Σ_i (real − fake)_i a'_i, whose descent is the bracketed term of [1] (10) and (16).

    a' is that of the network which made `fake`: fake (1 − fake) where its output is `logistic`, else 1.
    """
    real, fake = judged.real.detach().flatten(1), judged.fake.detach().flatten(1)
    slope = fake * (1 - fake) if logistic else torch.ones_like(fake)
    lean = ((real - fake) * slope).sum(1)
    return -(lean * torch.sigmoid(judged.on_fake).flatten()).mean()
