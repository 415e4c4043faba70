"""Op graph -> specification for ``armbench``.

Translation includes the usual steps of inference engines: batch norms are folded into the
convolution before them, ReLU and ReLU6 are fused into their producer, and operators that move
nothing become views. Tensors made of constants alone are stored. An operator without a kernel is
rejected by name.
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from costmodel.errors import UnknownOperatorError, listed
from costmodel.graph import Node, nodes_in_order

from ..bench.program import Spec
from .rules import RULES
from .state import Products, RefusedError, State, check_tensors
from .stored import stored_nodes


def lower(graph: nx.DiGraph, fuse: bool = True, products: Products = "float32") -> Spec:
    """Translate an op graph.

    Parameters
    ----------
    graph
        A concrete graph in float32; or in float16, whose products are in float16.
    fuse
        Whether batch norms are folded and activations fused.
    products
        ``"int8"`` quantizes the operands of convolutions (but depthwise ones) and linear layers.

    Raises
    ------
    UnknownOperatorError
        Some operators have no ARM kernel; all are listed.

    Examples
    --------
    >>> from costmodel import zoo
    >>> spec = lower(zoo.shufflenet_v2(width=0.5))
    >>> sorted({call.kernel for call in spec.calls})
    ['concat', 'conv1x1', 'conv3x3', 'depthwise', 'globalpool', 'linear', 'maxpool', 'shuffle']
    """
    return lowered(graph, fuse, products).builder.build()


def lowered(graph: nx.DiGraph, fuse: bool = True, products: Products = "float32") -> State:
    """Translate an op graph, and tell which tensors and seeds its nodes have; see :func:`lower`."""
    state = State(graph, fuse, stored_nodes(graph), products)
    refused: dict[str, list[str]] = {}
    blocked: set[str] = set()
    for node in nodes_in_order(graph):
        if node.name in state.done or node.name in state.stored:
            continue
        try:
            check_tensors(node)
            rule = _rule(node)
            if blocked.isdisjoint(graph.predecessors(node.name)):
                rule(state, node)
                continue
        except RefusedError as why:
            reason = f" ({why})" if str(why) else ""
            refused.setdefault(f"{type(node.op).__name__}{reason}", []).append(node.name)
        blocked.add(node.name)
    if refused:
        raise UnknownOperatorError(
            "the ARM backend has no kernel for "
            + "; ".join(f"{what} at {listed(names, 1)}" for what, names in refused.items())
        )
    return state


def _rule(node: Node) -> Callable[[State, Node], None]:
    rule = RULES.get(type(node.op))
    if rule is None:
        raise RefusedError
    return rule
