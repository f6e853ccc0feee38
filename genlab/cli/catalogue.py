"""What there is: models, image sets, studies, and what comes with genlab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genlab.cli.output import columns, counter, laboratory, reports

if TYPE_CHECKING:
    from genlab.data import ImageSet, SetInfo

INFO = ("type", "default", "minimum", "maximum", "choices", "description")


def _model_table(documents: list[dict[str, Any]]) -> str:
    rows = [(d["name"], d["title"], d["family"], d["year"], " ".join(d["capabilities"])) for d in documents]
    return columns(rows, titles=("model", "title", "family", "year", "can"))


@click.command()
@reports(_model_table)
def models() -> list[dict[str, Any]]:
    """Every model: what it is, what it can do, and what may be chosen."""
    from genlab.core.registry import PRESETS, models

    return [
        {
            "name": name,
            "title": entry.card.title,
            "family": entry.card.family,
            "year": entry.card.year,
            "capabilities": entry.capabilities,
            "parameters": {key: {item: getattr(info, item) for item in INFO} for key, info in entry.parameters.items()},
            "presets": {preset: entry.card.presets.get(preset, {}) for preset in PRESETS},
        }
        for name, entry in models().items()
    ]


def _set_document(info: SetInfo) -> dict[str, Any]:
    described = info.model_dump(exclude={"format", "class_counts", "refused_count"})
    return {**described, "title": info.title or info.name, "classes": len(info.class_names)} | {
        "available": info.available
    }


def _set_table(documents: list[dict[str, Any]]) -> str:
    rows = [
        (d["name"], f"{d['count']:,}", "x".join(map(str, d["shape"])), d["classes"] or "-", d["status"], d["title"])
        for d in documents
    ]
    return columns(rows, titles=("image set", "images", "shape", "classes", "status", "title"))


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def datasets(context: click.Context, as_json: bool) -> None:
    """The image sets that are here; `genlab datasets add PATH` imports more."""
    if context.invoked_subcommand is None:
        context.invoke(_listed, as_json=as_json)


@click.command()
@reports(_set_table)
def _listed() -> list[dict[str, Any]]:
    return [_set_document(info) for info in laboratory().datasets.infos()]


def _added(document: dict[str, Any]) -> str:
    lines = [f"{document['name']}: {document['count']:,} images of {'x'.join(map(str, document['shape']))}"]
    lines += [f"  left out: {refusal['file']} {refusal['reason']}" for refusal in document["refused"]]
    return "\n".join([*lines, *(f"  {remark}" for remark in document["remarks"])])


def _import_document(images: ImageSet) -> dict[str, Any]:
    refused = [{"file": refusal.file, "reason": refusal.reason} for refusal in images.refused]
    return {**_set_document(images.info), "directory": str(images.directory), "refused": refused}


@datasets.command()
@click.argument("path")
@click.option("--name", default="", help="What to call the set (default: the source's name).")
@click.option("--size", default=None, help="Height and width, as 64 or 64x100; default: the images' own, if small.")
@click.option("--grey", is_flag=True, help="Make the images grey.")
@click.option("--fit", type=click.Choice(["crop", "pad", "stretch"]), default="crop", show_default=True)
@reports(_added)
def add(path: str, name: str, size: str | None, grey: bool, fit: str) -> dict[str, Any]:
    """Import an image, a folder, a zip or an array file."""
    with counter("reading image") as progress:
        images = laboratory().datasets.add(
            Path(path), name=name, size=size, grey=grey or None, fit=fit, progress=progress
        )
    return _import_document(images)


@click.command()
@click.argument("names", nargs=-1)
@click.option("-o", "--output", default=None, help="Folder to write to (default: where the app looks for them).")
@reports(lambda rows: "\n".join(f"{row['name']}: {row['megabytes']:.1f} MB in {row['seconds']:.0f} s" for row in rows))
def pretrain(names: tuple[str, ...], output: str | None) -> list[dict[str, Any]]:
    """Train again what comes with genlab: all of it, or the runs that are named."""
    from genlab.workspace.pretrain import pretrain as rebuild

    return rebuild(names, Path(output) if output else None)
