"""One node of an exported program, as the handlers see it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, TypeAlias

from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Emitter, Operand
from costmodel.importers.registry import Registry, UnsupportedFormError
from costmodel.importers.torch_module.program import Node
from costmodel.ops.tensor import DTYPE_BYTES, Tensor

Result: TypeAlias = Operand | Sequence[Operand | None] | None
"""The result of a node: a tensor, several (None for untracked ones), or none."""


class Tensors(Protocol):
    """The tensors and sizes of the program: all that a handler may ask of the walk over it."""

    emit: Emitter

    def operand(self, node: Any) -> Operand | None:
        """Return the value of a node of the program."""

    def size(self, value: Any) -> Dim:
        """Return a size that is an int, a SymInt or a node that computes one."""

    def tensor(self, meta: Any) -> Tensor:
        """Return shape and dtype of a fake tensor."""


class Call:
    """One node of the exported program: its arguments by name, and its results.

    Parameters
    ----------
    walk : Tensors
        The walk over the program.
    node : torch.fx.Node
        The node.
    """

    def __init__(self, walk: Tensors, node: Any) -> None:
        self.walk = walk
        self.emit = walk.emit
        self.node = node
        if hasattr(node.target, "_schema"):
            schema = node.target._schema.arguments
            self._arguments = {a.name: a.default_value for a in schema if a.has_default_value()}
            names = [a.name for a in schema]
        else:  # it takes functions
            self._arguments = {}
            names = list(inspect.signature(type(node.target).__call__).parameters)[1:]
        self._arguments |= dict(zip(names, node.args, strict=False))
        self._arguments |= node.kwargs

    def __contains__(self, name: str) -> bool:
        return self._arguments.get(name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument that is not a tensor as it is."""
        value = self._arguments.get(name)
        return default if value is None else value

    def operand(self, *names: str) -> Operand:
        """Return the tensor of the first of ``names`` that the operator has."""
        value = self.optional(*names)
        if value is None:
            raise UnsupportedFormError(f"argument {names[0]} is not a tensor")
        return value

    def optional(self, *names: str) -> Operand | None:
        """Return the tensor of the first of ``names`` that is given, or None."""
        for name in names:
            if is_node(self._arguments.get(name)):
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
        if isinstance(self.node, Node):
            return [made.meta["val"] for made in self.node.outputs if made is not None]
        value = self.node.meta.get("val")
        return [v for v in (value if isinstance(value, list | tuple) else [value]) if is_tensor(v)]

    def meta_of(self, name: str) -> Any:
        """Return the fake tensor of an argument."""
        return self._arguments[name].meta["val"]

    def is_used(self, output: int) -> bool:
        """Return whether output ``output`` of several has a consumer."""
        if isinstance(self.node, Node):
            return self.node.is_used(output)
        return any(user.args[1] == output and user.users for user in self.node.users)

    def is_view(self, of: str) -> bool:
        """Return whether the first output shares the storage of argument ``of``."""
        ours, theirs = self.metas[0], self.meta_of(of)
        return bool(ours.untyped_storage()._cdata == theirs.untyped_storage()._cdata)


ATEN: Registry[Callable[[Call], Result]] = Registry("ATen")
"""Handlers by ATen name without overload; ``relu`` also serves the in-place ``relu_``."""


DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
"""Operators without effect at inference."""


@cache
def packet_name(target: Any) -> str:
    """Return the name of an operator overload without overload and in-place underscore."""
    name = str(target).removeprefix("aten.").rsplit(".", 1)[0]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def dtype_name(dtype: Any) -> str:
    """Return ``torch.float32`` as ``float32``.

    Raises
    ------
    UnsupportedFormError
        If costmodel has no such dtype (quantized numbers, complex halves).
    """
    name = str(dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return "float8"
    if name not in DTYPE_BYTES:
        raise UnsupportedFormError(f"dtype {name}")
    return name


def is_node(value: Any) -> bool:
    """Return whether ``value`` is a node of the program."""
    return hasattr(value, "all_input_nodes")


def is_tensor(value: Any) -> bool:
    """Return whether ``value`` is a (fake) tensor."""
    return hasattr(value, "untyped_storage")
