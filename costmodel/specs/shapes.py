"""Additions to the name of a network: parameters, and the shapes of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.errors import DataError


@dataclass(frozen=True, slots=True)
class InputShape:
    """Shape, dtype and name of an input, given by the caller.

    Parameters
    ----------
    shape : tuple of int
        Its shape. [element]
    dtype : str
        Its dtype; ``""`` for that of the network or the default.
    name : str
        Its name; ``""`` for the next one in order.
    """

    shape: tuple[int, ...]
    dtype: str = ""
    name: str = ""


def split_query(name: str, query: str) -> dict[str, str]:
    """Return the parameters written as ``key=value&key=value``.

    Raises
    ------
    DataError
        If a parameter has another form or is given twice.
    """
    texts: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise DataError(f"{name}: parameter {part!r} must be written as name=value")
        if key in texts:
            raise DataError(f"{name}: parameter {key!r} is given twice")
        texts[key] = value
    return texts
