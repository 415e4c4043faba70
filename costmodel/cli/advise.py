"""``costmodel advise``: changes of a network that save time on a platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.networks import (
    BatchOption,
    JsonOption,
    NetworkArgument,
    load_network,
    need_numbers,
)
from costmodel.errors import DataError

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.guidelines import Advice, Finding

MEASURERS = "costmodel.measurers"
"""Entry points of this group measure; ``rewrites`` is called with a backend and networks."""
SHOWN = 5
"""Findings that are printed without ``--all``; JSON contains all."""
_LAYERS = 4


def advise(
    network: NetworkArgument,
    platform: Annotated[
        str,
        typer.Option(
            "--platform", "-p", metavar="PLATFORM", help="Hardware/runtime, or a calibration file."
        ),
    ],
    batch: BatchOption = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Print all findings.")] = False,
    apply: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Write the network with these findings applied, such as 1,3, to --output.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where --apply writes the graph."),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="BACKEND",
            help="Build and run the networks here and print their savings: torch, ncnn ...",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the savings with their intervals."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Propose changes of a network that save time, the largest saving first.

    Each change makes a complete, valid network, which --apply writes. A change is proposed only if
    the interval of its saving excludes zero.

    Example: costmodel advise densenet -p raspberry-pi-4/ncnn

    Example: costmodel advise resnet50 -p gtx-1080-ti/torch-eager --apply 1,2 -o better.json
    """
    from costmodel.cli.console import print_json, working
    from costmodel.cli.drawing import check_figure_file

    check_figure_file(plot)
    if (apply is None) != (output is None):
        raise typer.BadParameter("--apply and --output go together: which findings, and where to")
    numbers = None if apply is None else _numbers(apply)
    with working(f"weighing {network}"):
        from costmodel.guidelines import advise as weigh

        graph = need_numbers(load_network(network, batch, inputs=inputs, dims=dims))
        advice = weigh(graph, platform)
        better = None if numbers is None else advice.apply(numbers)
    shown = advice.findings if everything or json else advice.findings[:SHOWN]
    measured = None if check is None else _measure(check, graph, shown)
    coverage = float(graph.graph.get("coverage", 1.0))
    if better is not None and output is not None:
        from costmodel.graph import save

        save(better, output)
    if plot is not None:
        _draw(advice, plot)
    if json:
        print_json(_document(advice, coverage, measured))
    else:
        _print(advice, shown, coverage, measured, check)
        if better is not None:
            print(f"wrote {output}")


def _draw(advice: Advice, file: Path) -> None:
    from costmodel.cli.drawing import write_figure
    from costmodel.plots import savings

    write_figure(savings(advice), file)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise DataError(f"--apply must be numbers of findings such as 1,3, got {text!r}") from None


def _measure(
    backend: str, graph: nx.DiGraph, findings: Sequence[Finding]
) -> list[tuple[float, float]]:
    """Measure the network and each rewrite with the package that registered for measuring.

    Returns the seconds and half the width of their interval as a share; the first entry is the
    network.
    """
    for entry in entry_points(group=MEASURERS, name="rewrites"):
        measure: Callable[..., list[tuple[float, float]]] = entry.load()
        return measure(backend, [graph, *(f.graph for f in findings)])
    raise DataError(
        "no package that measures is installed: leave out --check, or install the project with its "
        "package validation"
    )


def _print(
    advice: Advice,
    shown: Sequence[Finding],
    coverage: float,
    measured: list[tuple[float, float]] | None,
    backend: str | None,
) -> None:
    from textwrap import fill

    from costmodel.cli.console import stdout
    from costmodel.prediction import LABEL
    from costmodel.report.text import covered, seconds, share

    p = advice.prediction
    console = stdout()
    width = min(console.width, 100)
    console.print(
        f"{p.network} on {p.platform}: {LABEL} {seconds(float(p.seconds))} from {p.basis} "
        f"({covered(coverage)})",
        style="bold",
    )
    if measured is not None:
        # Whatever the platform is: another machine, other threads or another dtype.
        how = f"by {backend}, on one thread and in the dtype of the network"
        console.print(f"measured {how}: {seconds(measured[0][0])}")
    for number, f in enumerate(shown, start=1):
        r = f.rewrite
        low, high = f.interval
        more = f" and {len(r.layers) - _LAYERS} more" if len(r.layers) > _LAYERS else ""
        same = "the same function" if r.same_function else "another function: train it anew"
        saved = f"{LABEL} saving: {seconds(f.saving)} ({share(f.share)})" + (
            " an input" if r.inputs > 1 else ""
        )
        if measured is not None:
            saved += f"; measured {share(_saved(measured, number, r.inputs))}"
        console.print()
        console.print(f"{number}. {r.guideline}  {r.title}", style="bold")
        for text in (
            r.message,
            f"{saved}, {seconds(low)} to {seconds(high)} ({share(p.level)} interval); {same}",
            _changed(f),
            f"in {', '.join(r.layers[:_LAYERS])}{more}",
        ):
            console.print(fill(text, width, initial_indent="   ", subsequent_indent="   "))
    console.print()
    console.print(fill(_closing(advice, len(shown)), width))


def _closing(advice: Advice, shown: int) -> str:
    from costmodel.guidelines.advise import NOISE
    from costmodel.report.text import share

    left = len(advice.findings) - shown
    if not advice.findings:
        return (
            "Nothing to say: of the changes that are known here none surely saves time, or none "
            f"more than {share(NOISE)} of it."
        )
    more = f" {left} more with --all." if left else ""
    return f"Each saving is for its change alone: they do not add up.{more}"


def _changed(f: Finding) -> str:
    from costmodel.report.text import count

    parts = ((f.multiply_adds, "multiply-adds"), (f.params, "parameters"), (f.mac, "MAC"))
    said = [f"{'+' if n > 0 else '-'}{count(abs(n))} {what}" for n, what in parts if n]
    return ", ".join(said) or "as many multiply-adds, parameters and MAC"


def _saved(measured: list[tuple[float, float]], number: int, inputs: int) -> float:
    return 1 - measured[number][0] / measured[0][0] / inputs


def _document(
    advice: Advice, coverage: float, measured: list[tuple[float, float]] | None
) -> dict[str, Any]:
    from costmodel.prediction import LABEL
    from costmodel.report import document

    p = advice.prediction
    findings = []
    for number, f in enumerate(advice.findings, start=1):
        r = f.rewrite
        entry: dict[str, Any] = {
            "number": number,
            "guideline": r.guideline,
            "title": r.title,
            "message": r.message,
            "layers": list(r.layers),
            "same_function": r.same_function,
            "inputs": r.inputs,
            "saving_seconds": f.saving,
            "saving_interval_seconds": list(f.interval),
            "share": f.share,
            "multiply_adds_change": f.multiply_adds,
            "params_change": f.params,
            "mac_change_elements": f.mac,
        }
        if measured is not None:
            entry["measured_share"] = _saved(measured, number, r.inputs)
        findings.append(entry)
    return document(
        "advice",
        network=p.network,
        coverage=coverage,
        platform=p.platform,
        label=LABEL,
        seconds=float(p.seconds),
        level=p.level,
        basis=p.basis,
        findings=findings,
        **({} if measured is None else {"measured_seconds": measured[0][0]}),
    )
