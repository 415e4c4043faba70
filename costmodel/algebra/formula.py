"""Readable closed forms: common factors collected, large terms first, as text or LaTeX."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from costmodel.algebra.later import is_expression, sympy
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
    if not is_expression(expression):
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
    from costmodel.algebra.printers import Text

    return str(Text().doprint(sympy.sympify(expression)))


def to_latex(expression: Dim) -> str:
    r"""Return the formula as LaTeX, terms of high degree first.

    Examples
    --------
    >>> from costmodel import symbols
    >>> c1, c2 = symbols("c1 c2")
    >>> to_latex(c1 * c2 + c1)
    'c_{1} c_{2} + c_{1}'
    """
    from costmodel.algebra.printers import Latex

    return str(Latex().doprint(sympy.sympify(expression)))


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
