"""Walking over an exported program, one handler an ATen operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import networkx as nx

from costmodel.builder import Value
from costmodel.errors import CostModelError, ShapeError
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.registry import Occurrence, Registry, Unsupported
from costmodel.importers.torch_export.sizes import Axes as Axes
from costmodel.importers.torch_export.sizes import SizeReader
from costmodel.ops import Cast
from costmodel.symbols import Dim, same
from costmodel.tensor import Tensor

Result = Operand | Sequence[Operand | None] | None
"""What a node makes: a tensor, several (None where we do not follow one), or none."""


def packet_name(target: Any) -> str:
    """Return the name of an operator overload without overload and in-place underscore."""
    name = str(target).removeprefix("aten.").rsplit(".", 1)[0]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


class Call:
    """One node of the exported program: its arguments by name, and what it makes.

    Parameters
    ----------
    walk : Walk
        The walk.
    node : torch.fx.Node
        The node.
    """

    def __init__(self, walk: Walk, node: Any) -> None:
        self.walk = walk
        self.emit = walk.emit
        self.node = node
        schema = node.target._schema.arguments
        self._arguments = {a.name: a.default_value for a in schema if a.has_default_value()}
        self._arguments |= {a.name: value for a, value in zip(schema, node.args, strict=False)}
        self._arguments |= node.kwargs

    def __contains__(self, name: str) -> bool:
        return self._arguments.get(name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument that is no tensor as it is."""
        value = self._arguments.get(name)
        return default if value is None else value

    def operand(self, *names: str) -> Operand:
        """Return the tensor of the first of ``names`` that the operator has."""
        value = self.optional(*names)
        if value is None:
            raise Unsupported(f"argument {names[0]} is no tensor")
        return value

    def optional(self, *names: str) -> Operand | None:
        """Return the tensor of the first of ``names`` that is given, or None."""
        for name in names:
            if _is_node(self._arguments.get(name)):
                found = self.walk.operand(self._arguments[name])
                if found is not None:
                    return found
        return None

    def operands(self, name: str) -> list[Operand]:
        """Return a list of tensors."""
        found = [self.walk.operand(node) for node in self._arguments[name]]
        return [x for x in found if x is not None]

    def size(self, name: str, default: Any = None) -> Dim:
        """Return an argument that is a size."""
        return self.walk.size(self.get(name, default))

    def sizes(self, name: str, rank: int = 0) -> tuple[Dim, ...]:
        """Return an argument that is a list of sizes; a single one stands for all ``rank``."""
        value = self.get(name, ())
        value = (value,) if not isinstance(value, list | tuple) else value
        sizes = tuple(self.walk.size(v) for v in value)
        return sizes * rank if len(sizes) == 1 and rank > 1 else sizes

    @property
    def output(self) -> Tensor:
        """Shape and dtype of the first output, according to torch."""
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Shapes and dtypes of all outputs, according to torch."""
        return tuple(self.walk.tensor(meta) for meta in self.metas)

    @property
    def metas(self) -> list[Any]:
        """The fake tensors that torch made."""
        value = self.node.meta.get("val")
        return [v for v in (value if isinstance(value, list | tuple) else [value]) if _is_tensor(v)]

    def meta_of(self, name: str) -> Any:
        """Return the fake tensor of an argument."""
        return self._arguments[name].meta["val"]

    def is_used(self, output: int) -> bool:
        """Say whether anything takes output ``output`` of several."""
        return any(user.args[1] == output for user in self.node.users)

    def is_view(self, of: str) -> bool:
        """Say whether the first output shares the storage of argument ``of``."""
        ours, theirs = self.metas[0], self.meta_of(of)
        return bool(ours.untyped_storage()._cdata == theirs.untyped_storage()._cdata)


ATEN: Registry[Callable[[Call], Result]] = Registry("ATen")
"""Handlers by ATen name without overload; ``relu`` also serves the in-place ``relu_``."""


class Walk:
    """Imports an exported program node by node.

    Parameters
    ----------
    name : str
        Name of the network.
    sizes : SizeReader
        Turns torch's sizes into ours.
    first_names : dict
        For every name of a parameter, the first name of the same tensor.
    """

    def __init__(self, name: str, sizes: SizeReader, first_names: dict[str, str]) -> None:
        self.emit = Emitter(name)
        self.sizes = sizes
        self.graph: nx.DiGraph | None = None
        self._first_names = first_names
        self._values: dict[Any, Result] = {}

    def run(self, program: Any) -> None:
        """Import ``program``; the result is in ``graph``."""
        signature = program.graph_signature
        stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        stored |= signature.inputs_to_lifted_tensor_constants
        user_inputs = list(signature.user_inputs)
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = self._placeholder(node, stored, user_inputs, signature)
        outputs = self._body(program.graph_module)
        wanted = set(signature.user_outputs)
        self.graph = self.emit.finish(
            [x for node in outputs if node.name in wanted and (x := self.operand(node)) is not None]
        )

    def operand(self, node: Any) -> Operand | None:
        """Return what a node of the program stands for."""
        value = self._values.get(node)
        return value if isinstance(value, Value | Stored) else None

    def size(self, value: Any) -> Dim:
        """Return a size that is an int, a SymInt or a node that computes one."""
        return self.sizes.read(value.meta["val"] if _is_node(value) else value)

    def tensor(self, meta: Any) -> Tensor:
        """Return shape and dtype of a fake tensor."""
        return Tensor(self.sizes.shape(meta.shape), dtype_name(meta.dtype))

    def _placeholder(
        self, node: Any, stored: dict[str, str], user_inputs: list[Any], signature: Any
    ) -> Operand | None:
        meta = node.meta.get("val")
        if not _is_tensor(meta):
            return None
        if node.name in stored:
            name = stored[node.name]
            name = self._first_names.get(name, name)
            learned = node.name in signature.inputs_to_parameters
            return Stored(name, self.tensor(meta), learned)
        number = user_inputs.index(node.name)
        shape = self.sizes.bind_input(number, meta.shape)
        return self.emit.input(shape, dtype_name(meta.dtype), node.name)

    def _body(self, module: Any) -> list[Any]:
        """Import the nodes of one (sub)graph and return the nodes of its outputs."""
        for node in module.graph.nodes:
            if node.op == "output":
                return [n for n in node.args[0] if _is_node(n)]
            if node.op == "get_attr":
                self._values[node] = self._attribute(module, node)
            elif node.op == "call_function":
                self._values[node] = self._call(module, node)
        return []

    def _attribute(self, module: Any, node: Any) -> Result:
        value = getattr(module, node.target, None)
        if not _is_tensor(value):
            return None
        return Stored(node.target, self.tensor(value), learned=False)

    def _call(self, module: Any, node: Any) -> Result:
        if not hasattr(node.target, "_schema"):
            return self._plain_function(module, node)
        call, name = Call(self, node), packet_name(node.target)
        path = _module_path(node)
        with self.emit.module(path):
            try:
                if name not in ATEN:
                    raise Unsupported("")
                result = ATEN[name](call)
                self.emit.count()
                return self._checked(call, result)
            except Unsupported as reason:
                place = f"{path}/{node.name}" if path else node.name
                occurrence = Occurrence(_foreign(node.target), place, str(reason))
                return self._unknown(call, occurrence)
            except CostModelError as error:
                raise type(error)(f"{_foreign(node.target)} at {path}/{node.name}: {error}") from None

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
        if _is_tensor(node.meta.get("val")):
            place = Occurrence(name, node.name)
            tensor = self.tensor(node.meta["val"])
            return self.emit.placeholder(place, [tensor], self._inputs(node))[0]
        return None  # arithmetic on sizes, which are read where they are used

    def _unknown(self, call: Call, occurrence: Occurrence) -> Result:
        try:
            outputs = call.outputs
        except (CostModelError, Unsupported):
            raise CostModelError(
                f"{occurrence.label} at {occurrence.where} makes a tensor whose size depends on data"
            ) from None
        made = self.emit.placeholder(occurrence, outputs, self._inputs(call.node))
        single = not isinstance(call.node.meta.get("val"), list | tuple)
        return made[0] if single and made else made

    def _inputs(self, node: Any) -> list[Operand]:
        found = [self.operand(n) for n in node.all_input_nodes]
        return sorted((x for x in found if x), key=lambda x: isinstance(x, Stored))

    def _checked(self, call: Call, result: Result) -> Result:
        """Compare the shapes of ``result`` to torch's; a dtype that torch changes is cast."""
        if _is_several(result):
            pairs = zip(result, call.metas, strict=False)
            return [x if x is None else self._check(x, meta) for x, meta in pairs]
        if result is None or not call.metas:
            return result
        return self._check(result, call.metas[0])

    def _check(self, x: Operand, meta: Any) -> Operand:
        self.sizes.learn(meta.shape, x.shape)
        right = self.sizes.shape(meta.shape)
        if len(right) != len(x.shape) or not all(map(same, right, x.shape)):
            raise ShapeError(f"counted shape {x.shape}, torch makes {right}")
        dtype = dtype_name(meta.dtype)
        return x if x.tensor.dtype == dtype else self.emit.add(Cast(dtype), x)


def dtype_name(dtype: Any) -> str:
    """Return ``torch.float32`` as ``float32``.

    Raises
    ------
    Unsupported
        If costmodel has no such dtype (complex numbers).
    """
    name = str(dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return "float8"
    if name.startswith(("complex", "q", "bits")):
        raise Unsupported(f"dtype {name}")
    return name


def _module_path(node: Any) -> str:
    """Return the dotted path of the innermost module, calls of shared modules not told apart."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]) if stack else ""
    return ".".join(part.split("@")[0] for part in path.split(".") if part)


def _foreign(target: Any) -> str:
    return str(target)


def _is_several(value: object) -> TypeGuard[Sequence[Operand | None]]:
    return isinstance(value, list | tuple) and not isinstance(value, Value)


def _is_node(value: Any) -> bool:
    return hasattr(value, "all_input_nodes")


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "untyped_storage")
