"""Summary of a set of samples: the median, its confidence interval, the spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CONFIDENCE = 0.95
"""Confidence of the interval of the median."""


@dataclass(frozen=True)
class Timing:
    """The time of one call. Times in seconds.

    Parameters
    ----------
    median, low, high : float
        The median of the samples and its 95 % confidence interval. [s]
    minimum, p90 : float
        The fastest sample and the 90th percentile. [s]
    quiet : float
        The lowest median of a round: the time while others left the machine alone. [s]
    spread : float
        Interquartile range, as a share of the median. [1]
    drift : float
        Range of the medians of the rounds, as a share of the median. [1]
    samples, repeat, rounds : int
        Samples kept, calls in each, turns taken.
    disturbed : int
        Samples during which the processor was taken away; used only where too few others were.
    rejected : int
        Samples that only a clock that jumps explains.
    steady : bool
        Whether the warm-up ended with a steady time.
    precise : bool
        Whether the interval got as narrow as asked.
    """

    median: float
    low: float
    high: float
    minimum: float
    p90: float
    quiet: float
    spread: float
    drift: float
    samples: int
    repeat: int
    rounds: int
    disturbed: int
    rejected: int
    steady: bool
    precise: bool


def summary(
    samples: Sequence[float],
    *,
    medians: Sequence[float] = (),
    repeat: int = 1,
    disturbed: int = 0,
    rejected: int = 0,
    steady: bool = True,
    precise: bool = True,
) -> Timing:
    """Return the statistics of ``samples`` (at least one); the other fields as in :class:`Timing`.

    Parameters
    ----------
    samples : sequence of float
        Seconds of one call. [s]
    medians : sequence of float
        The median of each round. [s]

    Examples
    --------
    >>> summary([3.0, 1.0, 2.0]).median
    2.0
    """
    ordered = sorted(samples)
    median = statistics.median(ordered)
    low, high = median_interval(ordered)
    return Timing(
        median=median,
        low=low,
        high=high,
        minimum=ordered[0],
        p90=_quantile(ordered, 0.9),
        quiet=min(medians, default=median),
        spread=(_quantile(ordered, 0.75) - _quantile(ordered, 0.25)) / median,
        drift=(max(medians) - min(medians)) / median if medians else 0.0,
        samples=len(ordered),
        repeat=repeat,
        rounds=len(medians),
        disturbed=disturbed,
        rejected=rejected,
        steady=steady,
        precise=precise,
    )


def median_interval(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median of sorted samples, whatever their law.

    The k-th smallest and k-th largest sample enclose the median unless fewer than k of n samples
    fall on one side of it, which has the probability of a binomial law with p = 1/2.

    Examples
    --------
    >>> median_interval([float(i) for i in range(20)])
    (5.0, 14.0)
    """
    k = _rank(len(ordered))
    return ordered[k], ordered[len(ordered) - 1 - k]


@cache
def _rank(n: int) -> int:
    """Return the largest k with P(Binomial(n, 1/2) <= k) <= (1 - confidence) / 2, at least 0."""
    if n > 400:
        return math.floor((n - 1.96 * math.sqrt(n)) / 2) - 1
    k, below = -1, 0
    while (below := below + math.comb(n, k + 1)) * 2 <= (1 - CONFIDENCE) * 2**n:
        k += 1
    return max(k, 0)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])
