"""The triplet sampler for 10,000 anchors of 1,024 dimensions, against Algorithm 3 written as a loop over dimensions.

`python benchmarks/triplets.py [--quick]` prints processor time on one thread. The loop runs over a part of the
anchors and its time is scaled up; on that part both must agree to the bit in float64. The first call of a process
with a large batch compiles the kernel, and is given apart.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from harness import one_thread, report, timed

from genlab.latent import TripletSettings, sample_triplet_codes

SETTINGS = TripletSettings()
CHOSEN = SETTINGS.model_dump()


def loop(mean: Any, log_var: Any, middle: Any, u: Any, v: Any) -> tuple[Any, Any]:
    """Algorithm 3 line by line, with the draws laid out beforehand."""
    positive, negative = mean * 0, mean * 0
    near, far, toward_near, toward_far = list(CHOSEN.values())[:4]
    for anchor in range(mean.shape[0]):
        for dim in range(mean.shape[1]):
            here, size = mean[anchor, dim], abs(log_var[anchor, dim])
            above = here > middle[dim]
            down = above if u[anchor, dim] <= toward_near else not above
            positive[anchor, dim] = here - near * size if down else here + near * size
            down = above if v[anchor, dim] <= toward_far else not above
            negative[anchor, dim] = here - far * size if down else here + far * size
    return positive, negative


def timings(kind: Any, given: dict[str, np.ndarray], part: int, rounds: int) -> dict[str, Any]:
    """The loop on the first `part` anchors against the sampler on all, for NumPy arrays or tensors."""
    codes = [kind(given[name]) for name in ("mean", "log_var", "middle")]
    draws = {"positive_draws": kind(given["u"]), "negative_draws": kind(given["v"])}
    few = [values if values.ndim == 1 else values[:part] for values in (*codes, *draws.values())]
    first = timed(lambda: sample_triplet_codes(*codes, **CHOSEN, **draws))
    slow = np.median([timed(lambda: loop(*few)) for _ in range(3)]) * len(given["u"]) / part
    equal = all(
        np.array_equal(ours[:part], theirs)
        for ours, theirs in zip(sample_triplet_codes(*codes, **CHOSEN, **draws), loop(*few), strict=True)
    )
    quick = np.median([timed(lambda: sample_triplet_codes(*codes, **CHOSEN, **draws)) for _ in range(rounds)])
    drawing = np.median([timed(lambda: sample_triplet_codes(*codes, **CHOSEN)) for _ in range(rounds)])
    return {
        "loop_ms": 1000 * float(slow),
        "sampler_ms": 1000 * float(quick),
        "first_call_ms": 1000 * first,
        "sampler_with_its_own_draws_ms": 1000 * float(drawing),
        "speedup": float(slow / quick),
        "equal_to_the_bit": equal,
    }


def main() -> None:
    one_thread()
    quick = "--quick" in sys.argv
    anchors, dims, part, rounds = (200, 64, 20, 3) if quick else (10_000, 1024, 50, 9)
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal((anchors, dims)) for name in ("mean", "log_var")}
    given |= {name: rng.random((anchors, dims)) for name in ("u", "v")}
    given["middle"] = given["mean"].mean(0)
    rows: dict[str, Any] = {"anchors": anchors, "dimensions": dims}
    for name, kind in (("arrays", np.asarray), ("tensors", torch.from_numpy)):
        for dtype in (np.float64, np.float32):
            cast = {key: values.astype(dtype) for key, values in given.items()}
            rows[f"{name}, {np.dtype(dtype)}"] = timings(kind, cast, part, rounds)
    rows["bar"] = "speedup at least 150, equal to the bit in float64"
    report("triplets-quick" if quick else "triplets", rows)


if __name__ == "__main__":
    main()
