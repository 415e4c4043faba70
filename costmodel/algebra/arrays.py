"""Arrays of whole numbers whose arithmetic never wraps around."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from costmodel.errors import ShapeError

EXACT = 2**53
"""Whole numbers below this are exact in float64."""


class Whole(np.ndarray):
    """An array of whole numbers that counts exactly below 2**53, and never wraps.

    Sums, differences, products, quotients and rests of such arrays are again ``int64`` arrays of
    this class while every entry lies below 2**53 in magnitude. Where one does not, the result is a
    ``float64`` array: its entries below 2**53 are exact still, the others are rounded (relative
    error below 1e-15 an operation). With arrays of floats the result is one of floats.

    It is made by :func:`whole`, and is read-only then: ``a += 1`` gives ``a`` a new array.

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

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [_plain(value) for value in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_plain, kwargs["out"]))
        try:
            if ufunc in _COMPARISONS:
                return getattr(ufunc, method)(*plain, **kwargs)
            if ufunc not in _LARGEST or not all(map(_is_whole, plain)):
                return getattr(ufunc, method)(*map(_as_float, plain), **kwargs)
            if method == "__call__" and not kwargs:
                magnitudes = [_magnitude(value) for value in plain]
                if max(*magnitudes, _LARGEST[ufunc](*magnitudes)) < EXACT:
                    return _counted(ufunc(*map(_int64, plain)))
            return _settled(getattr(ufunc, method)(*map(_as_float, plain), **kwargs))
        except ValueError:
            check_broadcast(plain)
            raise

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    # In place, a result that must be floats would have no place.
    __iadd__ = np.ndarray.__add__  # type: ignore[assignment]
    __isub__ = np.ndarray.__sub__  # type: ignore[assignment]
    __imul__ = np.ndarray.__mul__  # type: ignore[assignment]
    __ifloordiv__ = np.ndarray.__floordiv__  # type: ignore[assignment]
    __imod__ = np.ndarray.__mod__  # type: ignore[assignment]


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
}
"""Functions of whole numbers that are whole, and the most that they come to, by the magnitudes."""
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
    copy = np.array(values, dtype=np.int64).view(Whole)
    copy.flags.writeable = False
    return copy


def as_whole(values: np.ndarray) -> np.ndarray:
    """Return floats as integers where all are whole and below 2**53, else as they are.

    Examples
    --------
    >>> as_whole(np.array([2.0, 4.0])), as_whole(np.array([2.0, 2.5]))
    (array([2, 4]), array([2. , 2.5]))
    """
    if values.dtype.kind != "f" or not np.array_equal(values, np.rint(values)):
        return values
    result: np.ndarray = _settled(values)
    return result


def as_floats(value: Any) -> Any:
    """Return an array as a plain one of floats, any other value as it is."""
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
    """Return the exact product of numbers and arrays, to compare: of large ones by Python's ints.

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


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _plain(value: Any) -> Any:
    """Return arrays as plain ones, integers of NumPy as Python's."""
    if isinstance(value, Whole):
        return value.view(np.ndarray)
    return int(value) if isinstance(value, np.integer) else value


def _is_whole(value: Any) -> bool:
    return value.dtype.kind in "iub" if _is_array(value) else isinstance(value, int)


def _magnitude(value: Any) -> int:
    if not _is_array(value):
        return int(abs(value))
    return max(int(value.max()), -int(value.min())) if value.size else 0


def _int64(value: Any) -> Any:
    return value.astype(np.int64, copy=False) if _is_array(value) else value


def _as_float(value: Any) -> Any:
    return value.astype(np.float64) if _is_array(value) and value.dtype.kind in "iub" else value


def _counted(result: Any) -> Any:
    return result.view(Whole) if _is_array(result) else result


def _settled(result: Any) -> Any:
    """Return whole floats as integers where all are exact."""
    if np.size(result) and not max(np.max(result), -np.min(result)) < EXACT:
        return result
    return _counted(result.astype(np.int64))
