"""The widths of a network as symbols, for the solver."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from costmodel.algebra.symbols import dim
from costmodel.errors import DataError
from costmodel.graph import Node, free_symbols, nodes_in_order, validate
from costmodel.guidelines.drafts import drafts_of, rebuilt
from costmodel.guidelines.widths import Class, Widths, is_depthwise, resized
from costmodel.ops import ChannelShuffle, Conv


def free_widths(graph: nx.DiGraph) -> tuple[nx.DiGraph, dict[str, int], dict[str, list[str]]]:
    """Return a network whose widths are symbols: one for each set of equally wide layers.

    Widths fixed by outputs, splits, groups and shuffles stay numbers.

    Parameters
    ----------
    graph : DiGraph
        A network whose channels are numbers.

    Returns
    -------
    DiGraph
        The network with symbols ``c1``, ``c2`` ...
    dict of str to int
        The present value of each symbol. [1]
    dict of str to list of str
        The layers of each symbol.

    Raises
    ------
    DataError
        If no width is free.

    Examples
    --------
    >>> import costmodel as cm
    >>> free, now, layers = free_widths(cm.zoo.g1_stack(36, 144, blocks=2))
    >>> now
    {'c1': 144, 'c2': 36, 'c3': 144}
    >>> cm.multiply_adds(cm.at(free, **now)) == cm.multiply_adds(cm.zoo.g1_stack(36, 144, blocks=2))
    True
    """
    validate(graph)
    nodes = list(nodes_in_order(graph))
    if not all(isinstance(t.shape[1], int) for n in nodes for t in n.outputs if t.rank > 1):
        raise DataError(
            f"the channels of {graph.name or 'the network'} must be numbers to be freed: symbols "
            "are free already"
        )
    widths = Widths(nodes)
    held = _held(nodes, widths)
    free = [c for c in widths.classes if not c.fixed and id(c) not in held]
    if not free:
        raise DataError(f"no width of {graph.name or 'the network'} is free to be changed")
    taken = {s.name for s in free_symbols(graph)}
    names = (name for i in range(1, 10**6) if (name := f"c{i}") not in taken)
    named = dict(zip(names, free, strict=False))
    symbols = {maker: dim(name) for name, c in named.items() for maker in c.makers}
    changed = rebuilt(resized(drafts_of(graph), symbols), graph)
    return (
        changed,
        {name: c.width for name, c in named.items()},
        {name: list(c.makers) for name, c in named.items()},
    )


def _held(nodes: Iterable[Node], widths: Widths) -> set[int]:
    """Return the classes (by identity) whose width must be divisible by groups or shuffles."""
    found: set[int] = set()
    for node in nodes:
        op = node.op
        grouped = isinstance(op, Conv) and op.groups != 1 and not is_depthwise(node)
        if grouped or isinstance(op, ChannelShuffle):
            ends: list[Class | None] = [widths.made(node.name), *widths.reads(node)]
            found |= {id(c) for c in ends if c is not None}
    return found
