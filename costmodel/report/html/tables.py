"""Tables of a page: kernels, operators, modules; a script sorts and filters them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from costmodel.counting.timeline import Timeline
from costmodel.prediction import KernelTime, Prediction
from costmodel.report.collect import LABELS, Report
from costmodel.report.text import (
    count,
    decimal,
    relative,
    seconds,
    share,
    size,
    time_unit,
    times_of,
)
from costmodel.report.tree import Module

_TERMS = ("launch", "compute", "memory", "passes", "learned", "residual")
_HOLDERS = 8
"""Tensors that are named at the peak of memory."""


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,), name: str = ""
) -> str:
    """Return a table of cells of HTML.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns; without any there is no head.
    rows : iterable of sequence of str
        The cells.
    words : sequence of int
        Columns of text, which stand left and sort by letter.
    name : str
        An id, which makes it a table that sorts.
    """
    top = "".join(
        f'<th scope="col"{" class=t" if i in words else ""}>{cell}</th>'
        for i, cell in enumerate(head)
    )
    left = [" class=t" if i in words and i else "" for i in range(64)]
    body = "\n".join(
        "<tr>" + "".join(f"<td{left[i]}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    start = f'<table id="{name}" class="sorts">' if name else "<table>"
    thead = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="scroll">{start}{thead}<tbody>\n{body}\n</tbody></table></div>'


def tools(name: str, example: str) -> str:
    """Return the field that filters the table of an id."""
    return (
        f'<div class="tools"><label>Filter <input type="search" data-table="{name}" '
        f'placeholder="{escape(example)}" aria-label="filter the table"></label>'
        "<output></output></div>"
    )


def bar(part: float, whole: float) -> str:
    """Return a bar as long as ``part`` of ``whole``."""
    width = 100 * min(part / whole, 1.0) if whole else 0.0
    return f'<span class="track"><span class="bar" style="width:{width:.1f}%"></span></span>'


def terms(prediction: Prediction) -> str:
    """Return the latency by term."""
    total = float(prediction.seconds)
    rows = [
        (
            f'<span class="key w-{term}"></span>{LABELS[term]}',
            seconds(spent),
            share(spent / total if total else 0.0),
            bar(spent, total),
        )
        for term, spent in prediction.waits().items()
    ]
    return table(("waits for", "time", "share", ""), rows, words=(0, 3))


def kernels(prediction: Prediction, spent: Sequence[float]) -> str:
    """Return the kernels in order, with their bounds and terms."""
    all_of_it = float(prediction.seconds) or 1.0
    longest = max((float(k.seconds) for k in prediction.kernels), default=0.0)
    unit, scale = time_unit(longest)
    used = [t for t in _TERMS if any(float(getattr(k.terms, t)) for k in prediction.kernels)]
    head = (
        "kernel",
        "kind",
        "waits for",
        f"time, {unit}",
        "share",
        f"bound, {unit}",
        "time / bound",
        *(f"{term}, {unit}" for term in used),
        f"dispatch, {unit}",
        "multiply-adds",
        "moved",
        "fused",
    )
    rows = (
        _kernel(k, at / all_of_it, scale, used)
        for k, at in zip(prediction.kernels, spent, strict=True)
    )
    last = len(head) - 1
    return table(head, rows, (0, 1, 2, last), "kernels")


def _kernel(k: KernelTime, part: float, scale: float, used: Sequence[str]) -> list[str]:
    time, bound = float(k.seconds), float(k.terms.bound)
    name = k.kernel.name
    return [
        escape(name),
        k.kernel.kind,
        str(k.waits_for),
        decimal(time / scale),
        share(part),
        decimal(bound / scale),
        times_of(time, bound) if bound else "-",
        *(decimal(float(getattr(k.terms, term)) / scale) for term in used),
        decimal(float(k.terms.host) / scale),
        count(int(k.kernel.multiply_adds)),
        size(float(k.kernel.bytes)),
        escape(", ".join(relative(n, name) for n in k.kernel.nodes if n != name)),
    ]


def operators(report: Report) -> str:
    """Return the operators in order, with their exact costs."""
    head = ("operator", "kind", "output", "multiply-adds", "MAC, elements", "parameters")
    rows = (
        (
            escape(o.name),
            o.operator,
            escape(o.shape),
            count(o.multiply_adds),
            count(o.mac),
            count(o.params),
        )
        for o in report.operators
    )
    return table(head, rows, (0, 1, 2), "operators")


def modules(root: Module, prediction: Prediction | None = None, depth: int = 2) -> str:
    """Return the modules as a tree of two levels; their times add up to the latency."""
    head = ["module", "output", "operators", "parameters", "multiply-adds", "MAC, elements"]
    if prediction is not None:
        head += ["predicted", "share"]
        whole = float(prediction.seconds) or 1.0
    rows = []
    for level, m in root.walk(depth):
        row = [
            "&emsp;" * level + escape(m.name),
            escape(m.shape),
            str(m.operators),
            count(m.params),
            count(m.multiply_adds),
            count(m.mac),
        ]
        if prediction is not None:
            row += [seconds(m.seconds), share(m.seconds / whole)]
        rows.append(row)
    if rows and prediction is not None:
        inside = sum(m.seconds for m in root.modules.values())
        rest = float(prediction.seconds) - inside
        rows.append(["outside modules, fixed cost", *[""] * 5, seconds(rest), share(rest / whole)])
    return table(head, rows, (0, 1)) if rows else ""


def holders(timeline: Timeline) -> str:
    """Return the tensors that make up the peak of memory."""
    peak = timeline.peak or 1
    rows = [
        (escape(h.name), size(h.size), share(h.size / peak), bar(h.size, peak))
        for h in timeline.holders[:_HOLDERS]
    ]
    return table(("made by", "size", "share", ""), rows, words=(0, 3))
