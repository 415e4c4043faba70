"""Torch modules as ONNX models."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import torch

_OPSET = 18


def to_onnx(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> bytes:
    """Return a torch module as an ONNX model, operator by operator; its inputs are x0, x1, ..."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing is called old: it writes the operators as they are.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs),
            buffer,
            dynamo=False,
            opset_version=_OPSET,
            input_names=[f"x{i}" for i in range(len(inputs))],
        )
    return buffer.getvalue()
