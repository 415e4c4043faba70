"""Posynomials: sums of products of powers with positive coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.algebra.later import sympy


@dataclass(frozen=True)
class Posynomial:
    r"""A sum :math:`\sum_k e^{b_k} \prod_j x_j^{a_{kj}}`, as a function of :math:`y = \log x`.

    Parameters
    ----------
    powers : ndarray
        ``a``, one row per term. [1]
    logs : ndarray
        ``b``, the logarithms of the coefficients. [1]
    """

    powers: np.ndarray
    logs: np.ndarray

    @property
    def is_monomial(self) -> bool:
        """Whether it has a single term."""
        return len(self.logs) == 1

    def log(self, y: np.ndarray) -> float:
        """Return its logarithm [1]."""
        exponents = self.powers @ y + self.logs
        most = exponents.max()
        return float(most + np.log(np.exp(exponents - most).sum()))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return the gradient of its logarithm by ``y`` [1]."""
        exponents = self.powers @ y + self.logs
        shares = np.exp(exponents - exponents.max())
        return np.asarray(shares / shares.sum() @ self.powers)


def posynomial(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> Posynomial | None:
    """Return an expression of positive symbols as a posynomial, None if it is not one.

    Examples
    --------
    >>> from costmodel import dim
    >>> c1, c2 = dim("c1"), dim("c2")
    >>> posynomial(9 * c1 * (c2 + 1), (c1, c2)).powers.tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    >>> posynomial(c1 - c2, (c1, c2)) is None
    True
    """
    powers, logs = [], []
    for term in sympy.Add.make_args(sympy.expand(expression)):
        coefficient, rest = term.as_independent(*symbols, as_Add=False)
        if not coefficient.is_number or not coefficient > 0:
            return None
        row = dict.fromkeys(symbols, 0.0)
        for base, exponent in rest.as_powers_dict().items():
            if base == 1:
                continue
            if base not in row or not exponent.is_number:
                return None
            row[base] += float(exponent)
        powers.append([row[s] for s in symbols])
        logs.append(float(sympy.log(coefficient)))
    order = np.lexsort(np.array(powers).T[::-1])[::-1]
    return Posynomial(np.array(powers)[order], np.array(logs)[order])
