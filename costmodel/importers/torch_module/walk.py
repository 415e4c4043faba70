"""Traversal of an exported program, with one handler per ATen operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import networkx as nx

from costmodel.algebra.symbols import Dim, same
from costmodel.errors import CostModelError, ShapeError, UnknownOperatorError
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.registry import Occurrence, UnsupportedFormError
from costmodel.importers.torch_module.aliases import MERGE
from costmodel.importers.torch_module.call import (
    ATEN,
    Call,
    Result,
    dtype_name,
    is_node,
    is_tensor,
    packet_name,
)
from costmodel.importers.torch_module.places import module_path, place_of, takes_functions
from costmodel.importers.torch_module.program import Made, Node, Program
from costmodel.importers.torch_module.sizes import SizeReader
from costmodel.ops import Cast, Merge
from costmodel.ops.tensor import Tensor


class Walk:
    """Imports a program node by node: a recorded one, or one of ``torch.export``.

    Parameters
    ----------
    name : str
        Name of the network.
    sizes : SizeReader
        Turns torch's sizes into ours.
    """

    def __init__(self, name: str, sizes: SizeReader) -> None:
        self.emit = Emitter(name)
        self.sizes = sizes
        self.graph: nx.DiGraph | None = None
        self._values: dict[Any, Result] = {}

    def run(self, program: Program) -> None:
        """Import a recorded program; the result is in ``graph``."""
        for made in program.inputs:
            tensor = self.tensor(made.meta["val"])
            self._values[made] = self.emit.input(tensor.shape, tensor.dtype, made.name)
        for node in program.nodes:
            result = self._merged(node) if node.target == MERGE else self._operator(node)
            for i, out in enumerate(node.outputs):
                if out is not None:
                    self._values[out] = result[i] if _is_several(result) else result
        outputs = [self.operand(made) for made in program.outputs]
        self.graph = self.emit.finish([x for x in outputs if x is not None])

    def run_exported(
        self, program: Any, first_names: Mapping[str, str], inputs: Sequence[str]
    ) -> None:
        """Import a program of ``torch.export``; the result is in ``graph``.

        Parameters
        ----------
        program : torch.export.ExportedProgram
            The program.
        first_names : mapping
            For every name of a parameter the first name of the same tensor.
        inputs : sequence of str
            The names of its inputs.
        """
        signature = program.graph_signature
        stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        stored |= signature.inputs_to_lifted_tensor_constants
        stored = {key: first_names.get(name, name) for key, name in stored.items()}
        given = dict(zip(signature.user_inputs, enumerate(inputs), strict=False))
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = self._placeholder(node, stored, given, program)
        outputs = self._body(program.graph_module)
        wanted = set(signature.user_outputs)
        self.graph = self.emit.finish(
            [x for node in outputs if node.name in wanted and (x := self.operand(node)) is not None]
        )

    def operand(self, node: Any) -> Operand | None:
        """Return the value of a node of the program."""
        value = self._values.get(node)
        if value is None and isinstance(node, Made) and node.node is None:
            # A stored tensor that is met for the first time.
            tensor = self.tensor(node.meta["val"])
            value = Stored(node.name, tensor, node.learned, node.trainable)
            self._values[node] = value
        return value if isinstance(value, Value | Stored) else None

    def size(self, value: Any) -> Dim:
        """Return a size that is an int, a SymInt or a node that computes one."""
        if type(value) is int:
            return value
        return self.sizes.read(value.meta["val"] if is_node(value) else value)

    def tensor(self, meta: Any) -> Tensor:
        """Return shape and dtype of a fake tensor."""
        return Tensor.inferred(self.sizes.shape(meta.shape), dtype_name(meta.dtype))

    def _merged(self, node: Node) -> Operand:
        """Return a tensor of which a part was written in place."""
        whole, part = (self.operand(made) for made in node.args)
        assert whole is not None
        assert part is not None
        with self.emit.module(node.module):
            return self.emit.add(Merge(), whole, part)

    def _placeholder(
        self, node: Any, stored: dict[str, str], given: dict[str, tuple[int, str]], program: Any
    ) -> Operand | None:
        meta = node.meta.get("val")
        if not is_tensor(meta):
            return None
        if node.name in stored:
            name = program.graph_signature.inputs_to_parameters.get(node.name)
            trainable = None if name is None else bool(program.state_dict[name].requires_grad)
            return Stored(stored[node.name], self.tensor(meta), name is not None, trainable)
        if node.name not in given:
            return None  # an ordering token of effects such as checks, without a value
        number, name = given[node.name]
        shape = self.sizes.bind_input(number, meta.shape)
        return self.emit.input(shape, dtype_name(meta.dtype), name)

    def _body(self, module: Any) -> list[Any]:
        """Import the nodes of one (sub)graph and return the nodes of its outputs."""
        for node in module.graph.nodes:
            if node.op == "output":
                return [n for n in node.args[0] if is_node(n)]
            if node.op == "get_attr":
                self._values[node] = self._attribute(module, node)
            elif node.op == "call_function":
                self._values[node] = self._call(module, node)
        return []

    def _attribute(self, module: Any, node: Any) -> Result:
        value = getattr(module, node.target, None)
        if not is_tensor(value):
            return None
        return Stored(node.target, self.tensor(value), learned=False)

    def _call(self, module: Any, node: Any) -> Result:
        if not hasattr(node.target, "_schema"):
            return self._plain_function(module, node)
        return self._operator(node)

    def _operator(self, node: Any) -> Result:
        if not hasattr(node.target, "_schema") and packet_name(node.target) not in ATEN:
            # It runs functions that are not recorded.
            tensors = [self.tensor(out.meta["val"]) for out in node.outputs]
            occurrence = Occurrence(str(node.target), place_of(node))
            return self.emit.placeholder(occurrence, tensors, self._inputs(node), bounded=False)
        call, name = Call(self, node), packet_name(node.target)
        path = module_path(node)
        with self.emit.module(path):
            try:
                if name not in ATEN:
                    raise UnsupportedFormError("")
                result = ATEN[name](call)
                return self._checked(call, result)
            except UnsupportedFormError as reason:
                occurrence = Occurrence(str(node.target), place_of(node), str(reason))
                return self._unknown(call, occurrence)
            except CostModelError as error:
                raise type(error)(f"{node.target!s} at {path}/{node.name}: {error}") from None

    def _plain_function(self, module: Any, node: Any) -> Result:
        name = getattr(node.target, "__name__", str(node.target))
        if name == "getitem":
            value = self._values.get(node.args[0])
            return value[node.args[1]] if _is_several(value) else None
        if name.startswith("wrap_with_"):
            # A block under no_grad or autocast: a body and its arguments, after some settings.
            first = next(i for i, a in enumerate(node.args) if getattr(a, "op", "") == "get_attr")
            body = getattr(module, node.args[first].target)
            inner = [n for n in body.graph.nodes if n.op == "placeholder"]
            for placeholder, given in zip(inner, node.args[first + 1 :], strict=True):
                self._values[placeholder] = self._values.get(given)
            return [self.operand(n) for n in self._body(body)]
        metas = node.meta.get("val")
        if takes_functions(node):
            tensors = [self.tensor(m) for m in _several(metas) if is_tensor(m)]
            place = Occurrence(name, node.name)
            return self.emit.placeholder(place, tensors, self._inputs(node), bounded=False)
        if is_tensor(metas):
            place = Occurrence(name, node.name)
            tensor = self.tensor(node.meta["val"])
            return self.emit.placeholder(place, [tensor], self._inputs(node))[0]
        return None  # arithmetic on sizes, which are read where they are used

    def _unknown(self, call: Call, occurrence: Occurrence) -> Result:
        try:
            outputs = call.outputs
        except (CostModelError, UnsupportedFormError):
            raise UnknownOperatorError(
                f"{occurrence.label} at {occurrence.where} is unknown and the size of what it "
                "makes depends on data: nothing can stand in for it"
            ) from None
        made = self.emit.placeholder(occurrence, outputs, self._inputs(call.node))
        return made[0] if len(made) == 1 and _is_single(call.node) else made

    def _inputs(self, node: Any) -> list[Operand]:
        found = [self.operand(n) for n in node.all_input_nodes]
        return sorted((x for x in found if x), key=lambda x: isinstance(x, Stored))

    def _checked(self, call: Call, result: Result) -> Result:
        """Compare the shapes of ``result`` to torch's; a dtype that torch changes is cast."""
        if _is_several(result):
            pairs = zip(result, call.metas, strict=False)
            return [x if x is None else self._check(x, meta) for x, meta in pairs]
        if isinstance(result, Value | Stored) and call.metas:
            return self._check(result, call.metas[0])
        return result

    def _check(self, x: Operand, meta: Any) -> Operand:
        self.sizes.learn(meta.shape, x.shape)
        right = self.sizes.shape(meta.shape)
        if len(right) != len(x.shape) or not all(map(same, right, x.shape)):
            raise ShapeError(f"counted shape {x.shape}, torch makes {right}")
        dtype = dtype_name(meta.dtype)
        return x if x.tensor.dtype == dtype else self.emit.add(Cast(dtype), x)


def _is_single(node: Any) -> bool:
    """Return whether an operator returns a tensor and not a list of tensors."""
    return isinstance(node, Node) or not isinstance(node.meta.get("val"), list | tuple)


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _is_several(value: object) -> TypeGuard[Sequence[Operand | None]]:
    return isinstance(value, list | tuple) and not isinstance(value, Value)
