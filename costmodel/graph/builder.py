"""A builder of op graphs that infers shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import GraphError
from costmodel.graph.schema import (
    SCHEMA,
    Link,
    Node,
    OpGraph,
    Source,
    Unlinked,
    check_sizes_of,
    infer_node,
)
from costmodel.ops import Input, Op, Output
from costmodel.ops.tensor import Tensor


class Value(NamedTuple):
    """A tensor of a graph under construction: its producer, output number, shape and dtype."""

    node: str
    output: int
    tensor: Tensor

    @property
    def shape(self) -> tuple[Dim, ...]:
        """Its shape [element]."""
        return self.tensor.shape


class Builder:
    """Builds an op graph, one call per operator.

    Parameters
    ----------
    name : str
        Name of the network.

    Examples
    --------
    >>> from costmodel.ops import Conv, Elementwise
    >>> b = Builder("block")
    >>> x = b.input((1, 64, 56, 56))
    >>> y = b.add(Conv(64, (3, 3), padding=1), x)
    >>> y = b.add(Elementwise("add"), x, y)
    >>> graph = b.finish(b.add(Elementwise("relu"), y))
    >>> list(graph)
    ['input', 'conv', 'add', 'relu', 'output']

    Errors name the node and the shapes:

    >>> b.add(Conv(64, (3, 3), groups=5), x)
    Traceback (most recent call last):
    ...
    costmodel.errors.ShapeError: node 'conv_2': Conv input channels 64 is not divisible by 5
    """

    def __init__(self, name: str = "network") -> None:
        self._network = name
        self._nodes: dict[str, Node] = {}
        self._modules: list[str] = []
        self._module = ""
        self._used: dict[str, int] = {}

    def input(self, shape: tuple[Dim, ...], dtype: str = "float32", name: str = "input") -> Value:
        """Add an input and return its tensor."""
        return self.add(Input(shape, dtype), name=name)

    def add(
        self, op: Op, *inputs: Value, name: str | None = None, weights: str | None = None
    ) -> Value:
        """Add ``op`` with ``inputs`` and return its first output.

        Parameters
        ----------
        op : Op
            The operator.
        *inputs : Value
            The tensors of its slots, in order.
        name : str, optional
            Name of the node; by default the kind of operator and a number.
        weights : str, optional
            Name of the learned tensors, to share them with another node.

        Raises
        ------
        ShapeError
            If the operator does not accept these tensors.
        """
        return self.add_many(op, *inputs, name=name, weights=weights)[0]

    def add_many(
        self, op: Op, *inputs: Value, name: str | None = None, weights: str | None = None
    ) -> tuple[Value, ...]:
        """Add ``op`` and return all its outputs (see :meth:`add`)."""
        nodes = self._nodes
        node = self._name(op, name)
        for value in inputs:
            if not isinstance(value, Value) or value.node not in nodes:
                raise GraphError(f"node {node!r}: input {value!r} is not a tensor of this builder")
        tensors = tuple([value.tensor for value in inputs])
        outputs = infer_node(node, op, tensors)
        sources: tuple[Source, ...] = tuple([value[:2] for value in inputs])
        nodes[node] = Node(node, op, tensors, outputs, self._module, weights or node, sources)
        if len(outputs) == 1:
            return (Value(node, 0, outputs[0]),)
        return tuple(Value(node, i, tensor) for i, tensor in enumerate(outputs)) or (
            Value(node, 0, Tensor(())),
        )

    @contextmanager
    def module(self, name: str) -> Iterator[None]:
        """Put the operators added inside the ``with`` block into module ``name``."""
        self._modules.append(name)
        self._module = ".".join(self._modules)
        try:
            yield
        finally:
            self._modules.pop()
            self._module = ".".join(self._modules)

    def finish(self, *outputs: Value) -> nx.DiGraph:
        """Mark ``outputs`` and return the graph."""
        for value in outputs:
            self.add(Output(), value, name="output")
        check_sizes_of(node.outputs for node in self._nodes.values())
        if _UNLINKED.get():
            return Unlinked(self._network, self._nodes.values())
        graph = OpGraph(name=self._network, schema=SCHEMA)
        for node in self._nodes.values():
            data = {"op": node.op, "outputs": node.outputs, "module": node.module}
            graph.add_node(node.name, **data, weights=node.weights)
            links: dict[str, tuple[Link, ...]] = {}
            for slot, (source, output) in enumerate(node.sources):
                links[source] = (*links.get(source, ()), Link(output, slot))
            for source, known in links.items():
                graph.add_edge(source, node.name, links=known)
        return graph

    def _name(self, op: Op, name: str | None) -> str:
        stem = name or getattr(op, "kind", None) or _snake(type(op).__name__)
        full = f"{self._module}.{stem}" if self._module else stem
        while True:
            number = self._used[full] = self._used.get(full, 0) + 1
            candidate = full if number == 1 else f"{full}_{number}"
            if candidate not in self._nodes:
                return candidate


_UNLINKED: ContextVar[bool] = ContextVar("unlinked", default=False)


@contextmanager
def unlinked() -> Iterator[None]:
    """Let :meth:`Builder.finish` return the nodes alone inside the ``with`` block.

    A design space reads many networks once each, and needs no graphs of them.

    Examples
    --------
    >>> b = Builder("block")
    >>> with unlinked():
    ...     found = b.finish(b.input((1, 64, 56, 56)))
    >>> found.name, [node.name for node in found]
    ('block', ['input', 'output'])
    """
    token = _UNLINKED.set(True)
    try:
        yield
    finally:
        _UNLINKED.reset(token)


@cache
def _snake(name: str) -> str:
    """Return ``BatchNorm`` as ``batch_norm``.

    >>> _snake("BatchNorm"), _snake("PReLU")
    ('batch_norm', 'prelu')
    """
    if name[1:2].isupper():
        return name.lower()
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
