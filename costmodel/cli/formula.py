"""``costmodel formula``: closed forms of the costs of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.networks import (
    FastMemoryOption,
    JsonOption,
    NetworkArgument,
    PlatformOption,
    memory_size,
    symbolic_network,
)
from costmodel.cli.unused import refuse_unused
from costmodel.errors import printable

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.algebra.symbols import Dim
    from costmodel.prediction.grouped import Line


class Quantity(StrEnum):
    """Quantities that have a formula."""

    MULTIPLY_ADDS = "multiply-adds"
    FLOPS = "flops"
    MAC = "mac"
    BOUND = "bound"
    TRAFFIC = "traffic"
    PARAMS = "params"
    SPAN = "span"
    PARALLELISM = "parallelism"
    LATENCY = "latency"


@dataclass(frozen=True)
class _Form:
    """The notation of one quantity: name, relation, unit."""

    name: str
    relation: str
    unit: str


_FORMS = {
    Quantity.MULTIPLY_ADDS: _Form("multiply-adds", "=", "multiply-adds"),
    Quantity.FLOPS: _Form("FLOPs", "=", "FLOPs, 2 a multiply-add"),
    Quantity.MAC: _Form("MAC", "=", "elements"),
    Quantity.BOUND: _Form("MAC", ">=", "elements"),
    Quantity.TRAFFIC: _Form("traffic", ">=", "elements, operator after operator"),
    Quantity.PARAMS: _Form("parameters", "=", "elements"),
    Quantity.SPAN: _Form("span", "=", "steps"),
    Quantity.PARALLELISM: _Form("parallelism", "=", "work / span"),
    Quantity.LATENCY: _Form("latency", "=", "seconds, predicted"),
}
_LONG = 400
"""Longest formula that is printed on one line. [character]"""
_DEFAULT = (
    Quantity.MULTIPLY_ADDS,
    Quantity.FLOPS,
    Quantity.MAC,
    Quantity.BOUND,
    Quantity.PARALLELISM,
)


def formula(
    network: NetworkArgument,
    of: Annotated[
        Quantity | None, typer.Option(help="Print only the formula of this quantity.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    platform: PlatformOption = None,
    fast_memory: FastMemoryOption = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    json: JsonOption = False,
) -> None:
    """Print closed forms of FLOPs, MAC, bound and parallelism.

    The batch, the image size and all sizes without a default are symbols unless given; "costmodel
    zoo" lists the defaults, such as cin=64 of conv2d. Use names and expressions to choose symbols,
    as in "conv2d?cin=c&cout=4*c&k=3&size=h".

    Example: costmodel formula pointwise --of mac --latex
    """
    from costmodel.algebra.formula import to_latex, to_text
    from costmodel.cli.console import print_json, working

    if (of is Quantity.LATENCY) != (platform is not None):
        raise typer.BadParameter("--platform goes with --of latency, and only with it")
    if fast_memory is not None and of not in (None, Quantity.TRAFFIC):
        raise typer.BadParameter("--fast-memory goes with --of traffic, or without --of")
    if json:
        refuse_unused({"--latex": latex}, "--json holds text and LaTeX")
    with working(f"deriving {network}"):
        if platform is not None:  # rejected before a network is built
            from costmodel.platforms import load_platform

            load_platform(platform)
        graph = symbolic_network(network, inputs, dims)
        asked = [of] if of else list(_DEFAULT)
        if of is None and fast_memory is not None:
            asked.insert(asked.index(Quantity.BOUND) + 1, Quantity.TRAFFIC)
        found = {q: _expression(q, graph, platform, fast_memory) for q in asked}
        long = {q: _long(e, graph, platform) for q, e in found.items()}
    notes = {q: _note(q, e, graph) for q, e in found.items()}
    if json:
        print_json(_document(graph, found, long, notes))
        return
    write: Callable[[Dim], str] = to_latex if latex else to_text
    if of is not None:
        print(_written(found[of], long[of], latex))
        return
    print(f"{printable(graph.name)}{_coverage(graph)}")
    for q, expression in found.items():
        form = _FORMS[q]
        if latex:
            name, relation = rf"\text{{{form.name}}}", form.relation.replace(">=", r"\ge")
            print(f"{name} {relation} {write(expression)} % {form.unit}{notes[q]}")
        else:
            line = f"  {form.name} {form.relation} {write(expression)}"
            unit = f"   [{form.unit}]{notes[q]}"
            fits = len(line + unit) <= get_terminal_size().columns
            print(f"{line}{unit}" if fits else f"{line}\n   {unit}")


def _expression(
    quantity: Quantity, graph: nx.DiGraph, platform: str | None, fast_memory: str | None
) -> Dim:
    from costmodel.counting.metrics import flops, mac, multiply_adds, params
    from costmodel.counting.parallelism import parallelism, span
    from costmodel.prediction.latency import latency

    match quantity:
        case Quantity.MULTIPLY_ADDS:
            return multiply_adds(graph)
        case Quantity.FLOPS:
            return flops(graph)
        case Quantity.MAC:
            return mac(graph)
        case Quantity.BOUND:
            return _bound(graph)
        case Quantity.TRAFFIC:
            return _traffic(graph, fast_memory)
        case Quantity.PARAMS:
            return params(graph)
        case Quantity.SPAN:
            return span(graph)
        case Quantity.PARALLELISM:
            return parallelism(graph)
        case Quantity.LATENCY:
            assert platform is not None
            return latency(graph, platform).seconds


def _bound(graph: nx.DiGraph) -> Dim:
    """Return the bound of MAC, in terms of B unless B is a symbol of the network."""
    from costmodel.algebra.symbols import dim
    from costmodel.counting.bounds import mac_lower_bound
    from costmodel.graph import free_symbols

    symbols = free_symbols(graph)
    return mac_lower_bound(graph, in_terms_of="B" if symbols and dim("B") not in symbols else None)


def _traffic(graph: nx.DiGraph, fast_memory: str | None) -> Dim:
    """Return the least traffic through a fast memory of a given size, or of S elements."""
    from costmodel.algebra.symbols import dim
    from costmodel.counting.cache_bounds import cache_lower_bound, fast_elements
    from costmodel.errors import DataError
    from costmodel.graph import free_symbols

    if fast_memory is not None:
        return cache_lower_bound(graph, capacity=fast_elements(graph, memory_size(fast_memory)))
    if dim("S") in free_symbols(graph):
        raise DataError("the network has a symbol S: give a size by --fast-memory")
    return cache_lower_bound(graph, capacity=dim("S"))


def _rounded(expression: Dim) -> Dim:
    """Return the formula with fitted constants rounded to four digits."""
    import sympy

    if not isinstance(expression, sympy.Expr):
        return expression
    return expression.xreplace({f: sympy.Float(f, 4) for f in expression.atoms(sympy.Float)})


def _long(expression: Dim, graph: nx.DiGraph, platform: str | None) -> list[Line]:
    """Return the definitions that split a long formula; none if it fits on one line.

    A latency is written kernel by kernel, with its terms named.
    """
    import sympy

    from costmodel.algebra.formula import to_text
    from costmodel.prediction.grouped import Line, grouped
    from costmodel.prediction.latency import latency

    nodes = islice(sympy.preorder_traversal(sympy.sympify(expression)), _LONG)
    if sum(1 for _ in nodes) < _LONG and len(to_text(_rounded(expression))) <= _LONG:
        return []
    if platform is not None:
        lines = grouped(latency(graph, platform), platform)
        return [replace(line, expression=_rounded(line.expression)) for line in lines]
    parts, (rest,) = sympy.cse(expression, symbols=sympy.numbered_symbols("x", start=1))
    return [*(Line(name.name, part) for name, part in parts), Line("", rest)]


def _written(expression: Dim, long: list[Line], latex: bool) -> str:
    from costmodel.algebra.formula import to_latex, to_text

    if long:
        return "\n".join(_aligned(long) if latex else _listed(long))
    return (to_latex if latex else to_text)(_rounded(expression))


def _listed(lines: list[Line]) -> list[str]:
    from costmodel.algebra.formula import to_text

    return [
        f"{f'{line.name} = ' if line.name else ''}{to_text(line.expression)}"
        f"{f'   # {line.note}' if line.note else ''}"
        for line in lines
    ]


def _aligned(lines: list[Line]) -> list[str]:
    import sympy

    from costmodel.algebra.formula import to_latex

    rows = [
        rf"  {to_latex(sympy.Symbol(line.name)) if line.name else ''} &= "
        rf"{to_latex(line.expression)} \\"
        for line in lines
    ]
    return [r"\begin{align*}", *rows, r"\end{align*}"]


def _note(quantity: Quantity, expression: Dim, graph: nx.DiGraph) -> str:
    """Explain the symbols B and S, which only the bounds contain."""
    from costmodel.algebra.symbols import dim
    from costmodel.graph import free_symbols

    brought: set[Dim] = getattr(expression, "free_symbols", set()) - free_symbols(graph)
    if quantity is Quantity.BOUND and dim("B") in brought:
        return "   B = multiply-adds"
    if quantity is Quantity.TRAFFIC and dim("S") in brought:
        return "   S = elements of fast memory"
    return ""


def _coverage(graph: nx.DiGraph) -> str:
    from costmodel.report.text import covered

    part = float(graph.graph.get("coverage", 1.0))
    return "" if part == 1 else f" ({covered(part)}; every figure is at least that)"


def _document(
    graph: nx.DiGraph,
    found: dict[Quantity, Dim],
    long: dict[Quantity, list[Line]],
    notes: dict[Quantity, str],
) -> dict[str, object]:
    from costmodel.graph import free_symbols
    from costmodel.report import document

    # A latency is written kernel by kernel, because a single formula would be unreadable.
    shown = {q: long[q] if q is Quantity.LATENCY else [] for q in found}
    return document(
        "formula",
        network=graph.name,
        coverage=float(graph.graph.get("coverage", 1.0)),
        symbols=sorted(s.name for s in free_symbols(graph)),
        formulas=[
            {
                "of": q.value,
                "unit": _FORMS[q].unit,
                "text": _written(e, shown[q], latex=False),
                "latex": _written(e, shown[q], latex=True),
                "note": notes[q].strip(),
            }
            for q, e in found.items()
        ],
    )
