"""A latency in closed form, kernel by kernel, with named terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, cycle, islice

import numpy as np
import sympy

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.prediction import KernelTime, Prediction
from costmodel.timing.terms import Terms, overlap

_PARTS = ("launch", "compute", "memory", "passes", "learned", "residual")
_CLOSE = 1e-9
"""Relative difference below which two times are equal. [1]"""
_TRIED = ((1, 7, 3, 13, 5), (8, 224, 64, 17, 33), (32, 96, 512, 129, 3))
"""Values of the symbols at which times are compared."""
_NAMED = 2
"""Number of kernels named in a line."""


@dataclass(frozen=True)
class Line:
    """One definition.

    Parameters
    ----------
    name : str
        The defined name.
    expression : Dim
        Its definition, in names of other lines and free symbols. [s], for ``x1``, ``x2`` ... also
        [1]
    note : str
        The kernels or the part of the latency that it describes.
    """

    name: str
    expression: Dim
    note: str = ""


def grouped(prediction: Prediction, platform: str | Platform) -> tuple[Line, ...]:
    """Return the formula of a latency as definitions, each before its first use.

    Kernels with the same formula share a line, which gives their number. The time of each is the
    larger of its bound and its terms; arithmetic and traffic overlap
    (:func:`costmodel.timing.terms.overlap`). Common subexpressions have their own lines.

    Parameters
    ----------
    prediction : Prediction
        Of a network with free symbols.
    platform : str or Platform
        The platform of the prediction.

    Returns
    -------
    tuple of Line
        The last is the latency.

    Raises
    ------
    DataError
        If the latency is a number.

    Examples
    --------
    >>> import costmodel as cm
    >>> graph, where = cm.zoo.pointwise(56, 56, 64, cm.dim("c2")), "gtx-1080-ti/paper"
    >>> lines = grouped(cm.latency(graph, where), where)
    >>> lines[-1].name, lines[-2].name, lines[-2].note
    ('latency', 'kernel1', 'conv')
    """
    if not isinstance(prediction.seconds, sympy.Expr):
        raise DataError("the latency is a number: a formula needs a network with free symbols")
    return _Formula(prediction, load_platform(platform)).lines()


class _Formula:
    """The definitions of one formula, in the order of their creation."""

    def __init__(self, prediction: Prediction, platform: Platform) -> None:
        self._prediction = prediction
        self._serials = (float(platform.fitted.theta.get("serial", 1.0)), 1.0)
        self._free = sorted(prediction.seconds.free_symbols, key=str)
        self._taken = {symbol.name for symbol in self._free}

    def lines(self) -> tuple[Line, ...]:
        """Return all lines."""
        groups = _alike(self._prediction.kernels)
        forms = _forms([terms for terms, _ in groups], self._free, self._serials)
        lines: list[Line] = []
        device: list[Dim] = []
        for number, ((terms, names), serial) in enumerate(zip(groups, forms, strict=True), start=1):
            name = self._name(f"kernel{number}")
            lines += self._kernel(name, number, terms, serial, _note(names))
            device.append(len(names) * name)
        lines.append(Line("latency", self._whole(lines, sympy.Add(*device))))
        return tuple(self._shared(lines))

    def _kernel(
        self, name: sympy.Symbol, number: int, terms: Terms, serial: float | None, note: str
    ) -> Iterator[Line]:
        """Yield the symbolic terms of a kernel, then its time."""
        parts: dict[str, Dim] = {}
        for part in (*(_PARTS if serial is not None else ("model",)), "bound"):
            value = getattr(terms, part)
            if isinstance(value, sympy.Expr) and value.free_symbols:
                parts[part] = self._name(f"{part}{number}")
                yield Line(parts[part].name, value)
            else:
                parts[part] = float(value)
        yield Line(name.name, _longest(_model(parts, serial), parts["bound"]), note)

    def _whole(self, lines: list[Line], device: sympy.Expr) -> sympy.Expr:
        """Return the latency for the time of all kernels."""
        p = self._prediction
        if p.dispatch != 0:
            dispatch = self._name("dispatch")
            lines.append(Line("dispatch", p.dispatch, "the host, ahead of the device"))
            device = sympy.Max(dispatch, device, evaluate=False)
        rest: list[Dim] = [device]
        for part, value in (("fixed", p.fixed), ("transfer", p.transfer)):
            if isinstance(value, sympy.Expr) and value.free_symbols:
                rest.append(self._name(part))
                lines.append(Line(part, value))
            else:
                rest.append(float(value))
        return sympy.Add(*rest)

    def _shared(self, lines: list[Line]) -> Iterator[Line]:
        """Yield the lines, each after the lines of the common subexpressions that it contains."""
        names = (self._name(f"x{i}") for i in count(1))
        expressions = [sympy.sympify(line.expression) for line in lines]
        found, left = sympy.cse(expressions, symbols=names, order="none")
        waiting = dict(found)
        for line, expression in zip(lines, left, strict=True):
            yield from _needed(expression, waiting)
            yield Line(line.name, expression, line.note)

    def _name(self, wanted: str) -> sympy.Symbol:
        """Return a symbol that does not occur in the network."""
        name = wanted
        while name in self._taken:
            name += "_"
        # Some stand for expressions that may be negative, so no sign may be assumed.
        return sympy.Symbol(name, real=True)


def _needed(expression: sympy.Expr, waiting: dict[sympy.Symbol, sympy.Expr]) -> Iterator[Line]:
    """Yield the lines that define the names in an expression, unless yielded before."""
    for symbol in sorted(expression.free_symbols & waiting.keys(), key=_number):
        if symbol in waiting:  # not by the one before
            own = waiting.pop(symbol)
            yield from _needed(own, waiting)
            yield Line(symbol.name, own)


def _number(symbol: sympy.Symbol) -> int:
    return int(symbol.name.strip("x_") or 0)


def _alike(kernels: Iterable[KernelTime]) -> list[tuple[Terms, list[str]]]:
    """Return kernels grouped by formula, with their names."""
    found: dict[Terms, list[str]] = {}
    for kernel in kernels:
        found.setdefault(kernel.terms, []).append(kernel.kernel.name)
    return list(found.items())


def _note(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{shown}{more}"


def _model(parts: Mapping[str, Dim], serial: float | None) -> Dim:
    """Return the time of a kernel from its terms, with overlap of arithmetic and traffic."""
    if serial is None:
        return parts["model"]
    compute, memory = parts["compute"], parts["memory"]
    others = [parts[p] for p in _PARTS if p not in ("compute", "memory")]
    if serial == 1:
        return sympy.Add(compute, memory, *others)
    longer = sympy.Max(compute, memory, evaluate=False)
    shorter = sympy.Min(compute, memory, evaluate=False)
    return sympy.Add(longer, sympy.Float(serial) * shorter, *others)


def _longest(model: Dim, bound: Dim) -> Dim:
    return model if bound == 0 else sympy.Max(bound, model, evaluate=False)


def _forms(
    terms: list[Terms], free: list[sympy.Symbol], serials: Iterable[float]
) -> list[float | None]:
    """Return the share of each kernel that does not overlap; None if it has another formula.

    Numbers are used to test whether the named terms give the time, because comparing symbols takes
    too long.
    """
    names = (*_PARTS, "model")
    flat = [sympy.sympify(getattr(t, name)) for t in terms for name in names]
    points = [list(islice(cycle(values), len(free))) for values in _TRIED]
    function = sympy.lambdify(free, flat, "numpy", cse=True)
    values = np.array([[float(v) for v in function(*point)] for point in points])
    found: list[float | None] = []
    for kernel in np.split(values, len(terms), axis=1):
        launch, compute, memory, passes, learned, residual, model = kernel.T
        others = launch + passes + learned + residual
        fitting = (
            s
            for s in serials
            if np.allclose(others + overlap(compute, memory, s), model, _CLOSE, 0)
        )
        found.append(next(fitting, None))
    return found
