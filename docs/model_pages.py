"""Writes `docs/models/`: one page for each registered model, from its card, its parameters and its class.

`python docs/model_pages.py` rewrites what has changed; the tests run it with `--check`, which fails on a stale page.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from genlab.core.capabilities import CAPABILITIES
from genlab.core.cards import Card, Example
from genlab.core.parameters import ParameterInfo
from genlab.core.registry import Entry, models

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "models"
BETTER = {"lower": "↓", "higher": "↑", "neither": ""}
MADE = "<!-- written by docs/model_pages.py: change the model's card or class instead -->"


def pages() -> dict[str, str]:
    """File name -> text of every page, the index among them."""
    entries = models()
    shipped = shipped_runs()
    written = {f"{name}.md": page(entry, shipped.get(name, "")) for name, entry in entries.items()}
    return {"README.md": index(entries), **written}


def shipped_runs() -> dict[str, str]:
    """Model -> folder of the run of it that comes with genlab: the one that bears the model's name, else any."""
    found: dict[str, str] = {}
    for config in sorted(ROOT.glob("checkpoints/*/config.json")):
        model, folder = json.loads(config.read_text())["model"], config.parent.name
        if model not in found or folder.endswith(f"-{model.replace('_', '-')}"):
            found[model] = folder
    return found


def index(entries: Mapping[str, Entry]) -> str:
    """All models by family."""
    rows = [
        f"| [`{name}`]({name}.md) | {entry.card.title} | {entry.card.family} | {entry.card.year} |"
        for name, entry in entries.items()
    ]
    head = ["| model | title | family | year |", "| --- | --- | --- | --- |"]
    return "\n".join([MADE, "", "# Models", "", *head, *rows, ""])


def page(entry: Entry, run: str) -> str:
    """One model: what it is, how it is trained, what it computes."""
    card = entry.card
    parts = [
        MADE,
        f"# {card.title}",
        f"`{entry.name}` · {card.family} · [{card.paper}]({card.link}), {card.year} · {source(entry)}",
        card.summary,
        picture(run),
        f"Takes {card.sizes.rstrip('.')}.",
        "## What it can do\n\n" + "\n".join(abilities(entry)),
        "## Equations\n\n" + "\n\n".join(f"{e.name} ({e.source}):\n\n$${e.latex}$$" for e in card.equations),
        *map(example, card.examples),
        departures(card),
        "## What it logs\n\n" + table(("scalar", "meaning", "better", "guide"), scalars(card)),
        "## Parameters\n\n" + table(("parameter", "default", "values", "meaning"), map(row, entry.parameters.values())),
        presets(card),
        f"## Train it\n\n```\ngenlab train {entry.name} --data digits-28 --preset quick\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def source(entry: Entry) -> str:
    """A link to the file that holds the model."""
    file = Path(inspect.getfile(entry.model)).relative_to(ROOT)
    return f"[{file}](../../{file})"


def picture(run: str) -> str:
    """The last picture that the shipped run drew, samples before anything else."""
    for what in ("samples", "translations", "reconstructions"):
        drawn = sorted((ROOT / "checkpoints" / run / "artefacts").glob(f"{what}-*.png")) if run else []
        if drawn:
            where = drawn[-1].relative_to(ROOT)
            return f"![{what.capitalize()} of the shipped run {run}](../../{where})\n\n*{what.capitalize()} of the shipped run `{run}`.*"
    return ""


def abilities(entry: Entry) -> list[str]:
    """One line for each capability, with its meaning."""
    return [
        f"- **{name.replace('_', ' ')}**: {(inspect.getdoc(CAPABILITIES[name]) or '').splitlines()[0]}"
        for name in entry.capabilities
    ]


def example(worked: Example) -> str:
    """A worked example: its table, and what to see in it."""
    rows = [
        tuple(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values())
        for row in worked.rows
    ]
    return f"## Worked example: {worked.title}\n\n{table(tuple(worked.rows[0]), rows)}\n\n{worked.caption}"


def departures(card: Card) -> str:
    """Where the model departs from its paper."""
    listed = "\n".join(f"- {departure}" for departure in card.departures)
    return f"## Departures from the paper\n\n{listed}" if listed else ""


def scalars(card: Card) -> Iterable[tuple[str, ...]]:
    """A line for each number that the model logs."""
    for name, scalar in card.scalars.items():
        guide = "" if scalar.guide is None else f"{scalar.guide:.4g}"
        yield f"`{name}`", scalar.meaning, BETTER[scalar.direction], guide


def row(info: ParameterInfo) -> tuple[str, ...]:
    """One parameter's line in the table."""
    values = ", ".join(map(str, info.choices)) or (
        "" if info.minimum is None else f"{info.minimum:g} to {info.maximum:g}"
    )
    symbol = f" (${info.symbol}$)" if info.symbol else ""
    return f"`{info.name}`{symbol}", f"{info.default}", values, info.description


def presets(card: Card) -> str:
    """What each preset sets."""
    if not card.presets:
        return ""
    rows = [
        (name, ", ".join(f"{key} = {value}" for key, value in values.items()) or "the defaults")
        for name, values in card.presets.items()
    ]
    return "## Presets\n\n" + table(("preset", "sets"), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in cells) for cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> int:
    """Write all pages and remove those of models that are gone; with `--check` only name what differs."""
    wanted = pages()
    stale = [
        name for name, text in wanted.items() if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text
    ]
    gone = [old for old in FOLDER.glob("*.md") if old.name not in wanted]
    if "--check" in sys.argv:
        print(*stale, *(old.name for old in gone))
        return 1 if stale or gone else 0
    FOLDER.mkdir(exist_ok=True)
    for old in gone:
        old.unlink()
    for name in stale:
        (FOLDER / name).write_text(wanted[name])
    print(f"{len(stale)} of {len(wanted)} pages in {FOLDER.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
