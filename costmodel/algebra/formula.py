"""Readable closed forms: common factors collected, large terms first, as text or LaTeX."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from costmodel.algebra.symbols import Dim

_MOST_TERMS = 48
"""Maximum number of terms searched for common factors; the search is quadratic in it."""


def tidy(expression: Dim) -> Dim:
    """Return an expression with common factors collected; numbers and arrays are unchanged.

    Examples
    --------
    >>> from costmodel import symbols
    >>> h, w, c1, c2 = symbols("h w c1 c2")
    >>> tidy(h * w * c1 + h * w * c2 + c1 * c2)
    c1*c2 + h*w*(c1 + c2)
    """
    if not isinstance(expression, sympy.Expr):
        return expression
    if expression.is_Integer:
        return int(expression)
    if not isinstance(expression, sympy.Add) or len(expression.args) > _MOST_TERMS:
        return expression
    return _collect(list(expression.args))


def to_text(expression: Dim) -> str:
    """Return the formula as text, terms of high degree first.

    Examples
    --------
    >>> from costmodel import symbols
    >>> h, w, c1, c2 = symbols("h w c1 c2")
    >>> to_text(c1 * c2 + h * w * (c1 + c2))
    'h*w*(c1 + c2) + c1*c2'
    >>> to_text(2 * sympy.sqrt(h * w * c1))
    '2*sqrt(c1*h*w)'
    """
    return str(_Text().doprint(sympy.sympify(expression)))


def to_latex(expression: Dim) -> str:
    r"""Return the formula as LaTeX, terms of high degree first.

    Examples
    --------
    >>> from costmodel import symbols
    >>> c1, c2 = symbols("c1 c2")
    >>> to_latex(c1 * c2 + c1)
    'c_{1} c_{2} + c_{1}'
    """
    return str(_Latex().doprint(sympy.sympify(expression)))


def _collect(terms: list[sympy.Expr]) -> sympy.Expr:
    """Repeatedly factor out the common factor that saves most."""
    best: tuple[int, sympy.Expr, list[int]] | None = None
    factors = [_factors(term) for term in terms]
    for i, j in combinations(range(len(terms)), 2):
        common = factors[i] & factors[j]
        if not common:
            continue
        sharing = [k for k, have in enumerate(factors) if not common - have]
        saved = (len(sharing) - 1) * sum(common.values())
        if best is None or saved > best[0]:
            best = saved, sympy.Mul(*common.elements()), sharing
    if best is None:
        return sympy.Add(*terms)
    _, factor, sharing = best
    inner = _collect([terms[k] / factor for k in sharing])
    rest = [terms[k] for k in range(len(terms)) if k not in sharing]
    joined = sympy.Mul(factor, inner, evaluate=not isinstance(factor, sympy.Number))
    if not rest:
        return joined
    return _collect_rest(joined, rest)


def _collect_rest(joined: sympy.Expr, rest: list[sympy.Expr]) -> sympy.Expr:
    """Collect common factors among the remaining terms."""
    return sympy.Add(joined, _collect(rest))


def _factors(term: sympy.Expr) -> Counter[sympy.Expr]:
    """Return the factors of a term with their integer multiplicities, without numbers."""
    found: Counter[sympy.Expr] = Counter()
    for factor in sympy.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if exponent.is_Integer and exponent > 0 and not base.is_number:
            found[base] += int(exponent)
    return found


def _degree(term: sympy.Expr) -> int:
    """Return the number of symbols multiplied in ``term``, the largest over a sum."""
    if isinstance(term, sympy.Add):
        return max(_degree(arg) for arg in term.args)
    if isinstance(term, sympy.Mul):
        return sum(_degree(arg) for arg in term.args)
    if isinstance(term, sympy.Pow) and term.exp.is_Integer:
        return int(term.exp) * _degree(term.base)
    return 1 if term.free_symbols else 0


def _ordered(terms: list[sympy.Expr]) -> list[sympy.Expr]:
    # Python's sort is stable: terms of equal degree keep the order of sympy.
    return sorted(terms, key=_degree, reverse=True)


def _joined_roots(expr: sympy.Mul) -> sympy.Mul:
    """Return ``sqrt(a)*sqrt(b)`` as one root; sympy splits roots of positive symbols."""
    half = sympy.Rational(1, 2)
    roots = [a.base for a in expr.args if isinstance(a, sympy.Pow) and a.exp == half]
    if len(roots) < 2:
        return expr
    others = [a for a in expr.args if not (isinstance(a, sympy.Pow) and a.exp == half)]
    root = sympy.Pow(sympy.Mul(*roots), half, evaluate=False)
    return sympy.Mul(*others, root, evaluate=False)


class _Text(StrPrinter):  # type: ignore[misc]
    def _as_ordered_terms(self, expr: sympy.Expr, order: str | None = None) -> list[sympy.Expr]:
        return _ordered(super()._as_ordered_terms(expr, order=order))

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802  (the name is sympy's)
        return str(super()._print_Mul(_joined_roots(expr)))


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _as_ordered_terms(self, expr: sympy.Expr, order: str | None = None) -> list[sympy.Expr]:
        return _ordered(super()._as_ordered_terms(expr, order=order))

    def _print_Mul(self, expr: sympy.Mul) -> str:  # noqa: N802  (the name is sympy's)
        return str(super()._print_Mul(_joined_roots(expr)))
