"""Reports for people: tables of 80 columns, plain text where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill, wrap
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from costmodel.prediction import LABEL
from costmodel.report.collect import LABELS, OperatorCost, Report
from costmodel.report.text import (
    QUOTIENTS,
    bar,
    count,
    covered,
    decimal,
    relative,
    seconds,
    share,
    shorten,
    size,
    time_unit,
)

if TYPE_CHECKING:
    from costmodel.prediction import KernelTime, Prediction

TOP = 10
"""Operators or kernels that are shown unless all are asked for."""
_BAR = 22
_LEARNED = 0.05  # share of a kernel's time from which on multipliers have a column


def table(console: Console, *columns: str, title: str = "", left: int = 1) -> Table:
    """Return an empty table; the first ``left`` columns are text, the others numbers.

    Lines are drawn on terminals only, so that what is piped stays plain text.
    """
    result = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if console.is_terminal and not console.legacy_windows else None,
        pad_edge=False,
        header_style="bold",
    )
    for i, name in enumerate(columns):
        result.add_column(name, justify="left" if i < left else "right", no_wrap=i >= left)
    return result


def print_report(console: Console, report: Report, explain: bool = False) -> None:
    """Print a report.

    Parameters
    ----------
    console : Console
        Where to.
    report : Report
        What is known of the network.
    explain : bool
        Whether every kernel is shown, with its terms and what was fused into it.
    """
    console.print(Text(report.network, style="bold"))
    _print_coverage(console, report)
    for note in report.notes:
        console.print(note, markup=False)
    console.print()
    console.print(_totals(console, report))
    console.print()
    console.print(_modules(console, report))
    console.print()
    if report.prediction is None:
        console.print(_operators(console, report.operators))
        return
    print_prediction(console, report.prediction)
    console.print()
    console.print(_kernels(console, report.prediction, everything=explain))
    if explain:
        console.print()
        console.print(fill(_EXPLANATION, min(console.width, 100)))


def print_prediction(console: Console, prediction: Prediction) -> None:
    """Print a latency with its interval, and what it is spent on."""
    total = float(prediction.seconds)
    console.print(Text(f"Latency on {prediction.platform}", style="bold"))
    console.print(f"  {LABEL} {seconds(total)}{_interval(prediction)}, from {prediction.basis}")
    bound = float(prediction.bound_seconds)
    console.print(
        f"  bottleneck: {LABELS[prediction.bottleneck]}; bound of the hardware: {seconds(bound)}"
    )
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    glyph = "█" if console.is_terminal and console.encoding.startswith("utf") else "#"
    for term, spent in prediction.waits().items():
        part = spent / total if total else 0.0
        rows.add_row(f"  {LABELS[term]}", seconds(spent), share(part), bar(part, _BAR, glyph))
    console.print(rows)


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
    t = report.totals
    least = "at least " if report.unknown else ""
    rows: list[tuple[str, str, str]] = [
        ("multiply-adds", count(t.multiply_adds), f"{count(t.flops)} FLOPs, 2 each"),
        ("elementwise operations", count(t.elementwise), ""),
        ("MAC (memory access cost)", f"{count(t.mac)} elements", size(t.mac_bytes)),
        (
            "MAC lower bound",
            f"{count(round(t.mac_lower_bound))} elements",
            "" if t.mac_ratio is None else f"MAC is {t.mac_ratio:.3f} x that",
        ),
        ("inputs, outputs, parameters", f"{count(t.io_lower_bound)} elements", "least traffic"),
        *(
            (
                f"through {size(b.size)} {b.name}",
                f"{count(round(b.elements))} elements",
                "least, not fused",
            )
            for b in t.cache_lower_bounds
        ),
        ("parameters", count(t.params), size(t.params_bytes)),
        (
            "peak activation memory",
            f"{count(t.activation_memory)} elements",
            size(t.activation_bytes),
        ),
        ("intensity", _number(t.intensity, "FLOP/B"), "nothing fused"),
        ("work", f"{count(t.work)} steps", ""),
        ("span", f"{count(t.span)} steps", f"{t.kernels_in_series} operators in series"),
        ("average parallelism", _number(t.parallelism, ""), "work / span"),
    ]
    result = table(console, "total", "", "")
    result.columns[2].justify = "left"
    for name, value, note in rows:
        result.add_row(name, value if name in QUOTIENTS else least + value, note)
    return result


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{count(float(f'{value:.4g}'))} {unit}".strip()


def _modules(console: Console, report: Report) -> Table:
    columns = ["module", "ops", "multiply-adds", "share", "MAC elements", "share"]
    if report.prediction:
        columns.append(LABEL)
    result = table(console, *columns)
    t = report.totals
    for m in report.modules:
        row = [
            shorten(m.module or "(top)", _width(console, 26)),
            str(m.operators),
            count(m.cost.multiply_adds),
            _part(m.cost.multiply_adds, t.multiply_adds),
            count(m.cost.mac),
            _part(m.cost.mac, t.mac),
        ]
        if report.prediction:
            row.append(seconds(report.module_seconds.get(m.module, 0.0)))
        result.add_row(*row)
    return result


def _operators(console: Console, operators: Iterable[OperatorCost]) -> Table:
    largest = sorted(operators, key=lambda o: (-o.multiply_adds, -o.mac))
    columns = ("largest operators", "kind", "multiply-adds", "MAC elements")
    result = table(console, *columns, left=2)
    for o in largest[:TOP]:
        name = shorten(o.name, _width(console, 34))
        result.add_row(name, o.operator, count(o.multiply_adds), count(o.mac))
    return result


def _kernels(console: Console, prediction: Prediction, everything: bool) -> Table:
    ordered = list(prediction.kernels)
    if not everything:
        ordered = sorted(ordered, key=lambda k: -float(k.seconds))[:TOP]
    longest = max((float(k.seconds) for k in ordered), default=0.0)
    unit, scale = time_unit(longest)
    first = f"{'kernel' if everything else 'slowest kernels'}, times in {unit}"
    terms = ["launch", "compute", "memory", "passes"]
    for term in ("learned", "residual"):
        if any(abs(getattr(k.terms, term)) > _LEARNED * k.seconds for k in ordered):
            terms.append(term)
    columns = (first, "waits for", "time", *terms)
    result = table(console, *columns, left=2)
    for k in ordered:
        times = (k.seconds, *(getattr(k.terms, term) for term in terms))
        cells = (decimal(float(t) / scale) for t in times)
        result.add_row(_kernel_cell(console, k, everything), k.waits_for, *cells)
    return result


def _kernel_cell(console: Console, k: KernelTime, everything: bool) -> str:
    width = _width(console, 28)
    name = shorten(k.kernel.name, width)
    if not everything:
        return name
    how = k.kernel.kind
    fused = [relative(node, k.kernel.name) for node in k.kernel.nodes if node != k.kernel.name]
    text = f"{how} + {', '.join(fused)}" if fused else how
    return "\n".join([name, *(f"  {line}" for line in wrap(text, width - 2))])


def _part(value: float, whole: float) -> str:
    return share(value / whole) if whole else "-"


def _width(console: Console, least: int) -> int:
    """Return the columns of a name: what is left of the width where the rest takes its share."""
    return max(least, least + console.width - 80)


_EXPLANATION = (
    "A kernel takes its launch, then arithmetic and memory traffic side by side, then passes over "
    'what is fused behind it; it waits for the largest. What follows "+" was fused into it.'
)
