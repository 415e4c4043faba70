r"""Fit with correlated rows: kernels of similar shapes have similar model errors.

A formula with an error of a tenth at one shape has about the same error at the next one, so 200
such rows do not determine a parameter ten times as well as two. Starting from the estimate with
independent rows, single operators of one kind and dtype therefore have the covariance that
:mod:`costmodel.calibration.surfaces` uses,

.. math:: C = s^2\, h h^T \circ K + \mathrm{diag}(\eta^2 / w), \qquad \eta = 0.3\, s

with :math:`s` their scatter and :math:`w` weights of Student's t. The parameters minimize
:math:`r^T C^{-1} r` plus the terms of their priors.

The covariance, not a wider prior, stands for the rows that no parameters near their priors explain.
The priors therefore have their stated spreads here, and are not widened by the rows: a parameter
that bends a formula to the residuals of small shapes is wrong at large ones.

Source: M. C. Kennedy and A. O'Hagan, Bayesian Calibration of Computer Models, J. R. Stat. Soc. B
63(3), 2001, sections 4.2 and 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from costmodel.calibration.robust import (
    ALONE,
    FLOOR,
    Estimate,
    Problem,
    moved,
    student_weights,
)

NOISE = 0.3
"""Part of a residual that shapes do not explain, relative to the part that they explain. [1]"""
_ROUNDS = 4


@dataclass(frozen=True)
class Alike:
    """Rows of one kind of kernel.

    Parameters
    ----------
    rows : ndarray of int
        Indices of the rows.
    closeness : ndarray
        Correlation of the model errors, by shape and by share of the device. [1]
    """

    rows: np.ndarray
    closeness: np.ndarray


def correlated(p: Problem, e: Estimate, kinds: Sequence[Alike]) -> Estimate:
    """Return the estimate with correlated rows, starting from the one with independent rows.

    Examples
    --------
    Six rows at one shape take a fifth more time than predicted; four at other shapes do not:

    >>> from costmodel.calibration.starts import estimate
    >>> near = np.eye(10)
    >>> near[:6, :6] = 1
    >>> rows = np.log([1.2] * 6 + [1.0] * 4)
    >>> one = np.ones(1)
    >>> groups = [np.arange(10)]
    >>> p = Problem(lambda x: x - rows, 0 * one, 0.5 * one, -9 * one, 9 * one, groups)
    >>> alone = estimate(p)
    >>> found = correlated(p, alone, [Alike(np.arange(10), near)])
    >>> np.exp(alone.x).round(2).tolist(), np.exp(found.x).round(2).tolist()
    ([1.14], [1.04])
    """
    x, r = e.x, e.residual
    weights = student_weights(r, e.noise)
    scale = np.sqrt(p.weight)
    alone = np.sqrt(weights) / e.noise
    covariance = e.covariance
    roots: list[np.ndarray] = []
    for _ in range(_ROUNDS):
        roots = [scale * _root(kind, r, weights) for kind in kinds]
        whitened = partial(_whitened, alone=alone, kinds=kinds, roots=roots)
        x, r, covariance = moved(p, x, whitened, p.spread_at(x))
    return replace(
        e,
        x=x,
        residual=r,
        covariance=covariance,
        widened=1.0,
        leverage=_leverage(p.jacobian(x), covariance, alone, kinds, roots),
    )


def _leverage(
    slopes: np.ndarray,
    covariance: np.ndarray,
    alone: np.ndarray,
    kinds: Sequence[Alike],
    roots: Sequence[np.ndarray],
) -> np.ndarray:
    """Return the leverage of each row: how much its predicted time follows it [1]."""
    pull = (alone**2 * slopes.T).T
    for kind, root in zip(kinds, roots, strict=True):
        pull[kind.rows] = root.T @ (root @ slopes[kind.rows])
    return np.asarray(np.clip(np.sum(slopes @ covariance * pull, axis=1), 0, ALONE))


def _whitened(
    a: np.ndarray, alone: np.ndarray, kinds: Sequence[Alike], roots: Sequence[np.ndarray]
) -> np.ndarray:
    found = np.asarray((alone * a.T).T)
    for kind, root in zip(kinds, roots, strict=True):
        found[kind.rows] = root @ a[kind.rows]
    return found


def _root(kind: Alike, r: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a square root of the inverse of ``C`` with the weights of leave-one-out residuals."""
    own = r[kind.rows]
    scatter = max(FLOOR, 1.4826 * float(np.median(np.abs(own))))
    shared, noise = scatter**2 * kind.closeness, NOISE * scatter
    inverse = np.linalg.inv(shared + np.diag(noise**2 / weights[kind.rows]))
    left_out = inverse @ own / np.diag(inverse)
    fitting = student_weights(left_out, np.full(len(own), noise))
    factor = np.linalg.cholesky(shared + np.diag(noise**2 / fitting))
    return np.asarray(np.linalg.inv(factor))
