"""The laboratory in the browser."""

from __future__ import annotations

import json
import os
import socket
import sys

import click

from genlab.core.errors import BadInputError

ADDRESS = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--no-browser", is_flag=True, help="Serve only; do not open a browser window.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON before serving.")
def app(port: int, no_browser: bool, as_json: bool) -> None:
    """Open the laboratory in the browser, on this machine only; Ctrl-C ends it, training goes on."""
    from genlab.workspace.roots import app_root

    refuse_taken(port)
    if home := os.environ.get("GENLAB_HOME"):
        os.environ["GENLAB_HOME"] = os.path.abspath(os.path.expanduser(home))
    os.chdir(app_root())  # Streamlit looks for its configuration where it stands
    url = f"http://{ADDRESS}:{port}"
    click.echo(json.dumps({"url": url, "health": f"{url}/_stcore/health", "pid": os.getpid()}) if as_json else url)
    sys.stdout.flush()
    serve(port, no_browser)


# What libraries read once, when they are loaded, and what a server of many people needs otherwise:
THRIFT = {
    # NumPy's BLAS keeps its threads in a loop after each product, in case of another: 70 ms of a processor for a picture
    # that takes 30. 2**4 cycles are enough.
    "OPENBLAS_THREAD_TIMEOUT": "4",
    # glibc gives each new thread a heap of its own, and each rerun of a page is a new thread: 8 MB a visitor, not 1
    "MALLOC_ARENA_MAX": "2",
}


def refuse_taken(port: int) -> None:
    """Raise `BadInputError` when something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise BadInputError(
                f"Port {port} cannot be used ({error.strerror}); choose another one: genlab app --port {port + 1}."
            ) from error


def serve(port: int, no_browser: bool) -> None:
    """Become Streamlit's own process, whose chatter goes to standard error."""
    options = {
        "server.address": ADDRESS,
        "server.port": port,
        "server.headless": str(no_browser).lower(),
        "server.showEmailPrompt": "false",
        "browser.serverAddress": ADDRESS,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    words = [sys.executable, "-m", "streamlit", "run", "app.py", *flags]
    os.execve(sys.executable, words, {**THRIFT, **os.environ})
