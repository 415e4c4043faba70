"""One node of an ONNX file, for the handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError, ShapeError
from costmodel.importers.emitter import Emitter, Operand
from costmodel.importers.onnx_file.load import attribute
from costmodel.importers.registry import Registry, UnsupportedFormError
from costmodel.ops.tensor import Tensor

MOST_AXES = 64
"""Maximum number of axes of a tensor."""


class DependsOnDataError(UnsupportedFormError):
    """Raised where a shape depends on numbers that only a run of the network computes."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of tensors (a sequence of ONNX), or an absent optional tensor.

    Parameters
    ----------
    tensors : tuple of Operand
        The tensors.
    optional : bool
        Whether it represents an empty optional value.
    """

    tensors: tuple[Operand, ...]
    optional: bool = False


Made: TypeAlias = "Operand | Items"
"""The value of one output of a node."""
Result: TypeAlias = "Made | Sequence[Made | None]"


class Tensors(Protocol):
    """The tensors of a graph or body: the interface of the traversal for handlers."""

    emit: Emitter

    def operand(self, name: str) -> Operand:
        """Return the tensor called ``name``; a known array becomes a constant."""

    def quantized(self, name: str) -> Operand:
        """Return the tensor called ``name`` before its conversion to floating point."""

    def made(self, name: str) -> Made:
        """Return the value called ``name``: a tensor, or a list of tensors."""

    def known(self, name: str) -> Any:
        """Return the value of the tensor called ``name`` if it is known, else None."""

    def note_known(self, name: str, value: Any) -> None:
        """Record the value of the tensor called ``name``."""

    def defer(self, name: str, source: str, dtype: str) -> None:
        """Register ``name`` as ``source`` in the type ``dtype``, converted on demand."""

    def is_stored(self, name: str) -> bool:
        """Return whether the tensor called ``name`` is stored in the file."""

    def is_learned(self, name: str) -> bool:
        """Return whether tensor ``name`` stems from the network and not from the exporter."""

    def only_taker(self, name: str) -> Any:
        """Return the only consumer of the tensor called ``name``, or None."""

    def first_taker(self, name: str) -> Any:
        """Return the first consumer of the tensor called ``name``, or None."""

    def maker(self, name: str) -> Any:
        """Return the node that makes the tensor called ``name``, or None."""

    def is_used(self, name: str) -> bool:
        """Return whether tensor ``name`` is used by a node or is an output of the network."""

    def merge(self, node: Any, name: str) -> None:
        """Merge ``node`` into the node that makes tensor ``name``; it has the same results."""

    def skip(self, node: Any) -> None:
        """Mark ``node`` as merged into a later one."""

    def keep_for(self, node: Any, operands: tuple[Operand, ...]) -> None:
        """Keep tensors for a node that comes later."""

    def kept_for(self, node: Any) -> tuple[Operand, ...] | None:
        """Return the tensors that are kept for ``node``, or None."""

    def mask(self, name: str) -> Any:
        """Return the values of a mask, which may be large, if they are known, else None."""

    def note_mask(self, causal: bool) -> None:
        """Record whether an attention with a mask counts the triangle or the square."""

    def declared(self, name: str) -> Tensor | None:
        """Return the type that the file states for tensor ``name``, or None."""

    def new_size(self, name: str) -> Dim:
        """Return a symbol for a data-dependent size, named after ``name``."""

    def version(self, domain: str) -> int:
        """Return the version of the operators of ``domain``."""

    def body(self, graph: Any) -> Body:
        """Return the body of a loop or branch, not yet walked over."""


class Body(Protocol):
    """The body of a loop or branch."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def bind(self, name: str, made: Made | None, known: Any = None) -> None:
        """Give the body an input: a tensor, a value that is known, or both."""

    def run(self) -> None:
        """Import the nodes of the body."""

    def result(self, name: str) -> tuple[Made | None, Any]:
        """Return the tensor that the body returns under ``name``, and its value if known."""


class Call:
    """One node of the file: its inputs, attributes and results.

    Parameters
    ----------
    walk : Tensors
        The tensors of the graph.
    node : NodeProto
        The node.
    quantized : bool
        Whether it runs on the integers before its dequantized inputs.
    """

    def __init__(self, walk: Tensors, node: Any, quantized: bool = False) -> None:
        self.walk = walk
        self.emit = walk.emit
        self.node = node
        self.kind = str(node.op_type)
        self._quantized = quantized

    @property
    def version(self) -> int:
        """The version of the operators of this node's domain."""
        return self.walk.version(self.node.domain)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return attribute(self.node, name, default)

    def has(self, slot: int) -> bool:
        """Return whether input ``slot`` is given."""
        return slot < len(self.node.input) and bool(self.node.input[slot])

    def makes(self, output: int) -> bool:
        """Return whether output ``output`` is named and used."""
        names = self.node.output
        return output < len(names) and bool(names[output]) and self.walk.is_used(names[output])

    def operand(self, slot: int = 0) -> Operand:
        """Return the tensor of input ``slot``."""
        if not self.has(slot):
            raise DataError(f"its input {slot} is missing")
        return self._tensor(self.node.input[slot])

    def optional(self, slot: int) -> Operand | None:
        """Return the tensor of input ``slot``, or None where it is not given."""
        return self.operand(slot) if self.has(slot) else None

    def operands(self) -> list[Operand]:
        """Return all input tensors, at least one."""
        found = [self._tensor(name) for name in self.node.input if name]
        if not found:
            raise DataError("it has no inputs")
        return found

    def _tensor(self, name: str) -> Operand:
        return self.walk.quantized(name) if self._quantized else self.walk.operand(name)

    def made(self, slot: int = 0) -> Made:
        """Return the value of input ``slot``: a tensor, or a list of tensors."""
        if not self.has(slot):
            raise DataError(f"its input {slot} is missing")
        return self.walk.made(self.node.input[slot])

    def known(self, slot: int, name: str = "") -> Any:
        """Return the value of input ``slot``, or of attribute ``name`` in older versions, or None.

        Raises
        ------
        DependsOnDataError
            If the input is computed when the network runs.
        """
        if name and self.attribute(name) is not None:
            return np.asarray(self.attribute(name))
        if not self.has(slot):
            return None
        value = self.walk.known(self.node.input[slot])
        if value is None:
            raise DependsOnDataError(f"input {slot} that depends on data")
        return value

    def peek(self, slot: int) -> Any:
        """Return the value of input ``slot`` if it is known, else None."""
        return self.walk.known(self.node.input[slot]) if self.has(slot) else None

    def holds_only(self, slot: int, number: float) -> bool:
        """Return whether input ``slot`` is known and equal to ``number`` in all entries."""
        value = self.peek(slot)
        return value is not None and bool(np.all(value == number))

    def sizes(self, slot: int, name: str = "", most: int = MOST_AXES) -> list[Dim] | None:
        """Return at most ``most`` sizes, given as input ``slot`` or attribute ``name``."""
        value = self.known(slot, name)
        if value is not None and value.size > most:
            raise ShapeError(f"{value.size} sizes are too many (at most {most})")
        return None if value is None else [as_size(v) for v in np.asarray(value).ravel()]

    def axis(self, rank: int, default: int = 0, name: str = "axis") -> int:
        """Return an attribute that names an axis, counted from the front.

        Raises
        ------
        ShapeError
            If there is no such axis.
        """
        return an_axis(int(self.attribute(name, default)), rank)

    def declared(self, output: int = 0) -> Tensor:
        """Return shape and dtype that the file states of an output.

        Raises
        ------
        UnsupportedFormError
            If it states none.
        """
        found = self.walk.declared(self.node.output[output])
        if found is None:
            raise UnsupportedFormError("a shape that depends on data")
        return found


HANDLERS: Registry[Callable[[Call], Result]] = Registry("ONNX")
"""Handlers by operator type, with the domain and a dot before it unless it is ONNX's own."""
DECLARED: Registry[Callable[[Call, list[Tensor]], Result]] = Registry("ONNX of stated shape")
"""Handlers for operators whose shape depends on data, given the shapes that the file states."""


def an_axis(axis: int, rank: int) -> int:
    """Return ``axis`` counted from the front.

    Raises
    ------
    ShapeError
        If a tensor of ``rank`` axes has no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"a tensor of {rank} axes has no axis {axis}")
    return axis % rank


def as_size(value: Any) -> Dim:
    """Return an entry of a folded shape as an int or expression."""
    if is_expression(value):
        return int(value) if value.is_Integer else value
    return int(value)
