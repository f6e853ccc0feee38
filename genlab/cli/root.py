"""`genlab`: finds a command in the module that holds it, and turns what goes wrong into one sentence."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from genlab.core.errors import FailedRunError, GenlabError

COMMANDS = {
    "app": "app",
    "models": "catalogue",
    "datasets": "catalogue",
    "study": "studies",
    "pretrain": "catalogue",
    "train": "training",
    "runs": "runs",
    "stop": "runs",
    "pause": "runs",
    "resume": "training",
    "export": "runs",
    "sample": "exploring",
    "reconstruct": "exploring",
    "translate": "exploring",
    "interpolate": "exploring",
    "triplets": "exploring",
    "radii": "measuring",
    "project": "exploring",
    "exhibit": "exploring",
    "evaluate": "measuring",
    "bm": "measuring",
}


class Commands(click.Group):
    """Imports a command when it is called, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of a laboratory's day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, from its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"genlab.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command


def _print_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from genlab import __version__

        click.echo(f"genlab {__version__}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Say which.")
def genlab() -> None:
    """Train, watch, explore and compare generative models of images, on this machine only.

    Every command takes --json: one JSON document on standard output and nothing else there. GENLAB_HOME
    names the folder of image sets and runs (default: ~/genlab).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 0, with 2 for what was asked wrongly, with 1 for a run that failed."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # standard error is for people: progress and one sentence
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong is one sentence on standard error."""
    try:
        returned: Any = genlab.main(arguments, prog_name="genlab", standalone_mode=False)
        return returned if isinstance(returned, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _say(error.format_message(), 2)
    except FailedRunError as error:
        return _say(str(error), 1)
    except GenlabError as error:
        return _say(str(error), 2)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        return 0
    except OSError as error:
        return _say(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", 2)
    except (click.Abort, KeyboardInterrupt):
        return _say("Interrupted.", 130)


def _say(sentence: str, code: int) -> int:
    click.echo(" ".join(sentence.split()), err=True)
    return code
