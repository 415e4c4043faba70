"""An op graph for the patterns: the producer of a value, its inputs and its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

import networkx as nx

from costmodel.graph import Source, sources_of
from costmodel.importers.registry import Registry
from costmodel.ops import Cast, Elementwise, Op
from costmodel.ops.tensor import Tensor

_ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
_EXACT = 1e-5  # exporters write numbers with six digits or more
_DEEPEST_PRODUCT = 3  # products in products: a number, and two that make a cube


class Note(Enum):
    """Facts of the source about an operator that its fields do not keep."""

    OTHER = auto()
    """It costs what its kind says and computes something else: other slopes, ``2 / x``."""
    PLAIN = auto()
    """It scales by one and shifts by zero."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The operator that replaces several.

    Parameters
    ----------
    op : Op
        The operator.
    x : Source
        What it takes.
    learned : tuple of Source
        The parameters among the pieces that are the operator's own.
    """

    op: Op
    x: Source
    learned: tuple[Source, ...] = ()


class Pieces:
    """The operators of a graph, looked at from the values that they make.

    Parameters
    ----------
    graph : DiGraph
        An op graph.
    notes : mapping
        Notes by name of node.
    """

    def __init__(self, graph: nx.DiGraph, notes: Mapping[str, Note]) -> None:
        self.graph = graph
        self._notes = notes
        self._attributes = dict(graph.nodes(data=True))
        self._inputs: dict[str, tuple[Source, ...]] = {}

    def op(self, value: Source) -> Op:
        """Return the operator that makes ``value``."""
        op: Op = self._attributes[value[0]]["op"]
        return op

    def tensor(self, value: Source) -> Tensor:
        """Return shape and dtype of ``value``."""
        tensor: Tensor = self._attributes[value[0]]["outputs"][value[1]]
        return tensor

    def inputs(self, value: Source) -> tuple[Source, ...]:
        """Return the inputs of the operator that makes ``value``."""
        name = value[0]
        if name not in self._inputs:
            self._inputs[name] = sources_of(self.graph, name)
        return self._inputs[name]

    def replaced(self, name: str) -> None:
        """Forget what node ``name`` took."""
        self._inputs.pop(name, None)

    def is_plain(self, value: Source) -> bool:
        """Return whether the operator that makes ``value`` scales by one and shifts by zero."""
        return self._notes.get(value[0]) is Note.PLAIN

    def operands(self, value: Source, kind: str) -> tuple[Source, ...]:
        """Return the inputs of the element-wise ``kind`` that makes ``value``, else ()."""
        op = self._elementwise(value)
        return self.inputs(value) if op is not None and op.kind == kind and op.value is None else ()

    def unary(self, value: Source, kind: str) -> Source | None:
        """Return ``x`` where ``value`` is ``kind(x)``."""
        found = self.operands(value, kind)
        return found[0] if len(found) == 1 else None

    def plus(self, value: Source, number: float) -> Source | None:
        """Return ``x`` where ``value`` is ``x + number``."""
        found, x = self.with_number(value, "add")
        return x if found is not None and self.near(value, found, number) else None

    def with_number(self, value: Source, kind: str) -> tuple[float | None, Source]:
        """Return (number, x) where ``value`` is ``kind(x, number)``; else the number is None."""
        op = self._elementwise(value)
        if op is None or op.kind != kind or op.value is None:
            return None, value
        return op.value, self.inputs(value)[0]

    def scaled(self, value: Source) -> tuple[float, Source]:
        """Return (c, x) where ``value`` is ``c * x`` or ``x / (1 / c)``; else c is 1."""
        number, x = self.with_number(value, "mul")
        if number is not None:
            return number, x
        number, x = self.with_number(value, "div")
        return 1 / number if number else 1.0, x if number else value

    def product(
        self, value: Source, deepest: int = _DEEPEST_PRODUCT
    ) -> tuple[float, tuple[Source, ...]]:
        """Return number and factors of ``value``.

        Factors that are products themselves are split if they have no other consumer; powers are
        repeated factors.
        """
        number, factors = self._factors(value)
        if factors == (value,):
            return 1.0, factors
        whole: tuple[Source, ...] = ()
        for factor in factors:
            apart = deepest > 0 and len(self.graph.succ[factor[0]]) == 1
            more, parts = self.product(factor, deepest - 1) if apart else (1.0, (factor,))
            number *= more
            whole += parts
        return number, whole

    def near(self, value: Source, number: float, wanted: float) -> bool:
        """Return whether ``number`` is ``wanted``, as the dtype of ``value`` rounds it."""
        tolerance = _ROUNDING.get(self.tensor(value).dtype, _EXACT)
        return math.isclose(number, wanted, rel_tol=tolerance)

    def uncast(self, value: Source) -> Source:
        """Return ``value`` before its cast to this floating-point type."""
        cast = isinstance(self.op(value), Cast) and "float" in self.tensor(value).dtype
        return self.inputs(value)[0] if cast else value

    def _elementwise(self, value: Source) -> Elementwise | None:
        op = self.op(value)
        other = self._notes.get(value[0]) is Note.OTHER
        return op if isinstance(op, Elementwise) and not other else None

    def _factors(self, value: Source) -> tuple[float, tuple[Source, ...]]:
        match self._elementwise(value):
            case Elementwise(kind="mul", value=None):
                return 1.0, self.inputs(value)
            case Elementwise(kind="square"):
                return 1.0, self.inputs(value) * 2
            case Elementwise(kind="pow", value=3.0):
                return 1.0, self.inputs(value) * 3
        number, x = self.scaled(value)
        return number, (x,)


Pattern: TypeAlias = Callable[[Pieces, Source], Whole | None]
"""Returns the operator that stands for the pieces that make a value, or None."""

EXPORTED: Registry[Pattern] = Registry("pattern of exported")
"""Operators decomposed by exporters, by the name of the merged node."""
