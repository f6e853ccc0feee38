"""What the thesis's variant costs over its vanilla VAE: parameters and prediction time, at the thesis's own size.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.2.4 and 6.1.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from genlab.studies.study import Entry, Table

MODELS = {"vanilla": "vanilla_vae", "variant": "variant_vae"}
SIZE, TIMED_DIM = 256, 1024  # pixels and latent dimensions of the thesis's timing
PRINTED_COUNTS = {  # Table 5.4
    256: (20_651_203, 21_057_731), 512: (37_822_403, 39_421_891), 1024: (72_951_235, 79_295_939),
}  # fmt: skip
PRINTED_SECONDS = (38.591, 1108.081)  # Table 6.12: 10,000 images on a GPU


def parameters() -> dict[str, list[int]]:
    """Counts of both models for every D of Table 5.4."""
    return {str(dim): [_parameters(model, dim) for model in MODELS.values()] for dim in PRINTED_COUNTS}


def _parameters(model: str, dim: int) -> int:
    """Trainable parameters at 256x256 colour; nothing is allocated."""
    import torch

    from genlab.core.registry import find

    with torch.device("meta"):
        return sum(each.numel() for each in find(model).create((3, SIZE, SIZE), latent_dim=dim).parameters())


def timings(size: int, dim: int, rounds: int) -> dict[str, list[float]]:
    """Processor seconds of one prediction (one image, encoder and decoder, one thread), `rounds` times in turns.

    Of the vanilla VAE, of the variant, and of the variant with its sub-networks one after the other (`one_by_one`).
    """
    import torch

    from genlab.core.registry import find
    from genlab.nn.subnetworks import OneByOne

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        models: dict[str, Any] = {short: find(name).create((3, size, size), latent_dim=dim).eval() for short, name in MODELS.items()}  # fmt: skip
        batched, loop = models["variant"].subnetworks, OneByOne(dim, dim).eval()
        image = torch.rand(1, 3, size, size)

        def predict(kind: str) -> float:
            model = models["vanilla" if kind == "vanilla" else "variant"]
            models["variant"].subnetworks = loop if kind == "one_by_one" else batched
            began = time.process_time()
            with torch.inference_mode():
                model.decode(model.encode(image).mean)
            return time.process_time() - began

        kinds = [*MODELS, "one_by_one"]
        turns = [
            {kind: predict(kind) for kind in (kinds[turn % 3 :] + kinds[: turn % 3])} for turn in range(rounds + 1)
        ]
        return {kind: [turn[kind] for turn in turns[1:]] for kind in kinds}  # the first one warms up
    finally:
        torch.set_num_threads(threads)


def counts_table(numbers: Mapping[str, Any]) -> Table:
    """Table 5.4, counted and printed."""
    rows = []
    for dim, printed in PRINTED_COUNTS.items():
        counted = [f"{own:,} ({there:,})" for own, there in zip(numbers[str(dim)], printed, strict=True)]
        more = numbers[str(dim)][1] / numbers[str(dim)][0]
        rows.append((Entry(f"D = {dim}"), *map(Entry, counted), Entry(f"{more:.3f}")))
    caption = (
        "Trainable parameters at 256x256 colour, counted on the models built here, and in brackets the printed ones."
    )
    return Table("Table 5.4: parameters", ("", *MODELS, "variant / vanilla"), tuple(rows), caption)


def counts_finding(numbers: Mapping[str, Any]) -> str:
    """How many counts are the printed ones."""
    equal = sum(own == there for dim, printed in PRINTED_COUNTS.items() for own, there in zip(numbers[str(dim)], printed, strict=True))  # fmt: skip
    return f"Table 5.4: {equal} of 6 parameter counts are exactly the printed ones."


def _ratio(numbers: Mapping[str, Sequence[float]], kind: str) -> tuple[float, float, float]:
    """Median, least and largest of kind / vanilla, turn by turn."""
    ratios = [a / b for a, b in zip(numbers[kind], numbers["vanilla"], strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def times_table(numbers: Mapping[str, Sequence[float]]) -> Table:
    """Table 6.12, printed and timed."""
    printed = PRINTED_SECONDS[1] / PRINTED_SECONDS[0]
    names = {
        "vanilla": "vanilla",
        "variant": "variant, all sub-networks at once",
        "one_by_one": "variant, one sub-network after the other",
    }
    rows = [
        (Entry("printed, vanilla"), Entry(f"{PRINTED_SECONDS[0] / 10:.2f}"), Entry("1")),
        (Entry("printed, variant"), Entry(f"{PRINTED_SECONDS[1] / 10:.1f}"), Entry(f"{printed:.2f}")),
    ]  # fmt: skip
    for kind, name in names.items():
        middle, low, high = _ratio(numbers, kind)
        shown = "1" if kind == "vanilla" else f"{middle:.2f} ({low:.2f} to {high:.2f})"
        rows.append((Entry(name), Entry(f"{1000 * statistics.median(numbers[kind]):.1f}"), Entry(shown)))
    caption = (
        f"One image through encoder and decoder at {SIZE}x{SIZE} colour, D = {TIMED_DIM}: processor time on one thread, taken in turns "
        "(median; ratio turn by turn, with its range). The printed times are of a GPU, where a thousand tiny networks wait for one another."
    )  # fmt: skip
    return Table("Table 6.12: prediction time", ("", "ms an image", "times vanilla"), tuple(rows), caption)


def times_finding(numbers: Mapping[str, Sequence[float]]) -> str:
    """The printed factor, and where it comes from."""
    at_once, one_by_one = _ratio(numbers, "variant")[0], _ratio(numbers, "one_by_one")[0]
    return (
        f"Prediction at D = {TIMED_DIM}: the variant takes {at_once:.2f} times the vanilla's time (printed: "
        f"{PRINTED_SECONDS[1] / PRINTED_SECONDS[0]:.2f}), and {one_by_one:.2f} times with one sub-network after the other, as the "
        "thesis's code has them, on this processor. The first is what the architecture costs, the rest is what the loop adds."
    )
