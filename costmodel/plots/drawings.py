"""A graph drawn in layers: every operator below those that feed it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

from costmodel.errors import DataError
from costmodel.kinds import KINDS
from costmodel.ops import Conv, Elementwise, Input, Op, Output, Pool
from costmodel.ops.tensor import Tensor
from costmodel.plots.style import axes, needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NODES = 80
"""Most operators that one picture holds."""
_SWEEPS = 8
_PRODUCT, _PLAIN, _VIEW = "#BBD5E8", "#F2F2F2", "#FFFFFF"

# A node of the picture: an operator, or the bend of an edge that passes a layer.
_Spot: TypeAlias = "str | tuple[str, str, int]"


def draw(graph: nx.DiGraph, ax: Axes | None = None) -> Axes:
    """Draw the operators of a graph and the tensors between them, from top to bottom.

    Parameters
    ----------
    graph : DiGraph
        An op graph of at most :data:`MOST_NODES` operators; of a larger one draw a part:
        ``graph.subgraph(name for name in graph if name.startswith("stage2.0"))``.
    ax : Axes, optional
        Where to draw, by default on a new figure of fitting size.

    Returns
    -------
    Axes
        Without ticks. Operators with multiply-adds are shaded, views (which move nothing) have
        dashed borders; the second line of a box is the shape of its first output.

    Raises
    ------
    DataError
        If the graph is too large, or empty.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from matplotlib.figure import Figure
    >>> len(draw(zoo.pointwise(56, 56, 24, 48), Figure().add_subplot()).texts)
    5
    """
    needed(graph, nx.DiGraph, "an op graph, as costmodel.network returns it")
    if not 0 < len(graph) <= MOST_NODES:
        raise DataError(
            f"{len(graph)} operators do not fit one picture (1 to {MOST_NODES}): draw a part, "
            "graph.subgraph(names)"
        )
    layers, chains = _layers(graph)
    spots = _place(layers, chains)
    wide, deep = max(map(len, layers)), len(layers)
    ax = axes(ax, width=1.2 + 1.7 * wide, height=0.4 + 0.62 * deep)
    for chain in chains:
        for start, end in pairwise(chain):
            _edge(ax, spots[start], spots[end], arrow=isinstance(end, str))
    for name, op in graph.nodes(data="op"):
        _box(ax, spots[name], _label(op, graph.nodes[name]["outputs"]), op)
    ax.set_xlim(-(wide - 1) / 2 - 0.6, (wide - 1) / 2 + 0.6)
    ax.set_ylim(-deep + 0.4, 0.6)
    ax.set_axis_off()
    return ax


def _layers(graph: nx.DiGraph) -> tuple[list[list[_Spot]], list[list[_Spot]]]:
    """Return the spots of each layer and, for each edge, the spots that it runs through."""
    depth: dict[str, int] = {}
    layers: list[list[_Spot]] = []
    for i, generation in enumerate(nx.topological_generations(graph)):
        depth |= dict.fromkeys(generation, i)
        layers.append(list(generation))
    chains: list[list[_Spot]] = []
    for a, b in graph.edges:
        bends: list[_Spot] = [(a, b, i) for i in range(depth[a] + 1, depth[b])]
        for i, bend in enumerate(bends, start=depth[a] + 1):
            layers[i].append(bend)
        chains.append([a, *bends, b])
    return layers, chains


def _place(
    layers: list[list[_Spot]], chains: list[list[_Spot]]
) -> dict[_Spot, tuple[float, float]]:
    """Order each layer by the mean place of its neighbours, down and up again (Sugiyama)."""
    above: dict[_Spot, list[_Spot]] = {spot: [] for layer in layers for spot in layer}
    below: dict[_Spot, list[_Spot]] = {spot: [] for layer in layers for spot in layer}
    for chain in chains:
        for a, b in pairwise(chain):
            below[a].append(b)
            above[b].append(a)
    x: dict[_Spot, float] = {}

    def settle(layer: list[_Spot]) -> None:
        for j, spot in enumerate(layer):
            x[spot] = j - (len(layer) - 1) / 2

    for layer in layers:
        settle(layer)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for layer in layers if down else layers[::-1]:
            layer.sort(key={spot: _mean(near[spot], spot, x) for spot in layer}.__getitem__)
            settle(layer)
    return {spot: (x[spot], -float(i)) for i, layer in enumerate(layers) for spot in layer}


def _mean(near: list[_Spot], spot: _Spot, x: dict[_Spot, float]) -> float:
    """Return the mean place of the neighbours, its own place for a spot that has none."""
    return sum(x[n] for n in near) / len(near) if near else x[spot]


def _edge(ax: Axes, start: tuple[float, float], end: tuple[float, float], arrow: bool) -> None:
    ax.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>" if arrow else "-",
            "shrinkA": 0,
            "shrinkB": 12 if arrow else 0,
            "linewidth": 0.8,
            "color": "#444444",
        },
        zorder=1,
    )


def _box(ax: Axes, place: tuple[float, float], label: str, op: Op) -> None:
    products = any(KINDS[kind].product for kind in op.kernel_kinds)
    shade = _VIEW if op.is_view else _PRODUCT if products else _PLAIN
    ax.text(
        *place,
        label,
        ha="center",
        va="center",
        fontsize=7,
        linespacing=1.1,
        bbox={
            "boxstyle": "round,pad=0.3",
            "facecolor": shade,
            "edgecolor": "black",
            "linewidth": 0.7,
            "linestyle": "--" if op.is_view else "-",
        },
        zorder=2,
    )


def _label(op: Op, outputs: tuple[Tensor, ...]) -> str:
    shape = "x".join(str(size) for size in outputs[0].shape) if outputs else ""
    return f"{_name(op)}\n{shape}" if shape else _name(op)


def _name(op: Op) -> str:
    """Return the fields that distinguish an operator from others of its class."""
    name = type(op).__name__
    match op:
        case Conv(kernel=kernel, groups=groups):
            taps = "x".join(map(str, kernel))
            return f"{name} {taps}" + ("" if groups == 1 else f" g{groups}")
        case Elementwise(kind=kind):
            return kind
        case Pool(kernel=kernel):
            return f"{name} {'x'.join(map(str, kernel))}"
        case Input() | Output():
            return name.lower()
    return name
