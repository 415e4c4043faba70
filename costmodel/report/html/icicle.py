"""Time by module as boxes in boxes: plain HTML, which follows the width of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from costmodel.report.collect import LABELS
from costmodel.report.text import count, seconds, share
from costmodel.report.tree import Module

_SMALLEST = 0.004
"""Parts of the whole below this share are drawn as one box. [1]"""


def icicle(root: Module, waits: Mapping[str, str], by_time: bool, outside: float = 0.0) -> str:
    """Return nested boxes whose widths are the times (or multiply-adds) of modules and operators.

    Parameters
    ----------
    root : Module
        The network.
    waits : mapping
        The largest term of the kernel of each operator, by the name of the operator.
    by_time : bool
        Whether widths are seconds; else they are multiply-adds.
    outside : float
        Time that belongs to no operator. [s]
    """
    whole = root.seconds + outside if by_time else root.multiply_adds
    if not whole:
        return "<p>No operator takes time.</p>"
    boxes = [(whole - outside, _cell(root, whole, waits, by_time, "network"))]
    if outside:
        title = _said("fixed cost and transfer", outside, whole, by_time)
        boxes.append((outside, f'<span title="{title}">fixed {share(outside / whole)}</span>'))
    return f'<div class="icicle">{_row(boxes, whole)}</div>'


def _row(boxes: Iterable[tuple[float, str]], whole: float) -> str:
    return "".join(
        f'<div class="ic" style="flex-grow:{100 * part / whole:.3f}">{box}</div>'
        for part, box in boxes
    )


def _cell(module: Module, whole: float, waits: Mapping[str, str], by_time: bool, name: str) -> str:
    own = module.seconds if by_time else module.multiply_adds
    parts = [
        (m.seconds if by_time else m.multiply_adds, _cell(m, whole, waits, by_time, m.name))
        for m in module.modules.values()
        if (m.seconds if by_time else m.multiply_adds) >= _SMALLEST * whole
    ]
    small: dict[str, tuple[int, float]] = {}
    for operator in module.own:
        spent = module.own_seconds[operator.name] if by_time else operator.multiply_adds
        if spent >= _SMALLEST * whole:
            parts.append((spent, _leaf(operator.name, spent, whole, waits, by_time)))
        elif spent:
            number, so_far = small.get(operator.operator, (0, 0.0))
            small[operator.operator] = (number + 1, so_far + spent)
    for kind, (number, spent) in small.items():
        parts.append((spent, _leaf(f"{number} x {kind}", spent, whole, {}, by_time)))
    rest = own - sum(part for part, _ in parts)
    if parts and rest > 1e-3 * whole:
        parts.append((rest, _leaf("smaller modules", rest, whole, {}, by_time)))
    kids = _row(parts, whole)
    title = _said(module.path or name, own, whole, by_time)
    label = f"{escape(name)} {share(own / whole)}"
    button = f'<button type="button" title="{title}">{label}</button>'
    if kids:
        return f'{button}<div class="kids">{kids}</div>'
    return f'<span title="{title}">{label}</span>'


def _leaf(name: str, spent: float, whole: float, waits: Mapping[str, str], by_time: bool) -> str:
    wait = waits.get(name, "")
    title = _said(name, spent, whole, by_time)
    if wait:
        title += f", waits for {LABELS[wait]}"
    last = escape(name.rpartition(".")[2])
    kind = f' class="w-{wait}"' if wait else ""
    return f'<span{kind} title="{title}">{last} {share(spent / whole)}</span>'


def _said(name: str, spent: float, whole: float, by_time: bool) -> str:
    amount = seconds(spent) if by_time else f"{count(spent)} multiply-adds"
    return f"{escape(name, quote=True)}: {amount}, {share(spent / whole)}"
