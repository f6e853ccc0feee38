"""Trained models of runs, read from their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import BadInputError
from genlab.runs.checkpoints import Checkpoint, newest_intact, put_weights
from genlab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from genlab.core.batch import Batches
    from genlab.core.model import Model


def build_model(run: RunDirectory, checkpoint: Checkpoint) -> Model:
    """The model of a run with the weights of one of its checkpoints, in evaluation mode."""
    import torch

    from genlab.core.registry import find

    entry = find(run.config.model)
    parameters, _ = run.effective()
    shape, classes = run.config.data.shape, len(run.config.data.class_names)
    with torch.random.fork_rng():
        model = entry.create(shape, classes, **parameters)
    put_weights(model, checkpoint)
    return model.eval().requires_grad_(False)


def newest_model(path: Path) -> Model:
    """The model of the run in a folder, of its newest good checkpoint; `BadInputError` where there is none."""
    run = RunDirectory(path)
    checkpoint = newest_intact(run.checkpoints)
    if checkpoint is None:
        raise BadInputError(
            f"{run.name} has no good checkpoint; wait for its first epoch to end, or choose another run."
        )
    return build_model(run, checkpoint)


def with_triplets(data: Batches, model: Model, most: int | None = None) -> Batches:
    """The data as `model` wants it: as it is or, where its triplets come from another run, with what that run samples.

    At most `most` triplets are drawn once, where a trial needs no more.
    """
    from genlab.nn.triplet_settings import TripletSettings, TripletSource

    chosen = model.parameters_used
    if not isinstance(chosen, TripletSource) or chosen.source == "real":
        return data
    from genlab.latent.triplet_batches import TripletBatches

    settings = TripletSettings(**{name: getattr(chosen, name) for name in TripletSettings.model_fields})
    sampler = newest_model(Path(chosen.triplets_from))
    once = chosen.drawn_once if most is None else min(most, chosen.drawn_once)
    return TripletBatches(data, sampler, settings, mixed=chosen.source == "mixed", drawn_once=once)
