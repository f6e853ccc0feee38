"""The command line: the same words as the workspace, one JSON document on request."""

from genlab.cli.root import main

__all__ = ["main"]
