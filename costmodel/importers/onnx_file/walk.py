"""Traversal of an ONNX graph or body, with one handler per operator type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from costmodel.errors import CostModelError, DataError, GraphError, UnknownOperatorError
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import (
    DECLARED,
    HANDLERS,
    Call,
    DependsOnDataError,
    Items,
    Made,
    Result,
)
from costmodel.importers.onnx_file.folds import FOLDS, fold, shape_array, symbols_among
from costmodel.importers.onnx_file.folds.arithmetic import ARITHMETIC
from costmodel.importers.onnx_file.functions import call_attributes, resolved, standard_function
from costmodel.importers.onnx_file.load import (
    attribute,
)
from costmodel.importers.onnx_file.names import full_name, module_of, place, shown
from costmodel.importers.onnx_file.operators import key_of
from costmodel.importers.onnx_file.quantized import Quantized
from costmodel.importers.onnx_file.scope import Scope
from costmodel.importers.onnx_file.session import Session
from costmodel.importers.registry import Occurrence, UnsupportedFormError
from costmodel.ops import Cast
from costmodel.ops.tensor import Tensor

_PROGRAMS = ("If", "Loop", "Scan", "SequenceMap")
"""Operators that run a nested program."""
_MOST_SLOTS = 4096
"""Maximum number of inputs and of outputs of a node. [tensor]"""


class Walk(Scope):
    """Imports the nodes of a graph, body or function.

    Parameters
    ----------
    session : Session
        The state shared by the traversals of one file.
    nodes : sequence of NodeProto
        The nodes, in order.
    outputs : sequence of str
        The names of its outputs.
    outer : Scope, optional
        The traversal of the enclosing graph, whose tensors are known inside.
    depth : int
        Number of enclosing bodies and functions.
    module : str
        The module path of nodes that have none of their own.
    versions : mapping, optional
        Versions of the operators by domain, if other than the file's.
    """

    def __init__(
        self,
        session: Session,
        nodes: Sequence[Any],
        outputs: Sequence[str],
        outer: Scope | None = None,
        depth: int = 0,
        module: str = "",
        versions: dict[str, int] | None = None,
    ) -> None:
        super().__init__(session, nodes, outputs, outer, depth, versions)
        self._module = module
        self._merged: dict[int, str] = {}
        self._skipped: set[int] = set()
        self._kept: dict[int, tuple[Operand, ...]] = {}
        self._done: set[str] = set()
        self._quantized = Quantized(self._nodes, self._takers, set(outputs))

    def body(self, graph: Any) -> GraphBody:
        """Return the body of a loop or branch, not yet walked over."""
        return GraphBody(graph, self, self._depth + 1, self._module)

    def merge(self, node: Any, name: str) -> None:
        """Merge ``node`` into the node that makes tensor ``name``; it has the same results."""
        self._merged[id(node)] = name

    def skip(self, node: Any) -> None:
        """Mark ``node`` as merged into a later one."""
        self._skipped.add(id(node))

    def keep_for(self, node: Any, operands: tuple[Operand, ...]) -> None:
        """Keep tensors for a node that comes later."""
        self._kept[id(node)] = operands

    def kept_for(self, node: Any) -> tuple[Operand, ...] | None:
        """Return the tensors that are kept for ``node``, or None."""
        return self._kept.get(id(node))

    # Node by node.

    def run(self) -> None:
        """Import the nodes, one after the other."""
        for node in self._nodes:
            self.session.step()
            self._node(node)

    def _node(self, node: Any) -> None:
        where = f"{self.session.path}, {full_name(node)} {place(node)!r}"
        if max(len(node.input), len(node.output)) > _MOST_SLOTS:
            raise DataError(f"{where}: more than {_MOST_SLOTS} inputs or outputs")
        for name in node.output:
            if name and (name in self._done or (name in self._made and self._depth == 0)):
                raise DataError(f"{where}: tensor {shown(name)!r} is made twice")
            self._done.add(name)
        module = self._module
        self._module = module_of(node) or module
        try:
            with self.emit.module(self._module):
                self._import(node)
        except UnknownOperatorError:
            raise
        except CostModelError as error:
            # Errors of a body already have a location.
            text = str(error)
            prefix = "" if text.startswith(str(self.session.path)) else f"{where}: "
            raise _same_kind(error)(f"{prefix}{text}") from None
        except MemoryError:
            raise
        except Exception:  # any fault of a file becomes one sentence that names the node
            raise DataError(f"{where}: its attributes do not fit its inputs") from None
        finally:
            self._module = module

    def _import(self, node: Any) -> None:
        if id(node) in self._skipped:
            return
        if id(node) in self._merged:
            self._made[node.output[0]] = self.made(self._merged[id(node)])
            return
        if self._fold(node):
            return
        integers = self._quantized.runs_on_integers(node)
        call = Call(self, node, integers)
        try:
            result = self._result(call)
        except UnsupportedFormError as reason:
            occurrence = Occurrence(full_name(node), place(node), str(reason))
            result = self._stand_ins(call, occurrence)
        made = [result] if isinstance(result, Value | Stored | Items) else result
        for name, x in zip(node.output, made, strict=False):
            if name and x is not None:
                self._made[name] = self._floating(name, x) if integers else x

    def _floating(self, name: str, x: Made) -> Made:
        """Return the result of an integer node: integers only if consumers use them as such."""
        if self._quantized.stays(name) or not isinstance(x, Value):
            return x
        return self.emit.add(Cast("float32"), x) if "int" in x.tensor.dtype else x

    def _result(self, call: Call) -> Result:
        node, key = call.node, key_of(call.node)
        own = self.session.functions.get((node.domain, node.op_type, getattr(node, "overload", "")))
        if own is not None:
            return self._function(call, own)
        if key in HANDLERS:
            try:
                result = HANDLERS[key](call)
            except DependsOnDataError:
                if key not in DECLARED:
                    raise
                shapes = [call.declared(i) for i in range(len(node.output)) if call.makes(i)]
                result = DECLARED[key](call, shapes)
            return result
        inputs = [self.made(name) if name else None for name in node.input]
        standard = standard_function(node, call.version, inputs)
        if standard is None:
            raise UnsupportedFormError("")
        return self._function(call, standard)

    def _function(self, call: Call, function: Any) -> Result:
        """Import the body of a function with the arguments of its call."""
        node = call.node
        nodes = resolved(function.node, call_attributes(function, node))
        versions = {entry.domain: entry.version for entry in function.opset_import}
        inner = Walk(
            self.session,
            nodes,
            function.output,
            None,
            self._depth + 1,
            self._module,
            {**self._versions, **versions},
        )
        for inside, outside in zip(function.input, node.input, strict=False):
            if outside:
                inner.bind(inside, self.made(outside), self.known(outside))
        inner.run()
        for name, inside in zip(node.output, function.output, strict=False):
            if name and inner.known(inside) is not None:
                self._known[name] = inner.known(inside)
        wanted = zip(node.output, function.output, strict=False)
        return [inner.made(inside) if name else None for name, inside in wanted]

    def _fold(self, node: Any) -> bool:
        """Fold a node on shapes and constants only; return whether that was possible."""
        if node.domain not in ("", "ai.onnx"):
            return False
        if node.op_type == "Constant":
            return self.constant(node)
        if node.op_type in ("Shape", "Size"):
            shape = shape_array(self.operand(node.input[0]).shape)
            start, end = attribute(node, "start", 0), attribute(node, "end")
            self._known[node.output[0]] = (
                shape[start:end] if node.op_type == "Shape" else np.asarray(np.prod(shape))
            )
            return True
        if node.op_type not in FOLDS or not node.input or self.session.is_full:
            return False
        inputs = [self.known(name) if name else None for name in node.input]
        if any(x is None for x, name in zip(inputs, node.input, strict=True) if name):
            return False
        if any(self.is_weight(name) for name in node.input):
            return False
        if node.op_type in ARITHMETIC:
            self.session.reckon(symbols_among(inputs))
        values = fold(node, inputs)
        if values is None or not self.session.keep(sum(value.size for value in values)):
            return False
        self._known.update(zip(node.output, values, strict=False))
        return True

    def _stand_ins(self, call: Call, occurrence: Occurrence) -> Sequence[Operand | None]:
        outputs = [self._stated_shape(name, occurrence) for name in call.node.output if name]
        inputs = [self.made(name) for name in call.node.input if name]
        tensors = [x for x in inputs if not isinstance(x, Items)]
        made = iter(
            self.emit.placeholder(
                occurrence,
                outputs,
                sorted(tensors, key=lambda x: isinstance(x, Stored)),
                bounded=call.kind not in _PROGRAMS,
            )
        )
        return [next(made) if name else None for name in call.node.output]

    def _stated_shape(self, name: str, occurrence: Occurrence) -> Tensor:
        """Return the shape of an unknown result, from the file or from ONNX's shape inference."""
        found = self.declared(name)
        if found is None:
            found = self.session.inferred(name) if self._depth == 0 else None
        if found is None:
            raise UnknownOperatorError(
                f"{self.session.path}: {occurrence.label} at {occurrence.where} is not known, "
                "nor is the shape of its result"
            )
        return found


class GraphBody:
    """The body of a loop or branch.

    Parameters
    ----------
    graph : GraphProto
        Its message.
    outer : Walk
        The traversal of the enclosing graph.
    depth : int
        Number of enclosing bodies and functions.
    module : str
        The module path of the enclosing node.
    """

    def __init__(self, graph: Any, outer: Walk, depth: int, module: str) -> None:
        self.inputs = tuple(entry.name for entry in graph.input)
        self.outputs = tuple(entry.name for entry in graph.output)
        self._graph = graph
        self._walk = Walk(outer.session, graph.node, self.outputs, outer, depth, module)

    def bind(self, name: str, made: Made | None, known: Any = None) -> None:
        """Give the body an input: a tensor, a value that is known, or both."""
        self._walk.bind(name, made, known)

    def run(self) -> None:
        """Import the nodes of the body."""
        for message in self._graph.initializer:
            self._walk.store(message, message.name)
        self._walk.run()

    def result(self, name: str) -> tuple[Made | None, Any]:
        """Return the tensor that the body returns under ``name``, and its value if known."""
        return self._walk.made(name), self._walk.known(name)


def _same_kind(error: CostModelError) -> type[CostModelError]:
    return DataError if isinstance(error, DataError) else GraphError
