"""The figures by which predictions are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

LEVEL = 0.9
"""Probability of the intervals whose coverage is counted."""
_WIDTH = 1.6448536269514722
"""Standard deviations of a normal distribution that hold :data:`LEVEL` on both sides. [1]"""
_TINY = 1e-12
"""Substitute for a prediction of zero in ranks and logarithms. [s]"""


@dataclass(frozen=True)
class Figures:
    """Accuracy of predicted latencies.

    Parameters
    ----------
    mape, median : float
        Mean and median of the absolute relative error. [1]
    within10 : float
        Share of rows with an error of at most 10 %. [1]
    spearman, kendall : float
        Rank correlations. [1]
    coverage : float
        Share of rows inside the 90 % interval; NaN without an interval. [1]
    width : float
        Median of the upper end of that interval over the prediction, less one. [1]
    """

    mape: float
    median: float
    within10: float
    spearman: float
    kendall: float
    coverage: float
    width: float = float("nan")


def judge(
    predicted: np.ndarray, measured: np.ndarray, log_spread: np.ndarray | None = None
) -> Figures:
    """Return the figures of ``predicted`` against ``measured`` latencies.

    Parameters
    ----------
    predicted, measured : ndarray
        [s]
    log_spread : ndarray, optional
        Standard deviation of the log of each prediction. [1]

    Examples
    --------
    >>> judge(np.array([1.0, 2.2, 3.0]), np.array([1.0, 2.0, 4.0])).mape
    0.1166666666666667
    """
    from scipy.stats import kendalltau, spearmanr

    error = np.abs(predicted / measured - 1)
    constant = len(measured) < 2 or np.ptp(predicted) == 0 or np.ptp(measured) == 0
    return Figures(
        mape=float(error.mean()),
        median=float(np.median(error)),
        within10=float(np.mean(error <= 0.1)),
        spearman=float("nan") if constant else float(spearmanr(predicted, measured).statistic),
        kendall=float("nan") if constant else float(kendalltau(predicted, measured).statistic),
        coverage=_coverage(predicted, measured, log_spread),
        width=float("nan")
        if log_spread is None
        else float(np.median(np.expm1(_WIDTH * log_spread))),
    )


def _coverage(predicted: np.ndarray, measured: np.ndarray, log_spread: np.ndarray | None) -> float:
    if log_spread is None:
        return float("nan")
    distance = np.abs(np.log(np.maximum(predicted, _TINY) / measured))
    return float(np.mean(distance <= _WIDTH * log_spread))


def average(several: Sequence[Figures]) -> Figures:
    """Return the mean of each figure over repeated draws, without NaN.

    Examples
    --------
    >>> average([Figures(0.1, 0.1, 1, 1, 1, 0.9), Figures(0.2, 0.1, 1, 1, 1, 0.8)]).coverage
    0.8500000000000001
    """
    means = {}
    for field in fields(Figures):
        values = np.array([getattr(f, field.name) for f in several])
        known = values[~np.isnan(values)]
        means[field.name] = float(known.mean()) if len(known) else float("nan")
    return Figures(**means)
