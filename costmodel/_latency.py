"""The latency of a network on a platform: kernels, host, transfers, interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import sympy

from costmodel.errors import DataError
from costmodel.kernels import Kernel
from costmodel.lowering import lower
from costmodel.platforms import Platform, load_platform
from costmodel.prediction import KernelTime, Prediction
from costmodel.symbols import Dim, maximum, total
from costmodel.timing.machine import machine_for
from costmodel.timing.network import (
    kernel_terms,
    network_seconds,
    transfer_seconds,
    transferred_bytes,
)
from costmodel.timing.terms import Terms
from costmodel.timing.workload import Stack, Workload, stack, workloads

LEVEL = 0.9
"""Probability of the intervals."""


def latency(
    graph: nx.DiGraph, platform: str | Platform, level: float = LEVEL
) -> Prediction:
    """Predict the latency of one inference of ``graph`` on ``platform``.

    Parameters
    ----------
    graph : DiGraph
        An op graph; numbers, arrays (a design space) or symbols.
    platform : str or Platform
        ``"hardware/runtime"``, a calibration file, or a platform (see :mod:`costmodel.platforms`).
    level : float
        Probability of the interval.

    Returns
    -------
    Prediction
        Seconds, interval, and the terms of every kernel.

    Examples
    --------
    >>> import costmodel as cm
    >>> p = cm.latency(cm.zoo.shufflenet_v2(), "gtx-1080-ti/paper")
    >>> p.interval[0] < p.seconds < p.interval[1]
    True
    """
    if not 0 < level < 1:
        raise DataError(f"level should lie between 0 and 1, got {level}")
    where = load_platform(platform)
    kernels = lower(graph, where.runtime)
    sequence = workloads(kernels)
    transferred = transferred_bytes(graph) if where.transfers else 0
    if _is_concrete(sequence):
        return _concrete(graph, where, kernels, sequence, transferred, level)
    theta = where.fitted.theta
    times = [kernel_terms(w, where, theta) for w in sequence]
    return _prediction(graph, where, kernels, times, transferred, None, level)


@dataclass(frozen=True)
class _Stacked:
    """The kernels of one network, sorted into kinds."""

    stacks: list[Stack]
    count: int

    def terms(self, platform: Platform, theta: Mapping[str, float]) -> dict[str, np.ndarray]:
        names = ("host", "launch", "compute", "memory", "passes", "seconds")
        result = {name: np.zeros(self.count) for name in names}
        for part in self.stacks:
            found = kernel_terms(part.workload, platform, theta)
            for name in names:
                result[name][part.index] = getattr(found, name)
        return result


def _concrete(
    graph: nx.DiGraph,
    where: Platform,
    kernels: Sequence[Kernel],
    sequence: list[Workload],
    transferred: Dim,
    level: float,
) -> Prediction:
    stacked = _Stacked(stack(sequence), len(sequence))
    theta = where.fitted.theta
    arrays = stacked.terms(where, theta)
    columns = {name: values.tolist() for name, values in arrays.items()}
    times = [Terms(**{name: columns[name][i] for name in columns}) for i in range(len(sequence))]
    spread = _log_spread(where, stacked, transferred, len(kernels))
    return _prediction(graph, where, kernels, times, transferred, spread, level)


def _log_spread(where: Platform, stacked: _Stacked, transferred: Dim, kernels: int) -> float:
    """Return the standard deviation of the log time: parameters and residual together."""

    def log_time(theta: Mapping[str, float]) -> float:
        arrays = stacked.terms(where, theta)
        seconds = network_seconds(
            where, arrays["host"].sum(), arrays["seconds"].sum(), transferred, theta
        )
        return float(np.log(seconds))

    theta = where.fitted.theta
    base = log_time(theta)
    step = 1e-3
    gradient = np.array(
        [
            (log_time({**theta, name: theta[name] * float(np.exp(step))}) - base) / step
            for name in where.fitted.free
        ]
    )
    residual = where.fitted.operator_spread if kernels == 1 else where.fitted.network_spread
    return float(np.sqrt(gradient @ where.fitted.covariance @ gradient + residual**2))


def _prediction(
    graph: nx.DiGraph,
    where: Platform,
    kernels: Sequence[Kernel],
    times: list[Terms],
    transferred: Dim,
    spread: float | None,
    level: float,
) -> Prediction:
    theta = where.fitted.theta
    host = total(t.host for t in times)
    device = total(t.seconds for t in times)
    seconds = network_seconds(where, host, device, transferred, theta)
    return Prediction(
        network=graph.name,
        platform=where.name,
        seconds=seconds,
        interval=None if spread is None else _interval(float(seconds), spread, level),
        level=level,
        kernels=tuple(
            KernelTime(k, t.seconds, t.launch, t.compute, t.memory, t.passes, t.host)
            for k, t in zip(kernels, times, strict=True)
        ),
        fixed=theta["fixed"],
        transfer=transfer_seconds(where, transferred, theta),
        dispatch=host,
        bound_seconds=roofline_seconds(kernels, where),
        basis=where.fitted.basis,
    )


def roofline_seconds(kernels: Sequence[Kernel], platform: Platform) -> Dim:
    """Return the datasheet roofline: each kernel as fast as peak and bandwidth allow. [s]"""
    times = []
    for kernel in kernels:
        machine = machine_for(platform, kernel.dtype)
        times.append(
            maximum(kernel.multiply_adds / machine.multiply_adds, kernel.bytes / machine.bandwidth)
        )
    return total(times)


def _interval(seconds: float, spread: float, level: float) -> tuple[float, float]:
    from scipy.stats import norm

    width = float(np.exp(norm.ppf(0.5 + level / 2) * spread))
    return seconds / width, seconds * width


def _is_concrete(sequence: Sequence[Workload]) -> bool:
    return not any(
        isinstance(value, np.ndarray | sympy.Expr)
        for w in sequence
        for value in (w.multiply_adds, w.elementwise, w.writes.bytes, w.writes.distance)
    )
