"""``costmodel whatif``: what the latency follows, and what meets a limit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from costmodel.cli.limits import MaxLatencyOption, latency_limit
from costmodel.cli.networks import JsonOption, NetworkArgument, load_network, need_numbers
from costmodel.errors import DataError

_SHOWN = 10
"""Quantities that are printed; JSON has them all."""


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
            help="What may change to meet --max-latency: batch=1:64, bandwidth=1GB/s:100GB/s, "
            "clock, a parameter such as width, a free symbol.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL",
            help="The derivative of the latency by a free symbol, in closed form.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say which quantities the latency follows, or what would meet a limit.

    Alone: by how many per cent the latency grows with 1 % more of each quantity.

    Example: costmodel whatif mobilenet_v2 -p raspberry-pi-4/ncnn

    Example: costmodel whatif mobilenet_v2 -p raspberry-pi-4/ncnn --max-latency 50ms
    --over width=0.25:1.4

    Example: costmodel whatif "pointwise?h=56&w=56&c1=64" -p snapdragon-810/paper --by c2
    """
    from costmodel.cli.console import print_json

    if (max_latency is None) != (over is None):
        raise typer.BadParameter("--max-latency and --over go together: a limit, and what may vary")
    if by is not None:
        fields, text = _derivative(network, platform, by)
    elif max_latency is not None and over is not None:
        fields, text = _meeting(network, platform, max_latency, over)
    else:
        fields, text = _sensitivities(network, platform)
    if json:
        from costmodel.report import document

        print_json(document("whatif", network=network, platform=platform, **fields))
    else:
        print(text)


def _derivative(spec: str, platform: str, symbol: str) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import sensitivity

    slope = str(sensitivity(load_network(spec), platform, symbol))
    return {"by": symbol, "derivative": slope}, slope


def _meeting(spec: str, platform: str, limit: str, over: str) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import meet, parse_axis

    axis = parse_axis(over)
    values = meet(spec, platform, axis, latency_limit(limit))
    fields = {"over": over, "max_latency_seconds": latency_limit(limit), "values": values}
    if not values:
        return fields, f"{limit} is not crossed for {over}"
    said = ", ".join(f"{v:.4g}" for v in values)
    return fields, f"the latency crosses {limit} at {axis.name} = {said}"


def _sensitivities(spec: str, platform: str) -> tuple[dict[str, Any], str]:
    from costmodel.comparison import sensitivities

    graph = load_network(spec)
    try:
        found = sensitivities(need_numbers(graph), platform)
    except DataError as error:
        raise DataError(f"{error}, or name one with --by") from None
    lines = [f"{'1 % more of':<24} changes the latency by"]
    lines += [f"{name:<24} {value:+.3f} %" for name, value in list(found.items())[:_SHOWN]]
    return {"elasticities": found}, "\n".join(lines)
