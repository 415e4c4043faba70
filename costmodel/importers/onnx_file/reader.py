"""A file of ONNX, from its inputs to its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import CostModelError, DataError, missing
from costmodel.importers.emitter import Stored
from costmodel.importers.onnx_file import folds, handlers
from costmodel.importers.onnx_file.call import Items
from costmodel.importers.onnx_file.given import weights_among
from costmodel.importers.onnx_file.load import load_model
from costmodel.importers.onnx_file.names import listed
from costmodel.importers.onnx_file.operators import unknown_operators
from costmodel.importers.onnx_file.session import Session
from costmodel.importers.onnx_file.shapes import Sizes, check_names, input_tensors
from costmodel.importers.onnx_file.walk import Walk
from costmodel.importers.patterns import exported
from costmodel.importers.patterns.pieces import EXPORTED
from costmodel.importers.registry import load_modules, refuse_unknown
from costmodel.ops.tensor import Tensor

load_modules(folds)
load_modules(handlers)
load_modules(exported)


def read(
    file: Path, strict: bool, inputs: Mapping[str, Sequence[Dim]], sizes: Mapping[str, Dim]
) -> nx.DiGraph:
    """Return the network of a file (see :func:`costmodel.from_onnx`)."""
    try:
        return _read(file, strict, inputs, sizes)
    except (CostModelError, MemoryError):
        raise
    except ImportError as error:
        raise missing(error, str(file)) or error from None
    except Exception as error:  # a file must not end the program otherwise
        raise DataError(
            f"{file}: cannot be read as a network ({type(error).__name__}); it is damaged or of a "
            "form that is not supported"
        ) from None


def _read(
    file: Path, strict: bool, inputs: Mapping[str, Sequence[Dim]], sizes: Mapping[str, Dim]
) -> nx.DiGraph:
    model = load_model(file)
    entries = _entries(model, file)
    check_names(entries, sizes, file)
    known = Sizes(file, sizes)
    session = Session(model, file, known, trusted=not inputs)
    who = f"from_onnx ({file.name})"
    if strict:
        refuse_unknown(who, unknown_operators(model, session.versions))
    message = model.graph
    walk = Walk(session, message.node, [output.name for output in message.output])
    for tensor in message.initializer:
        walk.store(tensor, tensor.name)
    for sparse in message.sparse_initializer:
        dense = Tensor(tuple(sparse.dims))
        walk.bind(sparse.values.name, Stored(sparse.values.name, dense, learned=True))
    weights = weights_among(message)
    for name, tensor in input_tensors(entries, known, inputs).items():
        if name in weights:
            walk.bind(name, Stored(name, tensor, learned=True))
        else:
            walk.bind(name, session.emit.input(tensor.shape, tensor.dtype, name))
    walk.run()
    if strict:
        refuse_unknown(who, session.emit.unknown)
    made = (walk.made(output.name) for output in message.output)
    outputs = [x for one in made for x in (one.tensors if isinstance(one, Items) else (one,))]
    graph = session.emit.finish(outputs, EXPORTED.items())
    graph.graph["notes"] = session.notes()
    return graph


def _entries(model: Any, file: Path) -> list[Any]:
    """Return the inputs that are not stored, each named once."""
    stored = [tensor.name for tensor in model.graph.initializer]
    inputs = [entry.name for entry in model.graph.input]
    for names in (stored, inputs):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{file}: two tensors have one name: {listed(twice)}")
    known = set(stored)
    return [entry for entry in model.graph.input if entry.name not in known]
