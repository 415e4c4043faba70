"""``costmodel report``: the costs of a network, and its latency on a platform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.limits import EXCEEDED, MaxLatencyOption, latency_limit
from costmodel.cli.networks import (
    BatchOption,
    FastMemoryOption,
    JsonOption,
    NetworkArgument,
    PlatformOption,
    load_network,
    memory_size,
    need_numbers,
)
from costmodel.cli.unused import refuse_unused

if TYPE_CHECKING:
    from costmodel.platforms import Platform


def report(
    network: NetworkArgument,
    platform: PlatformOption = None,
    batch: BatchOption = None,
    fast_memory: FastMemoryOption = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the terms and fused operators of all kernels.")
    ] = False,
    json: JsonOption = False,
    csv: Annotated[
        bool,
        typer.Option("--csv", help="Print one row per operator, or per kernel with --platform."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help='Write a single HTML file; "-" prints it.', metavar="FILE", show_default=False
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Depth of the module tree; by default one level, and one more inside a module "
            "that holds nearly everything.",
            show_default=False,
        ),
    ] = None,
    max_latency: MaxLatencyOption = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="TOOL",
            help="Explain the total of torch, fvcore, thop or ptflops instead.",
            show_default=False,
        ),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Skip unknown operators and list them.")
    ] = False,
) -> None:
    """Count a network and, with --platform, predict its latency.

    Multiply-adds, memory access cost (MAC), bounds, parallelism; modules and largest operators.

    With --max-latency 10ms the exit code is 1 if the predicted latency is longer.

    Example: costmodel report shufflenet_v2 -p gtx-1080-ti/paper --explain

    Example: costmodel report resnet50 --like fvcore
    """
    from costmodel.cli.console import print_json, stdout, working
    from costmodel.report import collect, report_document, to_csv

    if json + csv + (html is not None) > 1:
        raise typer.BadParameter("give one of --json, --csv and --html")
    form = "--json" if json else "--csv" if csv else "--html" if html is not None else ""
    given = {"--explain": explain, "--platform": platform is not None}
    given |= {"--fast-memory": fast_memory is not None, "--depth": depth is not None}
    _refuse_ignored(form, like is not None, given)
    if explain and platform is None:
        raise typer.BadParameter("--explain explains a latency: give --platform as well")
    if max_latency is not None and platform is None:
        raise typer.BadParameter("--max-latency limits a latency: give --platform as well")
    limit = None if max_latency is None else latency_limit(max_latency)
    with working(f"counting {network}"):
        # A misspelt platform is rejected before a network is built.
        where = _platform(platform)
        fast_memories = _fast_memories(fast_memory, where)
        graph = need_numbers(load_network(network, batch, lenient, inputs, dims))
        if like is not None:
            from costmodel.report.like import like as explained
            from costmodel.report.tables import print_likeness

            print_likeness(stdout(), graph.name or network, explained(graph, like))
            return
        prediction = None
        if where is not None:
            from costmodel.prediction.latency import latency

            prediction = latency(graph, where)
        result = collect(graph, prediction, depth, fast_memories=fast_memories)
    if json:
        print_json(report_document(result))
    elif csv:
        print(to_csv(result), end="")
    elif html is not None:
        from costmodel.cli.console import write_page
        from costmodel.report import details, page

        write_page(html, page(result, details(graph, where)))
    else:
        from costmodel.report.terminal import print_report

        print_report(stdout(), result, explain)
    if limit is not None and prediction is not None and float(prediction.seconds) > limit:
        typer.echo(f"costmodel: {network} is predicted to take longer than {max_latency}", err=True)
        raise typer.Exit(EXCEEDED)


def _refuse_ignored(form: str, like: bool, given: Mapping[str, bool]) -> None:
    """Refuse the given options that --like, or the form of the output, does not use."""
    if like:
        refuse_unused({form: bool(form), **given}, "--like explains a count")
    if form:
        refuse_unused(_only("--explain", given), f"{form} explains every kernel without it")
    if form in ("--csv", "--html"):
        refuse_unused(_only("--depth", given), f"{form} shows all modules or operators")
    if form == "--csv":
        refuse_unused(_only("--fast-memory", given), "--csv prints rows of operators or kernels")


def _only(option: str, given: Mapping[str, bool]) -> dict[str, bool]:
    return {option: given[option]}


def _platform(name: str | None) -> Platform | None:
    if name is None:
        return None
    from costmodel.platforms import load_platform

    return load_platform(name)


def _fast_memories(size: str | None, platform: Platform | None) -> dict[str, float]:
    """Return the given size of the fast memory, or the caches of the platform [byte]."""
    if size is not None:
        return {"fast memory": memory_size(size)}
    if platform is None:
        return {}
    from costmodel.platforms.machine import fast_memories

    return fast_memories(platform)
