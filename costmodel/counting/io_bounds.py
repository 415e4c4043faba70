"""Least traffic of any schedule of a network, with any fusion and order."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, is_symbolic, maximum, minimum, total
from costmodel.counting.demand import Demand, demand_in
from costmodel.counting.subject import Prepared, prepare
from costmodel.ops import Parameter


def io_lower_bound(graph: nx.DiGraph | Prepared) -> Dim:
    r"""Return the least traffic of any schedule of the network: inputs, outputs, parameters.

    .. math:: Q \ge \sum_x |x| + \sum_w |w| + \sum_y |y|

    over inputs :math:`x`, weights :math:`w` and outputs :math:`y`; only touched elements count.

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    Each of these elements is in slow memory before the network runs, or must be there afterwards,
    so it moves at least once. A sufficiently large fast memory could hold everything else: the
    bound also holds for fused and interleaved schedules.

    The bound counts only unavoidable elements: the largest part of an input that one operator
    touches (without pixels skipped by a stride), the largest part of shared weights that one
    operator touches, and the written part of an output. It excludes operators that no output
    depends on, and elements needed only by them or by unused results.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.io_lower_bound(cm.zoo.pointwise(56, 56, 128, 128))
    819200
    """
    ready = prepare(graph)
    return least_io(demand_in(ready), ready.total.mac)


def least_io(demand: Demand, mac: Dim) -> Dim:
    """Return the bound of a network from its demand and memory access cost [element]."""
    learned: dict[str, Dim] = {}
    moved: list[Dim] = []
    for (name, _), count in demand.given.items():
        node = demand.views.nodes[name]
        if isinstance(node.op, Parameter):
            _raise(learned, node.weights, count)
        else:
            moved.append(count)
    for use in demand.uses:
        _raise(learned, use.node.weights, use.weights)
        moved += use.leaves
    return _at_most_mac(total([*moved, *learned.values()]), mac)


def _raise(learned: dict[str, Dim], name: str, count: Dim) -> None:
    """Count shared weights by the operator that touches most of them."""
    learned[name] = maximum(learned[name], count) if name in learned else count


def _at_most_mac(bound: Dim, mac: Dim) -> Dim:
    """Return the bound, limited by the traffic of the operators if parts of the network are empty.

    Attention without keys reads no queries. Symbols stand for non-empty tensors.
    """
    return bound if is_symbolic(bound) or is_symbolic(mac) else minimum(bound, mac)
