"""Kernels extracted from a network, to be run alone."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import networkx as nx

from costmodel.graph import Node, nodes_in_order, sources_of
from costmodel.graph.builder import Builder, Value
from costmodel.kernels import Kernel
from costmodel.ops import Constant, Parameter

from ..errors import MeasuringError

_Source = tuple[str, int]


@dataclass(frozen=True)
class Alone:
    """A kernel as a separate network.

    Parameters
    ----------
    body : DiGraph
        The operators of the kernel; an input for each tensor that it reads.
    views : DiGraph, optional
        Makes those inputs that are views of a larger tensor in the network, so that the kernel
        meets them as it does there: strided.
    slots : tuple of int
        The inputs of ``body`` that the outputs of ``views`` are.
    """

    body: nx.DiGraph
    views: nx.DiGraph | None
    slots: tuple[int, ...]

    @property
    def signature(self) -> Hashable:
        """Key of kernels that take the same time: operators and shapes."""
        views = None if self.views is None else graph_signature(self.views)
        return graph_signature(self.body), views, self.slots


def cut_out(graph: nx.DiGraph, kernel: Kernel) -> Alone:
    """Return ``kernel`` of ``graph`` alone.

    Raises
    ------
    MeasuringError
        If the kernel computes something that is not a node of the graph.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels.lowering import lower
    >>> from costmodel.runtimes import load_runtime
    >>> g = zoo.shufflenet_v2()
    >>> kernels = lower(g, load_runtime("torch-eager"))
    >>> list(cut_out(g, kernels[0]).body)
    ['input', 'conv', 'output']
    """
    nodes = {node.name: node for node in nodes_in_order(graph)}
    missing = [name for name in kernel.nodes if name not in nodes]
    if missing:
        raise MeasuringError(f"kernel {kernel.name!r}: {missing[0]!r} is not a node of the network")
    cut = _Cut(graph, nodes, Builder(kernel.name), Builder("views"))
    for name in kernel.nodes:
        cut.take(name)
    inside = set(kernel.nodes)
    outputs = [
        value
        for (name, i), value in cut.values.items()
        if name in inside and cut.is_result(name, i, inside)
    ]
    body = cut.body.finish(*outputs)
    viewed = [view for view in cut.inputs if view is not None]
    slots = tuple(i for i, view in enumerate(cut.inputs) if view is not None)
    return Alone(body, cut.views.finish(*viewed) if viewed else None, slots)


def graph_signature(graph: nx.DiGraph) -> Hashable:
    """Return the operators, shapes and wiring of ``graph``, whatever its nodes are called.

    Examples
    --------
    >>> from costmodel import zoo
    >>> graph_signature(zoo.resnet18()) == graph_signature(zoo.resnet18())
    True
    """
    numbers: dict[str, int] = {}
    rows = []
    for node in nodes_in_order(graph):
        wiring = tuple((numbers[s], i) for s, i in sources_of(graph, node.name))
        numbers[node.name] = len(numbers)
        rows.append((node.op, node.outputs, wiring))
    return tuple(rows)


@dataclass
class _Cut:
    """The two graphs of a kernel while they are built."""

    graph: nx.DiGraph
    nodes: dict[str, Node]
    body: Builder
    views: Builder

    def __post_init__(self) -> None:
        self.values: dict[_Source, Value] = {}
        self.inputs: list[Value | None] = []
        self._viewed: dict[_Source, Value] = {}

    def take(self, name: str) -> None:
        """Add node ``name`` to the body."""
        node = self.nodes[name]
        sources = [self._value(source) for source in sources_of(self.graph, name)]
        made = self.body.add_many(node.op, *sources, weights=node.weights)
        self.values.update({(name, value.output): value for value in made})

    def is_result(self, name: str, output: int, inside: set[str]) -> bool:
        """Return whether a value of the body is used outside, or not at all."""
        takers = [
            taker
            for _, taker, links in self.graph.out_edges(name, data="links")
            if any(link[0] == output for link in links)
        ]
        return not takers or any(taker not in inside for taker in takers)

    def _value(self, source: _Source) -> Value:
        """Return what the body reads for ``source``: made in it, a constant of it, or an input."""
        if source not in self.values:
            node = self.nodes[source[0]]
            if isinstance(node.op, Constant | Parameter):
                self.values[source] = self.body.add(node.op)
            else:
                tensor = node.outputs[source[1]]
                self.values[source] = self.body.input(tensor.shape, tensor.dtype)
                self.inputs.append(self._view(source) if node.op.is_view else None)
        return self.values[source]

    def _view(self, source: _Source) -> Value:
        """Return ``source`` in the graph of views, with the chain of views that leads to it."""
        if source not in self._viewed:
            node = self.nodes[source[0]]
            if node.op.is_view:
                root = sources_of(self.graph, node.name)[0]
                made = self.views.add_many(node.op, self._view(root))
                self._viewed.update({(node.name, value.output): value for value in made})
            else:
                tensor = node.outputs[source[1]]
                self._viewed[source] = self.views.input(tensor.shape, tensor.dtype)
        return self._viewed[source]
