"""Optimal widths, depths and groups: values for the symbols of a network.

If objective and limits are posynomials and each capacity is a monomial, the problem is a geometric
program, and its global optimum has a certificate (:mod:`costmodel.solving.geometric`). Otherwise
the answer is the best of local searches from several starts, and is labelled so. Integers are found
by rounding and local search on the true model.
"""

from __future__ import annotations

from costmodel.solving.geometric import Certificate as Certificate
from costmodel.solving.solve import Solution as Solution
from costmodel.solving.solve import solve as solve
