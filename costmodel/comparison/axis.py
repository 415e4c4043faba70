"""One quantity varied: where two networks cross over, and what meets a limit of latency."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np

from costmodel.errors import CostModelError, DataError
from costmodel.graph import at, free_symbols
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.varied import UNITS, varied
from costmodel.prediction.latency import latency
from costmodel.specs import network
from costmodel.specs.batch import BATCH_NAMES, with_batch
from costmodel.units import parse
from costmodel.zoo import NETWORKS
from costmodel.zoo.parameters import accepted

_POINTS = 17
"""Values that are tried before the crossing is narrowed down."""
_CLOSE = 1e-4
"""Relative width down to which a crossing is narrowed. [1]"""

Gap = Callable[[float], float]
"""A difference of two logarithms of times at a value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity and the range in which it is varied.

    Parameters
    ----------
    name : str
        ``"batch"``; ``"bandwidth"`` of main memory [B/s] or ``"clock"`` [Hz] of the hardware; a
        parameter of zoo networks; or a free symbol.
    low, high : float
        The range.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise DataError(
                f"{self.name} should be varied from a positive number to a larger one, got "
                f"{self.low:g} to {self.high:g}"
            )


def parse_axis(text: str) -> Axis:
    """Return the axis that ``NAME=LOW:HIGH`` says.

    Examples
    --------
    >>> parse_axis("bandwidth=1GB/s:10GB/s")
    Axis(name='bandwidth', low=1000000000.0, high=10000000000.0)
    """
    name, equals, limits = text.partition("=")
    low, colon, high = limits.partition(":")
    if not (name and equals and low and colon and high):
        raise DataError(f"what is varied should be NAME=LOW:HIGH, as in batch=1:64, got {text!r}")
    unit = UNITS.get(name)
    try:
        ends = [parse(t, unit) if unit else float(t) for t in (low, high)]
    except ValueError:
        raise DataError(f"{name} should be varied between two numbers, got {limits!r}") from None
    return Axis(name, *ends)


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
        From each value on, the other network is predicted to be faster: the first integer beyond
        the crossing where only integers make sense, such as a batch.

    Raises
    ------
    DataError
        If nothing of this name can be varied.

    Examples
    --------
    >>> crossovers("resnet18", "resnet50", "gtx-1080-ti/paper", Axis("batch", 1, 8))
    []
    """
    where = load_platform(platform)

    def gap(value: float) -> float:
        times = [_log_seconds(n, where, axis.name, value) for n in (first, second)]
        return times[1] - times[0]

    return _crossings(gap, _values(axis, (first, second)), _whole(axis.name, (first, second)))


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
        None of them if the limit is met, or missed, over the whole range.

    Raises
    ------
    DataError
        If nothing of this name can be varied.

    Examples
    --------
    >>> (batch,) = meet("resnet18", "gtx-1080-ti/paper", Axis("batch", 1, 256), 0.05)
    >>> batch == int(batch)
    True
    """
    where = load_platform(platform)

    def gap(value: float) -> float:
        return _log_seconds(subject, where, axis.name, value) - math.log(seconds)

    return _crossings(gap, _values(axis, (subject,)), _whole(axis.name, (subject,)))


def situation(
    subject: str | nx.DiGraph, platform: Platform, name: str, value: float
) -> tuple[nx.DiGraph, Platform]:
    """Return a network and a platform, one of them with another value of a quantity.

    Raises
    ------
    DataError
        If there is nothing of this name, or no network of this value.
    """
    if name in UNITS:
        return _graph(subject), varied(platform, name, value)
    number = int(value) if value == int(value) else value
    if isinstance(subject, str):
        base, _, query = subject.partition("?")
        if base in NETWORKS:
            known = accepted(NETWORKS[base])
            key = next((k for k in BATCH_NAMES if k in known), name) if name == "batch" else name
            if key in known:
                kept = [
                    part for part in query.split("&") if part and not part.startswith(f"{key}=")
                ]
                return network(f"{base}?{'&'.join([*kept, f'{key}={number}'])}"), platform
    graph = _graph(subject)
    if name in {s.name for s in free_symbols(graph)}:
        return at(graph, **{name: number}), platform
    if name == "batch":
        return with_batch(graph, int(value)), platform
    raise DataError(
        f"{graph.name or 'the network'} has no {name!r} to vary: give batch, "
        f"{', '.join(UNITS)}, a parameter of a zoo network or a free symbol"
    )


def _graph(subject: str | nx.DiGraph) -> nx.DiGraph:
    return network(subject) if isinstance(subject, str) else subject


def _log_seconds(subject: str | nx.DiGraph, platform: Platform, name: str, value: float) -> float:
    graph, where = situation(subject, platform, name, value)
    return math.log(float(latency(graph, where).seconds))


def _whole(name: str, subjects: tuple[str | nx.DiGraph, ...]) -> bool:
    """Say whether only integers make sense: sizes and symbols, but not what is a multiplier."""
    if name in UNITS:
        return False
    for subject in subjects:
        if isinstance(subject, str) and (base := subject.partition("?")[0]) in NETWORKS:
            parameter = accepted(NETWORKS[base]).get(name)
            if parameter is not None and parameter.annotation in ("Width", "float"):
                return False
    return True


def _values(axis: Axis, subjects: tuple[str | nx.DiGraph, ...]) -> list[float]:
    values: list[float] = np.geomspace(axis.low, axis.high, _POINTS).tolist()
    values[0], values[-1] = axis.low, axis.high  # as they were given, not as they round
    if _whole(axis.name, subjects):
        values = sorted({float(round(v)) for v in values})
    return values


def _crossings(gap: Gap, values: list[float], whole: bool) -> list[float]:
    """Return where ``gap`` changes its sign, narrowed down between the values."""
    found: list[tuple[float, float]] = []
    refused = ""
    for value in values:
        try:
            found.append((value, gap(value)))
        except CostModelError as error:
            refused = str(error)  # a width that groups do not divide, say: others may do
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
