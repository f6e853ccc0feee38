"""Training from the command line, in the foreground or in the queue."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from genlab.cli.output import Unsuccessful, assigned, laboratory, reports
from genlab.cli.runs import loss_of, run_document, status_line
from genlab.core.errors import BadInputError, FailedRunError

if TYPE_CHECKING:
    from genlab.data import ImageSet
    from genlab.workspace import Run, Workspace


def train_document(run: Run) -> dict[str, Any]:
    """What became of a training: the scalars of its first and its last epoch."""
    state, rows = run.state, run.epochs()
    return {
        "run": run.id,
        "name": run.name,
        "directory": str(run.directory),
        "status": state.status,
        "model": run.config.model,
        "data": run.config.data.name,
        "second": run.config.second.name if run.config.second else None,
        "epochs": state.epoch,
        "seconds": state.seconds,
        "device": state.device,
        "first_scalars": rows[0].scalars if rows else {},
        "scalars": rows[-1].scalars if rows else {},
        "validation": rows[-1].validation if rows else {},
    }


def _trained(document: dict[str, Any]) -> str:
    losses = f"loss {loss_of(document['first_scalars'])} -> {loss_of(document['scalars'])}"
    return (
        f"{document['run']} is {document['status']}: {document['epochs']} epochs in {document['seconds']:.1f} s, "
        f"{losses}\n{document['directory']}"
    )


def chosen_values(model: str, pairs: tuple[str, ...], **settings: Any) -> dict[str, Any]:
    """Parameters and settings from `--set` and from the options that were given."""
    from genlab.core.parameters import describe
    from genlab.core.registry import find
    from genlab.core.settings import TrainingSettings

    values = assigned(pairs, {**describe(TrainingSettings), **find(model).parameters})
    return values | {key: value for key, value in settings.items() if value is not None}


def _data(lab: Workspace, data: str) -> ImageSet:
    known = {info.hash for info in lab.datasets.infos()}
    images = lab.datasets.resolve(data)
    if images.hash not in known:
        for refusal in images.refused:
            print(f"left out: {refusal}", file=sys.stderr)
    return images


def _tell_illnesses(run: Run) -> None:
    """What went wrong while it trained, on standard error."""
    for found, cured in run.illnesses():
        until = f" to {cured.epoch}" if cured else " on"
        print(f"{found.disease}, from epoch {found.epoch}{until}: {found.message} {found.remedy}", file=sys.stderr)


def _follow(run: Run) -> None:
    """Wait with a bar; Ctrl-C saves a checkpoint and pauses."""
    try:
        run.wait(progress=True)
    except KeyboardInterrupt:
        if run.status in ("running", "queued"):
            run.pause()
            run.wait()
        print(f"\nPaused with a checkpoint; go on with: genlab train --resume {run.id}", file=sys.stderr)


@click.command()
@click.argument("model", required=False)
@click.option("--data", help="An image set's name, or a path to images (a folder, a zip, an image).")
@click.option("--second", help="A second image set, for a model that translates between two.")
@click.option("--preset", type=click.Choice(["quick", "default", "paper"]), help="Where to start from.")
@click.option("--epochs", type=int, help="Passes over the images, in all.")
@click.option("--seed", type=int, help="Fixes weights, order and noise.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter of the model or the training.")
@click.option("--name", default="", help="What to call the run.")
@click.option("--resume", "resumed", metavar="RUN", help="Go on with this run instead of a new one.")
@click.option("--detach", is_flag=True, help="Queue it and return at once.")
@reports(_trained)
def train(
    model: str | None, data: str | None, second: str | None, preset: str | None, epochs: int | None, seed: int | None,
    pairs: tuple[str, ...], name: str, resumed: str | None, detach: bool,
) -> dict[str, Any]:  # fmt: skip
    """Train MODEL on images, with a bar; Ctrl-C saves a checkpoint and pauses."""
    from genlab.core.registry import find

    lab = laboratory()
    if resumed:
        run = lab.runs[resumed]
        _refuse_other(lab, run, model, {"data": data, "second": second}, preset or name)
        values = chosen_values(run.config.model, pairs, epochs=epochs, seed=seed)
        run.resume(at_once=not detach, **values)
    elif not model or not data:
        missing = "--data" if model else "MODEL"
        raise BadInputError(f"{missing} is missing; write for example: genlab train vae --data digits-28.")
    else:
        values = chosen_values(model, pairs, epochs=epochs, seed=seed)
        lab.plan(model, preset or "default", values)  # before a folder is imported in vain
        if problem := find(model).wrong_sets(bool(second)):
            raise BadInputError(problem)
        images, other = _data(lab, data), _data(lab, second) if second else None
        chosen = {"preset": preset or "default", "name": name, "at_once": not detach, **values}
        run = lab.train(model, images, second=other, **chosen)
    if not detach:
        try:
            _follow(run)
        except FailedRunError as error:
            raise Unsuccessful(train_document(run), str(error)) from error
        finally:
            _tell_illnesses(run)
    return train_document(run)


def _refuse_other(
    lab: Workspace, run: Run, model: str | None, sets: Mapping[str, str | None], other: str | None
) -> None:
    """A run that is resumed stays what it is."""
    if model and model != run.config.model:
        raise BadInputError(f"{run.name} trains {run.config.model}, not {model}; leave the model out to resume it.")
    if other:
        raise BadInputError("A run that is resumed keeps its preset and its name; leave --preset and --name out.")
    for option, given in sets.items():
        known = getattr(run.config, option)
        if given and (known is None or lab.datasets.resolve(given).hash != known.hash):
            trained_on = repr(known.name) if known else "one image set"
            raise BadInputError(f"{run.name} was trained on {trained_on}; leave --{option} out to resume it.")


@click.command()
@click.argument("run")
@click.option("--epochs", type=int, help="Passes over the images, in all.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A changed parameter, such as learning_rate.")
@reports(status_line)
def resume(run: str, epochs: int | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Queue a paused, interrupted, failed or lengthened run again, and return at once."""
    found = laboratory().runs[run]
    return run_document(found.resume(**chosen_values(found.config.model, pairs, epochs=epochs)))
