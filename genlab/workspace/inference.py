"""Arrays through a model: in batches that fit, without gradients, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError
from genlab.figures.images import pixels
from genlab.workspace.results import Encoded

if TYPE_CHECKING:
    import torch

    from genlab.core.model import Model

VALUES_AT_ONCE = 2**22  # numbers in the images of one batch


def batch_size(model: Model) -> int:
    """How many images go through a model at a time: fewer where they are larger."""
    return max(1, min(512, VALUES_AT_ONCE // model.shape.values))


def through(model: Model, function: Callable[[torch.Tensor], torch.Tensor], inputs: np.ndarray) -> np.ndarray:
    """Apply a method of a model to the rows of an array."""
    import torch

    size = batch_size(model)
    parts = []
    with torch.inference_mode():
        for start in range(0, max(1, len(inputs)), size):
            batch = np.ascontiguousarray(inputs[start : start + size], dtype=np.float32)
            parts.append(function(torch.from_numpy(batch).to(model.device)).float().cpu().numpy())
    return np.concatenate(parts)


def encode(model: Any, images: np.ndarray) -> Encoded:
    """Codes of images (N, C, H, W): posterior means and, where there are any, log-variances."""
    import torch

    def stacked(batch: torch.Tensor) -> torch.Tensor:
        codes = model.encode(batch)
        return torch.stack([codes.mean] if codes.log_var is None else [codes.mean, codes.log_var], dim=1)

    columns = through(model, stacked, images)
    return Encoded(columns[:, 0], columns[:, 1] if columns.shape[1] > 1 else None)


def drawn(
    model: Model, draw: Callable[[Any, torch.Generator], torch.Tensor], rows: Sequence[int], seed: int
) -> np.ndarray:
    """One random result for each of `rows` (labels, or just a range), batch after batch from one seed."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    size = batch_size(model)
    with torch.inference_mode():
        parts = [
            draw(rows[start : start + size], generator).float().cpu().numpy() for start in range(0, len(rows), size)
        ]
    return np.concatenate(parts)


def pixels_for(model: Model, images: Any, title: str) -> np.ndarray:
    """Images as float32 (N, C, H, W) in [0, 1], refused where their shape is not the model's."""
    from genlab.core.shapes import Shape

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
