r"""Fits again with rows that are alike where shapes are, since what formulas miss is.

A formula that is off by a tenth at one shape is off by about as much at the next: 200 such rows do
not tell a parameter ten times as well as two. From the estimate with independent rows on, single
operators of one kind and dtype therefore have the covariance that
:mod:`costmodel.calibration.surfaces` learns with,

.. math:: C = s^2\, h h^T \circ K + \mathrm{diag}(\eta^2 / w), \qquad \eta = 0.3\, s

with :math:`s` their scatter and :math:`w` weights of Student's t, and the parameters are those of
the least squares :math:`r^T C^{-1} r` and their priors.

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
    determined,
    moved,
    student_weights,
    width,
)

NOISE = 0.3
"""What shapes do not explain of a residual, relative to what they do. [1]"""
_ROUNDS = 4


@dataclass(frozen=True)
class Alike:
    """Rows of one kind of kernel.

    Parameters
    ----------
    rows : ndarray of int
        Which they are.
    closeness : ndarray
        Correlation of what the formula misses, by shape and by share of the device. [1]
    """

    rows: np.ndarray
    closeness: np.ndarray


def correlated(p: Problem, e: Estimate, kinds: Sequence[Alike]) -> Estimate:
    """Return the estimate under rows that are alike, from the one under independent rows.

    Examples
    --------
    Six rows at one shape take a fifth more, four at shapes of their own do not:

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
    x, r, widened = e.x, e.residual, e.widened
    weights = student_weights(r, e.noise)
    alone = np.sqrt(weights) / e.noise
    covariance = e.covariance
    roots: list[np.ndarray] = []
    for _ in range(_ROUNDS):
        roots = [_root(kind, r, weights) for kind in kinds]
        whitened = partial(_whitened, alone=alone, kinds=kinds, roots=roots)
        x, r, covariance = moved(p, x, whitened, widened)
        used = determined(covariance, widened * p.spread)
        widened = width((x - p.mean) / p.spread, used)
    return replace(
        e,
        x=x,
        residual=r,
        covariance=covariance,
        widened=widened,
        leverage=_leverage(p.jacobian(x), covariance, alone, kinds, roots),
    )


def _leverage(
    slopes: np.ndarray,
    covariance: np.ndarray,
    alone: np.ndarray,
    kinds: Sequence[Alike],
    roots: Sequence[np.ndarray],
) -> np.ndarray:
    """Return by how much each predicted time follows its own row [1]."""
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
    """Return a square root of the inverse of ``C``, its weights those of rows left out."""
    own = r[kind.rows]
    scatter = max(FLOOR, 1.4826 * float(np.median(np.abs(own))))
    shared, noise = scatter**2 * kind.closeness, NOISE * scatter
    inverse = np.linalg.inv(shared + np.diag(noise**2 / weights[kind.rows]))
    left_out = inverse @ own / np.diag(inverse)
    fitting = student_weights(left_out, np.full(len(own), noise))
    factor = np.linalg.cholesky(shared + np.diag(noise**2 / fitting))
    return np.asarray(np.linalg.inv(factor))
