"""Arguments of public functions: a wrong one is an error that names it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from costmodel.errors import DataError


def path_of(value: str | os.PathLike[str], name: str) -> Path:
    """Return the path that an argument holds.

    Parameters
    ----------
    value : path
        The argument.
    name : str
        Its name, for the error.

    Raises
    ------
    DataError
        If it is neither a text nor a path, or empty.

    Examples
    --------
    >>> path_of(3, "path")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: path must be the path of a file, got 3
    """
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise DataError(f"{name} must be the path of a file, got {value!r}")
    return Path(value)


def mapping_of(value: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return the mapping that an argument holds, empty if it is left out.

    Parameters
    ----------
    value : mapping, optional
        The argument.
    name : str
        Its name, for the error.

    Raises
    ------
    DataError
        If it is not a mapping.

    Examples
    --------
    >>> mapping_of(None, "dims"), mapping_of({"n": 1}, "dims")
    ({}, {'n': 1})
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{name} must be a mapping of names to values, got {value!r}")
    return dict(value)


def values_of(value: object, name: str, what: str) -> tuple[Any, ...]:
    """Return the values that an argument holds.

    Parameters
    ----------
    value : object
        The argument, which must be iterable.
    name, what : str
        Its name and what it lists, for the error.

    Raises
    ------
    DataError
        If it is not iterable, or a text.

    Examples
    --------
    >>> values_of([1, 3, 8, 8], "input_shape", "sizes")
    (1, 3, 8, 8)
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise DataError(f"{name} must be a list of {what}, got {value!r}")
    return tuple(value)


def number_of(value: float, name: str) -> float:
    """Return the number that an argument holds.

    Parameters
    ----------
    value : float
        The argument.
    name : str
        Its name, for the error.

    Raises
    ------
    DataError
        If it is not a real number.

    Examples
    --------
    >>> number_of(0.01, "seconds")
    0.01
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(f"{name} must be a number, got {value!r}")
    return value
