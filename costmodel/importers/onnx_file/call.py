"""One node of an ONNX file, as the handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import sympy

from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Emitter, Operand
from costmodel.importers.onnx_file.fold import attribute
from costmodel.importers.registry import Registry, UnsupportedFormError


class Tensors(Protocol):
    """The tensors of the file: all that a handler may ask of the walk over it."""

    emit: Emitter

    def operand(self, name: str) -> Operand:
        """Return the tensor called ``name``; a known array becomes a constant."""

    def known(self, name: str) -> Any:
        """Return the value of the tensor called ``name`` if it is known, else None."""

    def is_stored(self, name: str) -> bool:
        """Say whether the tensor called ``name`` is stored in the file."""

    def is_learned(self, name: str) -> bool:
        """Say whether the tensor called ``name`` comes from the network and not the exporter."""

    def only_taker(self, name: str) -> Any:
        """Return the node that alone takes the tensor called ``name``, or None."""

    def merge(self, node: Any, name: str) -> None:
        """Take ``node`` as done by the one that makes tensor ``name``, and makes what it makes."""


class Call:
    """One node of the file: its inputs, attributes, and what it makes."""

    def __init__(self, walk: Tensors, node: Any) -> None:
        self.walk = walk
        self.emit = walk.emit
        self.node = node

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return attribute(self.node, name, default)

    def has(self, slot: int) -> bool:
        """Say whether input ``slot`` is given."""
        return slot < len(self.node.input) and bool(self.node.input[slot])

    def operand(self, slot: int = 0) -> Operand:
        """Return the tensor of input ``slot``."""
        if not self.has(slot):
            raise UnsupportedFormError(f"no input {slot}")
        return self.walk.operand(self.node.input[slot])

    def optional(self, slot: int) -> Operand | None:
        """Return the tensor of input ``slot``, or None where it is not given."""
        return self.operand(slot) if self.has(slot) else None

    def operands(self) -> list[Operand]:
        """Return all input tensors."""
        return [self.walk.operand(name) for name in self.node.input if name]

    def known(self, slot: int, name: str = "") -> Any:
        """Return the value of input ``slot``, or of attribute ``name`` in older versions, or None.

        Raises
        ------
        UnsupportedFormError
            If the input is computed when the network runs.
        """
        if name and self.attribute(name) is not None:
            return np.asarray(self.attribute(name))
        if not self.has(slot):
            return None
        value = self.walk.known(self.node.input[slot])
        if value is None:
            raise UnsupportedFormError(f"input {slot} that depends on data")
        return value

    def holds_only(self, slot: int, number: float) -> bool:
        """Say whether input ``slot`` is known, and ``number`` in every place."""
        value = self.walk.known(self.node.input[slot]) if self.has(slot) else None
        return value is not None and bool(np.all(value == number))

    def sizes(self, slot: int, name: str = "") -> list[Dim] | None:
        """Return sizes that are given as input ``slot`` or attribute ``name``."""
        value = self.known(slot, name)
        return None if value is None else [as_size(v) for v in np.asarray(value).ravel()]


Result: TypeAlias = Operand | Sequence[Operand | None]
HANDLERS: Registry[Callable[[Call], Result]] = Registry("ONNX")
"""Handlers by operator type."""


def as_size(value: Any) -> Dim:
    """Return an entry of a folded shape as an int or expression."""
    if isinstance(value, sympy.Expr):
        return int(value) if value.is_Integer else value
    return int(value)
