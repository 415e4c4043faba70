"""Solve for the symbols of a network: the least MAC or latency within limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from costmodel.arguments import values_of
from costmodel.counting.subject import prepare
from costmodel.errors import DataError
from costmodel.graph import at
from costmodel.platforms import Platform
from costmodel.solving.geometric import Certificate
from costmodel.solving.problem import QUANTITIES, Problem
from costmodel.solving.search import STARTS, count, is_small, search


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
        The method, in words.
    relaxed : mapping
        The best real numbers, if the problem is a geometric program.
    certificate : Certificate, optional
        The proof that these are optimal.
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
        The objective.
    platforms : str, Platform or sequence of them
        Platforms of the latency; the sum over several.
    at_least, at_most : mapping, optional
        Limits of ``"multiply_adds"``, ``"mac"``, ``"params"``, ``"memory"``; ``at_most`` also of
        ``"latency"``. A capacity is a lower limit. [multiply-add], [element], [s]
    keep : mapping, optional
        Values of the symbols that give every layer the multiply-adds that it must keep: a capacity
        per layer.
    ranges : mapping, optional
        Least and largest value of a symbol, by default 1 and 4096.
    multiple : int
        Common divisor of all values, such as the engine's pack.

    Raises
    ------
    DataError
        If there is nothing to solve for, or no values fulfil the limits.

    Examples
    --------
    G1 of the ShuffleNet v2 paper: at fixed multiply-adds, equal widths have the least MAC.

    >>> import costmodel as cm
    >>> graph = cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2"))
    >>> found = solve(graph, "multiply_adds", at_least={"mac": 1e6}, ranges={"c1": (1, 512)})
    >>> found.method
    'local search from 6 starts: a local optimum'
    """
    for said, given in (
        ("at_least", at_least),
        ("at_most", at_most),
        ("keep", keep),
        ("ranges", ranges),
    ):
        if given is not None and not isinstance(given, Mapping):
            raise DataError(f"{said} must be a mapping of names to values, got {given!r}")
    single = isinstance(platforms, str | Platform)
    places = values_of([platforms] if single else platforms, "platforms", "platforms")
    problem = Problem(
        graph,
        minimize,
        places,
        dict(at_least or {}),
        dict(at_most or {}),
        dict(keep or {}),
        dict(ranges or {}),
        multiple,
    )
    return _solution(problem)


def _solution(problem: Problem) -> Solution:
    relaxed, certificate = problem.relaxed()
    near = None if relaxed is None else relaxed / problem.multiple
    low, high = problem.low, problem.high
    point, value = search(problem.evaluate, low, high, near)
    if not np.isfinite(value):
        raise DataError("no values that were tried fulfil all limits: widen limits or ranges")
    values = dict(zip(problem.names, (int(v) * problem.multiple for v in point), strict=True))
    done = prepare(at(problem.graph, **values))
    all_tried = is_small(low, high)
    found = f"of all {count(low, high):,} values" if all_tried else "by local search"
    if certificate is not None:
        method = f"geometric program: a global optimum, rounded {found}"
    elif all_tried:
        method = f"the best {found}: a global optimum"
    else:
        method = f"local search from {STARTS} starts: a local optimum"
    return Solution(
        values,
        problem.minimize,
        value,
        {name: int(metric(done)) for name, metric in QUANTITIES.items()},
        method,
        {} if relaxed is None else dict(zip(problem.names, map(float, relaxed), strict=True)),
        certificate,
    )
