"""Walking over an ONNX graph, one handler an operator type."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from costmodel.errors import CostModelError, DataError, GraphError, UnknownOperatorError
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call
from costmodel.importers.onnx_file.fold import FOLDS, MAX_ELEMENTS, attribute, shape_array
from costmodel.importers.onnx_file.load import dtype_of, learned_names
from costmodel.importers.patterns.pieces import EXPORTED
from costmodel.importers.registry import Occurrence, UnsupportedFormError
from costmodel.ops.tensor import Tensor

_FREE = frozenset({"Shape", "Size", "Constant"})
_DOMAINS = frozenset({"", "ai.onnx"})


class Walk:
    """Imports an ONNX model node by node.

    Parameters
    ----------
    model : ModelProto
        The model message.
    path : Path
        Its file, for messages.
    """

    def __init__(self, model: Any, path: Path) -> None:
        self.model = model
        self.path = path
        self.emit = Emitter(model.graph.name or path.stem)
        self.graph: nx.DiGraph | None = None
        self._operands: dict[str, Operand] = {}
        self._known: dict[str, Any] = {}
        self._merged: dict[int, str] = {}
        # One Python object a node, so that id() tells them apart.
        self._nodes = list(model.graph.node)
        self._learned = learned_names(model)
        self._inferred: dict[str, Tensor] | None = None
        self._takers: dict[str, list[Any]] = {}
        self._uses: Counter[str] = Counter(output.name for output in model.graph.output)
        for node in self._nodes:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)
                self._uses[name] += 1

    def unknown_operators(self) -> list[Occurrence]:
        """Return every node whose operator is not known at all, without importing anything."""
        known = {*HANDLERS.names(), *FOLDS.names(), *_FREE}
        return [
            Occurrence(_full_name(node), _place(node))
            for node in self.model.graph.node
            if _key(node) not in known
        ]

    def run(self, inputs: dict[str, Tensor]) -> None:
        """Import the model; the result is in ``graph``."""
        for tensor in self.model.graph.initializer:
            self._store(tensor, tensor.name)
        for name, tensor in inputs.items():
            self._operands[name] = self.emit.input(tensor.shape, tensor.dtype, name)
        for node in self._nodes:
            self._node(node)
        outputs = [self.operand(output.name) for output in self.model.graph.output]
        self.graph = self.emit.finish(outputs, EXPORTED.items())

    def operand(self, name: str) -> Operand:
        """Return the tensor called ``name``; a known array becomes a constant."""
        if name not in self._operands:
            if name not in self._known:
                raise DataError(f"{self.path}: tensor {name!r} is used but made by no node")
            value = self._known[name]
            dtype = "int64" if value.dtype == object else str(value.dtype)
            self._operands[name] = Stored(name, Tensor(tuple(value.shape), dtype), learned=False)
        return self._operands[name]

    def known(self, name: str) -> Any:
        """Return the value of the tensor called ``name`` if it is known, else None."""
        return self._known.get(name)

    def is_stored(self, name: str) -> bool:
        """Say whether the tensor called ``name`` is stored in the file."""
        return isinstance(self._operands.get(name), Stored)

    def merge(self, node: Any, name: str) -> None:
        """Take ``node`` as done by the one that makes tensor ``name``, and makes what it makes."""
        self._merged[id(node)] = name

    def is_learned(self, name: str) -> bool:
        """Say whether the tensor called ``name`` comes from the network and not the exporter."""
        return name in self._learned

    def only_taker(self, name: str) -> Any:
        """Return the node that alone takes the tensor called ``name``, or None."""
        return self._takers[name][0] if self._uses[name] == 1 and name in self._takers else None

    def _store(self, tensor: Any, name: str) -> None:
        shape = tuple(tensor.dims)
        elements = int(np.prod(shape, dtype=np.float64))
        if elements <= MAX_ELEMENTS and tensor.data_location == 0:
            import onnx

            try:
                self._known[name] = onnx.numpy_helper.to_array(tensor)
            except Exception:
                raise DataError(f"{self.path}: the data of tensor {name!r} is broken") from None
        if elements > 0:
            dtype = dtype_of(tensor.data_type, f"{self.path}, tensor {name!r}")
            learned = dtype not in ("int64", "bool")
            self._operands[name] = Stored(name, Tensor(shape, dtype), learned)

    def _node(self, node: Any) -> None:
        if id(node) in self._merged:
            self._operands[node.output[0]] = self._operands[self._merged[id(node)]]
            return
        if self._fold(node):
            return
        module, place = _module(node), _place(node)
        call = Call(self, node)
        with self.emit.module(module):
            try:
                if _key(node) not in HANDLERS:
                    raise UnsupportedFormError("")
                result = HANDLERS[_key(node)](call)
            except UnsupportedFormError as reason:
                result = self._unknown(call, Occurrence(_full_name(node), place, str(reason)))
            except CostModelError as error:
                raise GraphError(f"{self.path}, {node.op_type} {place!r}: {error}") from None
            except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
                raise DataError(
                    f"{self.path}, {node.op_type} {place!r}: its attributes do not fit its inputs"
                ) from None
        made = [result] if isinstance(result, Value | Stored) else result
        self._operands |= {n: x for n, x in zip(node.output, made, strict=False) if n and x}

    def _fold(self, node: Any) -> bool:
        """Work out what depends on shapes and constants only; say whether that was possible."""
        if node.op_type == "Constant":
            self._constant(node)
            return True
        if node.op_type in ("Shape", "Size"):
            shape = shape_array(self.operand(node.input[0]).shape)
            start, end = attribute(node, "start", 0), attribute(node, "end")
            self._known[node.output[0]] = (
                shape[start:end] if node.op_type == "Shape" else np.asarray(np.prod(shape))
            )
            return True
        inputs = [self._known.get(name) for name in node.input if name]
        if not inputs or any(x is None for x in inputs) or node.op_type not in FOLDS:
            return False
        if any(self._is_weight(name) for name in node.input):
            return False
        try:
            value = FOLDS[node.op_type](node, inputs)
        except (ValueError, TypeError, IndexError, ZeroDivisionError):
            return False
        if value is None or value.size > MAX_ELEMENTS:
            return False
        self._known[node.output[0]] = value
        return True

    def _is_weight(self, name: str) -> bool:
        """Say whether a stored tensor is learned: several numbers that are not integers."""
        operand = self._operands.get(name)
        return isinstance(operand, Stored) and operand.learned and operand.tensor.elements != 1

    def _constant(self, node: Any) -> None:
        name = node.output[0]
        value = attribute(node, "value")
        if value is not None:
            self._store(value, name)
            return
        for key in ("value_int", "value_ints", "value_float", "value_floats"):
            if attribute(node, key) is not None:
                dtype = np.int64 if "int" in key else np.float32
                self._known[name] = np.asarray(attribute(node, key), dtype)

    def _unknown(self, call: Call, occurrence: Occurrence) -> Sequence[Operand | None]:
        outputs = [self._inferred_tensor(name, occurrence) for name in call.node.output if name]
        inputs = [self.operand(name) for name in call.node.input if name]
        return self.emit.placeholder(
            occurrence, outputs, sorted(inputs, key=lambda x: isinstance(x, Stored))
        )

    def _inferred_tensor(self, name: str, occurrence: Occurrence) -> Tensor:
        """Return the shape that ONNX itself gives for the output of an unknown operator."""
        if self._inferred is None:
            self._inferred = _inferred_shapes(self.model)
        if name not in self._inferred:
            raise UnknownOperatorError(
                f"{self.path}: {occurrence.label} at {occurrence.where} is unknown, and so is the "
                "shape that it makes: nothing can stand in for it"
            )
        return self._inferred[name]


def _inferred_shapes(model: Any) -> dict[str, Tensor]:
    import onnx

    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:  # it is a help only
        return {}
    found = {}
    for entry in (*model.graph.value_info, *model.graph.output):
        kind = entry.type.tensor_type
        sizes = tuple(size.dim_value for size in kind.shape.dim)
        if kind.HasField("shape") and all(size > 0 for size in sizes):
            try:
                found[entry.name] = Tensor(sizes, dtype_of(kind.elem_type, entry.name))
            except CostModelError:
                continue
    return found


def _key(node: Any) -> str:
    """Return the name under which the handler of a node is filed."""
    return str(node.op_type) if node.domain in _DOMAINS else f"{node.domain}.{node.op_type}"


def _full_name(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)


def _place(node: Any) -> str:
    return node.name or (node.output[0] if node.output else "a node without name")


def _module(node: Any) -> str:
    """Return the module path that torch's exporters note in metadata or in the name of a node.

    >>> from types import SimpleNamespace as S
    >>> _module(S(metadata_props=[], name="/layer1/layer1.0/conv1/Conv"))
    'layer1.0.conv1'
    """
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            try:
                scopes = ast.literal_eval(entry.value)
                return str(scopes[-2]) if len(scopes) > 1 else ""
            except (ValueError, SyntaxError, IndexError, TypeError):
                return ""
    parts: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        else:
            parts.append(part)
    return ".".join(part for part in parts if part)
