"""Comparisons of numbers: predicted with measured times, MAC with its lower bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from costmodel.counting.bounds import mac_lower_bound
from costmodel.counting.metrics import mac
from costmodel.errors import DataError
from costmodel.plots.style import STYLES, as_graphs, axes, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAR = 0.1
"""Half width of the band that is marked around equality. [1]"""


def scatter(
    measured: Sequence[float],
    predicted: Sequence[float],
    intervals: Sequence[tuple[float, float]] | None = None,
    groups: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw predicted against measured times, with the line of equality and 10 % around it.

    Parameters
    ----------
    measured, predicted : sequence of float
        One point each. [s]
    intervals : sequence of (float, float), optional
        Predicted intervals, drawn as bars. [s]
    groups : sequence of str, optional
        Group of each point: a marker and a line of the legend for each group.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        Logarithmic in milliseconds; the legend has the mean absolute error of each group.

    Raises
    ------
    DataError
        If the sequences differ in length, are empty, or hold times that are not positive.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = scatter([1e-3, 2e-3], [1.1e-3, 2.2e-3], ax=Figure().add_subplot())
    >>> ax.get_legend_handles_labels()[1][0]
    '2 rows, mean error 10 %'
    """
    x, y = _times(measured), _times(predicted)
    given = [s for s in (x, y, intervals, groups) if s is not None]
    if len({len(s) for s in given}) != 1 or not len(x):
        raise DataError(
            "measured, predicted, intervals and groups must be of one length, and not empty; "
            f"they are of {', '.join(str(len(s)) for s in given)}"
        )
    ax = axes(ax, 5.2, 5.0)
    names = [""] * len(x) if groups is None else list(groups)
    for i, name in enumerate(dict.fromkeys(names)):
        style = STYLES[i % len(STYLES)]
        own = np.array([n == name for n in names])
        error = float(np.mean(np.abs(y[own] / x[own] - 1)))
        label = f"{name or f'{own.sum()} rows'}, mean error {100 * error:.0f} %"
        if intervals is not None:
            low, high = (1e3 * np.array(intervals)[own, j] for j in (0, 1))
            ax.vlines(1e3 * x[own], low, high, color=style.color, linewidth=1, alpha=0.5, zorder=2)
        ax.plot(
            1e3 * x[own],
            1e3 * y[own],
            linestyle="none",
            marker=style.marker,
            markerfacecolor=style.color,
            markeredgecolor="black",
            markeredgewidth=0.5,
            markersize=6,
            label=label,
            zorder=3,
        )
    _equality(ax, 1e3 * min(x.min(), y.min()) / 1.5, 1e3 * max(x.max(), y.max()) * 1.5)
    ax.set(xlabel="measured [ms]", ylabel="predicted [ms]")
    ax.legend(fontsize="small")
    ax.set_aspect("equal")
    return ax


def mac_beside_bound(
    x: Sequence[float],
    graphs: nx.DiGraph | Mapping[str, nx.DiGraph],
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the memory access cost (MAC) of networks with its lower bound.

    Parameters
    ----------
    x : sequence of float
        The varied quantity, one entry for each entry of the networks' array sizes.
    graphs : DiGraph or mapping of str to DiGraph
        Networks whose sizes are arrays over ``x`` (a design space); by name where there are
        several.
    ax : Axes, optional
        Where to draw, by default on a new figure; label its x axis yourself.

    Returns
    -------
    Axes
        MAC [10^6 elements] against ``x``; the gap to the bound is hatched.

    Notes
    -----
    The bound is :func:`costmodel.mac_lower_bound`: Eq. (1) of :cite:t:`ma2018shufflenet` and its
    generalisations, at the multiply-adds of each network.

    Examples
    --------
    >>> import numpy as np
    >>> from costmodel import zoo
    >>> from matplotlib.figure import Figure
    >>> c1 = np.array([32, 64, 128, 256])
    >>> ax = mac_beside_bound(c1 / 128, zoo.pointwise(56, 56, c1, 128**2 // c1),
    ...                       Figure().add_subplot())
    >>> ax.get_ylabel()
    'memory access cost [10$^6$ elements]'
    """
    named = as_graphs(graphs)
    ax = axes(ax)
    for i, (name, graph) in enumerate(named.items()):
        style = STYLES[i % len(STYLES)]
        values = np.broadcast_to(_floats(mac(graph)), np.shape(x)) / 1e6
        bound = np.broadcast_to(_floats(mac_lower_bound(graph)), np.shape(x)) / 1e6
        suffix = f" of {name}" if name else ""
        ax.plot(x, values, color=style.color, marker=style.marker, label=f"MAC{suffix}")
        ax.plot(x, bound, color=style.color, linestyle="--", label=f"lower bound{suffix}")
        ax.fill_between(
            x,
            bound,
            values,
            facecolor="none",
            edgecolor=style.color,
            hatch=style.hatch or "////",
            alpha=0.3,
            linewidth=0,
        )
    ax.set_ylabel("memory access cost [10$^6$ elements]")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize="small")
    return ax


def _floats(values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except TypeError:
        raise DataError(f"{values} has symbols: give them numbers or arrays") from None


def _times(values: Sequence[float]) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    if not np.all(np.isfinite(found) & (found > 0)):
        raise DataError("times must be positive numbers of seconds")
    return found


def _equality(ax: Axes, low: float, high: float) -> None:
    ends = np.array([low, high])
    ax.plot(ends, ends, color="black", linewidth=1, zorder=1)
    for factor in (1 - _NEAR, 1 + _NEAR):
        ax.plot(ends, factor * ends, color="black", linewidth=0.7, linestyle=":", zorder=1)
    ax.plot([], [], color="black", linewidth=0.7, linestyle=":", label="±10 % of measured")
    ax.set(xlim=(low, high), ylim=(low, high))
    plain_log(ax, "x")
    plain_log(ax, "y")
