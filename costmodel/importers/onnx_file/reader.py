"""A file of ONNX, from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.importers.onnx_file import handlers
from costmodel.importers.onnx_file.load import input_tensors, load_model
from costmodel.importers.onnx_file.walk import Walk
from costmodel.importers.patterns import exported
from costmodel.importers.registry import load_modules, refuse_unknown

load_modules(handlers)
load_modules(exported)


def read(
    file: Path, strict: bool, inputs: dict[str, Sequence[Dim]], sizes: dict[str, Dim]
) -> nx.DiGraph:
    """Return the network of a file (see :func:`costmodel.from_onnx`)."""
    model = load_model(file)
    walk = Walk(model, file)
    if strict:
        refuse_unknown(f"from_onnx ({file.name})", walk.unknown_operators())
    walk.run(input_tensors(model, file, inputs, sizes))
    if strict:
        refuse_unknown(f"from_onnx ({file.name})", walk.emit.unknown)
    return walk.graph
