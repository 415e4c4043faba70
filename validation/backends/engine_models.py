"""A network as files for an engine on a board, converted on this machine."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..arm.bench.program import Shape
from ..arm.checks.operands import WEIGHT, uniform
from ..arm.translate.lower import lower
from ..errors import MeasuringError

TITLES = {"ncnn": "ncnn", "onnxruntime": "ONNX Runtime", "tflite": "TensorFlow Lite"}


@dataclass(frozen=True)
class EngineModel:
    """A network in the format of an engine.

    Parameters
    ----------
    model, ending : bytes, str
        The file, and the end of its name.
    weights : bytes
        A second file; empty where the first holds them.
    inputs : mapping
        What the inputs are filled with, in their order.
    sizes : tuple of int
        Elements of the outputs, in their order.
    outputs : tuple of str
        The names of the outputs, where the engine goes by them.
    wanted : tuple of arrays, optional
        The outputs by torch, where they are known.
    steps : mapping
        Of each step in the names of its operators, the node of the graph; empty where operators
        are called by the node itself.
    """

    model: bytes
    ending: str
    weights: bytes
    inputs: Mapping[str, NDArray[Any]]
    sizes: tuple[int, ...]
    outputs: tuple[str, ...] = ()
    wanted: tuple[NDArray[Any], ...] | None = None
    steps: Mapping[str, str] = field(default_factory=dict)

    def packed_inputs(self) -> bytes:
        """Return the inputs as one file of NumPy, the same every time."""
        stream = io.BytesIO()
        np.savez(stream, **dict(self.inputs))  # type: ignore[arg-type]
        return stream.getvalue()

    def node_of(self, layer: str) -> str:
        """Return the node of the graph that a layer of an engine's profile begins with."""
        if self.steps:
            from .onnx_export import step_of

            return self.steps.get(step_of(layer), "")
        return layer.rpartition(":")[0].strip("[]")  # "[node]:7"


def convert(engine: str, graph: nx.DiGraph) -> EngineModel:
    """Return a network as an engine reads it.

    Parameters
    ----------
    engine : {"ncnn", "onnxruntime", "tflite"}
        Which.
    graph : DiGraph
        Without symbols.

    Raises
    ------
    CostModelError
        If the engine has no operator for one of the graph's.
    """
    return {"ncnn": _ncnn, "onnxruntime": _onnx, "tflite": _tflite}[engine](graph)


def check_convertible(engine: str, graph: nx.DiGraph) -> None:
    """Raise where an engine has no operator for one of a graph's.

    Raises
    ------
    CostModelError
    """
    if engine != "onnxruntime":  # what torch exports ONNX Runtime runs, and exporting takes time
        convert(engine, graph)


def _ncnn(graph: nx.DiGraph) -> EngineModel:
    from .ncnn_model import to_ncnn

    model = to_ncnn(lower(graph))
    inputs = {blob: _filled(*filling) for blob, filling in model.inputs.items()}
    # 31 is the mask of what a layer must not do: fp16 and bf16 in the place of float32
    head, counts, *lines = model.param.splitlines()
    text = "\n".join([head, counts, *(f"{line} 31={_FLOAT32_ONLY}" for line in lines), ""])
    sizes = tuple(int(np.prod(shape)) for _, shape in model.outputs.values())
    return EngineModel(text.encode(), ".param", model.weights, inputs, sizes, tuple(model.outputs))


_FLOAT32_ONLY = 7
"""Bits of ncnn's ``featmask``: no fp16 arithmetic, no fp16 storage, no bf16 storage."""


def _filled(seed: int, shape: Shape, scale: int) -> NDArray[np.float32]:
    values = uniform(seed, WEIGHT, int(np.prod(shape))) * np.float32(scale)
    return values if shape[2:] == (1, 1) else values.reshape(shape[1:])


def _tflite(graph: nx.DiGraph) -> EngineModel:
    from .tflite_model import to_tflite

    model = to_tflite(lower(graph))
    inputs = {f"x{i}": values for i, values in enumerate(model.inputs)}
    sizes = tuple(int(np.prod(shape)) for _, shape in model.outputs)
    return EngineModel(model.content, ".tflite", b"", inputs, sizes)


def _onnx(graph: nx.DiGraph) -> EngineModel:
    import torch

    from .graph_to_torch import random_inputs, to_torch
    from .onnx_export import in_steps, to_onnx

    module, inputs = to_torch(graph), random_inputs(graph)
    with torch.inference_mode():
        wanted = tuple(y.numpy() for y in module(*inputs))
    named = {f"x{i}": x.numpy() for i, x in enumerate(inputs)}
    sizes = tuple(int(y.size) for y in wanted)
    steps = in_steps(module)
    content = to_onnx(module, inputs)
    return EngineModel(content, ".onnx", b"", named, sizes, wanted=wanted, steps=steps)


def check_outputs(
    name: str, engine: str, model: EngineModel, found: Sequence[tuple[int, NDArray[Any] | None]]
) -> None:
    """Raise unless an engine's outputs are as many and as large as the network's, and torch's.

    Parameters
    ----------
    name, engine : str
        For the message.
    model : EngineModel
        What was run.
    found : sequence of (int, array)
        Elements of each output, and its values where they came back.

    Raises
    ------
    MeasuringError
    """
    sizes = [size for size, _ in found]
    if sizes != list(model.sizes):
        raise MeasuringError(
            f"{name}: {TITLES[engine]} on the board returns {sizes} elements, not "
            f"{list(model.sizes)}"
        )
    for wanted, (_, values) in zip(model.wanted or (), found, strict=False):
        if values is None or not wanted.size:
            continue
        top = max(1e-30, float(np.max(np.abs(wanted))))
        error = float(np.max(np.abs(values.astype(float).ravel() - wanted.ravel()))) / top
        if not error <= TOLERANCE:
            raise MeasuringError(
                f"{name}: an output of {TITLES[engine]} on the board differs from torch's by "
                f"{error:.1e} of the largest value, more than {TOLERANCE:g}"
            )


TOLERANCE = 1e-3
"""Largest difference to torch, as a share of the largest output: sums run in another order. [1]"""
