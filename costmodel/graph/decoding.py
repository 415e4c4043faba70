"""Values in a graph file: numbers, strings, lists, and expressions of bounded size."""

from __future__ import annotations

from typing import Any

from costmodel.algebra.sizes import taken
from costmodel.algebra.written import parse_dim
from costmodel.errors import DataError
from costmodel.reading import Deadline

MAX_EXPRESSIONS = 5000
"""Maximum number of characters in all different expressions of one file."""
MAX_SYMBOLIC_RANK = 32
"""Maximum number of entries in a list with an expression."""
_DEEPEST = 3
_SECONDS = 0.6
"""Maximum processor time for a file with expressions, plus the same for each MiB. [s]"""
_MARKS = ('"expr"', '"taken"', "\\u")
"""Markers of a file with expressions, the last for keys written in escapes."""


class Decoder:
    """Converts the values of one graph file to fields of operators and sizes of tensors.

    Parameters
    ----------
    text : str
        The whole file.

    Attributes
    ----------
    deadline : Deadline or None
        The time limit of a file with expressions.

    Examples
    --------
    >>> Decoder("").value([1, {"expr": "2*h"}])
    (1, 2*h)
    """

    def __init__(self, text: str) -> None:
        self.deadline: Deadline | None = None
        if any(mark in text for mark in _MARKS):
            self.deadline = Deadline(_SECONDS * (1 + len(text) / 2**20))
        self._seen: set[str] = set()
        self._characters = 0

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a value of the file: a list becomes a tuple, an object an expression.

        Raises
        ------
        DataError
            If it is nested too deep, or an object is not an expression or too large.
        """
        if isinstance(value, list):
            if depth > _DEEPEST:
                raise DataError(f"lists are nested more than {_DEEPEST} deep")
            if len(value) > MAX_SYMBOLIC_RANK and any(isinstance(v, dict) for v in value):
                raise DataError(
                    f"a list of {len(value)} entries with expressions is too long (at most "
                    f"{MAX_SYMBOLIC_RANK})"
                )
            return tuple(self.value(v, depth + 1) for v in value)
        if isinstance(value, dict):
            return self._expression(value)
        return value

    def _expression(self, entry: dict[str, Any]) -> Any:
        ((form, text),) = entry.items() if len(entry) == 1 else ((None, None),)
        if form not in ("expr", "taken") or not isinstance(text, str):
            raise DataError(f'expected {{"expr": text}} or {{"taken": text}}, got {entry}')
        if text not in self._seen:
            self._seen.add(text)
            self._characters += len(text)
        if self._characters > MAX_EXPRESSIONS:
            raise DataError(f"its expressions have more than {MAX_EXPRESSIONS} characters together")
        if self.deadline is not None:
            self.deadline.check("the graph")
        expression = parse_dim(text)
        return expression if form == "expr" else taken(expression)
