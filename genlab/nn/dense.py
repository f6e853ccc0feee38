"""Dense layers on processors, where many rows are multiplied and nothing is differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

FEWEST = 64  # rows below which copying the weights takes longer than it saves


class DenseByOneDNN(TorchFunctionMode):
    """Within it, dense layers of many float32 rows are multiplied by oneDNN instead of the BLAS that PyTorch is built with.

    oneDNN multiplies with AVX-512 on any processor that has it, MKL on Intel's alone: on others it is twice as fast. The
    values are the same to rounding.

    >>> layer, rows = torch.nn.Linear(3, 2), torch.rand(100, 3)
    >>> with torch.no_grad(), DenseByOneDNN():
    ...     values = layer(rows)
    >>> torch.allclose(values, layer(rows), atol=1e-6)
    True
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Any function as it is, but for dense layers."""
        if function is F.linear and not kwargs and _gains(*args):
            return function(*(None if part is None else part.to_mkldnn() for part in args)).to_dense()
        return function(*args, **(kwargs or {}))


def _gains(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether oneDNN is there and takes these."""
    return (
        torch.backends.mkldnn.is_available()
        and not torch.is_grad_enabled()
        and rows.ndim == 2
        and len(rows) >= FEWEST
        and rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
    )
