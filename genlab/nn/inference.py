"""Arrays through a trained model: in batches that fit, without gradients, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from genlab.core.model import Model

VALUES_AT_ONCE = 2**22  # numbers in the images of one batch


def batch_size(model: Model) -> int:
    """How many images go through a model at a time: fewer where they are larger."""
    return max(1, min(512, VALUES_AT_ONCE // model.shape.values))


def through(model: Model, function: Callable[[torch.Tensor], torch.Tensor], inputs: np.ndarray) -> np.ndarray:
    """Apply a method of a model to the rows of an array, as float32."""
    import torch

    size = batch_size(model)
    parts = []
    with torch.inference_mode():
        for start in range(0, max(1, len(inputs)), size):
            batch = np.ascontiguousarray(inputs[start : start + size], dtype=np.float32)
            parts.append(function(torch.from_numpy(batch).to(model.device)).float().cpu().numpy())
    return np.concatenate(parts)


def posterior(model: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Means and log-variances (N, D) of images (N, C, H, W); no log-variances where codes are points."""
    import torch

    def stacked(batch: torch.Tensor) -> torch.Tensor:
        codes = model.encode(batch)
        return torch.stack([codes.mean] if codes.log_var is None else [codes.mean, codes.log_var], dim=1)

    columns = through(model, stacked, images)
    return columns[:, 0], columns[:, 1] if columns.shape[1] > 1 else None


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


def samples(model: Any, count: int, seed: int, temperature: float = 1.0) -> np.ndarray:
    """New images (count, C, H, W) of a model that samples."""

    def draw(rows: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        return model.sample(len(rows), temperature=temperature, generator=generator)

    return drawn(model, draw, range(count), seed)


def prior_codes(model: Any, count: int, seed: int) -> np.ndarray:
    """Codes (count, D) that a model's prior gives."""

    def draw(rows: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        return model.sample_prior(len(rows), generator=generator)

    return drawn(model, draw, range(count), seed)


def bounds(model: Any, images: np.ndarray, seed: int) -> np.ndarray:
    """The evidence lower bound of each image (N,) in nats, with one draw of the code each."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def elbo(batch: torch.Tensor) -> torch.Tensor:
        terms = model.bound_terms(batch, generator)
        return -(terms["reconstruction"] + terms["kl"])

    return through(model, elbo, images)
