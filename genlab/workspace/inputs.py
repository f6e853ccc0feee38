"""What people hand to a model, brought to the form it takes or refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.core.shapes import Shape
from genlab.figures.images import pixels

if TYPE_CHECKING:
    from genlab.core.model import Model


def pixels_for(model: Model, images: Any, title: str) -> np.ndarray:
    """Images as float32 (N, C, H, W) in [0, 1], refused where their shape is not the model's."""
    array = pixels(images)
    if array.shape[1:] != tuple(model.shape):
        given = Shape(*array.shape[1:])
        raise BadInputError(
            f"{title} was trained on images of {model.shape}, and these are {given}; "
            f"import them at {model.shape.height}x{model.shape.width} in the same colours first."
        )
    return array


def codes_for(model: Any, codes: Any, title: str) -> np.ndarray:
    """Codes as float64 (N, D), refused where D is not the model's."""
    if hasattr(codes, "detach"):
        codes = codes.detach().cpu().numpy()
    array = np.atleast_2d(np.asarray(codes, dtype=np.float64))
    if array.ndim != 2 or array.shape[1] != model.latent_dim:
        raise BadInputError(
            f"Codes of {title} have the shape (N, {model.latent_dim}) or ({model.latent_dim},), and {array.shape} is neither."
        )
    if not np.isfinite(array).all():
        raise BadInputError(f"These codes of {title} hold values that are not finite numbers; leave those out.")
    return array
