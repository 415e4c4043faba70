"""Our count of a network, comparable with the independent one."""

from __future__ import annotations

import networkx as nx

from costmodel.counting.cost import op_cost
from costmodel.counting.subject import prepare

from .entry import Call


def our_graph(call: Call) -> nx.DiGraph:
    """Return the graph of a network; all its operators must be known."""
    from costmodel import from_torch

    return from_torch(call.module, *call.args, **call.kwargs)


def full_square(graph: nx.DiGraph) -> int:
    """Return the multiply-adds with all products of attention counted in full.

    The library counts only the triangle under a causal mask; the kernels in the independent count
    compute all scores.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.ops import Attention
    >>> b = cm.Builder("attention")
    >>> q = b.input((1, 2, 4, 8))
    >>> graph = b.finish(b.add(Attention(causal=True), q, q, q))
    >>> cm.multiply_adds(graph), full_square(graph)
    (320, 512)
    """
    total = 0
    ready = prepare(graph)
    for node, result in zip(ready.nodes, ready.costs, strict=True):
        if getattr(node.op, "causal", False):
            result = op_cost(node.op.with_fields(causal=False), node.inputs)
        total += int(result.cost.multiply_adds)
    return total
