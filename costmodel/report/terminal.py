"""Reports for people: plain text of 80 columns, or of 60 with less beside each name."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from costmodel.prediction import LABEL
from costmodel.prediction.modules import is_host_bound
from costmodel.report.collect import LABELS, Report
from costmodel.report.figures import total_rows
from costmodel.report.tables import (
    dispatches_table,
    kernels_table,
    modules_table,
    operators_table,
)
from costmodel.report.tables import table as table
from costmodel.report.text import bar, covered, seconds, share

if TYPE_CHECKING:
    from costmodel.prediction import Prediction

_BAR = 22
_MATTERS = 0.1
"""Share of the latency from which on the kernels are worth a table. [1]"""


def print_report(console: Console, report: Report, explain: bool = False) -> None:
    """Print a report.

    Parameters
    ----------
    console : Console
        The output.
    report : Report
        The figures of the network.
    explain : bool
        Whether every kernel is shown, with its terms and fused operators.
    """
    console.print(Text(report.network, style="bold"))
    _print_coverage(console, report)
    for note in report.notes:
        console.print(note, markup=False)
    console.print()
    console.print(_totals(console, report))
    console.print()
    p = report.prediction
    if p is None:
        console.print(modules_table(console, report))
        console.print()
        console.print(operators_table(console, report.operators))
        return
    print_prediction(console, p)
    console.print()
    console.print(modules_table(console, report))
    if is_host_bound(p):
        console.print()
        console.print(dispatches_table(console, p))
    if explain or _kernels_matter(p):
        console.print()
        console.print(kernels_table(console, p, everything=explain))
    if explain:
        console.print()
        console.print(fill(_EXPLANATION, min(console.width, 100)))


def print_prediction(console: Console, prediction: Prediction) -> None:
    """Print a latency with its interval and its terms."""
    total = float(prediction.seconds)
    console.print(Text(f"Latency on {prediction.platform}", style="bold"))
    console.print(f"  {LABEL} {seconds(total)}{_interval(prediction)}, from {prediction.basis}")
    bound = float(prediction.bound_seconds)
    console.print(
        f"  bottleneck: {LABELS[prediction.bottleneck]}; bound of the hardware: {seconds(bound)}"
    )
    if is_host_bound(prediction):
        console.print(
            "  the device waits for its host: times below are those of dispatches, and faster "
            "kernels would not help"
        )
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    glyph = "█" if console.is_terminal and console.encoding.startswith("utf") else "#"
    for term, spent in prediction.waits().items():
        part = spent / total if total else 0.0
        rows.add_row(f"  {LABELS[term]}", seconds(spent), share(part), bar(part, _BAR, glyph))
    console.print(rows)


def _kernels_matter(prediction: Prediction) -> bool:
    """Return whether kernels, and not the host or fixed costs, take most of the time."""
    spent_on_device = float(prediction.device_seconds)
    return not is_host_bound(prediction) and spent_on_device > _MATTERS * prediction.seconds


def _interval(prediction: Prediction) -> str:
    if prediction.interval is None:
        return ""
    low, high = map(seconds, prediction.interval)
    return f" ({share(prediction.level)} interval {low} to {high})"


def _print_coverage(console: Console, report: Report) -> None:
    counted = covered(report.coverage)
    if not report.unknown:
        console.print(counted)
        return
    console.print(f"{counted}; in no figure below:", style="yellow")
    for name in report.unknown:
        console.print(f"  {name}", style="yellow", markup=False)


def _totals(console: Console, report: Report) -> Table:
    result = table(console, "total", "", "")
    result.columns[2].justify = "left"
    for row in total_rows(report):
        result.add_row(*row)
    return result


_EXPLANATION = (
    "A kernel takes its launch, then arithmetic and memory traffic in parallel, then passes for "
    'the operators fused behind it; it waits for the largest. Operators after "+" were fused.'
)
