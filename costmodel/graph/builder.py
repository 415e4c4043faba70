"""A builder of op graphs that infers shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import GraphError
from costmodel.graph.schema import SCHEMA, Link, OpGraph, check_arrays, infer_node
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
        self._graph = OpGraph(name=name, schema=SCHEMA)
        self._modules: list[str] = []
        self._used: Counter[str] = Counter()

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
        module = ".".join(self._modules)
        node = self._name(op, name, module)
        for value in inputs:
            if not isinstance(value, Value) or value.node not in self._graph:
                raise GraphError(f"node {node!r}: input {value!r} is not a tensor of this builder")
        outputs = infer_node(node, op, tuple(value.tensor for value in inputs))
        self._graph.add_node(node, op=op, outputs=outputs, module=module, weights=weights or node)
        for slot, value in enumerate(inputs):
            links = self._graph.get_edge_data(value.node, node, {"links": ()})["links"]
            self._graph.add_edge(value.node, node, links=(*links, Link(value.output, slot)))
        return tuple(Value(node, i, tensor) for i, tensor in enumerate(outputs)) or (
            Value(node, 0, Tensor(())),
        )

    @contextmanager
    def module(self, name: str) -> Iterator[None]:
        """Put the operators added inside the ``with`` block into module ``name``."""
        self._modules.append(name)
        try:
            yield
        finally:
            self._modules.pop()

    def finish(self, *outputs: Value) -> nx.DiGraph:
        """Mark ``outputs`` and return the graph."""
        for value in outputs:
            self.add(Output(), value, name="output")
        check_arrays(self._graph)
        return self._graph

    def _name(self, op: Op, name: str | None, module: str) -> str:
        stem = name or getattr(op, "kind", None) or _snake(type(op).__name__)
        full = f"{module}.{stem}" if module else stem
        self._used[full] += 1
        candidate = full if self._used[full] == 1 else f"{full}_{self._used[full]}"
        if candidate in self._graph:
            return self._name(op, name, module)
        return candidate


def _snake(name: str) -> str:
    """Return ``BatchNorm`` as ``batch_norm``.

    >>> _snake("BatchNorm"), _snake("PReLU")
    ('batch_norm', 'prelu')
    """
    if name[1:2].isupper():
        return name.lower()
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
