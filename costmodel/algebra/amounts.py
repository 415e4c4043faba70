"""Quantities that callers pass with a network: a capacity, a number of processors."""

from __future__ import annotations

import numpy as np

from costmodel.algebra.arrays import as_floats
from costmodel.algebra.symbols import Dim, is_symbolic
from costmodel.errors import DataError, cut

MAX_AMOUNT = 2.0**100
"""Maximum amount."""


def check_amount(value: Dim, what: str, unit: str = "") -> Dim:
    """Return ``value`` if it is a number of at least 1, an array of such numbers, or symbolic.

    Arrays are returned as floats, whose products cannot wrap around.

    Raises
    ------
    DataError
        If it is anything else.

    Examples
    --------
    >>> check_amount(8192, "capacity")
    8192
    >>> check_amount("12", "capacity")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: capacity must be a number of at least 1, got '12'
    """
    if is_symbolic(value):
        return value
    least = f"{what} must be a number of at least 1{f' {unit}' if unit else ''}"
    numbers = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    arrays = isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    exact = not numbers and not arrays and getattr(value, "is_number", False) is True
    if not (numbers or arrays or (exact and value.is_real)):
        raise DataError(f"{least}, got {cut(repr(value), 60)}")
    if not np.all(value >= 1):
        raise DataError(f"{least}, got {cut(str(value), 60)}")
    if not np.all(value <= MAX_AMOUNT):
        raise DataError(f"{what} must be at most 2**100, got more")
    return value.item() if isinstance(value, np.number) else as_floats(value)
