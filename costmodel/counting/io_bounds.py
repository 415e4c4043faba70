"""What any schedule of a network moves at least, whatever is fused and however it is ordered."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, is_symbolic, maximum, minimum, total
from costmodel.counting.demand import Demand, demand_in
from costmodel.counting.subject import Prepared, prepare
from costmodel.ops import Parameter


def io_lower_bound(graph: nx.DiGraph | Prepared) -> Dim:
    r"""Return what any schedule of the network moves at least: inputs, outputs, parameters.

    .. math:: Q \ge \sum_x |x| + \sum_w |w| + \sum_y |y|

    over inputs :math:`x`, weights :math:`w` and outputs :math:`y`, of each the elements that are
    touched.

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    Each of these elements is in slow memory before the network runs, or must be there after it, so
    it is moved once. Everything else could stay in a fast memory that is large enough: the bound
    holds for fused and interleaved schedules, too.

    Counted is only what a schedule cannot do without: of an input the largest part that one
    operator touches (no pixels that a stride skips), of weights that operators share the most that
    one of them touches, of an output what was written of it; nothing of operators that no output
    depends on, nor of what only they or unused results need.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.io_lower_bound(cm.zoo.pointwise(56, 56, 128, 128))
    819200
    """
    ready = prepare(graph)
    return least_io(demand_in(ready), ready.total.mac)


def least_io(demand: Demand, mac: Dim) -> Dim:
    """Return the bound of a network whose demand and memory access cost are known [element]."""
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
    """Count the weights of a name by the user that touches most of them."""
    learned[name] = maximum(learned[name], count) if name in learned else count


def _at_most_mac(bound: Dim, mac: Dim) -> Dim:
    """Return the bound, but what the operators move where parts of the network have nothing to do.

    Attention without keys reads no queries. Symbols stand for tensors that are not empty.
    """
    return bound if is_symbolic(bound) or is_symbolic(mac) else minimum(bound, mac)
