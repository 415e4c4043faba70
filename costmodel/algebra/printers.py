"""Printers of sympy that put terms of high degree first and join roots."""

from __future__ import annotations

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from costmodel.algebra.terms import joined_roots, ordered


class Text(StrPrinter):  # type: ignore[misc]
    """Prints text."""

    def _as_ordered_terms(self, expr: sympy.Expr, order: str | None = None) -> list[sympy.Expr]:
        return ordered(super()._as_ordered_terms(expr, order=order))

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802  (the name is sympy's)
        return str(super()._print_Mul(joined_roots(expr)))


class Latex(LatexPrinter):  # type: ignore[misc]
    """Prints LaTeX."""

    def _as_ordered_terms(self, expr: sympy.Expr, order: str | None = None) -> list[sympy.Expr]:
        return ordered(super()._as_ordered_terms(expr, order=order))

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802  (the name is sympy's)
        return str(super()._print_Mul(joined_roots(expr)))
