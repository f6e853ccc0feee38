"""What may change when a run goes on: how long and how fast, never what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genlab.core.errors import BadInputError
from genlab.runs.checkpoints import newest_intact
from genlab.runs.directory import RunDirectory

FIXED = ("seed", "batch_size")  # the order of the images follows from them


def check_changes(run: RunDirectory, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part changes into the model's and the training's, and complete their types.

    Raises `BadInputError` for what is unknown, out of bounds, would make it another run, or leaves nothing to do.
    """
    from genlab.core.parameters import validate
    from genlab.core.registry import find
    from genlab.core.settings import TrainingSettings

    entry = find(run.config.model)
    own, shared = entry.split(changes)
    parameters, settings = run.effective()
    for key in FIXED:
        if key in shared and shared[key] != settings[key]:
            raise BadInputError(f"{key!r} is fixed when a run begins; train a new run to change it.")
    checked = entry.validate({**parameters, **own}).model_dump()
    trained = validate(TrainingSettings, {**settings, **shared}, of="the training").model_dump()
    if run.state.status == "finished" and run.state.epoch >= trained["epochs"]:
        raise BadInputError(
            f"{run.name} has spent its {run.state.epoch} epochs; resume it with a higher number of epochs in all."
        )
    if own:
        _refuse_other_network(run, checked)
    return {key: checked[key] for key in own}, {key: trained[key] for key in shared}


def _refuse_other_network(run: RunDirectory, parameters: Mapping[str, Any]) -> None:
    """A change that gives the weights other shapes cannot go on from the ones that were learned."""
    import torch

    from genlab.core.registry import find
    from genlab.runs.checkpoints import load_weights

    checkpoint = newest_intact(run.checkpoints, resumable=True)
    if checkpoint is None:
        return
    entry, data = find(run.config.model), run.config.data
    chosen = {key: value for key, value in parameters.items() if key not in entry.fixed}
    with torch.random.fork_rng():
        model = entry.create(data.shape, len(data.class_names), **chosen)
    needed = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    learned = {name: tuple(value.shape) for name, value in load_weights(checkpoint).items()}
    if needed != learned:
        raise BadInputError(
            f"With these parameters the network of {run.name} would have other weights than it learned; "
            "train a new run instead."
        )
