"""Values known before any input, which an engine computes when it loads the network."""

from __future__ import annotations

import networkx as nx

from costmodel.graph import nodes_in_order
from costmodel.kinds import KINDS
from costmodel.ops import Constant, Op, Output, Parameter


def stored_nodes(graph: nx.DiGraph) -> frozenset[str]:
    """Return constants, parameters and what is made of them alone, but for products.

    Masks of windows and biases of relative positions are of this kind. Products stay: the runtime
    ``neon`` has them run (``costmodel.kernels.lowering``), as converters of networks do.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.ops import Elementwise, Parameter
    >>> builder = cm.Builder("bias")
    >>> table = builder.add(Parameter((1, 8)))
    >>> x = builder.input((1, 8))
    >>> y = builder.add(Elementwise("add"), x, builder.add(Elementwise("exp"), table))
    >>> sorted(stored_nodes(builder.finish(y)))
    ['exp', 'parameter']
    """
    stored: set[str] = set()
    for node in nodes_in_order(graph):
        sources = list(graph.predecessors(node.name))
        leaf = isinstance(node.op, Constant | Parameter)
        made = bool(sources) and stored.issuperset(sources) and not _is_product(node.op)
        if leaf or (made and not isinstance(node.op, Output)):
            stored.add(node.name)
    return frozenset(stored)


def _is_product(op: Op) -> bool:
    return any(KINDS[kind].product for kind in op.kernel_kinds)
