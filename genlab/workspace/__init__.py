"""The public way in: pages, command line and notebooks use the same words."""

from genlab.workspace.roots import app_root
from genlab.workspace.run import Run
from genlab.workspace.workspace import Runs, Workspace

__all__ = ["Run", "Runs", "Workspace", "app_root"]
