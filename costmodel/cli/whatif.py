"""``costmodel whatif``: the quantities that determine a latency, and those that meet a limit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.limits import MaxLatencyOption, latency_limit
from costmodel.cli.networks import (
    JsonOption,
    NetworkArgument,
    load_networks,
    need_numbers,
    subject_of,
)
from costmodel.cli.unused import refuse_unused
from costmodel.errors import DataError

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.algebra.symbols import Dim

_SHOWN = 10
"""Quantities that are printed; JSON contains all."""


def whatif(
    network: NetworkArgument,
    platform: Annotated[
        str,
        typer.Option(
            "--platform", "-p", metavar="PLATFORM", help="Hardware/runtime, or a calibration file."
        ),
    ],
    max_latency: MaxLatencyOption = None,
    over: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=LOW:HIGH",
            help="Quantity to vary for --max-latency: batch=1:64, bandwidth=1GB/s:100GB/s, "
            "clock, a parameter such as width, a free symbol.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL",
            help="Print the derivative of the latency by a free symbol, in closed form.",
            show_default=False,
        ),
    ] = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the elasticities, or the latency along --over."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the sensitivities of the latency, or the values that meet a limit.

    Without options: by how many per cent the latency grows with 1 % more of each quantity.

    Example: costmodel whatif mobilenet_v2 -p raspberry-pi-4/ncnn

    Example: costmodel whatif mobilenet_v2 -p raspberry-pi-4/ncnn --max-latency 50ms
    --over width=0.25:1.4

    Example: costmodel whatif "pointwise?h=56&w=56&c1=64" -p snapdragon-810/paper --by c2
    """
    from costmodel.cli.console import print_json
    from costmodel.cli.drawing import check_figure_file

    if (max_latency is None) != (over is None):
        raise typer.BadParameter("--max-latency and --over go together: a limit, and what may vary")
    if by is not None:
        unused = {"--max-latency": max_latency is not None, "--over": over is not None}
        refuse_unused(unused | {"--plot": plot is not None}, "--by prints a closed form")
    check_figure_file(plot)
    (graph,) = load_networks([network], None, inputs, dims)
    if by is not None:
        fields, text = _derivative(graph, platform, by)
    elif max_latency is not None and over is not None:
        subject = subject_of(network, inputs, dims)
        fields, text = _meeting(subject, platform, max_latency, over, plot)
    else:
        fields, text = _sensitivities(graph, platform, plot)
    if json:
        from costmodel.report import document

        print_json(document("whatif", network=network, platform=platform, **fields))
    else:
        print(text)


def _derivative(graph: nx.DiGraph, platform: str, symbol: str) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import sensitivity

    found = sensitivity(graph, platform, symbol)
    return {"by": symbol, "derivative": str(found)}, "\n".join(_branched(found, symbol))


def _branched(slope: Dim, symbol: str) -> list[str]:
    """Return the lines of a derivative: its branches by name, each with its condition."""
    from costmodel.algebra.branches import definitions

    lines = []
    for name, branches in definitions(slope):
        name = name or f"latency per {symbol} [s]"
        for value, condition in branches:
            otherwise = "   otherwise" if len(branches) > 1 else ""
            lines.append(f"{name} = {value}{f'   if {condition}' if condition else otherwise}")
            name = " " * len(name)
    return lines


def _meeting(
    subject: str | nx.DiGraph, platform: str, limit: str, over: str, plot: Path | None
) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import curves, meet, parse_axis

    axis = parse_axis(over)
    most = latency_limit(limit)
    values = meet(subject, platform, axis, most)
    (curve,) = curves(subject, platform, axis)
    if plot is not None:
        from costmodel.cli.drawing import write_figure
        from costmodel.plots import along

        write_figure(along([curve], values, most), plot)
    ends = (float(curve.seconds[0]), float(curve.seconds[-1]))
    fields = {
        "over": over,
        "max_latency_seconds": most,
        "values": values,
        "ends_seconds": list(ends),
    }
    return fields, _said(axis.name, limit, values, most, ends)


def _said(
    name: str, limit: str, values: list[float], most: float, ends: tuple[float, float]
) -> str:
    """Print where a latency crosses a limit, or that it does not."""
    from costmodel.report.text import seconds

    if values:
        said = ", ".join(f"{v:.4g}" for v in values)
        return f"the latency crosses {limit} at {name} = {said}"
    met = "met" if ends[0] <= most else "exceeded"
    return (
        f"{limit} is {met} at every {name} of the range: {seconds(ends[0])} to {seconds(ends[1])}"
    )


def _sensitivities(
    graph: nx.DiGraph, platform: str, plot: Path | None
) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import sensitivities

    try:
        found = sensitivities(need_numbers(graph), platform)
    except DataError as error:
        raise DataError(f"{error}, or name one with --by") from None
    if plot is not None:
        from costmodel.cli.drawing import write_figure
        from costmodel.plots import elasticities

        write_figure(elasticities(found), plot)
    lines = [f"{'1 % more of':<24} changes the latency by"]
    lines += [f"{name:<24} {value:+.3f} %" for name, value in list(found.items())[:_SHOWN]]
    return {"elasticities": found}, "\n".join(lines)
