"""The order of the terms of a formula, and its roots, as its printers need them."""

from __future__ import annotations

from costmodel.algebra.later import sympy


def _degree(term: sympy.Expr) -> int:
    """Return the number of symbols multiplied in ``term``, the largest over a sum."""
    if isinstance(term, sympy.Add):
        return max(_degree(arg) for arg in term.args)
    if isinstance(term, sympy.Mul):
        return sum(_degree(arg) for arg in term.args)
    if isinstance(term, sympy.Pow) and term.exp.is_Integer:
        return int(term.exp) * _degree(term.base)
    return 1 if term.free_symbols else 0


def ordered(terms: list[sympy.Expr]) -> list[sympy.Expr]:
    """Return terms of high degree first."""
    # Python's sort is stable: terms of equal degree keep the order of sympy.
    return sorted(terms, key=_degree, reverse=True)


def joined_roots(expr: sympy.Mul) -> sympy.Mul:
    """Return ``sqrt(a)*sqrt(b)`` as one root; sympy splits roots of positive symbols."""
    half = sympy.Rational(1, 2)
    roots = [a.base for a in expr.args if isinstance(a, sympy.Pow) and a.exp == half]
    if len(roots) < 2:
        return expr
    others = [a for a in expr.args if not (isinstance(a, sympy.Pow) and a.exp == half)]
    root = sympy.Pow(sympy.Mul(*roots), half, evaluate=False)
    return sympy.Mul(*others, root, evaluate=False)
