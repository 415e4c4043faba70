"""Drawings of a page: roofline and memory, in SVG that needs no script."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from html import escape

from costmodel.counting.timeline import Timeline
from costmodel.prediction import KernelTime
from costmodel.report.extras import Roof
from costmodel.report.text import seconds, size
from costmodel.units import format_si

_NAMES = 4
"""Kernels that a point of the roofline names."""
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 86, 14, 14, 44


def roofline(roof: Roof, kernels: Sequence[KernelTime]) -> str:
    """Return the roofline with a line for each memory and a point for each kernel that computes."""
    points = _points(kernels)
    if not points:
        return "<p>No kernel computes anything: there is no roofline.</p>"
    slowest = roof.levels[-1][1]
    ridge = roof.peak / slowest
    low = 10 ** math.floor(math.log10(min(*(x for x, _ in points), ridge) / 1.5))
    high = 10 ** math.ceil(math.log10(max(*(x for x, _ in points), ridge) * 1.5))
    floor = 10 ** math.floor(math.log10(min(*(y for _, y in points), low * slowest)))
    ceiling = max(roof.peak * 2, *(y * 1.5 for _, y in points))

    def x_of(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(value / low) / math.log(high / low)

    def y_of(value: float) -> float:
        part = math.log(max(value, floor) / floor) / math.log(ceiling / floor)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * part

    parts = _grid((low, high), (floor, ceiling), x_of, y_of)
    last = len(roof.levels) - 1
    for i, (name, bandwidth) in enumerate(roof.levels):
        start = max(low, floor / bandwidth)
        bend = min(roof.peak / bandwidth, high)
        parts.append(
            f'<path class="roof" d="M{x_of(start):.1f} {y_of(start * bandwidth):.1f}'
            f'L{x_of(bend):.1f} {y_of(bend * bandwidth):.1f}H{_WIDTH - _RIGHT}"/>'
        )
        parts.append(_level_label(name, bandwidth, (start, bend), i == last, x_of, y_of))
    parts.append(
        f'<text x="{_WIDTH - _RIGHT}" y="{y_of(roof.peak) - 6:.1f}" text-anchor="end">'
        f"peak {escape(roof.dtype)} {format_si(roof.peak, 'FLOP/s')}</text>"
    )
    whole = sum(float(k.seconds) for k in kernels) or 1.0
    for (x, y), members in points.items():
        spent = sum(float(k.seconds) for k in members)
        radius = 2.5 + 14 * math.sqrt(spent / whole)
        parts.append(
            f'<circle class="dot" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="{radius:.1f}">'
            f"<title>{_point_title(members, x, y, spent)}</title></circle>"
        )
    return _svg(parts, "kernels under the roofline of the platform")


def _level_label(
    name: str,
    bandwidth: float,
    ends: tuple[float, float],
    below: bool,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> str:
    """Return the name of a memory: right of and below the line of the slowest, else left of it."""
    where = math.sqrt(ends[0] * ends[1])
    x, y = x_of(where), y_of(where * bandwidth)
    x, y, anchor = (x + 8, y + 12, "start") if below else (x - 6, y - 4, "end")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(name)} {format_si(bandwidth, 'B/s')}</text>"
    )


def _points(kernels: Iterable[KernelTime]) -> dict[tuple[float, float], list[KernelTime]]:
    """Return the kernels that compute, by intensity [FLOP/byte] and speed [FLOP/s], rounded."""
    found: dict[tuple[float, float], list[KernelTime]] = defaultdict(list)
    for k in kernels:
        done = float(2 * k.kernel.multiply_adds + k.kernel.elementwise)
        if done and float(k.seconds):
            place = done / max(float(k.kernel.bytes), 1.0), done / float(k.seconds)
            found[float(f"{place[0]:.3g}"), float(f"{place[1]:.3g}")].append(k)
    return found


def _point_title(members: Sequence[KernelTime], x: float, y: float, spent: float) -> str:
    names = ", ".join(k.kernel.name for k in members[:_NAMES])
    more = f" and {len(members) - _NAMES} more" if len(members) > _NAMES else ""
    return (
        f"{escape(names)}{more} ({members[0].kernel.kind}): {seconds(spent)}, "
        f"{format_si(x, 'FLOP/B')}, {format_si(y, 'FLOP/s')}"
    )


def memory(timeline: Timeline) -> str:
    """Return the memory of weights and activations over the operators."""
    count, most = len(timeline.live), timeline.total or 1
    wide = (_WIDTH - _LEFT - _RIGHT) / count

    def y_of(value: float) -> float:
        return _HEIGHT / 2 - 30 - (_HEIGHT / 2 - 44) * value / most

    parts = []
    for part in (0.0, 0.5, 1.0):
        y = y_of(part * most)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{size(part * most)}</text>'
        )
    base = y_of(timeline.weights)
    steps = "".join(f"V{y_of(timeline.weights + live):.1f}h{wide:.2f}" for live in timeline.live)
    parts.append(f'<path class="area" d="M{_LEFT} {base:.1f}{steps}V{base:.1f}Z"/>')
    zero = y_of(0)
    parts.append(
        f'<path class="base" d="M{_LEFT} {base:.1f}H{_WIDTH - _RIGHT}V{zero:.1f}H{_LEFT}Z"/>'
    )
    peak = _LEFT + wide * (timeline.live.index(timeline.peak) + 0.5)
    parts.append(f'<path class="roof" d="M{peak:.1f} {zero:.1f}V{y_of(most):.1f}"/>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT / 2 - 6:.0f}" text-anchor="middle">'
        f"operators in order, 1 to {count}</text>"
    )
    return _svg(parts, "memory in use over the operators", _HEIGHT // 2)


def _grid(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> list[str]:
    """Return lines at the powers of ten, with their labels."""
    parts = []
    for power in _powers(*x_range):
        x = x_of(10.0**power)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{10.0**power:g}</text>"
        )
    for power in _powers(*y_range):
        y = y_of(10.0**power)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{format_si(10.0**power, 'FLOP/s')}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">'
        "arithmetic intensity, FLOP for each byte that the kernel moves</text>"
    )
    return parts


def _powers(low: float, high: float) -> range:
    return range(round(math.log10(low)), math.floor(math.log10(high) + 1e-9) + 1)


def _svg(parts: Iterable[str], label: str, height: int = _HEIGHT) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg></div>'
    )
