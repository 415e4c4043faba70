"""The latency of a network on a platform: kernels, host, transfers, interval."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import networkx as nx
import numpy as np
import sympy

from costmodel.algebra.symbols import Dim, maximum, total
from costmodel.errors import DataError
from costmodel.kernels import Kernel
from costmodel.kernels.lowering import lower
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.machine import machine_for
from costmodel.prediction.prediction import KernelTime, Prediction
from costmodel.timing.network import (
    fixed_seconds,
    kernel_terms,
    network_seconds,
    transfer_seconds,
    transferred_bytes,
)
from costmodel.timing.spread import log_spread, nudged
from costmodel.timing.terms import Terms
from costmodel.timing.workload import Workload, stack, workloads

LEVEL = 0.9
"""Probability of the intervals."""


def latency(graph: nx.DiGraph, platform: str | Platform, level: float = LEVEL) -> Prediction:
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
    transferred = transferred_bytes(graph)
    if _is_concrete(sequence):
        return _concrete(graph, where, kernels, sequence, transferred, level)
    theta = where.fitted.theta
    times = [kernel_terms(w, machine_for(where, w.dtype), theta) for w in sequence]
    return _prediction(graph, where, kernels, times, transferred, None, level)


def _concrete(
    graph: nx.DiGraph,
    where: Platform,
    kernels: Sequence[Kernel],
    sequence: list[Workload],
    transferred: Dim,
    level: float,
) -> Prediction:
    """Time all kernels at once, under the parameters and under each of them nudged."""
    fitted = where.fitted
    theta = nudged(fitted.theta, fitted.free)
    names = ("host", "launch", "compute", "memory", "passes", "seconds")
    rows = {name: np.zeros((len(fitted.free) + 1, len(sequence))) for name in names}
    for part in stack(sequence):
        found = kernel_terms(part.workload, machine_for(where, part.workload.dtype), theta)
        for name in names:
            rows[name][:, part.index] = getattr(found, name)
    totals = network_seconds(
        machine_for(where, "float32"),
        rows["host"].sum(axis=1),
        rows["seconds"].sum(axis=1),
        transferred,
        {name: np.ravel(value) for name, value in theta.items()},
        total(kernel.bytes for kernel in kernels),
    )
    residual = fitted.operator_spread if len(sequence) <= 1 else fitted.network_spread
    spread = log_spread(totals[:, None], fitted.covariance, residual)[0]
    columns = [rows[name][0].tolist() for name in names]
    times = [Terms(*terms) for terms in zip(*columns, strict=True)]
    return _prediction(graph, where, kernels, times, transferred, float(spread), level)


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
    touched = total(kernel.bytes for kernel in kernels)
    machine = machine_for(where, "float32")
    seconds = network_seconds(machine, host, device, transferred, theta, touched)
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
        fixed=fixed_seconds(machine, theta, touched),
        transfer=transfer_seconds(machine, transferred, theta),
        dispatch=host if where.runtime.asynchronous else 0,
        bound_seconds=roofline_seconds(kernels, where),
        basis=where.fitted.basis,
    )


def roofline_seconds(kernels: Sequence[Kernel], platform: Platform) -> Dim:
    """Return the datasheet roofline: each kernel as fast as peak and bandwidth allow [s]."""
    machines = {dtype: machine_for(platform, dtype) for dtype in {k.dtype for k in kernels}}
    return total(
        maximum(
            k.multiply_adds / machines[k.dtype].multiply_adds,
            k.bytes / machines[k.dtype].bandwidth,
        )
        for k in kernels
    )


def _interval(seconds: float, spread: float, level: float) -> tuple[float, float]:
    width = float(np.exp(NormalDist().inv_cdf(0.5 + level / 2) * spread))
    return seconds / width, seconds * width


def _is_concrete(sequence: Sequence[Workload]) -> bool:
    return not any(
        isinstance(value, np.ndarray | sympy.Expr)
        for w in sequence
        for value in (w.multiply_adds, w.elementwise, w.writes.bytes, w.writes.distance)
    )
