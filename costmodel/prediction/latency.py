"""The latency of networks on a platform: kernels, host, transfers, interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import networkx as nx
import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.symbols import Dim, total
from costmodel.counting.subject import Prepared, Subject
from costmodel.errors import DataError, GraphError
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.machine import machine_for
from costmodel.prediction.prediction import KernelTime, Prediction
from costmodel.prediction.table import Lowered, lowered, table_of
from costmodel.timing.network import (
    fixed_seconds,
    kernel_terms,
    network_seconds,
    transfer_seconds,
)
from costmodel.timing.spread import log_spread, nudged, nudges
from costmodel.timing.stacks import key_of
from costmodel.timing.surface import spread
from costmodel.timing.terms import NAMES, Terms

LEVEL = 0.9
"""Probability of the intervals."""
_AT_ONCE = 1000
"""Number of networks that are timed together, to limit the memory."""


def latency(graph: Subject, platform: str | Platform, level: float = LEVEL) -> Prediction:
    """Predict the latency of one inference of ``graph`` on ``platform``.

    Parameters
    ----------
    graph : DiGraph or Prepared
        An op graph, prepared (:func:`costmodel.prepare`) or not, with sizes that are numbers,
        arrays (a design space) or symbols. For arrays, times, intervals and bottlenecks are arrays,
        too.
    platform : str or Platform
        ``"hardware/runtime"``, a calibration file, or a platform (see :mod:`costmodel.platforms`).
    level : float
        Probability of the interval.

    Returns
    -------
    Prediction
        Seconds, interval, and the terms of every kernel.

    Raises
    ------
    DataError
        If the platform is unknown, or the network cannot be converted to its dtype.

    Examples
    --------
    >>> import costmodel as cm
    >>> p = cm.latency(cm.zoo.shufflenet_v2(), "gtx-1080-ti/paper")
    >>> p.interval[0] < p.seconds < p.interval[1]
    True
    """
    (prediction,) = latencies([graph], platform, level)
    return prediction


def latencies(
    graphs: Iterable[Subject], platform: str | Platform, level: float = LEVEL
) -> list[Prediction]:
    """Predict the latency of many networks on ``platform``, timing all their kernels at once.

    Parameters
    ----------
    graphs : iterable of DiGraph or Prepared
        The networks.
    platform, level
        As in :func:`latency`.

    Returns
    -------
    list of Prediction
        The result of :func:`latency` for each network.

    Raises
    ------
    DataError
        As :func:`latency`.
    GraphError
        If ``graphs`` is one network or none.

    Examples
    --------
    >>> import costmodel as cm
    >>> widths = [cm.zoo.shufflenet_v2(width=w) for w in (0.5, 1.0)]
    >>> half, whole = cm.latencies(widths, "gtx-1080-ti/paper")
    >>> half.seconds < whole.seconds
    True
    """
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, got {level!r}")
    if isinstance(graphs, str | nx.Graph | Prepared) or not isinstance(graphs, Iterable):
        raise GraphError(f"expected several op graphs, such as a list, got {type(graphs).__name__}")
    where = load_platform(platform)
    rest = iter(graphs)
    predictions: list[Prediction] = []
    while batch := list(islice(rest, _AT_ONCE)):
        predictions += _batch(batch, where, level)
    return predictions


def _batch(graphs: Sequence[Subject], where: Platform, level: float) -> list[Prediction]:
    networks = [(_name(graph), lowered(graph, where)) for graph in graphs]
    numbers = iter(_concrete([n for n in networks if _is_concrete(n[1])], where, level))
    return [
        next(numbers) if _is_concrete(network) else _open(name, network, where, level)
        for name, network in networks
    ]


def _concrete(
    networks: Sequence[tuple[str, Lowered]], where: Platform, level: float
) -> Iterator[Prediction]:
    """Time networks of numbers under the parameters and under a step of each of them."""
    if not networks:
        return
    table, places = table_of([network for _, network in networks])
    fitted = where.fitted
    theta = nudged(fitted.theta, fitted.free)
    terms = table.terms(where, theta)
    seconds = table.network_seconds(where, terms, theta)
    spread = table.log_spread(where, seconds)
    rows = np.stack([getattr(terms, name)[0] for name in NAMES])
    distinct = [Terms(*column) for column in rows.T.tolist()]
    for i, ((name, network), place) in enumerate(zip(networks, places, strict=True)):
        times = [distinct[i] for i in place]
        known = partial(float, spread[i])
        yield _prediction(name, network, where, times, float(seconds[0, i]), known, level)


def _open(name: str, network: Lowered, where: Platform, level: float) -> Prediction:
    """Time a network of arrays or symbols, kernel by kernel."""
    theta = where.fitted.theta
    times = _times(network, where, theta)
    seconds = _seconds(network, where, times, theta)
    spread = None if is_expression(seconds) else partial(_spread, network, where, seconds)
    return _prediction(name, network, where, times, seconds, spread, level)


def _spread(network: Lowered, where: Platform, seconds: np.ndarray | float) -> np.ndarray:
    """Return the standard deviation of the log latency of a network of arrays [1].

    Parameters are changed one at a time; all at once would take too much memory.
    """
    fitted = where.fitted
    shape = np.shape(seconds)  # a number if no array affects the time
    rows = [seconds]
    for theta in nudges(fitted.theta, fitted.free):
        times = _times(network, where, theta)
        rows.append(_seconds(network, where, times, theta))
    single = len(network.kernels) <= 1
    residual = np.asarray(fitted.operator_spread if single else fitted.network_spread)
    for w in network.workloads if single else ():
        residual = spread(w, fitted.surfaces, fitted.operator_spread)
    residual = np.ravel(np.broadcast_to(residual, shape))
    flat = np.stack([np.ravel(np.broadcast_to(row, shape)) for row in rows])
    return log_spread(flat, fitted.covariance, residual).reshape(shape)


def _times(network: Lowered, where: Platform, theta: Mapping[str, float]) -> list[Terms]:
    machines = {dtype: machine_for(where, dtype) for dtype in {w.dtype for w in network.workloads}}
    surfaces = where.fitted.surfaces
    known: dict[tuple[object, ...], Terms] = {}
    times = []
    for w in network.workloads:
        key = key_of(w)
        if key not in known:
            known[key] = kernel_terms(w, machines[w.dtype], theta, surfaces)
        times.append(known[key])
    return times


def _seconds(
    network: Lowered, where: Platform, times: list[Terms], theta: Mapping[str, float]
) -> Dim:
    return network_seconds(
        machine_for(where, "float32"),
        total(t.host for t in times),
        total(t.seconds for t in times),
        network.transferred,
        theta,
        network.distance,
        len(times),
    )


def _prediction(
    name: str,
    network: Lowered,
    where: Platform,
    times: list[Terms],
    seconds: Dim,
    uncertainty: Callable[[], Dim] | None,
    level: float,
) -> Prediction:
    theta = where.fitted.theta
    machine = machine_for(where, "float32")
    return Prediction(
        network=name,
        platform=where.name,
        seconds=seconds,
        uncertainty=uncertainty,
        level=level,
        kernels=tuple(map(KernelTime, network.kernels, times)),
        fixed=fixed_seconds(
            machine, theta, network.distance, len(times), total(t.seconds for t in times)
        ),
        transfer=transfer_seconds(machine, network.transferred, theta),
        dispatch=total(t.host for t in times) if machine.asynchronous else 0,
        bound_seconds=total(t.bound for t in times),
        basis=where.fitted.basis,
    )


def _name(graph: Subject) -> str:
    return graph.name if isinstance(graph, Prepared) else str(getattr(graph, "name", ""))


def _is_concrete(network: Lowered) -> bool:
    """Return whether all sizes are numbers: every size affects the touched or transferred bytes."""
    sizes = (network.distance, network.transferred)
    return not any(isinstance(size, np.ndarray) or is_expression(size) for size in sizes)
