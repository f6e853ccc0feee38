"""The thesis's pair at 256x256 colour and 1,024 latent dimensions: how much the variant costs over the vanilla VAE,
what its batched sub-networks gain over one small network after the other, and how long a prediction takes.

`python benchmarks/thesis.py [--quick]` prints processor time, paired in one process on one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from harness import one_thread, paired, report, timed
from torch import Tensor

import genlab
from genlab.core.batch import Batch, Step
from genlab.nn.subnetworks import OneByOne, SubNetworks
from genlab.nn.thesis import ThesisVAE
from genlab.training.players import Minimiser

TRAINING_BATCH = 4
PREDICTION_BATCH = 8


def predicting(model: ThesisVAE, images: Tensor) -> Callable[[], Tensor]:
    """One reconstruction, through encoder and decoder, as the thesis timed it."""

    @torch.inference_mode()
    def predict() -> Tensor:
        return model.decode(model.encode(images).mean)

    return predict


def stepping(model: ThesisVAE, images: Tensor) -> Callable[[], object]:
    """One optimisation step: forward, backward, fused Adam."""
    minimise = Minimiser(model.train().players())
    return lambda: model.training_step(Batch(images, None), Step(0, 0, 1), minimise)


def subnetworks(dim: int, rounds: int) -> dict[str, Any]:
    batched, loop, features = SubNetworks(dim, dim).eval(), OneByOne(dim, dim).eval(), torch.randn(1, dim)
    with torch.inference_mode():
        result = paired(repeated(lambda: batched(features)), repeated(lambda: loop(features)), rounds)
    return {**result, "calls": 10, "speedup": 1 / result["ratio"], "bar": "speedup at least 15"}


def repeated(work: Callable[[], object], times: int = 10) -> Callable[[], None]:
    """A millisecond is too short to time alone."""

    def several() -> None:
        for _ in range(times):
            work()

    return several


def main() -> None:
    one_thread()
    torch.manual_seed(0)
    quick = "--quick" in sys.argv
    size, dim, rounds = (64, 128, 3) if quick else (256, 1024, 15)
    vanilla, variant = (genlab.create(name, (3, size, size), latent_dim=dim) for name in ("vanilla_vae", "variant_vae"))
    assert isinstance(vanilla, ThesisVAE)
    assert isinstance(variant, ThesisVAE)
    images = torch.rand(TRAINING_BATCH, 3, size, size)
    one = images[:1]
    rows: dict[str, Any] = {"size": size, "latent_dim": dim}
    vanilla.eval(), variant.eval()
    rows["prediction, variant / vanilla, batch 1"] = {
        **paired(predicting(variant, one), predicting(vanilla, one), rounds), "bar": "ratio at most 1.1"
    }  # fmt: skip
    half = vanilla.for_inference("bfloat16")
    rows["prediction, vanilla in bfloat16 / in float32, batch 1"] = {
        **paired(predicting(half, one), predicting(vanilla, one), rounds),
        "bar": "float32 at most 70 ms where the convolution reaches 200 GFLOP/s",
    }
    del half
    many = torch.rand(PREDICTION_BATCH, 3, size, size)
    per_image = sorted(timed(predicting(vanilla, many)) / PREDICTION_BATCH for _ in range(rounds))
    rows[f"prediction, vanilla, batch {PREDICTION_BATCH}"] = {
        "ms_an_image_min": 1000 * per_image[0], "ms_an_image": 1000 * per_image[rounds // 2], "bar": "70 ms as above"
    }  # fmt: skip
    rows["sub-networks, batched / loop, batch 1"] = subnetworks(dim, rounds)
    rows[f"training step, variant / vanilla, batch {TRAINING_BATCH}"] = {
        **paired(stepping(variant, images), stepping(vanilla, images), 1 + rounds // 3), "bar": "ratio at most 1.25"
    }  # fmt: skip
    report("thesis-quick" if quick else "thesis", rows)


if __name__ == "__main__":
    main()
