"""A decoder as an ONNX graph, which a browser runs without Python."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genlab.core.errors import BadInputError

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.model import Model

OPSET = 20
TOLERANCE = 1e-4  # how far a pixel may lie from PyTorch's
CHECKED = (1, 5)  # batch sizes that are compared
MOST_AT_ONCE = 65536


def decoder_graph(model: Model, described: Mapping[str, str] | None = None) -> bytes:
    """The decoder of a model in evaluation mode: `codes` (N, D) to `images` (N, C, H, W) in [0, 1], for every N.

    Its pixels are compared with PyTorch's on random codes. `described` is written into the file. Raises `BadInputError`
    in one sentence where an operation has no counterpart or where the pixels differ.
    """
    import torch
    from torch import nn

    class Decoder(nn.Module):
        """What is exported: `decode` alone, so that an encoder's weights stay behind."""

        def __init__(self) -> None:
            super().__init__()
            self.model: Any = model

        def forward(self, codes: Tensor) -> Tensor:
            return self.model.decode(codes)

    size = latent_dim(model)
    example = torch.randn(3, size, generator=torch.Generator().manual_seed(0)).to(model.device)
    batch = torch.export.Dim("N", min=1, max=MOST_AT_ONCE)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Decoder().eval(), (example,), input_names=["codes"], output_names=["images"], dynamo=True, verbose=False,
                dynamic_shapes=({0: batch},), opset_version=OPSET, custom_translation_table=translations(),
            )  # fmt: skip
    except ImportError:
        raise
    except Exception as error:
        reason = _innermost(error)
        raise BadInputError(
            f"The decoder cannot be exported, as an operation of it has no counterpart in ONNX ({reason}); "
            "decode with genlab instead."
        ) from error
    assert program is not None
    program.model.metadata_props.update(described or {})
    graph: bytes = program.model_proto.SerializeToString()
    _compare(graph, model, size)
    return graph


def latent_dim(model: Any) -> int:
    """Dimensions of the codes that a model decodes."""
    return int(model.latent_dim)


def decode_graph(graph: bytes, codes: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) of codes (N, D), decoded by an exported graph."""
    from onnxruntime import InferenceSession

    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    images: np.ndarray = session.run(["images"], {"codes": np.asarray(codes, dtype=np.float32)})[0]
    return images


def weights_of_graph(graph: bytes) -> int:
    """How many numbers an exported graph holds: the parameters of the decoder alone."""
    import onnx

    return sum(math.prod(weight.dims) for weight in onnx.load_from_string(graph).graph.initializer)


def _compare(graph: bytes, model: Any, size: int) -> None:
    """Raise `BadInputError` where the graph's images are not those of the model."""
    import torch

    for count in CHECKED:
        codes = torch.randn(count, size, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            expected = model.decode(codes.to(model.device)).float().cpu().numpy()
        try:
            found = decode_graph(graph, codes.numpy())
        except Exception as error:
            raise BadInputError(
                f"The exported decoder does not run ({_innermost(error)}); decode with genlab instead."
            ) from error
        apart = float(np.abs(found - expected).max())
        if found.shape != expected.shape or not apart <= TOLERANCE:
            raise BadInputError(
                f"The exported decoder's pixels differ from PyTorch's by up to {apart:.2g}, and {TOLERANCE:g} is allowed; "
                "decode with genlab instead."
            )


def _innermost(error: BaseException) -> str:
    """The first line of what an error was caused by."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split("\n")[0][:160].rstrip(".")


def translations() -> dict[Any, Any]:
    """Operations that PyTorch's exporter leaves out: triangular systems, which flows solve to invert their 1x1 convolutions."""
    import torch
    from onnxscript import opset20

    op: Any = opset20

    def solve_triangular(A: Any, B: Any, upper: bool, unitriangular: bool = False) -> Any:
        """A⁻¹ B of a triangular A = D (I + M): M is nilpotent, so (I + M)⁻¹ = (I − M)(I + M²)(I + M⁴)…, exactly."""
        count = A.shape[-1]
        identity = op.Constant(value=_tensor(np.eye(count, dtype=np.float32)))
        diagonal = identity if unitriangular else op.Mul(A, identity)
        sizes = op.ReduceSum(diagonal, op.Constant(value_ints=[-1]), keepdims=1)
        strict = op.Sub(op.Trilu(op.Div(A, sizes), upper=int(upper)), identity)
        inverse, power = op.Sub(identity, strict), strict
        for _ in range(max(0, math.ceil(math.log2(count)) - 1)):
            power = op.MatMul(power, power)
            inverse = op.MatMul(inverse, op.Add(identity, power))
        return op.MatMul(inverse, op.Div(B, sizes))

    return {torch.ops.aten.linalg_solve_triangular.default: solve_triangular}


def _tensor(array: np.ndarray) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(array)
