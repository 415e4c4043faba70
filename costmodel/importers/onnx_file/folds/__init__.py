"""Computations on shapes with NumPy during import; all modules of this folder are loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.symbols import Dim
from costmodel.importers.onnx_file.load import MAX_FOLDED
from costmodel.importers.registry import Registry

FOLDS: Registry[Callable[[Any, list[Any]], Any]] = Registry("foldable ONNX")
"""For each operator on known arrays, a function of its node and them, None for one that is not
given. It returns an array, a list of one an output, or None where it does not know."""
_MOST_TAKEN = 4 * MAX_FOLDED
_MOST_SYMBOLS = 256
"""Maximum size of an array with symbols. [element]"""
_MOST_OPERATIONS = 30
"""Maximum length of the formula of a size. [operation]"""
_LARGEST = 2**63


def shape_array(shape: tuple[Dim, ...]) -> np.ndarray:
    """Return a shape as an array; of objects where it holds symbols.

    >>> shape_array((1, 3)).dtype
    dtype('int64')
    """
    if any(is_expression(size) for size in shape):
        return np.array([*shape, None], dtype=object)[:-1]
    return np.array(shape, dtype=np.int64)


def fold(node: Any, inputs: list[Any]) -> list[Any] | None:
    """Return the result of ``node`` for known ``inputs``, or None if it is not tracked."""
    given = [x for x in inputs if x is not None]
    if sum(x.size for x in given) > _MOST_TAKEN:
        return None
    if symbols_among(given) > _MOST_SYMBOLS:
        return None
    try:
        with np.errstate(all="ignore"):
            made = FOLDS[node.op_type](node, inputs)
    except MemoryError:
        raise
    except Exception:  # the handler reports invalid inputs
        return None
    if made is None:
        return None
    # NumPy makes scalars of arrays without axes.
    values = [np.asarray(value) for value in (made if isinstance(made, list) else [made])]
    return values if values and all(_is_worth(value) for value in values) else None


def symbols_among(inputs: list[Any]) -> int:
    """Return the maximum number of symbolic entries in known arrays."""
    return sum(x.size for x in inputs if x is not None and x.dtype == object)


def fits(shape: Any) -> bool:
    """Return whether a result of ``shape`` is small enough to be known."""
    return math.prod(int(size) for size in shape) <= MAX_FOLDED


def fit_together(*arrays: Any) -> bool:
    """Return whether the broadcast shape of arrays is small."""
    return fits(np.broadcast_shapes(*(array.shape for array in arrays)))


def _is_worth(value: Any) -> bool:
    if value.size > MAX_FOLDED:
        return False
    if value.dtype != object:
        return value.dtype.kind not in "USc"
    return all(_is_plain(entry) for entry in value.ravel())


def _is_plain(entry: Any) -> bool:
    """Return whether an entry is a size with fast arithmetic."""
    if is_expression(entry):
        small = all(abs(number) < _LARGEST for number in entry.atoms(sympy.Integer))
        return small and int(entry.count_ops()) <= _MOST_OPERATIONS
    return isinstance(entry, int | float | np.number) and bool(-_LARGEST < entry < _LARGEST)
