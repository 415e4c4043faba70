"""Costs of the variants of a space: latency, multiply-adds, parameters, MAC."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np

from costmodel.algebra.arrays import computed_once
from costmodel.algebra.symbols import Dim
from costmodel.counting.metrics import flops, mac, multiply_adds, params
from costmodel.counting.subject import Prepared, Subject, prepare
from costmodel.errors import CostModelError, DataError
from costmodel.graph.builder import unlinked
from costmodel.graph.schema import Unlinked
from costmodel.kernels.work import KindsError
from costmodel.platforms import Platform
from costmodel.prediction.latency import latency
from costmodel.prediction.table import Lowered, lowered, table_of
from costmodel.spaces.space import Space

COLUMNS = ("latency", "multiply_adds", "flops", "params", "mac")
"""Latency [s], multiply-adds [multiply-add], parameters and memory access cost [element]."""
_SPARSE = 16
"""Points of a grid per variant above which the grid does not pay. [1]"""
_MOST = 2**20
"""Maximum points of a grid, to limit its memory. [1]"""


def evaluate(
    space: Space, platform: Platform, numbers: np.ndarray, wanted: Sequence[str] = COLUMNS
) -> dict[str, np.ndarray]:
    """Return columns of the variants with these numbers.

    Variants of one structure are one graph with arrays; variants of different structures share
    distinct kernels.

    Parameters
    ----------
    space : Space
        The space.
    platform : Platform
        Where they run.
    numbers : ndarray of int
        Numbers of the variants.
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
    [6272.0, 12544.0]
    """
    result = {name: np.empty(len(numbers)) for name in wanted}
    single = _Singles(space, platform, wanted)
    with _no_collections():
        for own, fixed, arrays in space.structures(numbers):
            parts = [_Part(own, arrays, min(_SPARSE * len(own), _MOST))]
            while parts:
                part = parts.pop()
                if len(part.own) == 1 or not arrays:
                    one = {name: _plain(values[0]) for name, values in part.arrays.items()}
                    single.add(part.own, {**fixed, **one})
                    continue
                build = partial(_of_axes, space, fixed)
                parts += part.fill(result, lambda graph: _of_arrays(graph, platform, wanted), build)
        single.fill(result)
    return result


@dataclass(frozen=True)
class _Part:
    """Variants of one structure: where they are, their sizes, the most points of their grid."""

    own: np.ndarray
    arrays: Mapping[str, np.ndarray]
    most: int

    def fill(
        self,
        result: Mapping[str, np.ndarray],
        costs: Callable[[nx.DiGraph], Mapping[str, np.ndarray]],
        build: Callable[[Mapping[str, np.ndarray]], nx.DiGraph],
    ) -> Sequence[_Part]:
        """Write the columns, or return the parts to do so for, each of one kind of kernels."""
        axes, places = _grid(self.arrays, self.most)
        shape = np.broadcast_shapes(*(values.shape for values in axes.values()))
        try:
            with computed_once():
                found = costs(build(axes))
        except KindsError as error:
            return self._split(np.broadcast_to(error.apart, shape)[places])
        for name, values in found.items():
            result[name][self.own] = np.broadcast_to(values, shape)[places]
        return ()

    def _split(self, apart: np.ndarray) -> Sequence[_Part]:
        if np.all(apart == apart[0]):  # the others are points of the grid that nobody asked for
            return (replace(self, most=0),)
        return tuple(
            _Part(self.own[some], {n: a[some] for n, a in self.arrays.items()}, self.most)
            for some in (apart, ~apart)
        )


def check_sizes(space: Space, platform: Platform, numbers: np.ndarray) -> None:
    """Refuse a space whose sizes make another network as an array than one by one.

    Two of these variants, of one structure, are predicted in both ways.

    Raises
    ------
    DataError
        If they differ: ``build`` decides by a size what to build.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> def build(c):
    ...     return zoo.pointwise(7, 7, c, 8 if np.any(c > 8) else 16)
    >>> space = Space("layer", build, {"c": (8, 16)}, sizes=("c",))
    >>> check_sizes(space, load_platform("gtx-1080-ti/paper"), np.arange(2))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: space layer: variant 0 has other multiply_adds among others ...
    """
    own = numbers[numbers // space.alike == numbers[0] // space.alike]
    if len(own) == 1:
        return
    ends = own[[0, -1]]
    together = evaluate(space, platform, ends)
    for i, number in enumerate(ends.tolist()):
        alone = evaluate(space, platform, ends[i : i + 1])
        for name in COLUMNS[1:]:
            if together[name][i] != alone[name][0]:
                raise DataError(
                    f"space {space.name}: variant {number} has other {name} among others than "
                    "alone: sizes must not change what build makes; leave those out of sizes that "
                    "do"
                )


def _of_axes(space: Space, fixed: Mapping[str, Any], axes: Mapping[str, np.ndarray]) -> nx.DiGraph:
    try:
        return space.build(**fixed, **axes)
    except CostModelError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(
            f"space {space.name}: build fails on arrays of {', '.join(axes)} ({error}): leave "
            "those out of sizes that it decides by"
        ) from error


def _grid(
    arrays: Mapping[str, np.ndarray], most: int
) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, ...]]:
    """Return the sizes, each along its own axis, and the positions of the variants on their grid.

    Most kernels depend on one or two sizes only, and are computed for these alone. If the grid has
    more than ``most`` points, the variants form one axis instead.
    """
    found = [np.unique(values, return_inverse=True) for values in arrays.values()]
    if math.prod(len(values) for values, _ in found) > most:
        return dict(arrays), (np.arange(len(found[0][1])),)
    axes = {}
    for i, (name, (values, _)) in enumerate(zip(arrays, found, strict=True)):
        axes[name] = values.reshape([-1 if i == j else 1 for j in range(len(found))])
    return axes, tuple(place for _, place in found)


class _Singles:
    """Networks of numbers: their kernels and counts are stored, not their graphs."""

    def __init__(self, space: Space, platform: Platform, wanted: Sequence[str]) -> None:
        self._space, self._platform, self._wanted = space, platform, wanted
        self._needs_graphs = False
        self._places: list[np.ndarray] = []
        self._lowered: list[Lowered] = []
        self._counts: list[dict[str, float]] = []

    def add(self, places: np.ndarray, chosen: Mapping[str, Any]) -> None:
        """Add the network at some positions."""
        self._places.append(places)
        graph = self._built(chosen)
        # The nodes are read once for both kernels and counts.
        ready = prepare(graph) if set(self._wanted) & set(_METRICS) else None
        if "latency" in self._wanted:
            self._lowered.append(lowered(ready or graph, self._platform))
        if ready is not None:
            found = {n: float(m(ready)) for n, m in _METRICS.items() if n in self._wanted}
            self._counts.append(found)

    def _built(self, chosen: Mapping[str, Any]) -> Subject:
        """Return the nodes of a network, or its graph if ``build`` does more than build it."""
        if not self._needs_graphs:
            try:
                with unlinked():
                    found = self._space.build(**chosen)
            except Exception:  # from any use of a value that should be a graph
                found = None
            if isinstance(found, Unlinked):
                return found
            self._needs_graphs = True
        return self._space.build(**chosen)

    def fill(self, result: Mapping[str, np.ndarray]) -> None:
        """Write the columns of all added networks."""
        times = self._seconds()
        for i, places in enumerate(self._places):
            if "latency" in result:
                result["latency"][places] = times[i]
            for name, value in (self._counts[i] if self._counts else {}).items():
                result[name][places] = value

    def _seconds(self) -> np.ndarray:
        if not self._lowered:
            return np.empty(0)
        table, _ = table_of(self._lowered)
        return table.seconds(self._platform, self._platform.fitted.theta)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Postpone garbage collection, which takes longer than the predictions."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _of_arrays(
    graph: nx.DiGraph, platform: Platform, wanted: Sequence[str]
) -> Mapping[str, np.ndarray]:
    found = {}
    if "latency" in wanted:
        found["latency"] = np.asarray(latency(graph, platform).seconds)
    ready = prepare(graph) if set(wanted) & set(_METRICS) else None
    for name, metric in _METRICS.items():
        if ready is not None and name in wanted:
            found[name] = np.asarray(metric(ready), dtype=float)
    return found


def _plain(value: np.generic) -> int | float:
    found: int | float = value.item()
    return found


_METRICS: Mapping[str, Callable[[Prepared], Dim]] = {
    "multiply_adds": multiply_adds,
    "flops": flops,
    "params": params,
    "mac": mac,
}
