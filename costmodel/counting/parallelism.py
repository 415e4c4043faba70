"""Work and span of a network: its available parallelism (guideline G3)."""

from __future__ import annotations

from typing import NamedTuple

import networkx as nx
import numpy as np

from costmodel.algebra.amounts import check_amount
from costmodel.algebra.symbols import Dim, are_ints, ceil_div, is_symbolic, maximum
from costmodel.counting.metrics import work
from costmodel.counting.subject import Prepared, Subject, nodes_of, prepare
from costmodel.errors import DataError, cut
from costmodel.graph import Node
from costmodel.ops.tensor import Tensor

_ROOT = object()
_SINK = object()


class Bracket(NamedTuple):
    """A lower and an upper bound."""

    lower: Dim
    upper: Dim


def span(subject: Subject, *inputs: Tensor) -> Dim:
    """Return the length of the longest chain of dependent steps (the critical path) [step].

    A reduction runs in order: ``c1`` multiply-adds for one output of a 1x1 convolution. A tree
    would take about ``log2 c1`` steps, but no runtime builds one within a single output.

    Notes
    -----
    The symbolic span is factored at immediate dominators (operators that every path passes), so
    ``f + Max(p, q)`` does not double at every fork and join.

    Examples
    --------
    >>> import costmodel as cm
    >>> c = cm.symbols("c")[0]
    >>> cm.span(cm.zoo.pointwise(56, 56, c, 64))
    c
    """
    ready = prepare(subject, *inputs)
    if "span" not in ready.known:
        ready.known["span"] = _longest(ready)
    found: Dim = ready.known["span"]
    return found


def _longest(ready: Prepared) -> Dim:
    steps = [c.span for c in ready.costs]
    ints = are_ints(steps)
    if not ints and any(is_symbolic(s) for s in steps):
        names = (node.name for node in ready.nodes)
        return _symbolic_span(ready.nodes, dict(zip(names, steps, strict=True)))
    largest = max if ints else maximum
    finish: dict[str, Dim] = {}
    for node, own in zip(ready.nodes, steps, strict=True):
        before = [finish[source] for source, _ in node.sources]
        start = largest(*before) if len(before) > 1 else sum(before)
        finish[node.name] = own + start
    return maximum(*finish.values())


def parallelism(subject: Subject, *inputs: Tensor) -> Dim:
    """Return the average parallelism, work over span: the number of processors kept busy [1].

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.parallelism(cm.zoo.pointwise(56, 56, 128, 64))
    200704.0
    """
    ready = prepare(subject, *inputs)
    longest = span(ready)
    if not is_symbolic(longest) and np.any(longest == 0):
        raise DataError("average parallelism is undefined: the network computes nothing")
    return work(ready) / longest


def brent(subject: Subject, *inputs: Tensor, processors: Dim) -> Bracket:
    r"""Return Brent's bracket of the number of steps on ``processors`` processors.

    .. math:: \max(\lceil W/P \rceil, S) \le T_P \le \frac{W - S}{P} + S

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.
    processors : Dim
        Number of processors ``P``, each of which does one step at a time. [1]

    Returns
    -------
    Bracket
        Lower and upper bound. [step]

    Raises
    ------
    DataError
        If ``processors`` is not a whole number of at least 1.

    Notes
    -----
    A step occupies one processor for one unit of time, so :math:`P` processors need at least
    :math:`\lceil W/P \rceil` units for the work :math:`W`, and at least the span :math:`S`. For the
    upper bound run level by level, where level :math:`i` contains the steps at depth :math:`i`: its
    :math:`w_i` steps take :math:`\lceil w_i/P \rceil \le (w_i - 1)/P + 1`, and there are :math:`S`
    levels.

    References
    ----------
    :cite:t:`brent1974parallel`

    Examples
    --------
    >>> import costmodel as cm
    >>> brent(cm.zoo.pointwise(56, 56, 128, 64), processors=28 * 128)
    Bracket(lower=7168, upper=7295.964285714285)
    """
    processors = check_amount(processors, "processors")
    if not is_symbolic(processors) and np.any(processors % 1 != 0):
        raise DataError(f"processors must be whole, got {cut(str(processors), 60)}")
    ready = prepare(subject, *inputs)
    everything, longest = work(ready), span(ready)
    lower = maximum(ceil_div(everything, processors), longest)
    return Bracket(lower, (everything - longest) / processors + longest)


def kernels_in_series(graph: nx.DiGraph | Prepared) -> int:
    """Return the largest number of operators on a path without views: launches in series [1].

    Examples
    --------
    >>> import costmodel as cm
    >>> kernels_in_series(cm.zoo.pointwise(56, 56, 128, 64))
    1
    """
    depth: dict[str, int] = {}
    for node in nodes_of(graph):
        before = max((depth[source] for source, _ in node.sources), default=0)
        depth[node.name] = before + bool(node.inputs and node.outputs and not node.op.is_view)
    return max(depth.values())


def _symbolic_span(nodes: tuple[Node, ...], spans: dict[str, Dim]) -> Dim:
    rooted: nx.DiGraph = nx.DiGraph()
    for node in nodes:
        makers: list[object] = [source for source, _ in node.sources] or [_ROOT]
        rooted.add_edges_from((maker, node.name) for maker in makers)
    ends = [node.name for node in nodes if rooted.out_degree(node.name) == 0]
    rooted.add_edges_from((name, _SINK) for name in ends)
    dominator = nx.immediate_dominators(rooted, _ROOT)
    # local[v]: the longest chain from the dominator of v (excluded) to v (included).
    local: dict[object, Dim] = {}
    for name in (*(node.name for node in nodes), _SINK):
        chains = []
        for source in rooted.pred[name]:
            chain: Dim = 0
            while source != dominator[name]:
                chain = chain + local[source]
                source = dominator[source]
            chains.append(chain)
        local[name] = _max_of(chains) + (0 if name is _SINK else spans[str(name)])
    total: Dim = 0
    at: object = _SINK
    while at is not _ROOT:
        total = total + local[at]
        at = dominator[at]
    return total


def _max_of(chains: list[Dim]) -> Dim:
    distinct = list(dict.fromkeys(chains))
    return distinct[0] if len(distinct) == 1 else maximum(*distinct)
