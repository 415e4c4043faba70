"""Variation of one quantity: crossover points of two networks, and values that meet a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np

from costmodel.arguments import number_of
from costmodel.comparison.situations import is_whole, log_seconds, ready_to_vary
from costmodel.errors import CostModelError, DataError
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.varied import UNITS
from costmodel.units import parse

_POINTS = 17
"""Number of values that are tried before a crossing is refined."""
_CLOSE = 1e-4
"""Relative width to which a crossing is refined. [1]"""

Gap = Callable[[float], float]
"""A difference of two logarithms of times at a value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity and the range of its variation.

    Parameters
    ----------
    name : str
        ``"batch"``; ``"bandwidth"`` of main memory [B/s] or ``"clock"`` [Hz] of the hardware; a
        parameter of zoo networks or of functions; or a free symbol.
    low, high : float
        The range.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise DataError(f"the name of an axis must be a text, got {self.name!r}")
        for end in ("low", "high"):
            number_of(getattr(self, end), f"{end} of the axis {self.name}")
        if not 0 < self.low < self.high < math.inf:
            raise DataError(
                f"{self.name} must be varied from a positive number to a larger one, got "
                f"{self.low:g} to {self.high:g}"
            )

    def values(self, count: int, whole: bool) -> list[float]:
        """Return values of the range at equal ratios, or the integers nearest to them.

        Examples
        --------
        >>> Axis("batch", 1, 8).values(4, whole=True)
        [1.0, 2.0, 4.0, 8.0]
        """
        values: list[float] = np.geomspace(self.low, self.high, count).tolist()
        values[0], values[-1] = self.low, self.high  # the exact ends, not rounded ones
        return sorted({float(round(v)) for v in values}) if whole else values


def parse_axis(text: str) -> Axis:
    """Return the axis written as ``NAME=LOW:HIGH``.

    Examples
    --------
    >>> parse_axis("bandwidth=1GB/s:10GB/s")
    Axis(name='bandwidth', low=1000000000.0, high=10000000000.0)
    """
    name, equals, limits = text.partition("=")
    low, colon, high = limits.partition(":")
    if not (name and equals and low and colon and high):
        raise DataError(
            f"the varied quantity must be NAME=LOW:HIGH, as in batch=1:64, got {text!r}"
        )
    unit = UNITS.get(name)
    try:
        ends = [parse(t, unit) if unit else float(t) for t in (low, high)]
    except ValueError:
        raise DataError(f"{name} must be varied between two numbers, got {limits!r}") from None
    return Axis(name, *ends)


def _check_axis(axis: Axis) -> None:
    if not isinstance(axis, Axis):
        raise DataError(f"the axis must be an Axis, as in Axis('batch', 1, 64), got {axis!r}")


def crossovers(
    first: str | nx.DiGraph, second: str | nx.DiGraph, platform: str | Platform, axis: Axis
) -> list[float]:
    """Return the values between which the faster of two networks changes.

    Parameters
    ----------
    first, second : str or DiGraph
        Two networks.
    platform : str or Platform
        Where they run.
    axis : Axis
        What is varied.

    Returns
    -------
    list of float
        At each value the faster network changes. If only integers make sense, such as for a batch,
        it is the first integer beyond the crossing.

    Raises
    ------
    DataError
        If nothing of this name can be varied.

    Examples
    --------
    >>> crossovers("resnet18", "resnet50", "gtx-1080-ti/paper", Axis("batch", 1, 8))
    []
    """
    _check_axis(axis)
    where = load_platform(platform)
    subjects = [ready_to_vary(subject, axis.name) for subject in (first, second)]

    def gap(value: float) -> float:
        times = [log_seconds(subject, where, axis.name, value) for subject in subjects]
        return times[1] - times[0]

    whole = is_whole(axis.name, (axis.low, axis.high), subjects)
    return _crossings(gap, axis.values(_POINTS, whole), whole)


def meet(
    subject: str | nx.DiGraph, platform: str | Platform, axis: Axis, seconds: float
) -> list[float]:
    """Return the values at which the latency of a network crosses a limit.

    Parameters
    ----------
    subject : str or DiGraph
        A network.
    platform : str or Platform
        Where it runs.
    axis : Axis
        What is varied.
    seconds : float
        The limit. [s]

    Returns
    -------
    list of float
        Empty if the limit is met, or missed, over the whole range.

    Raises
    ------
    DataError
        If nothing of this name can be varied, or the limit is not positive.

    Examples
    --------
    >>> (batch,) = meet("resnet18", "gtx-1080-ti/paper", Axis("batch", 1, 256), 0.05)
    >>> batch == int(batch)
    True
    """
    _check_axis(axis)
    if number_of(seconds, "seconds") <= 0:
        raise DataError(f"seconds must be positive, got {seconds:g}")
    where = load_platform(platform)
    ready = ready_to_vary(subject, axis.name)

    def gap(value: float) -> float:
        return log_seconds(ready, where, axis.name, value) - math.log(seconds)

    whole = is_whole(axis.name, (axis.low, axis.high), [ready])
    return _crossings(gap, axis.values(_POINTS, whole), whole)


def _crossings(gap: Gap, values: list[float], whole: bool) -> list[float]:
    """Return the points between the values at which ``gap`` changes its sign."""
    found: list[tuple[float, float]] = []
    refused = ""
    for value in values:
        try:
            found.append((value, gap(value)))
        except CostModelError as error:
            refused = str(
                error
            )  # for example a width that groups do not divide; other values may be valid
    if len(found) < 2:
        raise DataError(refused or "too few values to compare; widen the range")
    result = []
    for (a, at_a), (b, at_b) in pairwise(found):
        if at_a * at_b < 0 or (at_b == 0 and at_a != 0):
            result.append(_narrowed(gap, a, b, at_a, whole))
    return result


def _narrowed(gap: Gap, low: float, high: float, at_low: float, whole: bool) -> float:
    while high - low > (1 if whole else _CLOSE * high):
        middle = (low + high) / 2
        middle = float(int(middle)) if whole else middle
        try:
            here = gap(middle)
        except CostModelError:
            break
        if here * at_low <= 0:
            high = middle
        else:
            low = middle
    return high
