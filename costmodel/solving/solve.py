"""Solve for the symbols of a network: the least MAC or latency within limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim
from costmodel.counting.cost import op_cost
from costmodel.counting.metrics import activation_memory, mac, multiply_adds, params
from costmodel.counting.subject import prepare
from costmodel.errors import DataError
from costmodel.graph import at, free_symbols
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.latency import latency
from costmodel.solving.geometric import Certificate, Program
from costmodel.solving.posynomial import posynomial
from costmodel.solving.search import STARTS, search

QUANTITIES: Mapping[str, Callable[..., Dim]] = {
    "multiply_adds": multiply_adds,
    "mac": mac,
    "params": params,
    "memory": activation_memory,
}
"""What may be limited, in multiply-adds and elements."""
LATENCY = "latency"
_RANGE = (1, 4096)


@dataclass(frozen=True)
class Solution:
    """The best values of symbols.

    Parameters
    ----------
    values : mapping
        An integer for each symbol.
    minimized : str
        The objective that these values minimize.
    objective : float
        Its value with them. [element] or [s]
    quantities : mapping
        Multiply-adds, MAC, parameters and activation memory with them.
    method : str
        How they were found, in words.
    relaxed : mapping
        The best real numbers, where the problem is a geometric program.
    certificate : Certificate, optional
        What proves these to be the best.
    """

    values: Mapping[str, int]
    minimized: str
    objective: float
    quantities: Mapping[str, int]
    method: str
    relaxed: Mapping[str, float]
    certificate: Certificate | None


def solve(
    graph: nx.DiGraph,
    minimize: str = "mac",
    platforms: str | Platform | Sequence[str | Platform] = (),
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    keep: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[int, int]] | None = None,
    multiple: int = 1,
) -> Solution:
    """Return the values of the free symbols of a network that minimise its MAC or latency.

    Parameters
    ----------
    graph : DiGraph
        A network with free symbols.
    minimize : {"mac", "latency", "multiply_adds", "params", "memory"}
        What is minimised.
    platforms : str, Platform or sequence of them
        Where the latency counts; of several, the sum.
    at_least, at_most : mapping, optional
        Limits of ``"multiply_adds"``, ``"mac"``, ``"params"``, ``"memory"``; ``at_most`` of
        ``"latency"`` too. A capacity is a limit from below. [multiply-add], [element], [s]
    keep : mapping, optional
        Values of the symbols with which every layer has the multiply-adds that it must keep: a
        capacity layer by layer.
    ranges : mapping, optional
        Least and largest value of a symbol, by default 1 and 4096.
    multiple : int
        What all values are a multiple of: the engine's pack.

    Raises
    ------
    DataError
        If there is nothing to solve for, or no values fulfil the limits.

    Examples
    --------
    G1 of the ShuffleNet v2 paper: at fixed multiply-adds equal widths move the least.

    >>> import costmodel as cm
    >>> graph = cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2"))
    >>> found = solve(graph, "multiply_adds", at_least={"mac": 1e6}, ranges={"c1": (1, 512)})
    >>> found.method
    'local search from 6 starts: a local optimum'
    """
    problem = _Problem(
        graph,
        minimize,
        [platforms] if isinstance(platforms, str | Platform) else list(platforms),
        dict(at_least or {}),
        dict(at_most or {}),
        dict(keep or {}),
        dict(ranges or {}),
        multiple,
    )
    return problem.solution()


class _Problem:
    """The problem, checked, with its expressions."""

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
        known = {*self.at_least, *self.at_most, minimize, *QUANTITIES} - {LATENCY}
        self.expressions = {
            name: sympy.sympify(QUANTITIES[name](self.ready))
            for name in QUANTITIES
            if name in known
        }
        self.layers = self._layers(keep) if keep else []
        self._compiled: dict[sympy.Expr, Callable[..., np.ndarray]] = {}

    def solution(self) -> Solution:
        relaxed, certificate = self._relaxed()
        near = None if relaxed is None else relaxed / self.multiple
        point, value = search(self._evaluate, self.low, self.high, near)
        if not np.isfinite(value):
            raise DataError("no values that were tried fulfil all limits: widen limits or ranges")
        values = dict(zip(self.names, (int(v) * self.multiple for v in point), strict=True))
        done = prepare(at(self.graph, **values))
        if certificate is not None:
            method = "geometric program: a global optimum, rounded by local search"
        else:
            method = f"local search from {STARTS} starts: a local optimum"
        return Solution(
            values,
            self.minimize,
            value,
            {name: int(metric(done)) for name, metric in QUANTITIES.items()},
            method,
            {} if relaxed is None else dict(zip(self.names, map(float, relaxed), strict=True)),
            certificate,
        )

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
        if keep and sorted(keep) != self.names:
            raise DataError(f"to keep the layers, give a value for each of {', '.join(self.names)}")
        if wrong := set(ranges) - set(self.names):
            raise DataError(f"{sorted(wrong)[0]!r} is no free symbol; {', '.join(self.names)} are")

    def _layers(self, keep: Mapping[str, int]) -> list[tuple[sympy.Expr, float]]:
        found: dict[sympy.Expr, float] = {}
        for node in self.ready.nodes:
            work = sympy.sympify(op_cost(node.op, node.inputs).cost.multiply_adds)
            if work.free_symbols:
                found[work] = float(work.subs({s: keep[s.name] for s in self.symbols}))
        return list(found.items())

    def _relaxed(self) -> tuple[np.ndarray | None, Certificate | None]:
        """Return the best real numbers where the problem is a geometric program."""
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
            return None, None  # a sum that must reach something is not convex
        program = Program(
            objective,
            [(p, v) for p, v in above if p is not None],
            [(p, v) for p, v in capacities if p is not None],
            (self.low * self.multiple).astype(float),
            (self.high * self.multiple).astype(float),
        )
        return program.solve()

    def _evaluate(self, points: np.ndarray) -> np.ndarray:
        """Return the objective of points, infinity where a limit is broken."""
        columns = [column * self.multiple for column in points.T]
        floats = [column.astype(float) for column in columns]
        broken = np.zeros(len(points), dtype=bool)
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
            kept = {n: c[~broken] for n, c in zip(self.names, columns, strict=True)}
            graph = at(self.graph, **kept)
            seconds = sum(np.asarray(latency(graph, p).seconds) for p in self.platforms)
            seconds = np.broadcast_to(seconds, (int((~broken).sum()),))
            own = seconds if self.minimize == LATENCY else counts[self.minimize][~broken]
            limit = self.at_most.get(LATENCY, np.inf)
            result[~broken] = np.where(seconds > limit, np.inf, own)
        return result

    def _values(self, expression: sympy.Expr, columns: list[np.ndarray]) -> np.ndarray:
        if expression not in self._compiled:
            self._compiled[expression] = sympy.lambdify(self.symbols, expression, "numpy")
        function = self._compiled[expression]
        return np.broadcast_to(np.asarray(function(*columns), dtype=float), columns[0].shape)
