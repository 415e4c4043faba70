"""What variants of a space cost: latency, multiply-adds, parameters, MAC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import networkx as nx
import numpy as np

from costmodel.algebra.arrays import computed_once
from costmodel.algebra.symbols import Dim
from costmodel.counting.metrics import flops, mac, params
from costmodel.counting.subject import Prepared, prepare
from costmodel.platforms import Platform
from costmodel.prediction.latency import latency
from costmodel.prediction.table import tabulate
from costmodel.spaces.space import Space

COLUMNS = ("latency", "flops", "params", "mac")
"""Latency [s], multiply-adds [multiply-add], parameters and memory access cost [element]."""


def evaluate(
    space: Space, platform: Platform, numbers: np.ndarray, wanted: Sequence[str] = COLUMNS
) -> dict[str, np.ndarray]:
    """Return columns of the variants of these numbers.

    Variants of one structure are one graph of arrays; variants that differ in structure share the
    distinct kernels of all of them.

    Parameters
    ----------
    space : Space
        The space.
    platform : Platform
        Where they run.
    numbers : ndarray of int
        Which variants.
    wanted : sequence of str
        Some of :data:`COLUMNS`.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> space = Space("layer", zoo.pointwise, {"c1": (8, 16), "c2": (8,), "h": (7,), "w": (7,)},
    ...               sizes=("c1", "c2", "h", "w"))
    >>> found = evaluate(space, load_platform("gtx-1080-ti/paper"), np.arange(2), ("flops",))
    >>> found["flops"].tolist()
    [3136.0, 6272.0]
    """
    result = {name: np.empty(len(numbers)) for name in wanted}
    single: list[tuple[int, nx.DiGraph]] = []
    for own, fixed, arrays in space.structures(numbers):
        if len(own) == 1 or not arrays:
            one = {name: _plain(values[0]) for name, values in arrays.items()}
            graph = space.build(**fixed, **one)
            single += [(int(i), graph) for i in own]
            continue
        with computed_once():
            graph = space.build(**fixed, **arrays)
            for name, values in _of_arrays(graph, platform, wanted).items():
                result[name][own] = values
    if single:
        for name, values in _of_graphs([g for _, g in single], platform, wanted).items():
            result[name][[i for i, _ in single]] = values
    return result


def _of_arrays(
    graph: nx.DiGraph, platform: Platform, wanted: Sequence[str]
) -> Mapping[str, np.ndarray]:
    found = {}
    if "latency" in wanted:
        found["latency"] = np.asarray(latency(graph, platform).seconds)
    ready = _ready([graph], wanted)
    for name, metric in _METRICS.items():
        if name in wanted:
            found[name] = np.asarray(metric(ready[0]), dtype=float)
    return found


def _of_graphs(
    graphs: Sequence[nx.DiGraph], platform: Platform, wanted: Sequence[str]
) -> Mapping[str, np.ndarray]:
    found = {}
    if "latency" in wanted:
        found["latency"] = tabulate(graphs, platform).seconds(platform, platform.fitted.theta)
    ready = _ready(graphs, wanted)
    for name, metric in _METRICS.items():
        if name in wanted:
            found[name] = np.array([float(metric(r)) for r in ready])
    return found


def _ready(graphs: Sequence[nx.DiGraph], wanted: Sequence[str]) -> list[Prepared]:
    return [prepare(graph) for graph in graphs] if set(wanted) & set(_METRICS) else []


def _plain(value: np.generic) -> int | float:
    found: int | float = value.item()
    return found


_METRICS: Mapping[str, Callable[[Prepared], Dim]] = {"flops": flops, "params": params, "mac": mac}
