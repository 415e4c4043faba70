"""Least traffic against the size of the fast memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import networkx as nx

from costmodel.counting.cache_bounds import cache_lower_bound, fast_elements
from costmodel.counting.io_bounds import io_lower_bound
from costmodel.counting.metrics import mac
from costmodel.counting.subject import prepare
from costmodel.errors import DataError
from costmodel.graph import free_symbols
from costmodel.plots.style import STYLES, as_graphs, axes, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def traffic_bounds(
    sizes: Sequence[float],
    graphs: nx.DiGraph | Mapping[str, nx.DiGraph],
    ax: Axes | None = None,
) -> Axes:
    """Draw the least traffic of networks through fast memories of several sizes.

    Parameters
    ----------
    sizes : sequence of float
        Of the fast memory. [byte]
    graphs : DiGraph or mapping of str to DiGraph
        Networks of numbers; by name where there are several.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        Elements [10^6] against the size of the fast memory: for operators that run one after the
        other (solid), for any schedule (dotted), and MAC, each operand once for each operator
        (dashed).

    Raises
    ------
    DataError
        If a network has symbols, or a memory holds no element.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from matplotlib.figure import Figure
    >>> ax = traffic_bounds([2e4, 2e5, 2e6], zoo.pointwise(56, 56, 64, 64), Figure().add_subplot())
    >>> ax.get_xlabel()
    'fast memory [kB]'
    """
    named = as_graphs(graphs)
    ax = axes(ax)
    x = [size / 1e3 for size in sizes]
    for i, (name, graph) in enumerate(named.items()):
        if free_symbols(graph):
            raise DataError(f"{name or 'the network'} has symbols: give them numbers")
        style, ready = STYLES[i % len(STYLES)], prepare(graph)
        unfused = [
            float(cache_lower_bound(ready, capacity=fast_elements(ready, size))) / 1e6
            for size in sizes
        ]
        suffix = f" of {name}" if name else ""
        ax.plot(x, unfused, color=style.color, marker=style.marker, label=f"least, unfused{suffix}")
        levels = (("MAC", mac(ready), "--"), ("least of any", io_lower_bound(ready), ":"))
        for what, value, line in levels:
            ax.axhline(float(value) / 1e6, color=style.color, linestyle=line, label=what + suffix)
    ax.set(xlabel="fast memory [kB]", ylabel="traffic [10$^6$ elements]")
    plain_log(ax, "x")
    plain_log(ax, "y")
    ax.legend(fontsize="small")
    return ax
