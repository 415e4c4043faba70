"""Limits given by the user: a latency or a share, and the exit code if it is exceeded."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated

import typer

from costmodel.errors import DataError
from costmodel.units import parse

EXCEEDED = 1
"""Exit code if a limit is exceeded."""

MaxLatencyOption = Annotated[
    str | None,
    typer.Option(
        "--max-latency",
        metavar="TIME",
        help="A limit, such as 10ms.",
        show_default=False,
    ),
]


def latency_limit(text: str) -> float:
    """Return a time written by the user [s].

    Examples
    --------
    >>> latency_limit("10ms")
    0.01
    """
    found = parse(text, "s")
    if not 0 < found < float("inf"):
        raise DataError(f"a latency must be a positive time such as 10ms, got {text!r}")
    return found


def share_limit(text: str) -> float:
    """Return a share written by the user: with a per cent sign, or as a number below 1 [1].

    Raises
    ------
    DataError
        If it is neither. A number without a sign that is not below 1 may be meant as per cent.

    Examples
    --------
    >>> share_limit("5%"), share_limit("0.05"), share_limit("150%")
    (0.05, 0.05, 1.5)
    >>> share_limit("5")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: a share of 5 is 500 %: write 5% if that is meant, or 500%
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(%?)\s*", text)
    if not match or not isfinite(float(match[1])):
        raise DataError(f"a share must be written as in 5% or 0.05, got {text!r}")
    value = float(match[1])
    if match[2]:
        return value / 100
    if value >= 1:
        raise DataError(
            f"a share of {value:g} is {100 * value:g} %: write {value:g}% if that is meant, or "
            f"{100 * value:g}%"
        )
    return value
