"""Functions of expressions that sympy lacks; imported where there is an expression."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import sympy

from costmodel.algebra.arrays import tree_levels


class Levels(sympy.Function):  # type: ignore[misc]
    """``levels`` of an expression."""

    is_integer = True
    is_nonnegative = True
    nargs = (1,)

    @classmethod
    def eval(cls, count: sympy.Expr) -> sympy.Integer | None:
        """Return the number if the argument is one."""
        return sympy.Integer(tree_levels(int(count))) if count.is_Integer else None

    @staticmethod
    def _imp_(count: Any) -> Any:
        return tree_levels(np.asarray(count))

    def _sympystr(self, printer: Any) -> str:
        return f"levels({printer.doprint(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        inner = printer.doprint(self.args[0])
        return rf"\left\lceil \log_{{2}} \left({inner}\right) \right\rceil"


class Gcd(sympy.Function):  # type: ignore[misc]
    """Greatest common divisor of integers; that of sympy is for polynomials."""

    is_integer = True
    is_positive = True

    @classmethod
    def eval(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        """Return the divisor of numbers."""
        if a.is_Integer and b.is_Integer:
            return sympy.Integer(gcd(int(a), int(b)))
        return a if a == b else None

    @staticmethod
    def _imp_(a: Any, b: Any) -> Any:
        """Evaluate at arrays, which sympy passes as floats, for which NumPy has no gcd."""
        return np.gcd(np.asarray(a, np.int64), np.asarray(b, np.int64))


Gcd.__name__ = "gcd"
