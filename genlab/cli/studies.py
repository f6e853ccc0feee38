"""The papers' experiments from the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from genlab.cli.output import columns, laboratory, reports

if TYPE_CHECKING:
    from genlab.workspace.studies import Progress


def _study_text(document: Any) -> str:
    if isinstance(document, list):
        return columns([(d["name"], d["title"], d["runs"]["quick"], d["runs"]["full"]) for d in document],
                       titles=("study", "title", "quick runs", "full runs"))  # fmt: skip
    tables = ("\n".join([table["title"], columns(table["rows"], titles=table["head"])]) for table in document["tables"])
    findings = "\n".join(f"- {finding}" for finding in document["findings"])
    return "\n\n".join([*tables, findings, document["report"]])


@click.command()
@click.argument("name", required=False)
@click.option("--quick", is_flag=True, help="A smaller grid that takes minutes.")
@click.option("--data", help="An image set's name, or a path to images (default: the study's bundled set).")
@click.option("--executor", type=click.Choice(["local"]), default="local", show_default=True, help="Where runs train.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Runs that train at once.")
@reports(_study_text)
def study(name: str | None, quick: bool, data: str | None, executor: str, jobs: int) -> Any:
    """Run a paper's experiment and print what was measured beside what was printed; without NAME, list them.

    What was interrupted goes on where it was; the report is written again each time.
    """
    from genlab.studies import studies

    if name is None:
        return [
            {
                "name": found.name, "title": found.title, "paper": found.paper, "data": found.data,
                "runs": {"quick": len(found.grid(True, 1000)), "full": len(found.grid(False, 1000))},
            }
            for found in studies().values()
        ]  # fmt: skip
    from genlab.workspace.studies import StudyRun, failures, study_document

    running = StudyRun(laboratory(), name, quick=quick, data=data)
    report = running.run(jobs=jobs, progress=_shown if sys.stderr.isatty() else None)
    for sentence in failures(running):
        print(sentence, file=sys.stderr)
    return study_document(running, report)


def _shown(progress: Progress) -> None:
    from genlab.workspace.progress import duration

    end = "\n" if progress.done + progress.failed == progress.cells else ""
    failed = f", {progress.failed} failed" if progress.failed else ""
    left = f", about {duration(progress.seconds_left)} left" if progress.seconds_left else ""
    line = f"{progress.done} of {progress.cells} runs done, {progress.running} training{failed}{left}"
    print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)
