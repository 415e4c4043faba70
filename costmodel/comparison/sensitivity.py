"""Sensitivity of the latency to a parameter, a fact of the hardware, or a symbol."""

from __future__ import annotations

import networkx as nx
import numpy as np

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, dim
from costmodel.errors import DataError
from costmodel.graph import free_symbols
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.varied import UNITS, quantity, varied
from costmodel.prediction.latency import latency
from costmodel.prediction.table import tabulate
from costmodel.timing.spread import STEP, nudged

_LEAST = 5e-4
"""Elasticities below this are left out. [1]"""


def sensitivities(graph: nx.DiGraph, platform: str | Platform) -> dict[str, float]:
    """Return the elasticities of the latency: per cent per 1 % more of each quantity.

    Parameters
    ----------
    graph : DiGraph
        A network of numbers.
    platform : str or Platform
        Where it runs.

    Returns
    -------
    dict of str to float
        The largest in magnitude first: ``"bandwidth"`` and ``"clock"`` of the hardware, and the
        parameters of the time model. Quantities without effect are left out. [1]

    Examples
    --------
    >>> import costmodel as cm
    >>> found = sensitivities(cm.zoo.resnet50(), "gtx-1080-ti/paper")
    >>> -1 < found["clock"] < 0
    True
    """
    where = load_platform(platform)
    fitted = where.fitted
    if names := sorted(map(str, free_symbols(graph))):
        raise DataError(
            f"sensitivities are numbers, but {', '.join(names)} of {graph.name} are free: give "
            "them values by costmodel.at, or derive by one with costmodel.sensitivity"
        )
    table = tabulate([graph], where)
    seconds = table.seconds(where, nudged(fitted.theta, fitted.free))[:, 0]
    slopes = (np.log(seconds[1:]) - np.log(seconds[0])) / STEP
    found = dict(zip(fitted.free, map(float, slopes), strict=True))
    for name in UNITS:
        more = varied(where, name, quantity(where, name) * float(np.exp(STEP)))
        found[name] = float(np.log(table.seconds(more, fitted.theta)[0] / seconds[0])) / STEP
    kept = [item for item in found.items() if abs(item[1]) >= _LEAST]
    return dict(sorted(kept, key=lambda item: -abs(item[1])))


def sensitivity(graph: nx.DiGraph, platform: str | Platform, symbol: str | sympy.Symbol) -> Dim:
    """Return the derivative of the latency with respect to a free symbol, in closed form [s].

    Roundings up are replaced by the quotients that they round.

    Raises
    ------
    DataError
        If the symbol is not free.

    Examples
    --------
    >>> import costmodel as cm
    >>> graph = cm.zoo.pointwise(56, 56, 64, cm.dim("c2"))
    >>> slope = sensitivity(graph, "snapdragon-810/paper", "c2")
    >>> float(slope.subs(cm.dim("c2"), 640)) > 0
    True
    """
    free = {s.name for s in free_symbols(graph)}
    wanted = symbol.name if isinstance(symbol, sympy.Symbol) else symbol
    if not isinstance(wanted, str) or wanted not in free:
        known = ", ".join(sorted(free)) or "none"
        raise DataError(f"symbol {wanted!r} is not free in {graph.name}; free are: {known}")
    seconds = latency(graph, platform).seconds
    return _Slope(dim(wanted)).of(sympy.sympify(seconds))


class _Slope:
    """The derivative by one symbol, node by node; sympy's compares all branches of maxima."""

    def __init__(self, by: sympy.Symbol) -> None:
        self._by = by
        self._known: dict[sympy.Expr, sympy.Expr] = {}

    def of(self, e: sympy.Expr) -> sympy.Expr:
        """Return the derivative of ``e``; roundings are replaced by their quotients."""
        if e not in self._known:
            self._known[e] = self._find(e) if e.has(self._by) else sympy.S.Zero
        return self._known[e]

    def _find(self, e: sympy.Expr) -> sympy.Expr:
        if e == self._by:
            return sympy.S.One
        if isinstance(e, sympy.Add):
            return sympy.Add(*map(self.of, e.args))
        if isinstance(e, sympy.Mul):
            return sympy.Add(*(_without(e, i) * self.of(x) for i, x in enumerate(e.args)))
        if isinstance(e, sympy.ceiling | sympy.floor):
            return self.of(e.args[0])
        if isinstance(e, sympy.Max | sympy.Min):
            return self._branches(e)
        if isinstance(e, sympy.Piecewise):
            parts = [(self.of(value), condition) for value, condition in e.args]
            return sympy.Piecewise(*parts, evaluate=False)
        if isinstance(e, sympy.Pow):
            base, power = e.args
            return power * base ** (power - 1) * self.of(base) + (
                e * sympy.log(base) * self.of(power) if power.has(self._by) else 0
            )
        inner = [e.fdiff(i) * self.of(x) for i, x in enumerate(e.args, start=1) if x.has(self._by)]
        return sympy.Add(*inner)

    def _branches(self, e: sympy.Expr) -> sympy.Expr:
        """Return the derivative of the active branch of a maximum or minimum."""
        relation = sympy.Ge if isinstance(e, sympy.Max) else sympy.Le
        found = []
        for x in e.args:
            others = [y for y in e.args if y is not x]
            wins = sympy.And(*(relation(x, y, evaluate=False) for y in others), evaluate=False)
            found.append((self.of(x), wins))
        found[-1] = (found[-1][0], sympy.true)
        return sympy.Piecewise(*found, evaluate=False)


def _without(e: sympy.Mul, place: int) -> sympy.Expr:
    return sympy.Mul(*e.args[:place], *e.args[place + 1 :])
