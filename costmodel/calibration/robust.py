r"""The robust maximum a posteriori estimate of a calibration.

Log times are :math:`\log t_i = f_i(x) + e_i`, with ``x`` the logarithms of the parameters. Errors
have heavy tails and a scale estimated from the rows. Priors are normal, and the rows may widen all
of them by one factor:

.. math::

    e_i \sim \text{Student-}t_\nu(0, \sigma), \qquad x_j \sim N(m_j, (\tau s_j)^2)

A round moves ``x`` to the least squares of rows with weights :math:`w_i`, then estimates weights,
noise and width anew, correcting for the :math:`\gamma` parameters that the rows determine (D.
MacKay, Bayesian Interpolation, Neural Computation 4(3), 1992):

.. math::

    w_i = \frac{\nu + 1}{\nu + r_i^2 / \sigma^2}, \quad
    \sigma^2 = \frac{n_0 \sigma_0^2 + \sum_i w_i r_i^2}{n_0 + n - \gamma}, \quad
    \tau^2 = \max\Bigl(1, \frac{k_0 + \sum_j z_j^2}{k_0 + \gamma}\Bigr), \quad
    z_j = \frac{x_j - m_j}{s_j}

If the priors are off by a factor of three, good rows have large residuals at the start, and a
robust loss with small noise would ignore them. The noise therefore starts as wide as the residuals,
so that all rows count as in plain least squares, and narrows as the fit improves. Rows whose
residuals stay large are the wrong ones.

The prior of a few parameters is itself Student's t with :data:`PRIOR_FREEDOM` degrees of freedom:
they are nearly always close to their prior, but sometimes far from it. A normal prior can state
only one of the two. At :math:`x` it pulls as a normal prior of spread

.. math:: a\, s_j \sqrt{\frac{\kappa + (z_j / a)^2}{\kappa + 1}}

with :math:`a` = :data:`PRIOR_SCALE`. The first round uses :math:`s_j` itself: such a prior starts
wide, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.timing.spread import STEP

FREEDOM = 3.0
"""Degrees of freedom of Student's t: rows beyond about two noises count less and less. [1]"""
NOISE = 0.05
"""Prior noise of log times. [1]"""
NOISE_ROWS = 3.0
"""Weight of the prior noise, in rows."""
FLOOR = 0.02
"""Least noise of log times: no table repeats better. [1]"""
WIDE_PRIORS = 5.0
"""Weight of the stated width of the priors, in parameters."""
_ROUNDS = 15
_SETTLED = 1e-2
"""Change of the logarithms of noise and width that counts as convergence. [1]"""
ALONE = 0.95
"""Largest leverage: without a limit, the leave-one-out residual of a row could diverge. [1]"""
_STEPS = 4
"""Steps of least squares in one round."""
PRIOR_FREEDOM = 1.0
"""Degrees of freedom of priors with heavy tails. [1]"""
PRIOR_SCALE = 0.04
"""Their scale, relative to the stated spread, which includes devices that are far off. [1]"""


@dataclass(frozen=True)
class Problem:
    """Residuals as a function of parameters, and the priors of these.

    Parameters
    ----------
    residuals : callable
        Log of predicted over measured, one column per measurement, for each row of an array of
        logarithms of the parameters. [1]
    mean, spread, lower, upper : ndarray
        Of the logarithms of the parameters: prior, and physical range. [1]
    groups : sequence of ndarray of int
        Rows that share a noise; each row is in one of them.
    heavy : sequence of int
        Parameters whose prior has heavy tails.
    weight : float
        Weight of the rows relative to the priors; 0 leaves the priors
        (:mod:`costmodel.calibration.weights`). With a weight below 1, priors are not widened. If
        some rows are correlated, it is their weight. [1]
    """

    residuals: Callable[[np.ndarray], np.ndarray]
    mean: np.ndarray
    spread: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    groups: Sequence[np.ndarray]
    heavy: Sequence[int] = ()
    weight: float = 1.0

    @property
    def scale(self) -> np.ndarray:
        """Spread of normal priors, scale of the others [1]."""
        found = self.spread.copy()
        found[list(self.heavy)] *= PRIOR_SCALE
        return found

    def spread_at(self, x: np.ndarray) -> np.ndarray:
        """Return the spreads of the normal priors that pull at ``x`` as the priors do [1]."""
        own, found = list(self.heavy), self.scale
        z = ((x - self.mean) / found)[own]
        found[own] *= np.sqrt((PRIOR_FREEDOM + z**2) / (PRIOR_FREEDOM + 1))
        return found

    def residual(self, x: np.ndarray) -> np.ndarray:
        """Return the residuals under one set of parameters [1]."""
        return np.asarray(self.residuals(x[None])[0])

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals, one column per parameter [1]."""
        found = self.residuals(np.concatenate([x[None], x + STEP * np.eye(len(x))]))
        return np.asarray((found[1:] - found[0]).T / STEP)


@dataclass(frozen=True)
class Estimate:
    """The maximum of the posterior.

    Parameters
    ----------
    x : ndarray
        Logarithms of the parameters. [1]
    residual : ndarray
        Log of predicted over measured. [1]
    covariance : ndarray
        Of ``x``. [1]
    noise : ndarray
        That of each row. [1]
    widened : float
        Factor by which the rows widened all priors. [1]
    leverage : ndarray
        Influence of each row on its own predicted time: 0 is none, 1 is complete. [1]
    cost : float
        Negative logarithm of the posterior, constants left out. [1]
    """

    x: np.ndarray
    residual: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    widened: float
    leverage: np.ndarray
    cost: float


def climbed(p: Problem, start: np.ndarray, noise: np.ndarray | None = None) -> Estimate:
    """Return the estimate found from ``start``, the logarithms of the parameters.

    Parameters
    ----------
    p : Problem
        Residuals and priors.
    start : ndarray
        Logarithms of the parameters. [1]
    noise : ndarray, optional
        Noise of each row at the start, if that is an estimate with another weight: its wrong rows
        stay wrong. The default is as wide as the residuals. [1]

    Examples
    --------
    Ten rows take three times the prior time, and another one is wrong:

    >>> rows = np.log([3.0] * 10 + [60.0])
    >>> one = np.ones(1)
    >>> problem = Problem(
    ...     residuals=lambda x: x - rows,
    ...     mean=0 * one,
    ...     spread=0.5 * one,
    ...     lower=-9 * one,
    ...     upper=9 * one,
    ...     groups=[np.arange(11)],
    ... )
    >>> np.exp(climbed(problem, problem.mean).x).round(1).tolist()
    [3.0]
    """
    x = _inside(p, start)
    r = p.residual(x)
    weights, widened, spread = np.ones(len(r)), 1.0, p.spread
    if noise is None:
        noise = _first_noise(p, r)
    else:
        weights, spread = student_weights(r, noise), p.spread_at(x)
    for _ in range(_ROUNDS):
        x, r, covariance = moved(
            p, x, _scaled(np.sqrt(p.weight * weights) / noise), widened * spread
        )
        before = [*noise, widened]
        used = determined(covariance, widened * spread)
        noise = _noise(p, r, student_weights(r, noise), used)
        spread = p.spread_at(x)
        widened = width((x - p.mean) / spread, used) if p.weight == 1 else 1.0
        weights = student_weights(r, noise)
        if np.all(np.abs(np.log([*noise, widened]) - np.log(before)) < _SETTLED):
            break
    leverage = _leverage(p, x, p.weight * weights / noise**2, covariance)
    cost = float(costs(p, x, r, noise, widened))
    return Estimate(x, r, covariance, noise, widened, leverage, cost)


def costs(
    p: Problem, x: np.ndarray, r: np.ndarray, noise: np.ndarray, widened: float
) -> np.ndarray:
    """Return the negative log posterior of sets of parameters, constants left out [1].

    Parameters
    ----------
    p : Problem
        The priors.
    x, r : ndarray
        Parameters and residuals; sets of them along leading axes. [1]
    noise, widened : ndarray, float
        As in :class:`Estimate`.
    """
    rows = (FREEDOM + 1) / 2 * np.log1p((r / noise) ** 2 / FREEDOM) + np.log(noise)
    expected = NOISE_ROWS * sum(
        np.log(noise[own[0]]) + (NOISE / noise[own[0]]) ** 2 / 2 for own in p.groups
    )
    squares = ((x - p.mean) / (widened * p.scale)) ** 2
    own = list(p.heavy)
    squares[..., own] = (PRIOR_FREEDOM + 1) * np.log1p(squares[..., own] / PRIOR_FREEDOM)
    wide = (WIDE_PRIORS + len(p.mean)) * np.log(widened) + WIDE_PRIORS / (2 * widened**2)
    return np.asarray(p.weight * (rows.sum(axis=-1) + expected) + squares.sum(axis=-1) / 2 + wide)


def _inside(p: Problem, x: np.ndarray) -> np.ndarray:
    margin = 1e-6 * (p.upper - p.lower)
    return np.asarray(np.clip(x, p.lower + margin, p.upper - margin))


def _first_noise(p: Problem, r: np.ndarray) -> np.ndarray:
    """Return the noise that matches the residuals before the fit."""
    noise = np.empty(len(r))
    for rows in p.groups:
        noise[rows] = max(NOISE, 1.4826 * float(np.median(np.abs(r[rows]))))
    return noise


def _scaled(root: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.asarray((root * a.T).T)


def moved(
    p: Problem, x: np.ndarray, whitened: Callable[[np.ndarray], np.ndarray], wide: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return parameters some steps closer to the least squares, residuals, and covariance.

    Parameters
    ----------
    p : Problem
        Residuals and priors.
    x : ndarray
        Where to start. [1]
    whitened : callable
        Transforms residuals, or their derivatives, to independent ones of variance 1.
    wide : ndarray
        Spreads of the priors. [1]
    """
    from scipy.optimize import least_squares

    solution = least_squares(
        lambda y: np.concatenate([whitened(p.residual(y)), (y - p.mean) / wide]),
        _inside(p, x),
        jac=lambda y: np.concatenate([whitened(p.jacobian(y)), np.diag(1 / wide)]),
        bounds=(p.lower, p.upper),
        x_scale=p.spread,
        xtol=1e-5,
        ftol=1e-5,
        max_nfev=_STEPS,
    )
    found = np.asarray(solution.x)
    return found, p.residual(found), np.linalg.inv(solution.jac.T @ solution.jac)


def student_weights(r: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the weight of each row in the next round; it falls with the residual [1].

    Examples
    --------
    >>> student_weights(np.array([0.0, 0.3]), np.array([0.1, 0.1])).round(2).tolist()
    [1.33, 0.33]
    """
    return np.asarray((FREEDOM + 1) / (FREEDOM + (r / noise) ** 2))


def determined(covariance: np.ndarray, wide: np.ndarray) -> float:
    """Return the number of parameters that the rows determine."""
    return float(np.sum(np.clip(1 - np.diag(covariance) / wide**2, 0, 1)))


def _leverage(
    p: Problem, x: np.ndarray, precision: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    jacobian = p.jacobian(x)
    variance = np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
    return np.asarray(np.minimum(ALONE, precision * variance))


def _noise(p: Problem, r: np.ndarray, weights: np.ndarray, used: float) -> np.ndarray:
    """Return the noise of each row: that of its group, corrected for degrees of freedom."""
    noise = np.empty(len(r))
    left = max(0.1, 1 - used / len(r))
    for rows in p.groups:
        squares = NOISE_ROWS * NOISE**2 + float(np.sum(weights[rows] * r[rows] ** 2))
        noise[rows] = max(FLOOR, np.sqrt(squares / (NOISE_ROWS + left * len(rows))))
    return noise


def width(z: np.ndarray, used: float) -> float:
    """Return the factor by which the priors are too narrow."""
    return float(np.sqrt(max(1.0, (WIDE_PRIORS + z @ z) / (WIDE_PRIORS + used))))
