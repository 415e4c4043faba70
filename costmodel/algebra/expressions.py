"""Expressions of dimensions: substitute numbers, and parse text without running code."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from costmodel.algebra.arrays import as_floats, as_whole, check_broadcast, whole
from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.symbols import Dim, ceil_div, dim, levels, maximum, minimum, product, same
from costmodel.errors import DataError


def substitute(value: Dim, values: dict[str, Dim]) -> Dim:
    """Return ``value`` with symbols replaced by name; a fully numeric result becomes int or array.

    Examples
    --------
    >>> substitute(dim("h") * dim("w"), {"h": 4, "w": 5})
    20
    """
    if not is_expression(value):
        return value
    free = {s.name for s in value.free_symbols}
    used = {name: v for name, v in values.items() if name in free}
    if not used:
        return value
    if any(isinstance(v, np.ndarray) for v in used.values()):
        if free - set(used):
            raise DataError(f"arrays need a value for every symbol; missing {free - set(used)}")
        return _at_arrays(value, used)
    if len(used) == len(free) and all(isinstance(v, int) for v in used.values()):
        try:
            number = _evaluate(value, used)
        except _NotExactError:
            pass
        else:
            return int(number) if number == int(number) else sympy.Rational(number)
    result = value.subs({dim(n): v for n, v in used.items()}, simultaneous=True)
    return int(result) if result.is_Integer else result


class _NotExactError(Exception):
    """An expression has functions whose values are not fractions."""


def _evaluate(expression: sympy.Expr, values: dict[str, int]) -> int | Fraction:
    """Return the exact value, much faster than ``subs`` does."""
    if isinstance(expression, sympy.Symbol):
        return values[expression.name]
    if isinstance(expression, sympy.Rational):
        return expression.p if expression.q == 1 else Fraction(expression.p, expression.q)
    arguments = expression.args
    match expression:
        case sympy.Add():
            return sum(_evaluate(a, values) for a in arguments)
        case sympy.Mul():
            return math.prod(_evaluate(a, values) for a in arguments)
        case sympy.Pow() if arguments[1].is_Integer:
            base, exponent = _evaluate(arguments[0], values), int(arguments[1])
            if base != 0 or exponent > 0:
                return base**exponent if exponent > 0 else Fraction(1) / base**-exponent
        case sympy.ceiling():
            return math.ceil(_evaluate(arguments[0], values))
        case sympy.floor():
            return math.floor(_evaluate(arguments[0], values))
        case sympy.Max():
            return max(_evaluate(a, values) for a in arguments)
        case sympy.Min():
            return min(_evaluate(a, values) for a in arguments)
        case sympy.Function() if expression.func == levels(dim("n")).func:
            count = _evaluate(arguments[0], values)
            if count == int(count):
                return int(levels(int(count)))
    raise _NotExactError


def _at_arrays(expression: sympy.Expr, values: dict[str, Dim]) -> np.ndarray:
    """Return the value of an expression at arrays, as integers if all entries are."""
    values = {n: whole(v) if _is_counted(v) else v for n, v in values.items()}
    shape = check_broadcast(values.values())
    try:
        above, below = _fraction(expression, values)
        _check_not_rounded(above, below)
        rest = above % below
        result = above / below if np.any(rest) else above // below
    except _NotExactError as reason:
        if isinstance(reason, _RoundedError) and not _is_rounded(*values.values()):
            result = _at_objects(expression, values)
        else:
            result = _at_floats(expression, values)
    return np.broadcast_to(result, shape, subok=True)


class _RoundedError(_NotExactError):
    """Raised if an intermediate integer exceeds 2**53."""


def _check_not_rounded(*values: Dim) -> None:
    if _is_rounded(*values):
        raise _RoundedError


def _is_rounded(*values: Dim) -> bool:
    """Return whether one of ``values`` has floats: integers beyond 2**53."""
    return any(isinstance(v, np.ndarray) and v.dtype.kind == "f" for v in values)


def _at_floats(expression: sympy.Expr, values: dict[str, Dim]) -> np.ndarray:
    names = tuple(sorted(values))
    result = _array_function(expression, names)(*(as_floats(values[n]) for n in names))
    return as_whole(np.asarray(result))


def _at_objects(expression: sympy.Expr, values: dict[str, Dim]) -> np.ndarray:
    """Return the value at arrays, computed with Python ints if a step exceeds 2**53."""
    exact = {
        n: v.view(np.ndarray).astype(object) if isinstance(v, np.ndarray) else v
        for n, v in values.items()
    }
    above, below = _fraction(expression, exact)
    return as_whole(np.asarray(above / below, dtype=np.float64))


def _is_counted(value: Dim) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _fraction(expression: sympy.Expr, values: dict[str, Dim]) -> tuple[Dim, Dim]:
    """Return numerator and denominator of the value at arrays; float quotients would round."""
    if isinstance(expression, sympy.Symbol):
        return values[expression.name], 1
    if isinstance(expression, sympy.Rational):
        return expression.p, expression.q
    parts = [_fraction(argument, values) for argument in expression.args]
    match expression:
        case sympy.Add():
            return reduce(_sum, parts)
        case sympy.Mul():
            return product(a for a, _ in parts), product(b for _, b in parts)
        case sympy.Pow() if expression.exp.is_Integer:
            power = int(expression.exp)
            above, below = (product([part] * abs(power)) for part in parts[0])
            return (above, below) if power > 0 else (below, above)
        case sympy.ceiling():
            _check_not_rounded(*parts[0])
            return ceil_div(*parts[0]), 1
        case sympy.floor():
            _check_not_rounded(*parts[0])
            return parts[0][0] // parts[0][1], 1
        case sympy.Max() | sympy.Min() if all(same(b, 1) for _, b in parts):
            pick = maximum if isinstance(expression, sympy.Max) else minimum
            return pick(*(a for a, _ in parts)), 1
    raise _NotExactError


def _sum(one: tuple[Dim, Dim], other: tuple[Dim, Dim]) -> tuple[Dim, Dim]:
    (a, b), (c, d) = one, other
    return (a + c, b) if same(b, d) else (a * d + c * b, b * d)


@lru_cache(maxsize=1024)
def _array_function(expression: sympy.Expr, names: tuple[str, ...]) -> Any:
    return sympy.lambdify([dim(n) for n in names], expression, modules="numpy", cse=True)
