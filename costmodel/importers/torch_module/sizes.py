"""Sizes of torch tensors as ints or as expressions in costmodel symbols."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, ceil_div, dim
from costmodel.errors import DataError
from costmodel.importers.registry import UnsupportedFormError

Axes: TypeAlias = int | tuple[str, int] | Sequence[tuple[int | str, int]]
"""Axes of a symbol: an axis of the first input, or pairs of an input, by number or name,
and an axis of it."""
Size: TypeAlias = tuple[str, int]
"""The symbol of an axis and its multiple: ``32*k``."""

_SIZE = re.compile(r"(?:(\d+)\s*\*\s*)?([A-Za-z_]\w*)")


def axes_of(
    dynamic: Mapping[str, Axes],
    names: Sequence[str],
    numbers: Mapping[int, int],
    leaves: Sequence[Any],
) -> dict[tuple[int, int], Size]:
    """Return the size of each (leaf of the inputs, axis) that is symbolic.

    Parameters
    ----------
    dynamic : mapping
        Symbols or multiples of one, ``"n"`` or ``"32*k"``, and their axes.
    names : sequence of str
        The name of each tensor; a name of what holds several stands for all of them.
    numbers : mapping
        Which tensor the input of a number is.
    leaves : sequence of Tensor
        The tensors among the inputs.

    Raises
    ------
    DataError
        If there is no such input or axis, or its size is not such a multiple.
    """
    found: dict[tuple[int, int], Size] = {}
    for written, places in dynamic.items():
        size = _size(written)
        for key, axis in _pairs(places):
            if isinstance(key, int):
                label, chosen = f"input {key}", [numbers[key]] if key in numbers else []
            else:
                label = key
                chosen = [i for i, n in enumerate(names) if n == key or n.startswith(f"{key}_")]
            if not chosen:
                raise DataError(
                    f"dynamic[{written!r}] names {label}; the inputs are {', '.join(names)}"
                )
            for leaf in chosen:
                found[leaf, _axis(leaves[leaf], axis, written, label, size[1])] = size
    return found


def _axis(tensor: Any, axis: int, written: str, label: str, factor: int) -> int:
    """Return ``axis`` counted from the front, or raise unless it may have that size."""
    shape = tuple(tensor.shape)
    if not -len(shape) <= axis < len(shape):
        raise DataError(
            f"dynamic[{written!r}] names axis {axis} of {label}, which has {len(shape)} axes"
        )
    if shape[axis] % factor:
        raise DataError(f"axis {axis} of {label} has size {shape[axis]}, which is not {written}")
    return axis % len(shape)


def _size(written: str) -> Size:
    match = _SIZE.fullmatch(written.strip())
    if match is None:
        raise DataError(f"dynamic names {written!r}; a size is a name or a multiple such as 32*k")
    return match[2], int(match[1] or 1)


def _pairs(places: Axes) -> Sequence[tuple[int | str, int]]:
    if isinstance(places, int):
        return ((0, places),)
    if isinstance(places[0], str):
        return (places,)  # type: ignore[return-value]
    return places  # type: ignore[return-value]


class SizeReader:
    """Turns the sizes that torch gives into ours.

    Torch writes the output of a strided convolution as a floor, we as a ceiling. Each time a shape
    is known both ways the pair is remembered, so that later sizes that are built from it, such as
    the target of a reshape, come out in our form.
    """

    def __init__(
        self, axes: Mapping[tuple[int, int], Size] | None = None, names: Sequence[str] = ()
    ) -> None:
        self._axes = dict(axes or {})
        self._names = names
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
        if type(size) is int:
            return size
        expression = getattr(getattr(size, "node", None), "expr", size)
        if not isinstance(expression, sympy.Basic):
            return int(expression)
        return int(expression) if expression.is_Integer else self._convert(expression)

    def shape(self, sizes: Sequence[Any]) -> tuple[Dim, ...]:
        """Return all sizes of a shape."""
        return tuple([self.read(size) for size in sizes])

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
        wanted = self._axes.get((number, axis))
        expression = getattr(getattr(size, "node", None), "expr", size)
        if wanted is None:
            return self.read(size)
        name, factor = wanted
        label = f"axis {axis} of {self._names[number]} cannot be the symbol {name!r}"
        symbols: set[Any] = getattr(expression, "free_symbols", set())
        if len(symbols) != 1:
            raise DataError(f"{label}: the network fixes its size to {expression}")
        (symbol,) = symbols
        ours = sympy.solve(expression - factor * dim(name), symbol)[0]
        if self._ours.setdefault(symbol, ours) != ours:
            raise DataError(
                f"{label}: the network needs it tied to {self._ours[symbol]}; give both one name"
            )
        return factor * dim(name)

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
