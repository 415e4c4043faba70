"""``costmodel compare``: networks side by side on platforms, and which is faster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.limits import EXCEEDED, share_limit
from costmodel.cli.networks import JsonOption, load_networks, need_numbers, subject_of
from costmodel.cli.unused import refuse_unused
from costmodel.errors import DataError

if TYPE_CHECKING:
    import networkx as nx
    from rich.console import Console

    from costmodel.comparison import Comparison, Difference

_SHOWN = 4
"""Terms and modules of a difference that are printed; JSON contains all."""


def compare(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...", help="Networks; the others are compared with the first."
        ),
    ],
    platforms: Annotated[
        list[str],
        typer.Option("--platform", "-p", metavar="PLATFORM", help="Platform; may be repeated."),
    ],
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Batch size; may be repeated.", show_default=False),
    ] = None,
    dtypes: Annotated[
        list[str] | None,
        typer.Option(
            "--dtype", help="Dtype of all platforms; may be repeated.", show_default=False
        ),
    ] = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    over: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=LOW:HIGH",
            help="Find where the faster one changes along this quantity: batch=1:64, "
            "bandwidth=1GB/s:100GB/s, clock, or a parameter such as width.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Depth of the module tree.")] = 1,
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Exit with 1 if a network is predicted to be slower than the first by more.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the latencies with their intervals, or along --over.", metavar="FILE"
        ),
    ] = None,
    json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help='Write a single HTML file; "-" prints it.', metavar="FILE", show_default=False
        ),
    ] = None,
) -> None:
    """Compare networks: latencies, differences, and the probability that one is faster.

    Probabilities account for the errors that networks on one platform share.

    Example: costmodel compare mobilenet_v2 shufflenet_v2 -p rk3399/tflite -p gtx-1080-ti/paper

    Example: costmodel compare old.onnx new.onnx -p raspberry-pi-4/ncnn --fail-if-slower 5%
    """
    from costmodel.cli.console import print_json, stdout, working, write_page
    from costmodel.cli.drawing import check_figure_file

    check_figure_file(plot)
    if json and html is not None:
        raise typer.BadParameter("give one of --json and --html")
    slack = None if fail_if_slower is None else share_limit(fail_if_slower)
    if over is not None:
        why = "--over varies the networks as they are given, such as 'resnet18?batch=8'"
        refuse_unused({"--batch": bool(batches)}, why)
    if len(networks) == 1:
        alone = {"--over": over is not None and plot is None}
        alone["--fail-if-slower"] = slack is not None and len(batches or ()) < 2
        refuse_unused(alone, "one network is compared with no other")
    with working("comparing"):
        from costmodel.comparison import compare as weigh

        sizes: list[int | None] = [*batches] if batches else [None]
        named = {
            spec if batch is None else f"{spec} x {batch}": need_numbers(graph)
            for batch in sizes
            for spec, graph in zip(
                networks, load_networks(networks, batch, inputs, dims), strict=True
            )
        }
        if len(named) < len(networks) * len(sizes):
            raise DataError("a network is named twice: compare different ones")
        for name, graph in named.items():
            graph.graph["name"] = name
        types: list[str | None] = [*dtypes] if dtypes else [None]
        places = [_with_dtype(p, dtype) for p in platforms for dtype in types]
        found = weigh(list(named.values()), places, depth=depth)
        subjects = _subjects(networks, over, inputs, dims)
        crossings = _crossings(subjects, places, over)
    if plot is not None and over is None:
        _draw(found, plot)
    elif plot is not None and over is not None:
        _draw_along(subjects, places, over, crossings, plot)
    slower = [] if slack is None else _slower(found, slack)
    if json:
        print_json(_document(found, crossings, over))
    elif html is not None:
        from costmodel.report import comparison_page

        write_page(html, comparison_page(found, _crossing_sentences(crossings, over)))
    else:
        _print(stdout(), found, crossings, over)
        _print_slower(found, slower)
    if slower:
        raise typer.Exit(EXCEEDED)


def _print_slower(found: Comparison, slower: list[Difference]) -> None:
    from costmodel.report.text import share

    for d in slower:
        a, b = found.entries[d.first], found.entries[d.second]
        print(f"{b.network} is slower than {a.network} on {b.platform} by {share(d.ratio - 1)}")


def _with_dtype(platform: str, dtype: str | None) -> str:
    if dtype is None:
        return platform
    return f"{platform}{'&' if '?' in platform else '?'}dtype={dtype}"


def _slower(found: Comparison, slack: float) -> list[Difference]:
    """Return the differences on one platform where a network is slower than ``slack`` allows."""
    entries = found.entries
    return [
        d
        for d in found.differences
        if d.ratio > 1 + slack and entries[d.first].platform == entries[d.second].platform
    ]


def _subjects(
    networks: list[str],
    over: str | None,
    inputs: list[str] | None,
    dims: list[str] | None,
) -> dict[str, str | nx.DiGraph]:
    """Return the varied quantity by its name; a varied size stays open."""
    if over is None:
        return {}
    left = [dim for dim in dims or () if dim.partition("=")[0] != over.partition("=")[0]]
    return {spec: subject_of(spec, inputs, left) for spec in networks}


def _crossings(
    subjects: dict[str, str | nx.DiGraph], platforms: list[str], over: str | None
) -> list[tuple[str, str, str, list[float]]]:
    """Return the crossover points of the first network with every other one, on each platform."""
    if over is None:
        return []
    from costmodel.comparison import crossovers, parse_axis

    axis = parse_axis(over)
    first, *others = subjects
    return [
        (first, second, platform, crossovers(subjects[first], subjects[second], platform, axis))
        for platform in platforms
        for second in others
    ]


def _print(
    console: Console,
    found: Comparison,
    crossings: list[tuple[str, str, str, list[float]]],
    over: str | None,
) -> None:
    from costmodel.report.tables import entries_table
    from costmodel.report.text import paragraph, share, signed

    for platform in dict.fromkeys(e.platform for e in found.entries):
        here = [e for e in found.entries if e.platform == platform]
        console.print(entries_table(console, here))
    for d in found.differences:
        a, b = found.entries[d.first], found.entries[d.second]
        low, high = d.interval
        same = a.platform == b.platform
        names = (a.network, b.network) if same else (a.platform, b.platform)
        console.print()
        console.print(
            f"{names[1]} against {names[0]}, {'on' if same else 'both'} "
            f"{a.platform if same else a.network}",
            style="bold",
        )
        said = (
            f"{d.ratio:.3g} times as long ({low:.3g} to {high:.3g}, {share(found.level)} interval);"
            f" faster with probability {share(d.faster)}"
        )
        console.print(paragraph(said, console.width, "    "))
        for what, parts in (("terms", d.terms), ("modules", d.modules)):
            shown = [f"{n or 'none'} {signed(v)}" for n, v in list(parts.items())[:_SHOWN] if v]
            if shown:
                console.print(paragraph(f"{what}: {', '.join(shown)}", console.width, "    "))
    for text in _crossing_sentences(crossings, over):
        console.print()
        console.print(text)


def _crossing_sentences(
    crossings: list[tuple[str, str, str, list[float]]], over: str | None
) -> list[str]:
    sentences = []
    for first, second, platform, values in crossings:
        at = ", ".join(f"{v:.4g}" for v in values)
        said = f"the faster one changes at {at}" if values else "the same one is always faster"
        sentences.append(f"{first} and {second} on {platform}, {over}: {said}")
    return sentences


def _document(
    found: Comparison, crossings: list[tuple[str, str, str, list[float]]], over: str | None
) -> dict[str, Any]:
    from costmodel.prediction import LABEL
    from costmodel.report import document

    return document(
        "comparison",
        label=LABEL,
        level=found.level,
        entries=[
            {
                "network": e.network,
                "platform": e.platform,
                "seconds": float(e.prediction.seconds),
                "interval_seconds": [float(v) for v in e.prediction.interval or ()],
                "basis": e.prediction.basis,
                "multiply_adds": e.multiply_adds,
                "mac_elements": e.mac,
                "params": e.params,
            }
            for e in found.entries
        ],
        differences=[
            {
                "first": d.first,
                "second": d.second,
                "ratio": d.ratio,
                "ratio_interval": list(d.interval),
                "probability_faster": d.faster,
                "terms_seconds": dict(d.terms),
                "modules_seconds": dict(d.modules),
            }
            for d in found.differences
        ],
        crossovers=[
            {"first": a, "second": b, "platform": p, "over": over, "values": values}
            for a, b, p, values in crossings
        ],
    )


def _draw(found: Comparison, file: Path) -> None:
    from costmodel.cli.drawing import write_figure
    from costmodel.plots import compared

    write_figure(compared(found), file)


def _draw_along(
    subjects: dict[str, str | nx.DiGraph],
    platforms: list[str],
    over: str,
    crossings: list[tuple[str, str, str, list[float]]],
    file: Path,
) -> None:
    from costmodel.cli.drawing import write_figure
    from costmodel.comparison import curves, parse_axis
    from costmodel.plots import along

    found = curves(list(subjects.values()), platforms, parse_axis(over))
    write_figure(along(found, [v for *_, values in crossings for v in values]), file)
