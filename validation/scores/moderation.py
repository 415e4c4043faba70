r"""Spreads between boards that a dozen boards cannot know, held against those of all parameters.

A spread :math:`s` that :math:`d` boards determine is itself uncertain by :math:`1 / \sqrt{2 d}`:
five boards of 16 that happen to agree look as if all boards did. The squares of the spreads of all
parameters are therefore taken as draws from one scaled inverse chi-square, with scale
:math:`s_0^2` and :math:`d_0` degrees of freedom, which the parameters tell:

.. math::

    e = \log s^2 - \psi(d / 2) + \log(d / 2), \quad
    \psi'(d_0 / 2) = \operatorname{var} e - \overline{\psi'(d / 2)}, \quad
    \log s_0^2 = \bar e + \psi(d_0 / 2) - \log(d_0 / 2)

and each is replaced by the mean under that prior, between its own and the common one:

.. math:: \tilde s^2 = \frac{d_0 s_0^2 + d s^2}{d_0 + d}

Source: G. K. Smyth, Linear Models and Empirical Bayes Methods, Statistical Applications in Genetics
and Molecular Biology 3(1), 2004, sections 3 and 6.2.
"""

from __future__ import annotations

import numpy as np

DETERMINED = 1.0
"""Boards that must determine a parameter, together, before its prior is theirs."""
_FEWEST = 3
"""Fewest parameters that tell how spreads scatter."""
_FIRMEST = 100.0
"""Most degrees of freedom of the common spread: parameters that all scatter alike."""


def moderated(spread: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return spreads between boards, drawn to what is common where few boards tell them.

    Parameters
    ----------
    spread : ndarray
        Of the logarithm of each parameter. [1]
    seen : ndarray
        How many boards determine it; the spread of one that none do is an assumption and stays. [1]

    Examples
    --------
    Three boards agree on the first parameter, which may be chance, twenty on the last:

    >>> spread = np.array([0.2, 0.6, 0.5, 0.8, 0.4, 0.2])
    >>> moderated(spread, np.array([3.0, 3.0, 3.0, 3.0, 3.0, 20.0])).round(2).tolist()
    [0.33, 0.5, 0.45, 0.61, 0.4, 0.24]
    """
    known = seen >= DETERMINED
    if known.sum() < _FEWEST:
        return spread
    freedom, common = _common(np.log(spread[known] ** 2), seen[known])
    squares = (freedom * common + seen * spread**2) / (freedom + seen)
    return np.where(known, np.sqrt(squares), spread)


def _common(logs: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Return degrees of freedom and square of the spread that parameters have in common."""
    from scipy.special import digamma, polygamma

    expected = logs - digamma(seen / 2) + np.log(seen / 2)
    scatter = expected.var(ddof=1) - np.mean(polygamma(1, seen / 2))
    freedom = 2 * _inverse_trigamma(float(scatter))
    shift = digamma(freedom / 2) - np.log(freedom / 2)
    return freedom, float(np.exp(expected.mean() + shift))


def _inverse_trigamma(value: float) -> float:
    """Return ``x`` with ``trigamma(x) == value``, at most what :data:`_FIRMEST` allows."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    most = _FIRMEST / 2
    if value <= polygamma(1, most):
        return most
    return float(brentq(lambda x: polygamma(1, x) - value, 1e-3, most))
