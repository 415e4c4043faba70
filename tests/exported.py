"""Networks of torch and what its exporters write of them."""

from __future__ import annotations

import collections
import warnings
from pathlib import Path
from typing import Any

import pytest

EXPORTERS: dict[str, dict[str, Any]] = {
    "torchscript 11": {"dynamo": False, "opset_version": 11},
    "torchscript 13": {"dynamo": False, "opset_version": 13},
    "torchscript 17": {"dynamo": False, "opset_version": 17},
    "dynamo 18": {"dynamo": True, "opset_version": 18},
    "dynamo 23": {"dynamo": True, "opset_version": 23},
}
"""Exporters and opsets between which the decompositions differ."""


def export(net: Any, example: Any, path: Path, **how: Any) -> Path:
    """Write ``net`` in eval mode to an ONNX file."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    if how.get("dynamo"):
        pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters warn about themselves
        torch.onnx.export(net.eval(), (example,), str(path), verbose=False, **how)
    return path


def randomized(net: Any) -> Any:
    """Give every stored number a value of its own: exporters merge tensors that are equal."""
    torch = pytest.importorskip("torch")
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.1, 0.9)
    return net.eval()


def operators(graph: Any) -> collections.Counter:
    """Return how often each operator occurs, fields included; not what costs nothing."""
    free = ("Input", "Output", "Identity")
    return collections.Counter(
        op for _, op in graph.nodes(data="op") if type(op).__name__ not in free
    )
