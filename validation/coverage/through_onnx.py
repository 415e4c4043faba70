"""The same network through ONNX, by both exporters of torch."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx

from .entry import Call
from .ours import full_square
from .sentence import sentence

EXPORTERS = ("dynamo", "torchscript")
"""The exporters of torch, the present one and the one before."""
ENGINES = ("raspberry-pi-4/ncnn", "raspberry-pi-4/tflite", "raspberry-pi-4/onnxruntime")
"""Platforms whose predictions are compared: engines that take such files."""


@dataclass(frozen=True)
class Exported:
    """The result of one exporter.

    Parameters
    ----------
    count : int, optional
        Our count of the file; None where there is none. [multiply-add]
    unwritten : str
        Why torch writes no file; ``""`` if it does.
    failure : str
        Why the file does not import; ``""`` if it does.
    seconds : mapping
        The predicted latency of the file on each of the :data:`ENGINES`. [s]
    """

    count: int | None = None
    unwritten: str = ""
    failure: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def predictions(graph: nx.DiGraph) -> dict[str, float]:
    """Return the predicted latency on each of the :data:`ENGINES` [s]."""
    import costmodel

    return {engine: float(costmodel.latency(graph, engine).seconds) for engine in ENGINES}


def exported(call: Call, exporter: str) -> Exported:
    """Export a network, import the file, and count it."""
    import costmodel

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        try:
            _export(call, exporter, path)
        except Exception as error:
            return Exported(unwritten=sentence(error))
        try:
            graph = costmodel.from_onnx(path)
            return Exported(full_square(graph), seconds=predictions(graph))
        except Exception as error:
            return Exported(failure=sentence(error))


def _export(call: Call, exporter: str, path: Path) -> None:
    import torch

    settings: dict[str, Any] = {"dynamo": True, "verbose": False}
    if exporter == "torchscript":
        settings = {"dynamo": False, "opset_version": 17}
    _shift_norms(call.module)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own internals
        torch.onnx.export(call.module, call.args, path, kwargs=dict(call.kwargs), **settings)


def _shift_norms(module: Any) -> None:
    """Let batch norms shift, as trained ones do: an exporter drops a bias of zeros."""
    import torch

    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            for shift in (part.bias, part.running_mean):
                if shift is not None:
                    shift.data.fill_(0.5)
