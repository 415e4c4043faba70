"""A report as one HTML file: nothing is loaded, and it can be read without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

from costmodel.prediction import LABEL, Prediction
from costmodel.prediction.modules import is_host_bound, spent
from costmodel.report.collect import LABELS, Report
from costmodel.report.extras import Details
from costmodel.report.figures import frozen, total_rows
from costmodel.report.html import pictures, tables
from costmodel.report.html.fragments import coverage, notes
from costmodel.report.html.icicle import icicle
from costmodel.report.html.sheet import COUNTS, asset, sheet
from costmodel.report.text import count, seconds, share, size, times_of
from costmodel.report.tree import Module, tree

_WIDE = 40
"""Operators that a level of the graph shows side by side; more are put into groups."""
_LONG = 30
"""Rows of modules that are shown at once."""


def page(report: Report, details: Details | None = None) -> str:
    """Return a report as a single HTML file that loads nothing.

    Parameters
    ----------
    report : Report
        The figures.
    details : Details, optional
        Conditions, roofline, memory, advice and graph; without them those sections are left out.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.report import collect
    >>> page(collect(zoo.pointwise(56, 56, 128, 128))).splitlines()[0]
    '<!doctype html>'
    """
    title = report.network
    if report.prediction is not None:
        title += f" on {report.prediction.platform}"
    return sheet(
        title, _summary(report, details), _sections(report, details), _scripts(report, details)
    )


def _sections(report: Report, details: Details | None) -> Iterable[tuple[str, str, str]]:
    p = report.prediction
    root = tree(report.operators, report.seconds)
    if p is not None:
        yield "terms", "Time by term", _terms(p)
        yield "modules", "Time by module", _time_by_module(report, root, p)
    else:
        yield (
            "modules",
            "Multiply-adds by module",
            icicle(root, {}, by_time=False) + _modules(root),
        )
    if p is not None and details is not None and details.roof is not None:
        yield "roofline", "Roofline", _roofline(p, details)
    if details is not None and details.findings:
        yield "advice", "Advice", _advice(details)
    yield "totals", "Totals", tables.table(("", "", ""), total_rows(report), words=(0, 2))
    if details is not None:
        yield "memory", "Memory over time", _memory(details)
    if p is not None:
        shown = tables.tools("kernels", "depthwise stage2") + tables.kernels(p, spent(p))
        yield "kernel-list", f"{len(p.kernels)} kernels, in order", shown
    listed = tables.tools("operators", "Conv stage2") + tables.operators(report)
    number = len(report.operators)
    yield (
        "operator-list",
        f"{number} operators, in order",
        (f"<details><summary>show all {number}</summary>{listed}</details>"),
    )
    if details is not None:
        yield "graph", "Graph", _graph()


def _summary(report: Report, details: Details | None) -> str:
    p, t = report.prediction, report.totals
    parts = [coverage(report), notes(report)]
    if p is not None:
        low_high = ""
        if p.interval is not None:
            low, high = map(seconds, p.interval)
            low_high = f" {share(p.level)} interval {low} to {high}."
        bound = float(p.bound_seconds)
        times = f" (the latency is {times_of(float(p.seconds), bound)} times that)" if bound else ""
        parts.append(
            f'<p><span class="big">{seconds(float(p.seconds))}</span> {LABEL} latency, from '
            f"{escape(p.basis)}.{low_high}<br>Bottleneck: {LABELS[p.bottleneck]}. "
            f"Bound of the hardware: {seconds(bound)}{times}.</p>"
        )
    rows = [(escape(name), escape(value)) for name, value in details.conditions] if details else []
    rows += [
        ("multiply-adds", f"{count(t.multiply_adds)} (FLOPs: {count(t.flops)})"),
        ("parameters", f"{count(t.params)}, {size(t.params_bytes)}"),
        *((name, f"{value} ({rest})") for name, value, rest in frozen(t)),
    ]
    parts.append(f'<div class="facts">{tables.table(("", ""), rows, words=(0, 1))}</div>')
    parts.append(f'<p class="soft">{COUNTS}</p>')
    return "\n".join(part for part in parts if part)


def _terms(prediction: Prediction) -> str:
    said = (
        "The device waits for its host: the time of each kernel below is that of its dispatch, and "
        "faster kernels would not help."
        if is_host_bound(prediction)
        else "The time of each kernel counts for the term that it waits for."
    )
    return f"<p>{said}</p>{tables.terms(prediction)}"


def _time_by_module(report: Report, root: Module, prediction: Prediction) -> str:
    host = is_host_bound(prediction)
    names = {o.name for o in report.operators}
    waits = {}
    for k in prediction.kernels:
        name = k.kernel.name if k.kernel.name in names else k.kernel.name.rpartition(".")[0]
        waits[name] = "dispatch" if host else str(k.waits_for)
    rest = float(prediction.fixed) + float(prediction.transfer)
    keys = "".join(
        f'<span class="key w-{term}"></span>{LABELS[term]}'
        for term in dict.fromkeys(waits.values())
    )
    return (
        f"<p>Boxes are as wide as their share of the latency; a fused operator counts with the "
        "kernel that holds it. "
        '<span class="nojs">With scripts, a click on a module enlarges it.</span></p>'
        f'<p>{keys}</p><div class="scroll">{icicle(root, waits, True, rest)}</div>'
        f"{_modules(root, prediction)}"
    )


def _modules(root: Module, prediction: Prediction | None = None) -> str:
    """Return the table of two levels; where that is long, of one, the other to be opened."""
    if sum(1 for _ in root.walk(2)) <= _LONG:
        return tables.modules(root, prediction)
    both = tables.modules(root, prediction)
    more = f"<details><summary>two levels of modules</summary>{both}</details>"
    return tables.modules(root, prediction, depth=1) + more


def _roofline(prediction: Prediction, details: Details) -> str:
    assert details.roof is not None
    return (
        "<p>Each point is a kernel, as large as its share of the time; its speed is predicted. A "
        "kernel whose tensors lie in a cache may stand above the line of main memory (dram).</p>"
        f"{pictures.roofline(details.roof, prediction.kernels)}"
        '<p id="hover" class="soft" aria-live="polite">Point at a kernel for its name.</p>'
    )


def _advice(details: Details) -> str:
    items = "".join(
        f"<h3>{escape(f.rewrite.guideline)}: {escape(f.rewrite.title)}</h3>"
        f"<p>{escape(f.rewrite.message)}<br>{LABEL} saving: {seconds(f.saving)} ({share(f.share)}; "
        f"90 % interval {seconds(f.interval[0])} to {seconds(f.interval[1])}).</p>"
        for f in details.findings
    )
    return f"{items}<p>Each saving stands for its finding alone; savings do not add up.</p>"


def _memory(details: Details) -> str:
    t = details.memory
    return (
        f"<p>At most {size(t.total)}: {size(t.weights)} of weights (grey), and {size(t.peak)} of "
        f"activations while {escape(t.at)} runs. A tensor is freed behind its last use.</p>"
        f"{pictures.memory(t)}<h3>In memory at the peak</h3>{tables.holders(t)}"
    )


def _graph() -> str:
    return (
        "<p>A click on a module opens it. "
        '<span class="nojs">This part needs scripts; the tables above hold the same operators.'
        '</span></p><p id="graph-open"></p><div id="graph-view"></div>'
    )


def _scripts(report: Report, details: Details | None) -> str:
    if details is None:
        return ""
    # No "</script>" may stand in the data.
    data = json.dumps(graph_data(report, details), separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<script type="application/json" id="graph-data">{data}</script>\n'
        f"<script>{asset('graph.js')}</script>\n"
    )


def graph_data(report: Report, details: Details) -> dict[str, list[object]]:
    """Return the operators, the paths of their modules, and the links, for the script.

    Operators that a module has beyond :data:`_WIDE` in a row are put into groups of that many.
    """
    number = {o.name: i for i, o in enumerate(report.operators)}
    in_module: dict[str, int] = {}
    for o in report.operators:
        in_module[o.module] = in_module.get(o.module, 0) + 1
    seen: dict[str, int] = {}
    paths: dict[tuple[str, ...], int] = {}
    rows: list[object] = []
    for o in report.operators:
        path = tuple(o.module.split(".")) if o.module else ()
        if in_module[o.module] > _WIDE:
            seen[o.module] = seen.get(o.module, -1) + 1
            first = seen[o.module] // _WIDE * _WIDE + 1
            last = min(first + _WIDE - 1, in_module[o.module])
            path = (*path, f"operators {first} to {last}")
        rows.append([o.name, o.operator, o.shape, paths.setdefault(path, len(paths))])
    links = [[number[a], number[b]] for a, b in details.links if a in number and b in number]
    return {"operators": rows, "paths": [list(path) for path in paths], "links": list(links)}
