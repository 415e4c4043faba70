r"""Spreads between boards that a dozen boards cannot know, held against those of all parameters.

A spread :math:`s` that :math:`d` boards determine is itself uncertain by :math:`1 / \sqrt{2 d}`:
five boards of 16 that happen to agree look as if all boards did. The squares of the spreads of all
parameters are therefore taken as draws from one scaled inverse chi-square, with scale
:math:`s_0^2` and :math:`d_0` degrees of freedom, so that

.. math:: s^2 / s_0^2 \sim F_{d, d_0}

which gives both by maximum likelihood. Spreads that one or two boards determine count little in it;
their moments would not, and would make all spreads look alike.

Each spread is replaced by the mean under that prior, between its own and the common one:

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
_LOOSEST, _FIRMEST = 0.5, 100.0
"""Range of the degrees of freedom of the common spread: parameters that scatter each in its own
way, and all alike."""


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
    [0.27, 0.49, 0.43, 0.62, 0.37, 0.22]
    """
    known = seen >= DETERMINED
    if known.sum() < _FEWEST:
        return spread
    freedom, common = _common(spread[known] ** 2, seen[known])
    squares = (freedom * common + seen * spread**2) / (freedom + seen)
    return np.where(known, np.sqrt(squares), spread)


def _common(squares: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Return degrees of freedom and square of the spread that parameters have in common."""
    from scipy.optimize import minimize
    from scipy.stats import f

    def unlikely(x: np.ndarray) -> float:
        square, freedom = np.exp(x)
        return -float(np.sum(f.logpdf(squares / square, seen, freedom) - np.log(square)))

    start = np.log([np.median(squares), 4.0])
    limits = [(start[0] - 5, start[0] + 5), (np.log(_LOOSEST), np.log(_FIRMEST))]
    square, freedom = np.exp(minimize(unlikely, start, method="Nelder-Mead", bounds=limits).x)
    return float(freedom), float(square)
