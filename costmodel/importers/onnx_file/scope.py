"""The tensors and values that the nodes of an ONNX graph or body know by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import Items, Made
from costmodel.importers.onnx_file.load import (
    MAX_FOLDED,
    array_of,
    attribute,
    dtype_of_array,
    stored_tensor,
)
from costmodel.importers.onnx_file.names import shown
from costmodel.importers.onnx_file.session import DEEPEST, Session
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Cast
from costmodel.ops.tensor import Tensor

_SAME_SHAPE = frozenset({"Abs", "Exp", "Identity", "Log", "Neg", "Relu", "Sigmoid", "Sqrt", "Tanh"})
"""Operators whose result has the shape and dtype of their input."""
_FOLLOWED = 8
_NOT_LEARNED = ("int64", "bool")


@dataclass(frozen=True, slots=True)
class _Deferred:
    """A tensor in another type, made on demand."""

    source: str
    dtype: str


class Scope:
    """Tensors and known values by name, and the makers and consumers of each.

    Parameters
    ----------
    session : Session
        The state shared by the traversals of one file.
    nodes : sequence of NodeProto
        The nodes, in order.
    outputs : sequence of str
        The names of its outputs.
    outer : Scope, optional
        The scope of the enclosing graph, whose tensors are known inside.
    depth : int
        Number of enclosing bodies and functions.
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
        versions: dict[str, int] | None = None,
    ) -> None:
        if depth > DEEPEST:
            raise DataError(f"{session.path}: functions or bodies nest deeper than {DEEPEST}")
        self.session = session
        self.emit = session.emit
        # One Python object per node, so that id() identifies it.
        self._nodes = list(nodes)
        self._outer = outer
        self._depth = depth
        self._versions = session.versions if versions is None else versions
        self._made: dict[str, Made | _Deferred] = {}
        self._known: dict[str, Any] = {}
        self._large: dict[str, Any] = {}
        self._makers: dict[str, Any] = {}
        self._takers: dict[str, list[Any]] = {}
        self._uses: Counter[str] = Counter(outputs)
        for node in self._nodes:
            self._makers.update(dict.fromkeys(node.output, node))
            for name in _taken_names(node):
                self._takers.setdefault(name, []).append(node)
                self._uses[name] += 1

    def bind(self, name: str, made: Made | None, known: Any = None) -> None:
        """Give a name its tensor, its known value, or both."""
        if made is not None:
            self._made[name] = made
        if known is not None:
            self._known[name] = known

    def store(self, message: Any, name: str) -> None:
        """Give a name the stored tensor of a message."""
        value = array_of(message)
        if value is not None and self.session.keep(value.size):
            self._known[name] = value
        if value is None:
            self._large[name] = message
        if value is None or value.size > 0:
            tensor = stored_tensor(message)
            self._made[name] = Stored(name, tensor, tensor.dtype not in _NOT_LEARNED)

    def made(self, name: str) -> Made:
        """Return the value called ``name``: a tensor, or a list of tensors."""
        found = self._made.get(name)
        if isinstance(found, _Deferred):
            found = self._made[name] = self.emit.add(Cast(found.dtype), self.operand(found.source))
        if found is None and name in self._known:
            value = self._known[name]
            tensor = Tensor(tuple(value.shape), dtype_of_array(value))
            found = self._made[name] = Stored(name, tensor, learned=False)
        if found is not None:
            return found
        if self._outer is not None:
            return self._outer.made(name)
        raise DataError(f"tensor {shown(name)!r} is used but made by no node before")

    def operand(self, name: str) -> Operand:
        """Return the tensor called ``name``; a known array becomes a constant."""
        found = self.made(name)
        if isinstance(found, Items):
            raise UnsupportedFormError(f"a list of tensors, {shown(name)!r}, for a tensor")
        return found

    def quantized(self, name: str) -> Operand:
        """Return the tensor called ``name`` before its conversion to floating point."""
        found = self._made.get(name)
        return self.operand(found.source if isinstance(found, _Deferred) else name)

    def known(self, name: str) -> Any:
        """Return the value of the tensor called ``name`` if it is known, else None."""
        if name in self._known:
            return self._known[name]
        if name in self._made or self._outer is None:
            return None
        return self._outer.known(name)

    def note_known(self, name: str, value: Any) -> None:
        """Record the value of the tensor called ``name``."""
        self._known[name] = value

    def defer(self, name: str, source: str, dtype: str) -> None:
        """Register ``name`` as ``source`` in the type ``dtype``, converted on demand."""
        self._made[name] = _Deferred(source, dtype)

    def is_stored(self, name: str) -> bool:
        """Return whether the tensor called ``name`` is stored in the file."""
        return isinstance(self._peek(name), Stored)

    def is_learned(self, name: str) -> bool:
        """Return whether tensor ``name`` stems from the network and not from the exporter."""
        found = self._peek(name)
        return isinstance(found, Stored) and found.key in self.session.learned

    def _peek(self, name: str) -> Made | _Deferred | None:
        if name in self._made or name in self._known or self._outer is None:
            return self._made.get(name)
        return self._outer._peek(name)

    def only_taker(self, name: str) -> Any:
        """Return the only consumer of the tensor called ``name``, or None."""
        return self._takers[name][0] if self._uses[name] == 1 and name in self._takers else None

    def first_taker(self, name: str) -> Any:
        """Return the first consumer of the tensor called ``name``, or None."""
        return self._takers[name][0] if name in self._takers else None

    def maker(self, name: str) -> Any:
        """Return the node that makes the tensor called ``name``, or None."""
        return self._makers.get(name)

    def is_used(self, name: str) -> bool:
        """Return whether tensor ``name`` is used by a node or is an output of the network."""
        return self._uses[name] > 0

    def mask(self, name: str) -> Any:
        """Return the values of a mask, which may be large, if they are known, else None."""
        found = self.known(name)
        message = self._large.get(name)
        return array_of(message, MAX_FOLDED) if found is None and message is not None else found

    def note_mask(self, causal: bool) -> None:
        """Record whether an attention with a mask counts the triangle or the square."""
        self.session.masks[causal] += 1

    def declared(self, name: str) -> Tensor | None:
        """Return the type that the file states for tensor ``name``, or None."""
        if self._depth:
            return None
        found = self.session.stated(name)
        for _ in range(_FOLLOWED):
            taker = self.only_taker(name)
            if found is not None or taker is None or taker.op_type not in _SAME_SHAPE:
                break
            name = taker.output[0]
            found = self.session.stated(name)
        return found

    def new_size(self, name: str) -> Dim:
        """Return a symbol for a data-dependent size, named after ``name``."""
        return self.session.new_size(name)

    def version(self, domain: str) -> int:
        """Return the version of the operators of ``domain``."""
        return self._versions.get("" if domain == "ai.onnx" else domain, 1)

    def is_weight(self, name: str) -> bool:
        """Return whether a stored tensor is learned: several numbers that are not integers."""
        found = self._peek(name)
        return isinstance(found, Stored) and found.learned and found.tensor.elements != 1

    def constant(self, node: Any) -> bool:
        """Bind the value of a Constant node; return True."""
        name = node.output[0]
        value, sparse = attribute(node, "value"), attribute(node, "sparse_value")
        if value is not None:
            self.store(value, name)
            return True
        if sparse is not None:
            dense = stored_tensor(sparse.values)
            self._made[name] = Stored(name, Tensor(tuple(sparse.dims), dense.dtype), learned=True)
            return True
        for key in ("value_int", "value_ints", "value_float", "value_floats"):
            if attribute(node, key) is not None:
                dtype = np.int64 if "int" in key else np.float32
                self._known[name] = np.asarray(attribute(node, key), dtype)
                return True
        raise DataError("a constant needs a value of numbers")


def _taken_names(node: Any) -> list[str]:
    """Return the input names of a node, including those that its bodies use from outside."""
    names = list(node.input)
    for entry in node.attribute:
        if entry.type == 5:
            for inner in entry.g.node:
                names += _taken_names(inner)
            names += [output.name for output in entry.g.output]
    return names
