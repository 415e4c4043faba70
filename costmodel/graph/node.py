"""The records of an op graph: its class, its nodes and its links."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import networkx as nx

from costmodel.ops import Op
from costmodel.ops.tensor import Tensor


class OpGraph(nx.DiGraph):  # type: ignore[misc]
    """A networkx directed graph that notebooks display with its totals.

    The library builds this class; its functions accept any ``networkx.DiGraph`` of the schema.

    Examples
    --------
    >>> from costmodel import zoo
    >>> isinstance(zoo.pointwise(56, 56, 24, 48), nx.DiGraph)
    True
    >>> zoo.pointwise(56, 56, 24, 48)
    <OpGraph 'pointwise': 3 operators>
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {len(self)} operators>"


class Link(NamedTuple):
    """One tensor on an edge: output number of the producer, input slot of the consumer."""

    output: int
    slot: int


Source: TypeAlias = tuple[str, int]
"""Source of a tensor: the name of a node and an output number."""


class Node(NamedTuple):
    """A node for the metrics: name, operator, input and output tensors, and their producers.

    Where a runtime makes its learned tensors anew, their producers come after those of the inputs.
    """

    name: str
    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    module: str
    weights: str
    sources: tuple[Source, ...] = ()
    trainable: tuple[bool, ...] | None = None


class Unlinked(tuple[Node, ...]):
    """The nodes of a network in order, without a graph (:func:`costmodel.graph.builder.unlinked`).

    Parameters
    ----------
    name : str
        Name of the network.
    nodes : iterable of Node
        Its nodes.
    """

    name: str

    def __new__(cls, name: str, nodes: Iterable[Node]) -> Unlinked:
        """Return the nodes under a name."""
        found = super().__new__(cls, nodes)
        found.name = name
        return found
