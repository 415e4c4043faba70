"""Errors of all kinds as one sentence."""

from __future__ import annotations

from costmodel import CostModelError


def sentence(error: Exception) -> str:
    r"""Return an error as its first line, with its class if it is not from this project.

    Examples
    --------
    >>> sentence(ValueError("no such axis\nmore"))
    'ValueError: no such axis'
    """
    line = (str(error).strip() or "no reason given").splitlines()[0]
    return line if isinstance(error, CostModelError) else f"{type(error).__name__}: {line}"
