"""Proofs that an expression is an integer and not too small; otherwise, what to write instead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, product
from typing import Any

from costmodel.algebra.later import sympy

_WITNESSES = 125
"""Maximum number of assignments tried to show that an expression is not a size."""
_LARGEST_OFFSET = 16
"""Largest number tried as a lower limit of a symbol."""


@lru_cache(maxsize=1 << 14)
def is_certain(expression: sympy.Expr, smallest: int) -> bool:
    """Return whether ``expression`` is an integer of at least ``smallest`` at every assignment.

    The proof uses the assumptions of its symbols; False if there is no proof.

    Examples
    --------
    >>> h, w = (sympy.Symbol(name, integer=True, positive=True) for name in "hw")
    >>> is_certain(sympy.ceiling(h / 2), 1), is_certain(h + w - 1, 1), is_certain(h - 1, 0)
    (True, True, True)
    >>> is_certain(h / 2, 1), is_certain(h - 5, 1), is_certain(h - w, 0)
    (False, False, False)
    """
    if expression.is_integer is not True:
        return False
    if smallest <= 1 and expression.is_positive:
        return True
    if smallest == 0 and expression.is_nonnegative:
        return True
    return bool(_least(expression) >= smallest)


def objection(expression: sympy.Expr, smallest: int) -> str:
    """Return why ``expression`` may not be such an integer, and what to write instead.

    Examples
    --------
    >>> h = sympy.Symbol("h", integer=True, positive=True)
    >>> objection(h - 5, 1)
    'h - 5 is -4 for h = 1: write h = k + 5'
    >>> objection(h / 2, 1)
    'h/2 is 1/2 for h = 1: write h = 2*k'
    """
    floats = expression.atoms(sympy.Float)
    if floats:
        return f"{expression} holds a float: write whole numbers and sympy.Rational"
    why = _witness(expression, smallest) or f"{expression} cannot be shown to be one"
    one = _symbols(expression)[0]
    general = f"it in other symbols, as in {one} = 2*k or {one} = k + 5"
    return f"{why}: write {_remedy(expression, smallest) or general}"


def _least(e: sympy.Expr) -> sympy.Expr:
    """Return a lower bound of ``e``, minus infinity if none is found."""
    match e:
        case sympy.Rational():
            return e
        case sympy.Add():
            return sympy.Add(*map(_least, e.args))
        case sympy.Mul():
            lows = [_least(a) for a in e.args]
            return sympy.Mul(*lows) if all(low >= 0 for low in lows) else -sympy.oo
        case sympy.Pow(base=base, exp=power) if power.is_Integer and power > 0:
            low = _least(base)
            return low**power if low >= 0 else -sympy.oo
        case sympy.ceiling() | sympy.floor():
            low = _least(e.args[0])
            return e.func(low) if low.is_finite else low
        case sympy.Max() | sympy.Min():
            return e.func(*map(_least, e.args))
    if e.is_integer and e.is_positive:
        return sympy.Integer(1)
    return sympy.Integer(0) if e.is_nonnegative else -sympy.oo


def _symbols(expression: sympy.Expr) -> list[sympy.Symbol]:
    return sorted(expression.free_symbols, key=str)


def _witness(expression: sympy.Expr, smallest: int) -> str | None:
    """Return, in words, an assignment at which ``expression`` is not such an integer."""
    symbols = _symbols(expression)
    for numbers in islice(product(range(1, 6), repeat=len(symbols)), _WITNESSES):
        assignment = dict(zip(symbols, numbers, strict=True))
        value = _put_in(expression, assignment)
        if not (value.is_Integer and value >= smallest):
            at = ", ".join(f"{symbol} = {number}" for symbol, number in assignment.items())
            return f"{expression} is {value if value.is_finite else 'undefined'} for {at}"
    return None


def _put_in(expression: sympy.Expr, values: dict[sympy.Symbol, Any]) -> sympy.Expr:
    """Return ``expression`` at ``values``, or nan if sympy cannot evaluate it."""
    try:
        return expression.subs(values)
    except (ValueError, ZeroDivisionError):  # Max of a complex number; a remainder modulo zero
        return sympy.nan


def _remedy(expression: sympy.Expr, smallest: int) -> str | None:
    """Return, in words, a substitution of one symbol that makes ``expression`` certain."""
    fresh = next(name for name in _names() if name not in map(str, expression.free_symbols))
    k = sympy.Symbol(fresh, integer=True, positive=True)
    for symbol in _symbols(expression):
        for instead in _candidates(expression, symbol, k):
            changed = _put_in(expression, {symbol: instead})
            if is_certain(instead, 1) and is_certain(changed, smallest):
                return f"{symbol} = {instead}"
    return None


def _names() -> Iterator[str]:
    yield "k"
    number = 1
    while True:
        yield f"k{number}"
        number += 1


def _candidates(
    expression: sympy.Expr, symbol: sympy.Symbol, k: sympy.Symbol
) -> Iterator[sympy.Expr]:
    """Yield candidates for ``symbol``: the expression solved for it, a power, a sum, a multiple.

    Nothing is expanded, because a power of a sum may have an excessive number of terms.
    """
    slope = expression.diff(symbol)
    if slope != 0 and not slope.has(symbol):
        yield (k - _put_in(expression, {symbol: 0})) / slope
    multiple = sympy.Integer(math.lcm(*(number.q for number in expression.atoms(sympy.Rational))))
    for power in expression.atoms(sympy.Pow):
        if power.base == symbol and power.exp.is_Rational and power.exp.q > 1:
            yield k**power.exp.q
        if power.exp.is_negative:
            multiple *= power.base**-power.exp
    yield from (k + number for number in range(1, _LARGEST_OFFSET + 1))
    yield multiple * k
