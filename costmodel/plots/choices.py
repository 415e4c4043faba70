"""Figures for decisions: curves along a quantity, elasticities, savings, solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from costmodel.comparison.curves import Curve
from costmodel.errors import DataError
from costmodel.guidelines import Advice
from costmodel.platforms.varied import UNITS
from costmodel.plots.style import STYLES, axes, needed, plain_log, time_scale
from costmodel.solving import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12
"""Bars of one figure."""
_TITLE = 44
"""Characters of a title beside a bar."""


def along(
    curves: Sequence[Curve],
    marks: Sequence[float] = (),
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw latencies along a varied quantity, and their crossover points.

    Parameters
    ----------
    curves : sequence of Curve
        From :func:`costmodel.comparison.curves`, along one axis.
    marks : sequence of float
        Values of the axis to mark: those of :func:`costmodel.crossovers` or
        :func:`costmodel.meet`.
    limit : float, optional
        A latency to draw a line at. [s]
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Raises
    ------
    DataError
        If there is no curve, or they lie along different axes.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.comparison import curves
    >>> from matplotlib.figure import Figure
    >>> found = curves(["resnet18", "resnet50"], "gtx-1080-ti/paper", cm.Axis("batch", 1, 4))
    >>> along(found, ax=Figure().add_subplot()).get_xlabel()
    'batch'
    """
    found = list(curves)
    if len({c.axis for c in found}) != 1:
        raise DataError("this figure takes curves along one axis, at least one")
    ax = axes(ax)
    unit, name = time_scale(max(c.seconds) for c in found)
    several = len({c.platform for c in found}) > 1
    for i, curve in enumerate(found):
        style = STYLES[i % len(STYLES)]
        label = f"{curve.network}, {curve.platform}" if several else curve.network
        ax.fill_between(
            curve.values, curve.low / unit, curve.high / unit, color=style.color, alpha=0.15
        )
        ax.plot(
            curve.values,
            curve.seconds / unit,
            color=style.color,
            linestyle=style.line,
            marker=style.marker,
            markersize=4,
            label=label,
        )
    for mark in marks:
        ax.axvline(mark, color="black", linestyle=":", linewidth=1)
    if limit is not None:
        ax.axhline(limit / unit, color="black", linestyle="--", linewidth=1)
    plain_log(ax, "x")
    plain_log(ax, "y")
    axis = found[0].axis.name
    ax.set_xlabel(f"{axis} [{UNITS[axis]}]" if axis in UNITS else axis)
    ax.set_ylabel(f"predicted latency [{name}]")
    ax.legend(fontsize="small")
    return ax


def elasticities(found: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Draw the change of a latency in per cent for 1 % more of each quantity.

    Parameters
    ----------
    found : mapping
        From :func:`costmodel.sensitivities`; the first twelve are drawn. [1]
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Raises
    ------
    DataError
        If there is none.

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> found = cm.sensitivities(cm.zoo.resnet18(), "gtx-1080-ti/paper")
    >>> ax = elasticities(found, ax=Figure().add_subplot())
    >>> ax.get_yticklabels()[0].get_text() == next(iter(found))
    True
    """
    needed(found, Mapping, "elasticities by quantity, as costmodel.sensitivities returns them")
    shown = list(found.items())[:_MOST]
    if not shown:
        raise DataError("there is nothing to draw: the latency follows no quantity")
    ax = axes(ax, height=1.2 + 0.3 * len(shown))
    for i, (_, value) in enumerate(shown):
        style = STYLES[0] if value > 0 else STYLES[1]
        ax.barh(i, value, color=style.color, hatch=style.hatch, edgecolor="black")
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(shown)), [name for name, _ in shown])
    ax.invert_yaxis()
    ax.set_xlabel("change of the latency for 1 % more [%]")
    return ax


def savings(advice: Advice, ax: Axes | None = None) -> Axes:
    """Draw the saving of each finding with its interval.

    Parameters
    ----------
    advice : Advice
        From :func:`costmodel.advise`; the first twelve findings are drawn.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Raises
    ------
    DataError
        If there is no finding.

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> advice = cm.advise(cm.zoo.g1_stack(c1=36, c2=426), "gtx-1080-ti/paper")
    >>> savings(advice, ax=Figure().add_subplot()).get_xlabel()
    'predicted saving, share of the latency [%]'
    """
    needed(advice, Advice, "advice, as costmodel.advise returns it")
    shown = advice.findings[:_MOST]
    if not shown:
        raise DataError("there is nothing to draw: no change surely pays")
    whole = float(advice.prediction.seconds)
    ax = axes(ax, 8.0, 1.2 + 0.35 * len(shown))
    for i, f in enumerate(shown):
        style = STYLES[0] if f.rewrite.same_function else STYLES[1]
        low, high = (100 * end / whole for end in f.interval)
        ax.barh(i, 100 * f.share, color=style.color, hatch=style.hatch, edgecolor="black")
        ax.hlines(i, low, high, color="black", linewidth=1.5)
    numbers = range(1, len(shown) + 1)
    ax.set_yticks(
        range(len(shown)),
        [f"{n}. {_short(f.rewrite.title)}" for n, f in zip(numbers, shown, strict=True)],
    )
    ax.invert_yaxis()
    _name_functions(ax, {f.rewrite.same_function for f in shown})
    ax.set_xlabel("predicted saving, share of the latency [%]")
    return ax


def solved(solution: Solution, ax: Axes | None = None) -> Axes:
    """Draw the values of a solution, and the best real numbers if known.

    Parameters
    ----------
    solution : Solution
        From :func:`costmodel.solve`.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> graph = cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2"))
    >>> found = cm.solve(graph, at_least={"multiply_adds": 56 * 56 * 64**2})
    >>> [label.get_text() for label in solved(found, ax=Figure().add_subplot()).get_xticklabels()]
    ['c1', 'c2']
    """
    needed(solution, Solution, "a solution, as costmodel.solve returns it")
    names = list(solution.values)
    ax = axes(ax, 1.6 + 0.5 * max(6, len(names)))
    style = STYLES[0]
    ax.bar(names, list(solution.values.values()), color=style.color, edgecolor="black")
    if solution.relaxed:
        real = [solution.relaxed[name] for name in names]
        other = STYLES[1]
        ax.plot(
            names,
            real,
            linestyle="none",
            marker=other.marker,
            color=other.color,
            markeredgecolor="black",
            label="best real numbers",
        )
        ax.legend(fontsize="small")
    ax.set_ylabel("value [1]")
    ax.set_xlabel(f"least {solution.minimized.replace('_', '-')}: symbols")
    return ax


def _name_functions(ax: Axes, functions: set[bool]) -> None:
    """Draw the legend of the colours of savings."""
    from matplotlib.patches import Patch

    words = {True: "the same function", False: "another function"}
    patches = []
    for same in sorted(functions, reverse=True):
        style = STYLES[0] if same else STYLES[1]
        patches.append(
            Patch(facecolor=style.color, hatch=style.hatch, edgecolor="black", label=words[same])
        )
    ax.legend(handles=patches, fontsize="small")


def _short(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 3].rstrip()}..."
