"""A problem of widths: its objective and limits, evaluated at many points at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real

import networkx as nx
import numpy as np
import sympy

from costmodel.algebra.symbols import Dim
from costmodel.counting.cost import op_cost
from costmodel.counting.metrics import activation_memory, mac, multiply_adds, params
from costmodel.counting.subject import prepare
from costmodel.errors import CostModelError, DataError
from costmodel.graph import at, free_symbols
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.latency import latency
from costmodel.solving.geometric import Certificate, Program
from costmodel.solving.posynomial import posynomial

QUANTITIES: Mapping[str, Callable[..., Dim]] = {
    "multiply_adds": multiply_adds,
    "mac": mac,
    "params": params,
    "memory": activation_memory,
}
"""Quantities that may be limited, in multiply-adds and elements."""
LATENCY = "latency"
_RANGE = (1, 4096)


def _is_range(ends: object) -> bool:
    """Return whether limits of a symbol are two integers."""
    if not isinstance(ends, Sequence):
        return False
    return len(ends) == 2 and all(isinstance(end, Integral) for end in ends)


class Problem:
    """The checked problem with its expressions."""

    def __init__(
        self,
        graph: nx.DiGraph,
        minimize: str,
        platforms: Sequence[str | Platform],
        at_least: Mapping[str, float],
        at_most: Mapping[str, float],
        keep: Mapping[str, int],
        ranges: Mapping[str, tuple[int, int]],
        multiple: int,
    ) -> None:
        self.graph, self.minimize, self.multiple = graph, minimize, multiple
        self.symbols = sorted(free_symbols(graph), key=str)
        self.names = [s.name for s in self.symbols]
        self.platforms = [load_platform(p) for p in platforms]
        self.at_least, self.at_most = at_least, at_most
        self._check(keep, ranges)
        self.ready = prepare(graph)
        self.low = np.array([-(-ranges.get(n, _RANGE)[0] // multiple) for n in self.names])
        self.low = np.maximum(self.low, 1)
        self.high = np.array([ranges.get(n, _RANGE)[1] // multiple for n in self.names])
        if np.any(self.low > self.high):
            raise DataError(f"a range holds no multiple of {multiple}")
        known = {*self.at_least, *self.at_most, minimize} - {LATENCY}
        self.expressions = {
            name: sympy.sympify(QUANTITIES[name](self.ready)) for name in sorted(known)
        }
        self.sizes = self._sizes()
        self.layers = self._layers(keep) if keep else []
        self._compiled: dict[sympy.Expr, Callable[..., np.ndarray]] = {}

    def _check(self, keep: Mapping[str, int], ranges: Mapping[str, tuple[int, int]]) -> None:
        if not self.symbols:
            raise DataError("there is nothing to solve for: no size of the network is a symbol")
        if self.minimize not in (*QUANTITIES, LATENCY):
            known = ", ".join((*QUANTITIES, LATENCY))
            raise DataError(f"{self.minimize!r} cannot be minimised; give one of {known}")
        limited = {*self.at_least, *self.at_most}
        if (self.minimize == LATENCY or LATENCY in limited) and not self.platforms:
            raise DataError("a latency needs a platform")
        if LATENCY in self.at_least:
            raise DataError("a latency is limited from above, not from below")
        if unknown := limited - {*QUANTITIES, LATENCY}:
            raise DataError(
                f"{sorted(unknown)[0]!r} cannot be limited; {', '.join(QUANTITIES)} can"
            )
        limits = [*self.at_least.items(), *self.at_most.items()]
        limits += list(keep.items())
        if bad := [n for n, v in limits if not isinstance(v, Real) or not 0 < v < math.inf]:
            raise DataError(f"the value of {bad[0]} must be a positive number")
        if keep and sorted(keep) != self.names:
            raise DataError(f"to keep the layers, give a value for each of {', '.join(self.names)}")
        if wrong := set(ranges) - set(self.names):
            raise DataError(f"{sorted(wrong)[0]!r} is no free symbol; {', '.join(self.names)} are")
        if odd := [name for name, ends in ranges.items() if not _is_range(ends)]:
            raise DataError(f"the range of {odd[0]} must be two integers, got {ranges[odd[0]]!r}")
        if not isinstance(self.multiple, Integral) or self.multiple < 1:
            raise DataError(f"multiple must be a positive integer, got {self.multiple!r}")

    def _layers(self, keep: Mapping[str, int]) -> list[tuple[sympy.Expr, float]]:
        found: dict[sympy.Expr, float] = {}
        for node in self.ready.nodes:
            work = sympy.sympify(op_cost(node.op, node.inputs).cost.multiply_adds)
            if work.free_symbols:
                found[work] = float(work.subs({s: keep[s.name] for s in self.symbols}))
        return list(found.items())

    def _sizes(self) -> list[sympy.Expr]:
        """Return the expressions of sizes, which may not be positive integers for some values."""
        shapes = (t.shape for node in self.ready.nodes for t in node.outputs)
        sizes = dict.fromkeys(size for shape in shapes for size in shape)
        return [s for s in sizes if isinstance(s, sympy.Expr) and s not in self.symbols]

    def relaxed(self) -> tuple[np.ndarray | None, Certificate | None]:
        """Return the best real numbers if the problem is a geometric program."""
        if self.minimize == LATENCY or LATENCY in self.at_most:
            return None, None
        objective = posynomial(self.expressions[self.minimize], self.symbols)
        above = [
            (posynomial(self.expressions[n], self.symbols), v) for n, v in self.at_most.items()
        ]
        below = [(self.expressions[n], v) for n, v in self.at_least.items()] + self.layers
        capacities = [(posynomial(e, self.symbols), v) for e, v in below]
        if objective is None or any(p is None for p, _ in above):
            return None, None
        if any(p is None or not p.is_monomial for p, _ in capacities):
            return None, None  # a lower limit on a sum is not convex
        if not all(size.is_positive for size in self.sizes):
            return None, None  # nor is a difference that must be positive
        program = Program(
            objective,
            [(p, v) for p, v in above if p is not None],
            [(p, v) for p, v in capacities if p is not None],
            (self.low * self.multiple).astype(float),
            (self.high * self.multiple).astype(float),
        )
        return program.solve()

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Return the objective of points, infinity if a limit is violated."""
        columns = [column * self.multiple for column in points.T]
        floats = [column.astype(float) for column in columns]
        broken = np.zeros(len(points), dtype=bool)
        for size in self.sizes:
            found = self._values(size, floats)
            broken |= (found < 1) | (found != np.rint(found))
        counts = {n: self._values(e, floats) for n, e in self.expressions.items()}
        for name, limit in self.at_most.items():
            if name != LATENCY:
                broken |= counts[name] > limit
        for name, limit in self.at_least.items():
            broken |= counts[name] < limit
        for work, least in self.layers:
            broken |= self._values(work, floats) < least
        if self.minimize != LATENCY and LATENCY not in self.at_most:
            return np.where(broken, np.inf, counts[self.minimize])
        result = np.full(len(points), np.inf)
        if not broken.all():
            seconds = self._seconds(points[~broken] * self.multiple)
            own = seconds if self.minimize == LATENCY else counts[self.minimize][~broken]
            limit = self.at_most.get(LATENCY, np.inf)
            result[~broken] = np.where(seconds > limit, np.inf, own)
        return result

    def _seconds(self, points: np.ndarray) -> np.ndarray:
        """Return the latency of points, infinity if there is no such network.

        Points that start kernels of different kinds, such as widths of 1, are timed separately.
        """
        columns = zip(self.names, points.T, strict=True)
        one = all(np.all(column == column[0]) for column in points.T)
        kept = {n: int(c[0]) if one or np.all(c == 1) else c for n, c in columns}
        try:
            graph = at(self.graph, **kept)
            seconds = sum(np.asarray(latency(graph, p).seconds) for p in self.platforms)
        except CostModelError:
            if one:
                return np.full(len(points), np.inf)
            result = np.empty(len(points))
            for part in _apart(points):
                result[part] = self._seconds(points[part])
            return result
        return np.broadcast_to(seconds, (len(points),))

    def _values(self, expression: sympy.Expr, columns: list[np.ndarray]) -> np.ndarray:
        if expression not in self._compiled:
            self._compiled[expression] = sympy.lambdify(self.symbols, expression, "numpy")
        function = self._compiled[expression]
        return np.broadcast_to(np.asarray(function(*columns), dtype=float), columns[0].shape)


def _apart(points: np.ndarray) -> list[np.ndarray]:
    """Return the numbers of points grouped by their entries that are 1, or halves of one group."""
    _, kinds = np.unique(points == 1, axis=0, return_inverse=True)
    kinds = kinds.ravel()
    if kinds.max():
        return [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    return np.array_split(np.lexsort(points.T), 2)
