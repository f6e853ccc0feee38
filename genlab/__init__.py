"""genlab: a laboratory for image generative models.

>>> import genlab
>>> model = genlab.create("vae", shape=(1, 28, 28), latent_dim=2)
>>> model.sample(3).shape
torch.Size([3, 1, 28, 28])
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.core.model import Model
    from genlab.workspace import Run as Run
    from genlab.workspace import Workspace as Workspace

try:
    __version__ = version("genlab")
except PackageNotFoundError:  # pragma: no cover - a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["Run", "Workspace", "create"]


def create(name: str, shape: tuple[int, int, int], classes: int = 0, **parameters: Any) -> Model:
    """A freshly initialised model of a registered name for images of shape (C, H, W).

    Weights are drawn from torch's present seed. Raises `UnknownNameError` for a name or a parameter
    that does not exist and `BadInputError` for a value or a shape that the model does not take.
    """
    from genlab.core.registry import find

    return find(name).create(shape, classes, **parameters)


def __getattr__(name: str) -> Any:
    """Import the workspace when it is first asked for, so that `import genlab` stays quick."""
    if name in ("Run", "Workspace"):
        return getattr(import_module("genlab.workspace"), name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
