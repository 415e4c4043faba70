"""The few functions that distinguish Python ints, NumPy arrays and sympy expressions.

A formula in ``costmodel`` is written once over ``+ - * /`` and the functions of this module. It
returns an exact int for ints, broadcasts arrays, and returns a sympy expression for symbols.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, reduce
from itertools import islice
from operator import add, mul
from typing import Any, TypeAlias

import numpy as np

from costmodel.algebra.arrays import EXACT, Whole, check_broadcast, tree_levels
from costmodel.algebra.later import is_expression, sympy
from costmodel.errors import DataError, ShapeError

Dim: TypeAlias = Any
"""A dimension or a count: an ``int``, an ``ndarray`` (a design space) or a ``sympy.Expr``. A
dimension that is an array holds integers; a count is an array of integers while every entry is
below 2**53, else one of float64 (:class:`~costmodel.algebra.arrays.Whole`: no product wraps).
:func:`~costmodel.algebra.sizes.check_dim` says what may be a dimension. Typed ``Any`` because
arithmetic mixes the three freely."""


def dim(name: str) -> sympy.Symbol:
    """Return the positive integer symbol ``name``, always the same object.

    In sympy, symbols with different assumptions are unequal (``Symbol("h") != dim("h")``), so all
    symbols of a graph must be created here.

    Examples
    --------
    >>> dim("h") is dim("h")
    True
    >>> dim("h").is_positive
    True
    """
    if not is_name(name):
        raise DataError(f"symbol name {name!r} is not an identifier such as 'c1' or 'h'")
    return _symbol(name)


@cache
def _symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, integer=True, positive=True)


def is_name(name: str) -> bool:
    """Return whether ``name`` is a valid symbol name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def symbols(names: str) -> tuple[sympy.Symbol, ...]:
    """Return one positive integer symbol for each word of ``names``.

    Examples
    --------
    >>> symbols("h w c1 c2")
    (h, w, c1, c2)
    """
    if not isinstance(names, str):
        raise DataError(f"symbols must be named in a text such as 'h w c1', got {names!r}")
    return tuple(dim(name) for name in names.replace(",", " ").split())


def is_symbolic(value: Dim) -> bool:
    """Return whether ``value`` is a sympy expression with a free symbol."""
    return type(value) is not int and bool(getattr(value, "free_symbols", ()))


def plain(value: Dim) -> Dim:
    """Return an integer of NumPy or sympy as an int, any other value unchanged.

    Caches need it: ``sympy.Integer(1)`` and 1 are equal keys, whose results differ in type.

    Examples
    --------
    >>> type(plain(np.int64(3))), plain(dim("h") / 2)
    (<class 'int'>, h/2)
    """
    if type(value) is int:
        return value
    number = isinstance(value, np.integer) or (is_expression(value) and value.is_Integer)
    return int(value) if number else value


def ceil_div(a: Dim, b: Dim) -> Dim:
    """Return ``ceil(a / b)`` exactly; a symbolic ``ceil(ceil(x/m)/n)`` becomes ``ceil(x/(mn))``.

    Examples
    --------
    >>> ceil_div(7, 2), ceil_div(ceil_div(dim("h"), 2), 2)
    (4, ceiling(h/4))
    """
    if not (is_expression(a) or is_expression(b)):
        if isinstance(a, np.ndarray) and (isinstance(b, float) or "f" in (a.dtype.kind, _kind(b))):
            # Quotients of integers below 2**53 round to the right side of an integer. This is far
            # faster than floor division of floats.
            return np.ceil(a / b)
        return -(-a // b)
    # A single ceiling instead of nested ones keeps deep networks readable and fast:
    # ceil((ceil(x) + n)/b) = ceil((x + n)/b) for integers n and b >= 1.
    if is_expression(a) and isinstance(b, int | sympy.Integer):
        offset, rest = a.as_coeff_Add()
        if isinstance(rest, sympy.ceiling) and offset.is_integer:
            a = rest.args[0] + offset
    return sympy.ceiling(a / b)


def _kind(value: Dim) -> str:
    """Return the dtype letter of an array, ``""`` for other values."""
    return value.dtype.kind if isinstance(value, np.ndarray) else ""


def exact_div(a: Dim, b: Dim, what: str = "size") -> Dim:
    """Return ``a / b``, where ``b`` must divide ``a``; symbols are assumed to divide.

    Raises
    ------
    ShapeError
        If ``b`` cannot divide ``a``, or is 0; ``what`` names the quantity.

    Examples
    --------
    >>> exact_div(12, 4), exact_div(dim("c"), dim("g"))
    (3, c/g)
    """
    if isinstance(b, int) and b == 1:
        return a
    if is_expression(a) or is_expression(b):
        if b != 0 and (a / b).is_integer is not False:
            return a / b
    elif isinstance(a, int) and isinstance(b, int):
        if b != 0 and a % b == 0:
            return a // b
    elif np.all(b != 0):
        quotient = a // b
        if np.all(quotient * b == a):
            return quotient
    raise ShapeError(f"{what} {a} is not divisible by {b}")


def ratio(part: Dim, whole: Dim) -> Dim:
    """Return ``part / whole``, and 0 if ``part`` is 0 (even if ``whole`` is 0).

    Examples
    --------
    >>> ratio(3, 2), ratio(0, 0), ratio(np.array([3, 0]), np.array([2, 0])).tolist()
    (1.5, 0.0, [1.5, 0.0])
    """
    if isinstance(part, np.ndarray) or isinstance(whole, np.ndarray):
        part, whole = np.broadcast_arrays(part, whole)
        return np.divide(part, whole, out=np.zeros(part.shape), where=part != 0)
    if is_expression(part) or is_expression(whole):
        return part / whole if part != 0 else part
    return part / whole if part else 0.0


def scaled(factor: Dim, value: Dim) -> Dim:
    """Return ``factor * value``; 0 at once where the number 0 multiplies an expression.

    sympy would look for infinities in all of the expression first.

    Examples
    --------
    >>> scaled(0.0, dim("h")), scaled(2, dim("h")), scaled(0.0, 3.0)
    (0, 2*h, 0.0)
    """
    if isinstance(factor, int | float) and factor == 0 and is_expression(value):
        return sympy.S.Zero
    return factor * value


def maximum(*values: Dim) -> Dim:
    """Return the largest of ``values``, elementwise for arrays, ``Max`` for symbols."""
    return _pick(values, max, np.maximum, "Max")


def minimum(*values: Dim) -> Dim:
    """Return the smallest of ``values``, elementwise for arrays, ``Min`` for symbols."""
    return _pick(values, min, np.minimum, "Min")


def at_most(value: Dim, limit: Dim) -> Dim:
    """Return 1 where the integer ``value`` is at most the integer ``limit``, else 0.

    Examples
    --------
    >>> at_most(3, 3), at_most(4, 3)
    (1, 0)
    >>> at_most(np.array([8, 9, 10]), 9).tolist()
    [1, 1, 0]
    """
    if isinstance(value, np.ndarray) or isinstance(limit, np.ndarray):
        # Two roundings of one count may differ once counts are no longer exact.
        slack = np.where(np.abs(limit) < EXACT, 1.0, 1.0 + 1e-12)
        return np.less_equal(value, np.asarray(limit) * slack).astype(np.int64)
    return minimum(1, maximum(0, limit + 1 - value))


def least_once(params: Dim, weight_reads: Dim) -> Dim:
    """Return the learned elements that must be read at least once [element].

    An embedding reads only some of its rows; a recurrent layer reads its weights at every step.

    Examples
    --------
    >>> least_once(1000, 64), least_once(64, 640)
    (64, 64)
    """
    return params if params is weight_reads else minimum(params, weight_reads)


_LARGE = 10_000
"""Array size above which candidates are timed one after the other. [1]"""


def fastest(time: Callable[..., Dim], candidates: Sequence[tuple[int, ...]]) -> Dim:
    """Return the least of ``time(*candidate)`` over ``candidates``.

    Numbers and small arrays are timed for all candidates in one call, along a new first axis. Large
    arrays are timed for one candidate after the other, so that they stay in a cache.

    Examples
    --------
    >>> fastest(lambda a, b: 10 * a + b, [(1, 5), (2, 0)])
    15.0
    >>> fastest(lambda a: dim("h") / a, [(1,), (2,)])
    h/2
    """
    probe = time(*candidates[0])
    if is_expression(probe):
        return minimum(probe, *(time(*candidate) for candidate in candidates[1:]))
    if np.size(probe) > _LARGE:
        return reduce(np.minimum, (time(*map(float, c)) for c in candidates[1:]), probe)
    shape = (len(candidates), *(1,) * np.ndim(probe))
    columns = (np.array(c, dtype=float).reshape(shape) for c in zip(*candidates, strict=True))
    times = np.asarray(time(*columns)).min(axis=0)
    return times if np.ndim(probe) else float(times)


def sqrt(value: Dim) -> Dim:
    """Return the square root: float, array or expression."""
    if is_expression(value):
        return sympy.sqrt(value)
    return np.sqrt(value) if isinstance(value, np.ndarray) else float(value) ** 0.5


def levels(count: Dim) -> Dim:
    """Return ``ceil(log2(count))``, the levels of a binary tree of ``count`` leaves; 0 for 0.

    Examples
    --------
    >>> levels(8), levels(9), levels(np.array([0, 1, 1024])).tolist(), levels(dim("n"))
    (3, 4, [0, 0, 10], levels(n))
    """
    if is_expression(count):
        from costmodel.algebra.functions import Levels

        return Levels(count)
    return tree_levels(count)


def product(values: Iterable[Dim]) -> Dim:
    """Return the product of ``values``, 1 for none; 0 if one of them is the number 0.

    Examples
    --------
    >>> product((2, dim("h"))), product(())
    (2*h, 1)
    """
    values = tuple(values)
    if are_ints(values):
        return math.prod(values)
    number = 1
    rest: Dim = None
    for value in values:
        if type(value) is int:
            number *= value
        else:
            rest = value if rest is None else _joined(mul, (rest, value))
    if rest is None or number == 0:
        return number
    return rest if number == 1 else rest * number


def total(values: Iterable[Dim]) -> Dim:
    """Return the sum of ``values``; adding expressions in one step is far faster."""
    values = list(values)
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        return sum(values)
    if not kinds <= _ARRAYS and any(is_expression(v) for v in values):
        return sympy.Add(*values)
    by_shape: dict[tuple[int, ...], list[Dim]] = {}
    for value in values:
        shape = value.shape if isinstance(value, np.ndarray) else ()
        by_shape.setdefault(shape, []).append(value)
    if len(by_shape) < 2:
        return _joined(add, values)
    # Arrays over few parameters of a space are small: they are added up before they are spread.
    sums = [_joined(add, alike) for alike in by_shape.values()]
    return _joined(add, sorted(sums, key=np.size))


def same(a: Dim, b: Dim) -> bool:
    """Return whether two dimensions are certainly equal (in all entries, for arrays).

    Examples
    --------
    >>> h = dim("h")
    >>> same(2 * (h + 1), 2 * h + 2), same(h, 2)
    (True, False)
    """
    if a is b:
        return True
    if type(a) is int and type(b) is int:  # by far the most common
        return a == b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.all(_joined(np.equal, (a, b))))
    if is_expression(a) or is_expression(b):
        if a == b:
            return True
        difference = a - b
        return _terms(difference) <= _MOST_TERMS and bool(sympy.expand(difference) == 0)
    return bool(a == b)


_MOST_TERMS = 10_000
"""Maximum number of terms in an expansion to compare two expressions."""


def _terms(expression: sympy.Expr) -> int:
    """Return an upper bound of the number of terms of an expression when expanded."""
    if isinstance(expression, sympy.Add):
        return sum(map(_terms, expression.args))
    if isinstance(expression, sympy.Mul):
        return math.prod(map(_terms, expression.args))
    if isinstance(expression, sympy.Pow) and expression.exp.is_Integer and expression.exp > 0:
        base = _terms(expression.base)
        return math.comb(base + int(expression.exp) - 1, base - 1)
    return 1


def are_ints(values: Iterable[Dim]) -> bool:
    """Return whether all ``values`` are plain ints, the most common and fastest case.

    Examples
    --------
    >>> are_ints([1, 2]), are_ints([1, 2.0])
    (True, False)
    """
    return _INT.issuperset(map(type, values))


_INT = frozenset({int})
_NUMBERS = frozenset({int, float})
_ARRAYS = frozenset({int, float, np.ndarray, Whole})


def _pick(values: tuple[Dim, ...], number: Any, array: Any, symbol: str) -> Dim:
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        return number(values)
    if not kinds <= _ARRAYS and any(is_expression(v) for v in values):
        return _branches(values, getattr(sympy, symbol))
    if any(isinstance(v, np.ndarray) for v in values):
        return _joined(array, values)
    return number(values)


_MOST_NODES = 80
"""Largest expression that sympy compares with others to simplify a maximum: it takes very long."""
_MOST_OF_FLOATS = 8
"""The same of one that holds floats, such as a time: there is next to nothing to simplify."""


def _branches(values: tuple[Dim, ...], symbol: Any) -> Dim:
    """Return a maximum or minimum of symbols, simplified where its branches are small."""
    different = list(dict.fromkeys(map(sympy.sympify, values)))
    if len(different) == 1:
        return different[0]
    return _picked(symbol, *different)


@lru_cache(maxsize=4096, typed=True)
def _picked(symbol: Any, *values: sympy.Expr) -> Dim:
    """Return the same of different values; the layers of a network ask for the same ones often."""
    if all(_is_small(value) for value in values):
        return symbol(*values)
    return symbol(*values, evaluate=False)


def _is_small(expression: sympy.Expr) -> bool:
    nodes = list(islice(sympy.preorder_traversal(expression), _MOST_NODES))
    floats = any(isinstance(node, sympy.Float) for node in nodes)
    return len(nodes) < (_MOST_OF_FLOATS if floats else _MOST_NODES)


def _joined(function: Callable[[Dim, Dim], Dim], values: Iterable[Dim]) -> Dim:
    """Return ``values`` reduced by ``function``; arrays that do not broadcast are an error."""
    values = list(values)
    try:
        return reduce(function, values)
    except ValueError:
        check_broadcast(values)
        raise
