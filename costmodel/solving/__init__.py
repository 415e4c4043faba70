"""Widths, depths and groups that are best: symbols of a network solved for.

Where objective and limits are posynomials and each capacity is a monomial, the problem is a
geometric program with a global optimum, which comes with a certificate
(:mod:`costmodel.solving.geometric`). Else the answer is the best of local searches from several
starts, and says so. Integers are found by rounding and local search on the true model.
"""

from __future__ import annotations

from costmodel.solving.geometric import Certificate as Certificate
from costmodel.solving.solve import Solution as Solution
from costmodel.solving.solve import solve as solve
