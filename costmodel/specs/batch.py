"""A network with another batch size."""

from __future__ import annotations

from typing import Any

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, is_symbolic
from costmodel.counting.metrics import params, work
from costmodel.errors import CostModelError, DataError
from costmodel.graph import at, free_symbols, infer_node, nodes_in_order
from costmodel.ops import BroadcastTo, Input, Reshape

BATCH_NAMES = ("batch", "n")
"""Names of the batch: the parameter of the zoo, and the symbol."""


def with_batch(graph: nx.DiGraph, batch: Dim) -> nx.DiGraph:
    """Return ``graph`` with batch size ``batch``, a number or a symbol.

    Replaces a free symbol ``batch`` or ``n``. Otherwise it replaces the leading axis of inputs and
    of reshapes that keep it; the result is accepted only if the work is exactly proportional to the
    batch and the parameters do not change.

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
    wanted = "an open batch" if is_symbolic(batch) else f"batch {batch}"
    refusal = f"the batch of {graph.name or 'the network'} is fixed; export it with {wanted}"
    if len(before) != 1 or not isinstance(old := before.pop(), int):
        raise DataError(refusal)
    # Work of symbols is compared at a number: equal expressions may be written differently.
    tried = 2 * old if is_symbolic(batch) else batch
    try:
        result = _rebatched(graph, old, tried)
    except CostModelError as error:
        raise DataError(f"{refusal} ({error})") from None
    if work(result) * old != work(graph) * tried or params(result) != params(graph):
        raise DataError(refusal)
    return _rebatched(graph, old, batch) if is_symbolic(batch) else result


def _rebatched(graph: nx.DiGraph, old: int, new: Dim) -> nx.DiGraph:
    result = graph.copy()
    for node in nodes_in_order(graph):
        op: Any = node.op
        follows = isinstance(op, Reshape | BroadcastTo) and node.inputs[0].shape[:1] == (old,)
        if (isinstance(op, Input) or follows) and op.shape[:1] == (old,):
            op = op.with_fields(shape=(new, *taken(op.shape[1:])))
        inputs = tuple(result.nodes[source]["outputs"][output] for source, output in node.sources)
        result.nodes[node.name].update(op=op, outputs=infer_node(node.name, op, inputs))
    return result
