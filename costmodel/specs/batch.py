"""A network for another number of inputs at once."""

from __future__ import annotations

from typing import Any

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.counting.metrics import params, work
from costmodel.errors import CostModelError, DataError
from costmodel.graph import at, free_symbols, infer_node, nodes_in_order
from costmodel.ops import BroadcastTo, Input, Reshape

BATCH_NAMES = ("batch", "n")
"""What the batch of a network of the zoo is called, and the symbol of one."""


def with_batch(graph: nx.DiGraph, batch: int) -> nx.DiGraph:
    """Return ``graph`` with ``batch`` inputs at once.

    A free symbol called ``batch`` or ``n`` is replaced. Otherwise the leading axis of inputs and of
    reshapes that keep it is, and the result is taken only if the work follows the batch exactly
    and the parameters stay the same.

    Raises
    ------
    DataError
        If the batch cannot be changed.

    Examples
    --------
    >>> from costmodel import zoo
    >>> work(with_batch(zoo.resnet18(), 8)) == work(zoo.resnet18(batch=8))
    True
    """
    names = {s.name for s in free_symbols(graph)}
    for name in BATCH_NAMES:
        if name in names:
            return at(graph, **{name: batch})
    inputs = [op for _, op in graph.nodes(data="op") if isinstance(op, Input)]
    before = {op.shape[0] if op.shape else None for op in inputs}
    refusal = f"the batch of {graph.name or 'the network'} is fixed; export it with batch {batch}"
    if len(before) != 1 or not isinstance(old := before.pop(), int):
        raise DataError(refusal)
    try:
        result = _rebatched(graph, old, batch)
    except CostModelError as error:
        raise DataError(f"{refusal} ({error})") from None
    if work(result) * old != work(graph) * batch or params(result) != params(graph):
        raise DataError(refusal)
    return result


def _rebatched(graph: nx.DiGraph, old: int, new: int) -> nx.DiGraph:
    result = graph.copy()
    for node in nodes_in_order(graph):
        op: Any = node.op
        follows = isinstance(op, Reshape | BroadcastTo) and node.inputs[0].shape[:1] == (old,)
        if (isinstance(op, Input) or follows) and op.shape[:1] == (old,):
            op = op.with_fields(shape=(new, *taken(op.shape[1:])))
        inputs = tuple(result.nodes[source]["outputs"][output] for source, output in node.sources)
        result.nodes[node.name].update(op=op, outputs=infer_node(node.name, op, inputs))
    return result
