"""Closed forms with many branches as definitions, each branch with its condition."""

from __future__ import annotations

from typing import NamedTuple

import sympy

from costmodel.algebra.formula import to_text
from costmodel.algebra.symbols import Dim

_DIGITS = 4
"""Digits of the constants."""


class Definition(NamedTuple):
    """A name and its values, each with the condition under which it holds.

    Parameters
    ----------
    name : str
        The defined name; ``""`` for the expression itself.
    branches : tuple of (str, str)
        Value and condition; the first condition that holds decides. ``""`` holds always.
    """

    name: str
    branches: tuple[tuple[str, str], ...]


def definitions(expression: Dim) -> list[Definition]:
    """Return an expression as definitions, each before its first use; the last is the expression.

    Every distinct piecewise part, maximum and minimum has a name, ``x1``, ``x2`` ..., that the
    expression does not use. Constants are rounded to four digits.

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> for name, branches in definitions(2 * sympy.Piecewise((0, sympy.Max(x, y) > 9), (x, True))):
    ...     print(name, branches)
    x1 (('Max(x, y)', ''),)
    x2 (('0', 'x1 > 9'), ('x', ''))
     (('2*x2', ''),)
    """
    form = _Form(sympy.sympify(expression))
    return [*form.lines, Definition("", ((form.text, ""),))]


class _Form:
    """The named parts of one expression, in the order of their creation."""

    def __init__(self, expression: sympy.Expr) -> None:
        self.lines: list[Definition] = []
        self._taken = {symbol.name for symbol in expression.free_symbols}
        self._known: dict[sympy.Basic, sympy.Basic] = {}
        self._named: dict[tuple[tuple[str, str], ...], sympy.Symbol] = {}
        self.text = to_text(self._of(expression))

    def _of(self, e: sympy.Basic) -> sympy.Basic:
        """Return ``e`` with its parts replaced by their names."""
        if e not in self._known:
            self._known[e] = self._find(e)
        return self._known[e]

    def _find(self, e: sympy.Basic) -> sympy.Basic:
        if isinstance(e, sympy.Float):
            return sympy.Float(e, _DIGITS)
        if not e.args:
            return e
        if isinstance(e, sympy.Piecewise):
            pairs = [(to_text(self._of(value)), self._condition(test)) for value, test in e.args]
            return self._name(tuple(pairs))
        args = [self._of(x) for x in e.args]
        if isinstance(e, sympy.Max | sympy.Min):
            return self._name(((to_text(e.func(*args, evaluate=False)), ""),))
        return e.func(*args)

    def _condition(self, test: sympy.Basic) -> str:
        if test == sympy.true:
            return ""
        if isinstance(test, sympy.And):
            return " and ".join(sorted(self._condition(part) for part in test.args))
        return str(test.func(*(self._of(x) for x in test.args), evaluate=False))

    def _name(self, branches: tuple[tuple[str, str], ...]) -> sympy.Basic:
        if branches not in self._named:
            number = len(self._named) + 1
            while f"x{number}" in self._taken:
                number += 1
            self._taken.add(f"x{number}")
            self._named[branches] = sympy.Symbol(f"x{number}", real=True)
            self.lines.append(Definition(f"x{number}", branches))
        return self._named[branches]
