"""Sizes of torch tensors as ints or as expressions in costmodel symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import sympy

from costmodel.algebra.symbols import Dim, ceil_div, dim
from costmodel.errors import DataError
from costmodel.importers.registry import UnsupportedFormError

Axes: TypeAlias = int | Sequence[tuple[int, int]]
"""What a symbol stands for: an axis of the first input, or (input, axis) pairs."""


def axes_of(dynamic: Mapping[str, Axes], inputs: tuple[Any, ...]) -> dict[tuple[int, int], str]:
    """Return the symbol of each (input, axis) pair.

    Raises
    ------
    DataError
        If there is no such input or axis.
    """
    found: dict[tuple[int, int], str] = {}
    for name, places in dynamic.items():
        for number, axis in ((0, places),) if isinstance(places, int) else places:
            rank = len(getattr(inputs[number], "shape", ())) if 0 <= number < len(inputs) else 0
            if not -rank <= axis < rank:
                raise DataError(
                    f"dynamic[{name!r}] names axis {axis} of input {number}, which has {rank} axes"
                )
            found[number, axis % rank] = name
    return found


class SizeReader:
    """Turns the sizes that torch gives into ours.

    Torch writes the output of a strided convolution as a floor, we as a ceiling. Each time a shape
    is known both ways the pair is remembered, so that later sizes that are built from it, such as
    the target of a reshape, come out in our form.
    """

    def __init__(self, axes: Mapping[tuple[int, int], str]) -> None:
        self._axes = dict(axes)
        self._ours: dict[Any, Dim] = {}

    def bind_input(self, number: int, shape: Sequence[Any]) -> tuple[Dim, ...]:
        """Return the shape of input ``number``, its symbolic axes named.

        Raises
        ------
        DataError
            If the network fixes a size that was asked to be a symbol, or ties two of them.
        """
        return tuple(self._bind(number, axis, size) for axis, size in enumerate(shape))

    def read(self, size: Any) -> Dim:
        """Return a size that torch gives as an int or SymInt.

        Raises
        ------
        UnsupportedFormError
            If it depends on data.
        """
        expression = getattr(getattr(size, "node", None), "expr", size)
        if not isinstance(expression, sympy.Basic):
            return int(expression)
        return int(expression) if expression.is_Integer else self._convert(expression)

    def shape(self, sizes: Sequence[Any]) -> tuple[Dim, ...]:
        """Return all sizes of a shape."""
        return tuple(self.read(size) for size in sizes)

    def learn(self, theirs: Sequence[Any], ours: Sequence[Dim]) -> None:
        """Remember that the sizes ``theirs`` are ``ours``."""
        for size, value in zip(theirs, ours, strict=True):
            expression = getattr(getattr(size, "node", None), "expr", None)
            if expression is None or expression in self._ours or expression.is_Integer:
                continue
            self._ours[expression] = value
            offset, rest = expression.as_coeff_Add()
            if offset:
                self._ours.setdefault(rest, value - int(offset))

    def _bind(self, number: int, axis: int, size: Any) -> Dim:
        name = self._axes.get((number, axis))
        expression = getattr(getattr(size, "node", None), "expr", size)
        if name is None:
            return self.read(size)
        symbols: set[Any] = getattr(expression, "free_symbols", set())
        if len(symbols) != 1:
            raise DataError(
                f"axis {axis} of input {number} cannot be the symbol {name!r}: the network fixes "
                f"its size to {expression}"
            )
        (symbol,) = symbols
        ours = sympy.solve(expression - dim(name), symbol)[0]
        if self._ours.setdefault(symbol, ours) != ours:
            raise DataError(
                f"axis {axis} of input {number} cannot be the symbol {name!r}: the network needs "
                f"it tied to {self._ours[symbol]}; give both one name"
            )
        return dim(name)

    def _convert(self, expression: Any) -> Dim:
        known = self._ours.get(expression)
        if known is not None:
            return known
        if expression.is_Symbol:
            raise UnsupportedFormError(f"size {expression} depends on data")
        if expression.is_Number:
            return int(expression) if expression.is_Integer else expression
        args = [self._convert(argument) for argument in expression.args]
        match type(expression).__name__:
            case "FloorDiv" | "CleanDiv":
                a, b = args
                return ceil_div(a - b + 1, b)
            case "CeilDiv":
                return ceil_div(*args)
            case "Add" | "Mul" | "Pow" | "Max" | "Min":
                return expression.func(*args)
            case "ToFloat":
                return args[0]
            case "CeilToInt":
                return sympy.ceiling(args[0])
            case "FloorToInt" | "TruncToInt":
                return sympy.floor(args[0])
            case "IntTrueDiv" | "FloatTrueDiv":
                return sympy.sympify(args[0]) / args[1]
        raise UnsupportedFormError(f"size {expression}")
