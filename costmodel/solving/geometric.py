r"""Geometric programs: solved by cvxpy, certified here.

In :math:`y = \log x` the problem is convex: :math:`\min f(y)` where all :math:`g_i(y) \le 0` and
:math:`y` lies in a box. For any :math:`\lambda \ge 0` and any point :math:`y^*`,

.. math::

    f(y) \ge f(y) + \lambda^T g(y) = L(y)
    \ge L(y^*) + \min_{z \in \text{box}} \nabla L(y^*)^T (z - y^*)

holds for every feasible :math:`y`: a bound that does not depend on the solver. The multipliers
minimize the gradient.

Source: Boyd, Kim, Vandenberghe and Hassibi, A tutorial on geometric programming, Optimization and
Engineering 8 (2007), 67-127.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.solving.posynomial import Posynomial

_ACTIVE = 1e-4
"""Slack of a constraint, in the logarithm, up to which it counts as active. [1]"""


@dataclass(frozen=True)
class Certificate:
    """Proof of an optimum over real numbers.

    Parameters
    ----------
    optimum : float
        The value found.
    bound : float
        A lower bound for every feasible point.
    """

    optimum: float
    bound: float

    @property
    def gap(self) -> float:
        """Relative excess of the optimum over the bound [1].

        Examples
        --------
        >>> Certificate(125.0, 100.0).gap
        0.25
        """
        return self.optimum / self.bound - 1


@dataclass(frozen=True)
class Program:
    """A geometric program.

    Parameters
    ----------
    objective : Posynomial
        The objective to minimise.
    at_most : sequence of (Posynomial, float)
        Posynomials and their upper limits.
    at_least : sequence of (Posynomial, float)
        Monomials and their lower limits.
    low, high : ndarray
        The box of the variables.
    """

    objective: Posynomial
    at_most: Sequence[tuple[Posynomial, float]]
    at_least: Sequence[tuple[Posynomial, float]]
    low: np.ndarray
    high: np.ndarray

    def solve(self) -> tuple[np.ndarray, Certificate]:
        """Return the best point and its certificate.

        Raises
        ------
        DataError
            If cvxpy is missing, or no point fulfils the limits.
        """
        try:
            import cvxpy
        except ModuleNotFoundError:
            raise DataError(
                "a geometric program needs the package cvxpy: pip install 'nn-costmodel[solve]'"
            ) from None
        x = cvxpy.Variable(len(self.low), pos=True)
        limits = [x >= self.low, x <= self.high]
        limits += [_cvxpy(p, x, cvxpy) <= limit for p, limit in self.at_most]
        limits += [_cvxpy(p, x, cvxpy) >= limit for p, limit in self.at_least]
        problem = cvxpy.Problem(cvxpy.Minimize(_cvxpy(self.objective, x, cvxpy)), limits)
        problem.solve(gp=True)
        if x.value is None:
            raise DataError(f"no widths fulfil these limits (the solver says: {problem.status})")
        y = np.clip(np.log(x.value), np.log(self.low), np.log(self.high))
        return np.exp(y), self._certificate(y)

    def _certificate(self, y: np.ndarray) -> Certificate:
        from scipy.optimize import nnls

        slack = [np.log(limit) - p.log(y) for p, limit in self.at_most]
        slack += [p.log(y) - np.log(limit) for p, limit in self.at_least]
        rows = [p.gradient(y) for p, _ in self.at_most] + [-p.gradient(y) for p, _ in self.at_least]
        active = [i for i, s in enumerate(slack) if s < _ACTIVE]
        low, high = np.log(self.low), np.log(self.high)
        at_low, at_high = y - low < _ACTIVE, high - y < _ACTIVE
        own = self.objective.gradient(y)
        # Multipliers of the box cancel the gradient at its faces.
        box = np.eye(len(y))
        columns = [*(rows[i] for i in active), *-box[at_low], *box[at_high]]
        found = nnls(np.array(columns).T, -own)[0][: len(active)] if columns else []
        lagrangian, gradient = self.objective.log(y), own.copy()
        for multiplier, i in zip(found, active, strict=True):
            lagrangian -= multiplier * slack[i]
            gradient += multiplier * rows[i]
        least = lagrangian + np.minimum(gradient * (low - y), gradient * (high - y)).sum()
        return Certificate(float(np.exp(self.objective.log(y))), float(np.exp(least)))


def _cvxpy(p: Posynomial, x: Any, cvxpy: Any) -> Any:
    terms = []
    for row, log in zip(p.powers, p.logs, strict=True):
        term: Any = cvxpy.Constant(float(np.exp(log)))
        for j in np.flatnonzero(row):
            term = term * x[int(j)] ** float(row[j])
        terms.append(term)
    return sum(terms[1:], terms[0])
