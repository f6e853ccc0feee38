"""Looking at runs and steering them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from genlab.cli.output import columns, laboratory, reports

if TYPE_CHECKING:
    from genlab.runs.events import Illness
    from genlab.workspace import Run

PATIENCE = 120.0  # seconds that a worker may take to reach its next step


def run_document(run: Run) -> dict[str, Any]:
    """One run as `genlab runs` lists it."""
    state, rows = run.state, run.epochs()
    return {
        "run": run.id,
        "name": run.name,
        "model": run.config.model,
        "data": run.config.data.name,
        "second": run.config.second.name if run.config.second else None,
        "status": "finished" if run.shipped else state.status,
        "pid": state.pid if state.status == "running" else None,
        "epochs": state.epoch,
        "seconds": state.seconds,
        "scalars": rows[-1].scalars if rows else {},
        "validation": rows[-1].validation if rows else {},
        "shipped": run.shipped,
        "message": state.message,
        "remedy": state.remedy,
        "illnesses": [_illness(one) for one in run.illnesses()],
        "directory": str(run.directory),
    }


def _illness(one: Illness) -> dict[str, Any]:
    """A disease of the run's training, as JSON; `cured` is the epoch in which it was over, or null."""
    found = one.found.model_dump(include={"disease", "epoch", "step", "message", "remedy", "changes"})
    return {**found, "cured": one.cured.epoch if one.cured else None}


def loss_of(scalars: dict[str, float]) -> str:
    """The objective, as a table shows it."""
    return f"{scalars['loss']:.4g}" if "loss" in scalars else "-"


def _run_table(documents: list[dict[str, Any]]) -> str:
    if not documents:
        return "There are no runs yet; `genlab train vae --data digits-8` makes one."
    rows = [
        (d["run"], d["name"], "shipped" if d["shipped"] else d["status"], d["epochs"], loss_of(d["scalars"]))
        for d in documents
    ]
    said = [f"{d['name']}: {d['message']} {d['remedy']}".strip() for d in documents if d["message"]]
    return "\n".join([columns(rows, titles=("run", "name", "status", "epochs", "loss")), *said])


@click.command()
@click.argument("run", required=False)
@reports(_run_table)
def runs(run: str | None) -> list[dict[str, Any]]:
    """All runs, newest first, or the one that is named."""
    lab = laboratory()
    return [run_document(found) for found in ([lab.runs[run]] if run else lab.runs)]


def status_line(document: dict[str, Any]) -> str:
    """How a run stands, in one line."""
    said = f"{document['name']} is {document['status']} after {document['epochs']} epochs. {document['message']}"
    return said.strip()


def _settled(run: Run) -> dict[str, Any]:
    """Wait until the worker has saved its checkpoint and left."""
    end = time.monotonic() + PATIENCE
    while run.status == "running" and time.monotonic() < end:
        time.sleep(0.05)
    return run_document(run)


@click.command()
@click.argument("run")
@reports(status_line)
def stop(run: str) -> dict[str, Any]:
    """Let a run save a checkpoint and end for good."""
    found = laboratory().runs[run]
    found.stop()
    return _settled(found)


@click.command()
@click.argument("run")
@reports(status_line)
def pause(run: str) -> dict[str, Any]:
    """Let a run save a checkpoint and leave; `genlab resume` goes on from there."""
    found = laboratory().runs[run]
    found.pause()
    return _settled(found)


@click.command()
@click.argument("run")
@click.argument("file")
@reports(lambda document: f"{document['run']} is in {document['file']} ({document['bytes']:,} bytes)")
def export(run: str, file: str) -> dict[str, Any]:
    """Write a run as a zip to share: its record, events, weights and previews.

    A FILE that ends in .onnx gets its decoder alone, checked against PyTorch, for any runtime of ONNX.
    """
    found = laboratory().runs[run]
    written = found.export(file)
    return {"run": found.id, "file": str(written), "bytes": written.stat().st_size}
