r"""Further starts of a fit, at points where one parameter is moved far.

If a kernel waits for memory, a small change of its arithmetic does not change its time. A fit that
starts there cannot find that the arithmetic is much slower, and distorts other parameters instead.
From an estimate, each parameter is therefore moved by one and two widths of its prior, while the
others follow along the slopes,

.. math::

    y = -(J^T W J + S)^{-1} \bigl(J^T W\, r(x') + S (x' - m)\bigr)

without the row and column of the moved parameter. The fit starts again from the point that promises
the largest posterior, and the better of the two results is kept.
"""

from __future__ import annotations

import numpy as np

from costmodel.calibration.robust import Estimate, Problem, climbed, costs, student_weights

MOVES = (-2.0, -1.0, 1.0, 2.0)
"""Distances by which a parameter is moved. [width of its prior]"""
WORTH = 2.0
"""Least increase of the log posterior that another start must promise and achieve. [1]"""
_AGAIN = 3
"""Maximum number of further starts."""


def estimate(p: Problem) -> Estimate:
    """Return the estimate of a problem: the best one found from the prior and further starts.

    Examples
    --------
    A kernel waits for memory, which takes 1, or for arithmetic, which takes 0.1 by its prior:

    >>> from functools import partial
    >>> rows = np.log([3.0] * 10)
    >>> one = np.ones(1)
    >>> waits = lambda x: np.maximum(0, x + np.zeros(10)) - rows
    >>> kernel = partial(Problem, lower=-9 * one, upper=9 * one, groups=[np.arange(10)])
    >>> problem = kernel(waits, mean=np.log(0.1 * one), spread=2 * one)
    >>> np.exp(climbed(problem, problem.mean).x).round(1).tolist()
    [0.1]
    >>> np.exp(estimate(problem).x).round(1).tolist()
    [3.0]
    """
    best = climbed(p, p.mean)
    for _ in range(_AGAIN):
        start = elsewhere(p, best)
        if start is None:
            break
        found = climbed(p, start)
        if found.cost > best.cost - WORTH:
            break
        best = found
    return best


def elsewhere(p: Problem, e: Estimate) -> np.ndarray | None:
    """Return the next start, or None if no move of one parameter promises an increase."""
    width = e.widened * p.spread_at(e.x)
    moves = np.concatenate([np.diag(m * width) for m in MOVES])
    moved = np.clip(e.x + moves, p.lower, p.upper)
    slopes = p.jacobian(e.x)
    r = p.residuals(moved)
    precision = p.weight * student_weights(e.residual, e.noise) / e.noise**2
    weighed = slopes * precision[:, None]
    curvature = slopes.T @ weighed + np.diag(1 / width**2)
    pull = r @ weighed + (moved - p.mean) / width**2
    follow = np.zeros_like(moved)
    for j in range(len(p.mean)):
        rest = np.arange(len(p.mean)) != j
        own = np.arange(j, len(moved), len(p.mean))
        block = np.linalg.solve(curvature[np.ix_(rest, rest)], -pull[np.ix_(own, rest)].T)
        follow[np.ix_(own, rest)] = block.T
    promised = costs(p, moved + follow, r + follow @ slopes.T, e.noise, e.widened)
    best = int(np.argmin(promised))
    if promised[best] > e.cost - WORTH:
        return None
    return np.asarray(np.clip(moved[best] + follow[best], p.lower, p.upper))
