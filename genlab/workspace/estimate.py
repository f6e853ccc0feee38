"""What a run would take, measured on a few real steps rather than guessed."""

from __future__ import annotations

import itertools
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from genlab.core.errors import FailedRunError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from genlab.core.batch import Batches
    from genlab.data import ImageSet
    from genlab.training.loop import Training

PATIENCE = 2.0  # seconds spent on measuring, or one step where that takes longer
WARM = 2  # steps before the clock runs: the first ones also allocate
FEW = (
    256  # images that a fit is tried on; its iterations take time in proportion to their number. Also sampled triplets
)


class Estimate(NamedTuple):
    """Size and cost of a run that has not begun; memory is what training itself holds, without PyTorch."""

    parameters: int
    steps: int
    seconds: float
    memory_bytes: int
    device: str


def estimate(
    model: str,
    images: ImageSet,
    parameters: dict[str, Any],
    settings: dict[str, Any],
    second: ImageSet | None = None,
) -> Estimate:
    """Build the model and try a few of its steps; the noise of other work is left as it was."""
    import torch

    from genlab.core.capabilities import Fits
    from genlab.core.registry import find
    from genlab.core.settings import TrainingSettings
    from genlab.data.loader import ArrayBatches, PairedBatches
    from genlab.jobs.models import with_triplets
    from genlab.training.loop import Training

    chosen = TrainingSettings(**settings)
    with torch.random.fork_rng():
        network = find(model).create(images.shape, len(images.class_names), **parameters)
        fits, train = isinstance(network, Fits), images.splits["train"]
        sampled = parameters.get("source", "real") != "real"  # its triplets come from another run
        few = train[:FEW] if fits or sampled else train
        labelled = images.identities if network.learns_from == "identities" else images.labels

        def dealt(indices: np.ndarray, most: int | None = None) -> Batches:
            data = ArrayBatches(images.images, labelled, {"train": indices}, len(images.class_names))
            other = second and ArrayBatches(second.images, None, {"train": second.splits["train"]})
            return PairedBatches(data, other) if other else with_triplets(data, network, most)

        unending = chosen.model_copy(update={"epochs": 100_000, "early_stopping": 0})
        trial = Training(network, dealt(few, FEW), unending)
        per_step, kept, ended = _try(trial)
        per_epoch = dealt(train).steps(chosen.batch_size) if sampled else trial.steps_per_epoch
    share = len(train) / len(few) if fits else 1
    steps = min(chosen.epochs, ended) if fits else chosen.epochs * per_epoch
    batch = images.shape.values * 4 * (len(train) if fits else chosen.batch_size) * (1 if second is None else 2)
    count = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return Estimate(count, steps, steps * per_step * share, _held(trial) + kept + batch, str(trial.device))


def _try(trial: Training) -> tuple[float, int, int]:
    """Seconds a step, bytes that a step keeps for its backward pass, and the steps after which it ended by itself."""
    events, kept = trial.events(), _Kept(trial.model)
    began = warm = time.perf_counter()
    first, ended = 0, sys.maxsize
    try:
        for _ in events:
            now = time.perf_counter()
            if trial.step <= WARM:
                first, warm = trial.step, now
                kept.watch(trial.step < WARM)
            if now - began > PATIENCE and trial.step:
                break
        else:
            ended = trial.step
    except FailedRunError:  # so long a trial may spoil the numbers; what was timed holds
        if not trial.step:
            raise
    finally:
        kept.watch(False)
        events.close()  # type: ignore[attr-defined]
    done = trial.step - first
    seconds = (time.perf_counter() - warm) / done if done else (warm - began) / max(1, trial.step)
    return seconds, kept.most, ended


class _Kept:
    """Counts the bytes that autograd keeps from forward to backward, the weights left out."""

    def __init__(self, model: torch.nn.Module) -> None:
        import torch

        self.weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self.most, self.seen = 0, dict[int, int]()
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self.watching = False

    def watch(self, wanted: bool) -> None:
        """Count from here on, a new step; or stop counting."""
        self.most = max(self.most, sum(self.seen.values()))
        self.seen.clear()
        if wanted != self.watching:
            self.hooks.__enter__() if wanted else self.hooks.__exit__()
            self.watching = wanted

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.weights:
            self.seen[storage.data_ptr()] = storage.nbytes()
        return tensor


def _held(trial: Training) -> int:
    """Bytes of weights, buffers, gradients and the optimisers' own state."""
    import torch

    tensors = [*trial.model.parameters(), *trial.model.buffers()]
    gradients = [tensor.grad for tensor in trial.model.parameters() if tensor.grad is not None]
    states = itertools.chain.from_iterable(player.state.values() for player in trial.players.values())
    moments = [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in [*tensors, *gradients, *moments])
