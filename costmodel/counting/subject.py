"""Subjects of the metrics: a graph, one operator with its input tensors, or a prepared graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import networkx as nx

from costmodel.counting.cost import Cost, OpCost, op_cost, sum_costs
from costmodel.errors import GraphError, listed
from costmodel.graph import Node, infer_node, nodes_in_order
from costmodel.graph.schema import Unlinked
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A subject read once, with the data that all metrics share (see :func:`prepare`).

    Parameters
    ----------
    nodes : tuple of Node
        The operators in order.
    costs : tuple of OpCost
        The costs of each.
    total : Cost
        The sum of their additive costs.
    name : str
        Name of the network.
    known : dict
        Results of metrics that other metrics use again.
    """

    nodes: tuple[Node, ...]
    costs: tuple[OpCost, ...]
    total: Cost
    name: str = ""
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<Prepared {self.name!r}: {len(self.nodes)} nodes>"


Subject: TypeAlias = nx.DiGraph | Op | Prepared | Unlinked
"""A graph, an operator (with its input tensors as further arguments), or a prepared graph."""


def prepare(subject: Subject, *inputs: Tensor) -> Prepared:
    """Read a graph once for several metrics; all of them accept the result.

    It does not reflect later changes of the graph.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.

    Raises
    ------
    GraphError
        If ``subject`` is neither, or tensors come with a graph.

    Examples
    --------
    >>> import costmodel as cm
    >>> ready = prepare(cm.zoo.pointwise(56, 56, 128, 128))
    >>> cm.multiply_adds(ready), cm.mac(ready)
    (51380224, 819200)
    """
    if isinstance(subject, Prepared):
        _refuse(inputs)
        return subject
    nodes = nodes_of(subject, inputs)
    costs = tuple(op_cost(node.op, node.inputs) for node in nodes)
    name = "" if isinstance(subject, Op) else str(subject.name)
    return Prepared(tuple(nodes), costs, sum_costs([c.cost for c in costs]), name)


def nodes_of(subject: Subject, inputs: tuple[Tensor, ...] = ()) -> list[Node]:
    """Return the nodes of a graph in order, or one node for an operator and its inputs.

    Raises
    ------
    GraphError
        If ``subject`` is neither, or tensors come with a graph.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> nodes_of(Linear(10), (Tensor((1, 20)),))[0].outputs[0].shape
    (1, 10)
    """
    if isinstance(subject, Op):
        name = type(subject).__name__
        subject.check_fields()
        if not all(isinstance(x, Tensor) for x in inputs):
            raise GraphError(f"inputs of {name} must be tensors, got {listed(inputs, 4)}")
        return [Node(name, subject, inputs, infer_node(name, subject, inputs), "", name)]
    _refuse(inputs)
    if isinstance(subject, Unlinked):
        return list(subject)
    return list(subject.nodes if isinstance(subject, Prepared) else nodes_in_order(subject))


def _refuse(inputs: tuple[Tensor, ...]) -> None:
    if inputs:
        raise GraphError("input tensors go with a single operator, not with a graph")
