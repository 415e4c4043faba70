r"""How much the rows count against the priors, found by predicting rows that are left out.

If a formula misses in one direction at small kernels and in the other at large ones, rows are not
independent evidence about its parameters, and the posterior that takes them for it is too sure:
it leaves good priors for parameters that only bend the formula towards the fitted shapes. The
likelihood is therefore raised to a power,

.. math:: p(x \mid t) \propto p(x)\, p(t \mid x)^\lambda, \qquad \lambda \in \{1, 0.3, 0.1, ...\}

and rows that are left out say which :math:`\lambda` predicts. With :math:`\lambda` = 0 the rows
have taught nothing, and the priors stay.

With few single operators, each of them is left out: :math:`e_i = r_i / (1 - l_i)` with its leverage
:math:`l_i`. A dozen errors do not tell similar weights apart, so that the geometric mean of all
weights is taken, each as likely as it makes the rows. Networks, which are left out in the same way,
have the weight 1 or 0, whichever predicts better. Where single operators of one kind and dtype
have a surface (:mod:`costmodel.calibration.surfaces`), which corrects between the fitted shapes and
not beyond them, the largest fifth of the operators of every kind is predicted from the others.

Source: P. Grünwald and T. van Ommen, Inconsistency of Bayesian Inference for Misspecified Linear
Models, and a Proposal for Repairing It, Bayesian Analysis 12(4), 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from costmodel.calibration.posed import Posed
from costmodel.calibration.robust import FLOOR, Estimate

WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.0)
"""Weights of single operators that are tried. [1]"""
OF_NETWORKS = (1.0, 0.0)
"""Weights of networks that are tried: errors of their many kernels are averaged. [1]"""
ALIKE = (0.3, 0.1, 0.03, 0.0)
"""Weights that are tried if rows of one kind are correlated. [1]"""
LEAST = 0.01
"""Weight by which 0 enters a geometric mean. [1]"""
FEWEST = 8
"""Fewest rows whose errors say which weight is best."""
FAR = 1.0
"""Errors of rows left out are clipped here: a wrong row must not choose. [1]"""
SURE = 0.1
"""Share by which an error may exceed the least one: the largest such weight is taken. [1]"""
_PART = 5
"""The largest operators that are left out are one in so many."""


def weighed(posed: Posed) -> tuple[float, Estimate]:
    """Return the weight of the rows, and the estimate with it."""
    weight = _weight(posed)
    return weight, posed.estimate(weight)


def _weight(posed: Posed) -> float:
    if posed.kinds:
        return _extrapolating(posed)
    if len(posed.seconds) < FEWEST:
        return 1.0
    if posed.single.all():
        return likely(WEIGHTS, _left_out(posed, WEIGHTS), len(posed.seconds))
    errors = _left_out(posed, OF_NETWORKS)
    return OF_NETWORKS[0] if errors[0] <= FLOOR else OF_NETWORKS[int(np.argmin(errors))]


def likely(weights: Sequence[float], errors: Sequence[float], rows: int) -> float:
    """Return the geometric mean of weights by the likelihood of the rows that are left out.

    Their errors have Laplace's distribution, with the least mean error as its scale.

    Examples
    --------
    >>> round(likely((1.0, 0.1, 0.0), (0.05, 0.3, 0.6), rows=10), 3)
    1.0
    >>> round(likely((1.0, 0.1, 0.0), (0.2, 0.2, 0.2), rows=10), 3)
    0.1
    """
    if errors[0] <= FLOOR:  # no table repeats better
        return weights[0]
    scale = max(FLOOR, min(errors))
    evidence = np.exp(-rows * (np.array(errors) - min(errors)) / scale)
    return float(np.exp(np.average(np.log(np.maximum(weights, LEAST)), weights=evidence)))


def _left_out(posed: Posed, weights: Sequence[float]) -> list[float]:
    """Return the mean error of rows that are left out one by one, for each weight [1]."""
    return [_error(_residual(posed, weight)) for weight in weights]


def _residual(posed: Posed, weight: float) -> np.ndarray:
    if weight == 0:
        return posed.problem.residual(posed.problem.mean)
    found = posed.estimate(weight)
    return np.asarray(found.residual / (1 - found.leverage))


def _extrapolating(posed: Posed) -> float:
    """Return the weight that predicts the largest operators of every kind from the others best."""
    inside, outside = _by_size(posed)
    few, others = posed.rows(inside), posed.table.rows(outside)
    errors = []
    for weight in ALIKE:
        found = few.estimate(weight)
        platform = few.with_surfaces(few.surfaces(found))
        times = others.seconds(platform, few.theta(found.x))
        errors.append(_error(np.log(times / posed.seconds[outside])))
    return ALIKE[_best(errors)]


def _by_size(posed: Posed) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows but the largest operators of every kind, and those: by their prior time."""
    size = posed.table.seconds(posed.formulas, posed.platform.fitted.theta)
    longest = [kind.rows[np.argsort(size[kind.rows])] for kind in posed.kinds]
    outside = np.concatenate([rows[-(len(rows) // _PART) :] for rows in longest])
    return np.setdiff1d(np.arange(len(size)), outside), outside


def _error(off: np.ndarray) -> float:
    return float(np.mean(np.minimum(np.abs(off), FAR)))


def _best(errors: list[float]) -> int:
    """Return the position of the first error that is about as small as the least (:data:`SURE`)."""
    return int(np.argmax(np.array(errors) <= (1 + SURE) * min(errors)))
