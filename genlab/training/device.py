"""Chooses where to compute and how precisely."""

from __future__ import annotations

import contextlib

import torch

from genlab.core.errors import BadInputError


def resolve_device(wanted: str, *, double: bool = False) -> torch.device:
    """The device for "auto", "cpu", "cuda" or "mps"; refuses one that this machine lacks.

    A model that computes in `double` precision, which mps has not, is never put there.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if double:
        if wanted == "mps":
            raise BadInputError("This model computes in float64, which mps devices lack; choose 'auto' or 'cpu'.")
        present["mps"] = False
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[wanted]:
        raise BadInputError(f"This machine has no {wanted} device; choose 'auto' or 'cpu'.")
    return torch.device(wanted)


def resolve_precision(wanted: str, device: torch.device) -> str:
    """Either "float32" or "bfloat16"; "auto" takes bfloat16 on GPUs that compute in it."""
    if wanted == "auto":
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return wanted


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Mixed precision for one training step, or nothing at all."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
