"""Integer arrays whose arithmetic never wraps around."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from typing import Any

import numpy as np

from costmodel.errors import ShapeError

EXACT = 2**53
"""Integers below this are exact in float64."""


class Whole(np.ndarray):
    """An integer array that is exact below 2**53 and never wraps around.

    Sums, differences, products, quotients and remainders of such arrays are ``int64`` arrays of
    this class while every entry is below 2**53 in magnitude. Otherwise the result is a
    ``float64`` array: its entries below 2**53 are still exact, the others are rounded (relative
    error below 1e-15 per operation). Operations with float arrays return float arrays.

    Use :func:`whole` to make one. Results are read-only: ``a += 1`` binds ``a`` to a new array, and
    ``a.copy()`` returns a writable one.

    Raises
    ------
    ShapeError
        If arrays of an operation do not broadcast.

    Examples
    --------
    >>> a = whole(np.array([3, 2**40]))
    >>> a * 2
    array([            6, 2199023255552])
    >>> (a * a).tolist()
    [9.0, 1.2089258196146292e+24]
    """

    _most: int | None = None
    """Upper bound of the entries in magnitude, if known; views and copies do not know it."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        known = _KNOWN.get()
        if known is None or method != "__call__" or kwargs:
            return self._computed(ufunc, method, *inputs, **kwargs)
        key = (ufunc, *map(_identity, inputs))
        if key in known:
            return known[key][0]
        result = self._computed(ufunc, method, *inputs)
        if _is_fixed(result) and None not in key:
            known[key] = result, inputs
        return result

    def _computed(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        counts = ufunc in _LARGEST
        try:
            if counts and method == "__call__" and not kwargs:
                found = _unchanged(ufunc, inputs)
                found = _exact(ufunc, inputs, _bound) if found is None else found
                found = _exact(ufunc, inputs, _magnitude) if found is None else found
                if found is not None:
                    return found
            plain = [_plain(value) for value in inputs]
            if "out" in kwargs:
                kwargs["out"] = tuple(map(_plain, kwargs["out"]))
            counts = counts and all(_magnitude(value) is not None for value in plain)
            if ufunc not in _COMPARISONS:
                plain = [_as_float(value) for value in plain]
            result = getattr(ufunc, method)(*plain, **kwargs)
            return _settled(result) if counts else result
        except ValueError:
            check_broadcast(inputs)
            raise

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    # In-place operations could not store a float result.
    __iadd__ = np.ndarray.__add__  # type: ignore[assignment]
    __isub__ = np.ndarray.__sub__  # type: ignore[assignment]
    __imul__ = np.ndarray.__mul__  # type: ignore[assignment]
    __ifloordiv__ = np.ndarray.__floordiv__  # type: ignore[assignment]
    __imod__ = np.ndarray.__mod__  # type: ignore[assignment]


_KNOWN: ContextVar[dict[tuple[Any, ...], tuple[Any, Any]] | None] = ContextVar(
    "known", default=None
)
"""Results of this context by function and operands, with the operands, so that these live on."""


@contextmanager
def computed_once() -> Iterator[None]:
    """Compute each operation on the same arrays once inside the ``with`` block, which keeps them.

    Networks repeat their blocks: most operations on a design space are the same again. Operators
    ask for sizes of their tensors again and again. A block inside another one belongs to it.

    Examples
    --------
    >>> a = whole(np.array([3, 5]))
    >>> with computed_once():
    ...     (a + 1) is (a + 1)
    True
    """
    known = _KNOWN.get()
    token = _KNOWN.set({} if known is None else known)
    try:
        yield
    finally:
        _KNOWN.reset(token)


def once(find: Callable[[], Any], *given: Any) -> Any:
    """Return ``find()``, in a block of :func:`computed_once` kept for the next time.

    The values of ``given`` determine the result: arrays, compared by identity, and tuples and plain
    values, compared by value.

    Examples
    --------
    >>> a = whole(np.array([3, 5]))
    >>> with computed_once():
    ...     once(lambda: 1, "name", (a, 2)), once(lambda: 2, "name", (a, 2))
    (1, 1)
    """
    known = _KNOWN.get()
    if known is None:
        return find()
    try:
        key = ("once", *map(_deep_identity, given))
    except TypeError:  # something in it may change
        return find()
    if key not in known:
        known[key] = find(), given
    return known[key][0]


def _deep_identity(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_deep_identity, value))
    if isinstance(value, np.ndarray) and not (_is_fixed(value) or _is_own(value)):
        raise TypeError("an array that may change")
    return id(value) if isinstance(value, np.ndarray) else (type(value), value)


def _is_own(value: np.ndarray) -> bool:
    """Return whether an array is read-only and no view of one that may change."""
    return value.base is None and not value.flags.writeable


def _identity(value: Any) -> Any:
    """Return the identity of an operand; None for arrays that may change."""
    if _is_fixed(value):
        return id(value)
    return (type(value), value) if type(value) in (int, float) else None


_NEUTRAL: Mapping[np.ufunc, int] = {np.add: 0, np.subtract: 0, np.multiply: 1}
"""Neutral second operand, also as first operand of commutative functions."""
_LARGEST: Mapping[np.ufunc, Callable[..., int]] = {
    np.add: operator.add,
    np.subtract: operator.add,
    np.multiply: operator.mul,
    np.floor_divide: lambda a, b: a,
    np.remainder: lambda a, b: b,
    np.negative: operator.pos,
    np.positive: operator.pos,
    np.absolute: operator.pos,
    np.maximum: max,
    np.minimum: max,
    np.gcd: max,
}
"""Functions that map integers to integers, with a bound of the result by the magnitudes."""
_COMPARISONS = frozenset(
    {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
)


def whole(values: np.ndarray) -> Whole:
    """Return a read-only copy of an array of integers below 2**53 in magnitude.

    Examples
    --------
    >>> small = whole(np.array([100, 200], dtype=np.uint8))
    >>> small * small
    array([10000, 40000])
    """
    result: Whole = _frozen(np.array(values, dtype=np.int64), None)
    return result


def as_whole(values: np.ndarray) -> np.ndarray:
    """Return floats as integers if all are whole and below 2**53, otherwise unchanged.

    Examples
    --------
    >>> as_whole(np.array([2.0, 4.0])), as_whole(np.array([2.0, 2.5]))
    (array([2, 4]), array([2. , 2.5]))
    """
    if values.dtype.kind != "f" or not np.array_equal(values, np.rint(values)):
        return values
    result: np.ndarray = _settled(values)
    return result


def narrowed(values: Whole) -> Whole:
    """Return an array without repetition along its axes: of length 1 where nothing changes.

    On the grid of a design space, ``a + (b - a)`` depends on ``b`` alone.

    Examples
    --------
    >>> a, b = whole(np.array([[2], [4]])), whole(np.array([[6, 8]]))
    >>> (a + (b - a)).shape, narrowed(a + (b - a))
    ((2, 2), array([[6, 8]]))
    """
    plain = values.view(np.ndarray)
    for axis, length in enumerate(plain.shape):
        first = plain.take([0], axis)
        if length > 1 and np.array_equal(np.broadcast_to(first, plain.shape), plain):
            plain = first
    found: Whole = values if plain.shape == values.shape else _frozen(plain, values._most)
    known = _KNOWN.get()
    if known is None or found.size > _FEW:
        return found
    # Equal arrays are one, so that what follows from them is computed once.
    one: Whole = known.setdefault(("equal", found.shape, found.tobytes()), (found, ()))[0]
    return one


_FEW = 4096
"""Entries of arrays that are compared with all others. [1]"""


def as_floats(value: Any) -> Any:
    """Return an array as a plain float array, any other value unchanged."""
    return np.asarray(value, dtype=np.float64) if isinstance(value, np.ndarray) else value


def check_broadcast(values: Iterable[Any]) -> tuple[int, ...]:
    """Return the shape that the arrays among ``values`` broadcast to.

    Raises
    ------
    ShapeError
        If they do not.

    Examples
    --------
    >>> check_broadcast([1, np.array([2, 3]), np.array([4, 5, 6])])
    Traceback (most recent call last):
    ...
    costmodel.errors.ShapeError: arrays of sizes must broadcast, got arrays of shape (2,) and (3,)
    """
    shapes = {value.shape for value in values if isinstance(value, np.ndarray)}
    if len(shapes) < 2:
        return next(iter(shapes), ())
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(map(str, sorted(shapes)))
        raise ShapeError(f"arrays of sizes must broadcast, got arrays of shape {found}") from None


def exact_product(values: Iterable[Any]) -> Any:
    """Return the exact product of numbers and arrays for comparisons; large ones as Python ints.

    Examples
    --------
    >>> (exact_product([whole(np.array([2**40 - 1])), 2**40]) % 2**20).tolist()
    [0]
    """
    values = list(values)
    result = reduce(operator.mul, values, 1)
    if isinstance(result, np.ndarray) and result.dtype.kind == "f":
        objects = (v.view(np.ndarray).astype(object) if _is_array(v) else v for v in values)
        return reduce(operator.mul, objects, 1)
    return result


def tree_levels(count: Any) -> Any:
    """Return ``ceil(log2(count))`` of a number or an array; 0 for 0.

    Examples
    --------
    >>> tree_levels(9), tree_levels(np.array([0, 1, 1024])).tolist()
    (4, [0, 0, 10])
    """
    if isinstance(count, np.ndarray):
        # The exponent of a float is exact; a logarithm would round.
        return np.where(count > 1, np.frexp(np.maximum(count, 2) - 1.0)[1], 0)
    return (int(count) - 1).bit_length() if count > 1 else 0


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _plain(value: Any) -> Any:
    """Return plain arrays, and NumPy integers as Python ints."""
    if isinstance(value, Whole):
        return value.view(np.ndarray)
    return int(value) if isinstance(value, np.integer) else value


def _unchanged(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Whole | None:
    """Return one operand if the other is neutral, a frequent case in formulas."""
    neutral = _NEUTRAL.get(ufunc)
    if neutral is not None:
        a, b = inputs
        if type(b) is int and b == neutral and _is_fixed(a):
            return a  # type: ignore[no-any-return]
        if type(a) is int and a == neutral and ufunc is not np.subtract and _is_fixed(b):
            return b  # type: ignore[no-any-return]
    return None


def _is_fixed(value: Any) -> bool:
    return type(value) is Whole and not value.flags.writeable


def _exact(ufunc: np.ufunc, inputs: tuple[Any, ...], magnitude: Callable[[Any], int | None]) -> Any:
    """Return the integer result, or None if by ``magnitude`` it may be too large."""
    most = []
    for value in inputs:
        found = magnitude(value)
        if found is None or found >= EXACT:
            return None
        most.append(found)
    largest = _LARGEST[ufunc](*most)
    return _frozen(ufunc(*map(_int64, inputs)), largest) if largest < EXACT else None


def _bound(value: Any) -> int | None:
    """Return an upper bound of the magnitude of a number or integer array; None for others."""
    if type(value) is int:
        return abs(value)
    if _is_fixed(value) and value._most is not None:
        return int(value._most)
    return _magnitude(value)


def _magnitude(value: Any) -> int | None:
    """Return the largest magnitude of a number or integer array; None for others."""
    if _is_array(value):
        if value.dtype.kind not in "iub":
            return None
        plain = value.view(np.ndarray)
        most = max(int(plain.max()), -int(plain.min())) if plain.size else 0
        if type(value) is Whole:
            value._most = most
        return most
    return abs(int(value)) if isinstance(value, int | np.integer) else None


def _int64(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return int(value)
    return value.view(np.ndarray).astype(np.int64, copy=False)


def _as_float(value: Any) -> Any:
    return value.astype(np.float64) if _is_array(value) and value.dtype.kind in "iub" else value


def _frozen(result: Any, most: int | None) -> Any:
    """Return an integer array as a read-only :class:`Whole`."""
    if not _is_array(result):  # from arrays without an axis
        return result
    counted: Whole = result.view(Whole)
    counted.flags.writeable = False
    counted._most = most
    return counted


def _settled(result: Any) -> Any:
    """Return whole floats as integers if all are exact."""
    most = max(np.max(result), -np.min(result)) if np.size(result) else 0
    return _frozen(result.astype(np.int64), int(most)) if most < EXACT else result
