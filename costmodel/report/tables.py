"""Tables of a report for people: modules, operators, kernels, dispatches; 60 columns are enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from costmodel.prediction import LABEL
from costmodel.prediction.modules import spent
from costmodel.report.text import (
    count,
    decimal,
    plain_shape,
    relative,
    seconds,
    share,
    shorten,
    time_unit,
)
from costmodel.report.tree import tree

if TYPE_CHECKING:
    from costmodel.comparison.compare import Entry
    from costmodel.prediction import KernelTime, Prediction
    from costmodel.report.collect import Report
    from costmodel.report.like import Likeness
    from costmodel.report.tree import Module, OperatorCost

TOP = 10
"""Operators or kernels that are shown unless all are asked for."""
WIDE = 76
"""Columns from which on tables have all of theirs."""
_TERMS = ("launch", "compute", "memory", "passes")
_LEARNED = 0.05  # share of a kernel's time from which on multipliers have a column


def table(console: Console, *columns: str, title: str = "", left: int = 1) -> Table:
    """Return an empty table; the first ``left`` columns are text, the others numbers.

    Lines are drawn on terminals only, so that piped output stays plain text.
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


def modules_table(console: Console, report: Report) -> Table:
    """Return the modules as a tree; with a prediction their times add up to the latency."""
    wide = console.width >= WIDE
    columns = [
        "module",
        *(["output", "params"] if wide else []),
        "multiply-\nadds",
        "MAC,\nelements",
    ]
    if report.prediction:
        columns += [LABEL, "share"]
    result = table(console, *columns, left=2 if wide else 1)
    root = tree(report.operators, report.seconds)
    for level, module in root.walk(report.depth) if report.depth else root.opened():
        result.add_row(*_module_row(module, level, report.prediction, console))
    if root.own and root.modules:
        other = _only_own(root)
        result.add_row(*_module_row(other, 0, report.prediction, console))
    if report.prediction is not None:
        for name, value in _outside(report.prediction):
            empty = [""] * (len(columns) - 3)
            result.add_row(name, *empty, seconds(value), _part(value, report.prediction.seconds))
    result.add_section()
    root.name, root.shape = "total", ""
    if report.prediction is not None:
        root.seconds = float(report.prediction.seconds)
    result.add_row(*_module_row(root, 0, report.prediction, console))
    return result


def _module_row(
    module: Module, level: int, prediction: Prediction | None, console: Console
) -> list[str]:
    wide = console.width >= WIDE
    indent = "  " * level
    name = indent + shorten(module.name, max(_width(console, 17) - len(indent), 4))
    row = [name, *([plain_shape(module.shape), count(module.params)] if wide else [])]
    row += [count(module.multiply_adds), count(module.mac)]
    if prediction is not None:
        row += [seconds(module.seconds), _part(module.seconds, prediction.seconds)]
    return row


def _only_own(root: Module) -> Module:
    """Return the operators outside all modules as a module."""
    from costmodel.report.tree import Module

    result = Module("", "(no module)")
    for operator in root.own:
        result.add(operator, root.own_seconds[operator.name])
    return result


def _outside(prediction: Prediction) -> list[tuple[str, float]]:
    parts = {"(fixed cost)": prediction.fixed, "(transfer)": prediction.transfer}
    return [(name, float(value)) for name, value in parts.items() if value]


def operators_table(console: Console, operators: Iterable[OperatorCost]) -> Table:
    """Return the operators of most multiply-adds."""
    largest = sorted(operators, key=lambda o: (-o.multiply_adds, -o.mac))
    result = table(console, "largest operators", "kind", "multiply-adds", "MAC elements", left=2)
    for o in largest[:TOP]:
        name = shorten(o.name, _width(console, 34))
        result.add_row(name, o.operator, count(o.multiply_adds), count(o.mac))
    return result


def dispatches_table(console: Console, prediction: Prediction) -> Table:
    """Return the dispatches of the host by kind of kernel, the largest time first."""
    found: dict[str, tuple[int, float]] = {}
    for k, value in zip(prediction.kernels, spent(prediction), strict=True):
        number, so_far = found.get(k.kernel.kind, (0, 0.0))
        found[k.kernel.kind] = (number + 1, so_far + value)
    result = table(console, "dispatches", "number", "time", "share", "each")
    for kind, (number, value) in sorted(found.items(), key=lambda item: -item[1][1]):
        part = _part(value, float(prediction.seconds))
        result.add_row(kind, count(number), seconds(value), part, seconds(value / number))
    return result


def kernels_table(console: Console, prediction: Prediction, everything: bool) -> Table:
    """Return the slowest kernels, or all in order with their fused operators."""
    ordered = list(prediction.kernels)
    if not everything:
        ordered = sorted(ordered, key=lambda k: -float(k.seconds))[:TOP]
    longest = max((float(k.seconds) for k in ordered), default=0.0)
    unit, scale = time_unit(longest)
    first = f"{'kernel' if everything else 'slowest kernels'}, times in {unit}"
    terms = list(_TERMS)
    for term in ("learned", "residual"):
        if any(abs(getattr(k.terms, term)) > _LEARNED * k.seconds for k in ordered):
            terms.append(term)
    wide = console.width >= WIDE
    others = ["waits for", "time", *(terms if wide else ())]
    rows, below = [], []
    for k in ordered:
        times = [decimal(float(getattr(k.terms, term)) / scale) for term in terms]
        named = [f"{n} {t}" for n, t in zip(terms, times, strict=True) if t != "0"]
        below.append([] if wide else named)
        rows.append([str(k.waits_for), decimal(float(k.seconds) / scale), *(times if wide else ())])
    result = table(console, first, *others, left=2)
    left_over = _room(console, [others, *rows])
    for k, row, lines in zip(ordered, rows, below, strict=True):
        result.add_row(_kernel_cell(left_over, k, everything, lines), *row)
    return result


def _room(console: Console, rows: Sequence[Sequence[str]]) -> int:
    """Return the columns that are left for the first cell of a table beside the others."""
    taken = sum(max(map(len, column)) for column in zip(*rows, strict=True))
    between = 3 if console.is_terminal else 2
    return max(12, console.width - taken - between * len(rows[0]))


def _kernel_cell(width: int, k: KernelTime, everything: bool, terms: list[str]) -> str:
    name = shorten(k.kernel.name, width)
    if not everything:
        return name
    fused = [relative(node, k.kernel.name) for node in k.kernel.nodes if node != k.kernel.name]
    text = f"{k.kernel.kind} + {', '.join(fused)}" if fused else k.kernel.kind
    if terms:
        text += f"; {', '.join(terms)}"
    return "\n".join([name, *(f"  {line}" for line in wrap(text, width - 2))])


def entries_table(console: Console, entries: Sequence[Entry]) -> Table:
    """Return the networks on one platform; names are shortened to fit the width."""
    head = [LABEL, "interval", "multiply-\nadds", "MAC,\nelements", "params"]
    shown = len(head) if console.width >= WIDE else 3
    rows = []
    for e in entries:
        low, high = e.prediction.interval or (0.0, 0.0)
        times = [seconds(float(e.prediction.seconds)), f"{seconds(low)} to {seconds(high)}"]
        rows.append([*times, *(count(n) for n in (e.multiply_adds, e.mac, e.params))][:shown])
    width = _room(console, [[max(h.split("\n"), key=len) for h in head[:shown]], *rows])
    result = table(console, "network", *head[:shown], title=f"on {entries[0].platform}")
    for e, row in zip(entries, rows, strict=True):
        result.add_row(shorten(e.network, width), *row)
    return result


def _part(value: float, whole: float) -> str:
    return share(value / whole) if whole else "-"


def _width(console: Console, usual: int) -> int:
    """Return the columns of a name that has ``usual`` of 80: more or less with the console."""
    return max(12, usual + console.width - 80)


def print_likeness(console: Console, network: str, found: Likeness) -> None:
    """Print the count of a tool for a network, and every difference from our count."""
    console.print(f"{network} as {found.tool.title} counts it", style="bold")
    console.print()
    result = table(console, "counted differently", "operators", "multiply-adds")
    result.add_row("multiply-adds, our count", "", f"{found.multiply_adds:,}")
    for d in found.differences:
        example = shorten(d.operators[0], 24)
        more = f" and {len(d.operators) - 1} more" if len(d.operators) > 1 else ""
        reason = f"{d.operator}: {d.reason} ({example}{more})"
        result.add_row(reason, count(len(d.operators)), f"{d.multiply_adds:+,}")
    if found.tool.factor > 1:
        result.add_row("each multiply-add counts 2", "", f"x {found.tool.factor}")
    result.add_row(f"total of {found.tool.name}", "", f"{found.total:,}")
    console.print(result)
    console.print()
    console.print(found.tool.note)
    if found.untold:
        names = ", ".join(shorten(name, 30) for name in found.untold[:4])
        console.print(f"No rule is known here for recurrent layers; they count as ours: {names}")
