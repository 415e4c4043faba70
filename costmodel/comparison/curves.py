"""Latencies of networks as one quantity is varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from costmodel.comparison.axis import Axis
from costmodel.comparison.situations import is_whole, ready_to_vary, situation
from costmodel.errors import CostModelError, DataError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.latency import LEVEL, latency

_POINTS = 25
"""Number of values of a curve, if the range has as many."""


@dataclass(frozen=True)
class Curve:
    """The latency of a network on a platform along an axis.

    Parameters
    ----------
    network, platform : str
        Their names.
    axis : Axis
        What is varied.
    values : ndarray
        Its values, in the unit of the axis.
    seconds, low, high : ndarray
        Latency at each, and its interval. [s]
    """

    network: str
    platform: str
    axis: Axis
    values: np.ndarray
    seconds: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curves(
    subjects: str | nx.DiGraph | Sequence[str | nx.DiGraph],
    platforms: str | Platform | Sequence[str | Platform],
    axis: Axis,
    level: float = LEVEL,
) -> list[Curve]:
    """Return the latency of each network on each platform along a varied quantity.

    Values without a valid network, such as widths that groups do not divide, are left out.

    Parameters
    ----------
    subjects : str, DiGraph or sequence of them
        Networks.
    platforms : str, Platform or sequence of them
        Platforms of the curves.
    axis : Axis
        What is varied.
    level : float
        Probability of the intervals.

    Raises
    ------
    DataError
        If nothing of this name can be varied.

    Examples
    --------
    >>> import costmodel as cm
    >>> (curve,) = curves("resnet18", "gtx-1080-ti/paper", cm.Axis("batch", 1, 4))
    >>> curve.values.tolist(), bool(curve.seconds[0] < curve.seconds[-1])
    ([1.0, 2.0, 3.0, 4.0], True)
    """
    networks = [subjects] if isinstance(subjects, str | nx.Graph) else list(subjects)
    places = [platforms] if isinstance(platforms, str | Platform) else list(platforms)
    ready = [ready_to_vary(network, axis.name) for network in networks]
    values = axis.values(_POINTS, is_whole(axis.name, (axis.low, axis.high), ready))
    named = [n if isinstance(n, str) else str(n.name) for n in networks]
    return [
        _curve(name, subject, load_platform(place), axis, values, level)
        for place in places
        for name, subject in zip(named, ready, strict=True)
    ]


def _curve(
    name: str,
    subject: str | nx.DiGraph,
    platform: Platform,
    axis: Axis,
    values: Sequence[float],
    level: float,
) -> Curve:
    rows: list[tuple[float, ...]] = []
    refused = ""
    for value in values:
        try:
            prediction = latency(*situation(subject, platform, axis.name, value), level)
            low, high = prediction.interval or (prediction.seconds, prediction.seconds)
            rows.append((value, float(prediction.seconds), float(low), float(high)))
        except CostModelError as error:
            refused = str(error)
    if not rows:
        raise DataError(refused or "there is no value to vary; widen the range")
    at, seconds, low, high = np.array(rows).T
    return Curve(name, platform.name, axis, at, seconds, low, high)
