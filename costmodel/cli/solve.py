"""``costmodel solve``: the values of free symbols that are best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.networks import JsonOption, NetworkArgument, load_network
from costmodel.errors import DataError

if TYPE_CHECKING:
    from costmodel.solving import Solution


def solve(
    network: NetworkArgument,
    minimize: Annotated[
        str, typer.Option(help="mac, latency, multiply_adds, params or memory.")
    ] = "mac",
    platforms: Annotated[
        list[str] | None,
        typer.Option("--platform", "-p", metavar="PLATFORM", help="Where a latency counts."),
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
            help="Values with which every layer has the multiply-adds that it must keep.",
        ),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="SYMBOL=LOW:HIGH", help="Limits of a symbol."),
    ] = None,
    multiple: Annotated[int, typer.Option(min=1, help="What all values are a multiple of.")] = 1,
    json: JsonOption = False,
) -> None:
    """Find the values of a network's symbols with the least MAC or latency.

    Example: costmodel solve "pointwise?h=56&w=56" --at-least multiply_adds=51380224

    Example: costmodel solve "pointwise?h=56&w=56" --minimize latency -p raspberry-pi-4/ncnn
    --at-least multiply_adds=51e6 --multiple 4 --range c1=16:512
    """
    from costmodel.cli.console import print_json, working

    least, most = (_numbers(texts) for texts in (at_least, at_most))
    kept = {name: int(value) for name, value in _numbers(keep).items()}
    limits = {name: _range(name, text) for name, text in _pairs(ranges)}
    with working(f"solving {network}"):
        from costmodel.solving import solve as find

        graph = load_network(network)
        found = find(graph, minimize, platforms or [], least, most, kept, limits, multiple)
    if json:
        print_json(_document(network, found))
    else:
        _print(found)


def _pairs(texts: Sequence[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise DataError(f"limits and values should be NAME=VALUE, got {text!r}")
        pairs.append((name, value))
    return pairs


def _numbers(texts: Sequence[str] | None) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs(texts)}
    except ValueError:
        raise DataError(
            f"limits and values should be numbers, got {', '.join(texts or ())}"
        ) from None


def _range(name: str, text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    try:
        return int(low), int(high)
    except ValueError:
        raise DataError(f"the range of {name} should be LOW:HIGH, got {text!r}") from None


def _print(found: Solution) -> None:
    from costmodel.report.text import count, seconds

    for name, value in found.values.items():
        real = f"   ({found.relaxed[name]:.2f} of real numbers)" if found.relaxed else ""
        print(f"{name} = {value}{real}")
    shown = seconds if found.minimized == "latency" else count
    print(f"{found.minimized}: {shown(found.objective)}")
    print(", ".join(f"{name} {count(value)}" for name, value in found.quantities.items()))
    print(found.method)
    if found.certificate is not None:
        c = found.certificate
        print(
            f"certificate: no real numbers go below {count(c.bound)}, found {count(c.optimum)} "
            f"(gap {c.gap:.2g})"
        )


def _document(network: str, found: Solution) -> dict[str, Any]:
    from costmodel.report import document

    c = found.certificate
    return document(
        "solution",
        network=network,
        minimized=found.minimized,
        values=dict(found.values),
        objective=found.objective,
        quantities=dict(found.quantities),
        method=found.method,
        relaxed=dict(found.relaxed),
        certificate=None if c is None else {"optimum": c.optimum, "bound": c.bound, "gap": c.gap},
    )
