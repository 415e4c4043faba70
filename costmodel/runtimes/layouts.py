"""Expected costs of convolutions in NHWC, by their class, in a runtime file."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from costmodel.errors import DataError

CLASSES = ("grouped", "small", "narrowing", "other")
"""Classes of convolutions, as in :mod:`costmodel.kernels.layouts`."""


def layout_costs_of(table: Mapping[str, Any], file: str) -> dict[str, float]:
    """Return the expected time in NHWC over that in NCHW of every class; empty without a table.

    Raises
    ------
    DataError
        If a class or the source is missing, or a value is not positive and finite.

    Examples
    --------
    >>> layout_costs_of({}, "a.toml")
    {}
    """
    if not table:
        return {}
    source = table.get("source")
    if set(table) != {*CLASSES, "source"} or not (isinstance(source, str) and source.strip()):
        raise DataError(f"{file}: layout_costs must have {', '.join(CLASSES)} and a source")
    for name in CLASSES:
        if type(table[name]) not in (int, float) or not 0 < table[name] < inf:
            raise DataError(
                f"{file}: layout_costs.{name} must be a positive number, got {table[name]!r}"
            )
    return {name: float(table[name]) for name in CLASSES}
