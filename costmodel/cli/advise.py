"""``costmodel advise``: the guidelines G1-G4 on a network and a platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.networks import BatchOption, JsonOption, NetworkArgument, load_network

if TYPE_CHECKING:
    from costmodel.guidelines import Advice

_SHOWN = 4
"""Layers that are named in print; JSON has them all."""


def advise(
    network: NetworkArgument,
    platform: Annotated[
        str,
        typer.Option(
            "--platform", "-p", metavar="PLATFORM", help="Hardware/runtime, or a calibration file."
        ),
    ],
    batch: BatchOption = None,
    json: JsonOption = False,
) -> None:
    """Say where a network breaks guidelines G1-G4, and at what cost.

    Example: costmodel advise shufflenet_v1 --platform gtx-1080-ti/paper
    """
    from costmodel.cli.console import print_json, working

    with working(f"weighing {network}"):
        from costmodel.guidelines import advise as weigh

        graph = load_network(network, batch)
        advice = weigh(graph, platform)
    coverage = float(graph.graph.get("coverage", 1.0))
    if json:
        print_json(_document(advice, coverage))
    else:
        _print(advice, coverage)


def _print(advice: Advice, coverage: float) -> None:
    from textwrap import fill

    from costmodel.cli.console import stdout
    from costmodel.prediction import LABEL
    from costmodel.report.text import count, covered, seconds, share

    p = advice.prediction
    console = stdout()
    width = min(console.width, 100)
    console.print(
        f"{p.network} on {p.platform}: {LABEL} {seconds(float(p.seconds))} from {p.basis} "
        f"({covered(coverage)})",
        style="bold",
    )
    for f in advice.findings:
        console.print()
        console.print(f"{f.guideline}  {f.title}", style="bold")
        gain = f"at most {seconds(f.saving)} ({share(f.share)})" if f.saving else "no time"
        mac = f", {count(round(f.mac_saving))} elements of MAC" if f.mac_saving else ""
        more = f" and {len(f.layers) - _SHOWN} more" if len(f.layers) > _SHOWN else ""
        for text in (
            f.message,
            f"{LABEL} saving: {gain}{mac}",
            f"in {', '.join(f.layers[:_SHOWN])}{more}",
        ):
            console.print(fill(text, width, initial_indent="    ", subsequent_indent="    "))
    console.print()
    closing = (
        "Each saving is predicted for its finding alone: they do not add up. Accuracy is not "
        "predicted."
        if advice.findings
        else "Nothing to say: no guideline is broken by more than a thousandth."
    )
    console.print(fill(closing, width))


def _document(advice: Advice, coverage: float) -> dict[str, object]:
    from costmodel.prediction import LABEL
    from costmodel.report import document

    p = advice.prediction
    return document(
        "advice",
        network=p.network,
        coverage=coverage,
        platform=p.platform,
        label=LABEL,
        seconds=float(p.seconds),
        basis=p.basis,
        findings=[
            {
                "guideline": f.guideline,
                "title": f.title,
                "message": f.message,
                "layers": list(f.layers),
                "mac_saving_elements": f.mac_saving,
                "saving_seconds": f.saving,
                "share": f.share,
            }
            for f in advice.findings
        ],
    )
