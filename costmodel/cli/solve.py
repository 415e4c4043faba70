"""``costmodel solve``: the best values of free symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.networks import JsonOption, NetworkArgument, load_network
from costmodel.errors import DataError

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.solving import Solution

_LAYERS = 2
"""Layers of a symbol that are printed; JSON contains all."""
_FACTOR = 2
"""Largest factor by which a freed width grows or shrinks without --range. [1]"""


def solve(
    network: NetworkArgument,
    minimize: Annotated[
        str, typer.Option(help="mac, latency, multiply_adds, params or memory.")
    ] = "mac",
    platforms: Annotated[
        list[str] | None,
        typer.Option("--platform", "-p", metavar="PLATFORM", help="Platform of the latency."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A capacity, such as multiply_adds=51e6."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A limit, such as params=1e6 or latency=0.01."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYMBOL=VALUE",
            help="Values that give every layer the multiply-adds that it must keep.",
        ),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="SYMBOL=LOW:HIGH", help="Limits of a symbol."),
    ] = None,
    multiple: Annotated[int, typer.Option(min=1, help="Common divisor of all values.")] = 1,
    widths: Annotated[
        bool,
        typer.Option(
            "--widths",
            help="Make symbols c1, c2 ... of the widths, from half to twice their value.",
        ),
    ] = False,
    inputs: InputOption = None,
    dims: DimOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the network with these values."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the values.")] = None,
    json: JsonOption = False,
) -> None:
    """Find the values of a network's symbols with the least MAC or latency.

    Example: costmodel solve "pointwise?h=56&w=56" --at-least multiply_adds=51380224

    Example: costmodel solve "pointwise?h=56&w=56" --minimize latency -p raspberry-pi-4/ncnn
    --at-least multiply_adds=51e6 --multiple 4 --range c1=16:512

    Example: costmodel solve model.onnx --widths --minimize latency -p raspberry-pi-4/ncnn
    --at-least multiply_adds=300e6 --multiple 4 -o better.json
    """
    from costmodel.cli.console import print_json, working
    from costmodel.cli.drawing import check_figure_file

    check_figure_file(plot)

    least, most = (_numbers(texts) for texts in (at_least, at_most))
    if platforms and "latency" not in (minimize, *least, *most):
        raise DataError(
            f"a platform has no effect on {minimize}: minimize latency, limit it, or leave out "
            "--platform"
        )
    kept = {name: _whole(name, value) for name, value in _numbers(keep).items()}
    limits = {name: _range(name, text) for name, text in _pairs(ranges)}
    with working(f"solving {network}"):
        from costmodel.solving import solve as find

        graph = load_network(network, inputs=inputs, dims=dims)
        now: Mapping[str, int] = {}
        layers: Mapping[str, list[str]] = {}
        if widths:
            graph, now, layers = _freed(graph)
            near = {c: (max(1, w // _FACTOR), _FACTOR * w) for c, w in now.items()}
            limits = {**near, **limits}
        found = find(graph, minimize, platforms or [], least, most, kept, limits, multiple)
    if output is not None:
        from costmodel.graph import at, save

        save(at(graph, **found.values), output)
    if plot is not None:
        from costmodel.cli.drawing import write_figure
        from costmodel.plots import solved

        write_figure(solved(found), plot)
    if json:
        print_json(_document(network, found, now, layers))
        return
    _print(found, now, layers)
    if output is not None:
        print(f"wrote {output}")


def _freed(graph: nx.DiGraph) -> tuple[nx.DiGraph, Mapping[str, int], Mapping[str, list[str]]]:
    from costmodel.guidelines import free_widths

    return free_widths(graph)


def _pairs(texts: Sequence[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise DataError(f"limits and values must be NAME=VALUE, got {text!r}")
        pairs.append((name, value))
    return pairs


def _numbers(texts: Sequence[str] | None) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs(texts)}
    except ValueError:
        raise DataError(
            f"limits and values must be numbers, got {', '.join(texts or ())}"
        ) from None


def _whole(name: str, value: float) -> int:
    if not value.is_integer():
        raise DataError(f"the value to keep of {name} must be an integer, got {value:g}")
    return int(value)


def _range(name: str, text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    try:
        return int(low), int(high)
    except ValueError:
        raise DataError(f"the range of {name} must be LOW:HIGH, got {text!r}") from None


def _print(found: Solution, now: Mapping[str, int], layers: Mapping[str, list[str]]) -> None:
    from costmodel.cli.console import stdout
    from costmodel.report.text import count, seconds

    console = stdout()
    for name in now or found.values:
        value = found.values[name]
        real = f"   ({found.relaxed[name]:.2f} of real numbers)" if found.relaxed else ""
        print(f"{name} = {value}{real}{_place(name, now, layers)}")
    shown = seconds if found.minimized == "latency" else count
    print(f"{found.minimized}: {shown(found.objective)}")
    console.print(", ".join(f"{name} {count(value)}" for name, value in found.quantities.items()))
    console.print(found.method)
    if found.certificate is not None:
        c = found.certificate
        console.print(
            f"certificate: no real numbers go below {count(c.bound)}, found {count(c.optimum)} "
            f"(gap {c.gap:.2g})"
        )


def _place(name: str, now: Mapping[str, int], layers: Mapping[str, list[str]]) -> str:
    """Describe a symbol: its former value, and the layers whose width it is."""
    if name not in now:
        return ""
    shown = ", ".join(layers[name][:_LAYERS])
    more = f" and {len(layers[name]) - _LAYERS} more" if len(layers[name]) > _LAYERS else ""
    return f"   (now {now[name]}: {shown}{more})"


def _document(
    network: str, found: Solution, now: Mapping[str, int], layers: Mapping[str, list[str]]
) -> dict[str, Any]:
    from costmodel.report import document

    c = found.certificate
    return document(
        "solution",
        network=network,
        minimized=found.minimized,
        values=dict(found.values),
        **({"now": dict(now), "layers": dict(layers)} if now else {}),
        objective=found.objective,
        quantities=dict(found.quantities),
        method=found.method,
        relaxed=dict(found.relaxed),
        certificate=None if c is None else {"optimum": c.optimum, "bound": c.bound, "gap": c.gap},
    )
