"""A builder of op graphs that infers shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import islice

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import GraphError
from costmodel.graph.blocks import Block
from costmodel.graph.blocks import Value as Value
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
from costmodel.graph.shared import sharing
from costmodel.ops import Input, Op, Output
from costmodel.ops.tensor import Tensor

_FOREIGN = "is not a tensor of this builder"


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
        if not isinstance(name, str):
            raise GraphError(f"the name of a network must be a text, got {name!r}")
        self._network = name
        self._nodes: dict[str, Node] = {}
        self._modules: list[str] = []
        self._module = ""
        self._used: dict[str, int] = {}
        self._paths: set[str] = set()  # modules that have or may have operators
        self._shares = 0  # operators whose weights were named

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
            Name of the learned tensors, to share them with another node that needs as many
            elements: the same shape, or transposed as in tied embeddings.

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
                raise GraphError(f"node {node!r}: input {value!r} {_FOREIGN}")
        self._shares += weights is not None
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
        self._enter(self._module)
        try:
            yield
        finally:
            self._modules.pop()
            self._module = ".".join(self._modules)

    def repeat(self, times: int, block: Callable[[Value], Value], x: Value) -> Value:
        """Add a block ``times`` times in a row, in modules ``0``, ``1`` and so on.

        The graph is that of a loop over ``block``. If a block returns a tensor of the shape that it
        takes and names no weights, ``block`` is called once and its operators are copied.

        Parameters
        ----------
        times : int
            Number of blocks. [1]
        block : callable
            Adds a block behind a tensor and returns its result: the same operators for tensors of
            one shape. Nothing outside may use other tensors of the block.
        x : Value
            The tensor that the first block takes.

        Raises
        ------
        GraphError
            If ``x`` or the result of ``block`` is not a tensor of this builder.

        Examples
        --------
        >>> from costmodel.ops import Conv
        >>> b = Builder("plain")
        >>> x = b.input((1, 8, 7, 7))
        >>> list(b.finish(b.repeat(3, lambda x: b.add(Conv(8, (3, 3), padding=1), x), x)))
        ['input', '0.conv', '1.conv', '2.conv', 'output']
        """
        done = 0
        while done < times:
            shares, fresh = self._shares, self._inside(str(done)) not in self._paths
            body = self._recorded(str(done), block, x)
            copied = fresh and body.keeps_shape and shares == self._shares
            first, last = done, times if copied else done + 1
            for number in range(first, last):
                module = self._inside(str(number))
                if number > first and module in self._paths:
                    break  # operators count on behind those that are there
                self._enter(module)
                nodes, x = body.behind(x, module)
                self._nodes.update(nodes)
                done = number + 1
        return x

    def finish(self, *outputs: Value) -> nx.DiGraph:
        """Mark ``outputs`` and return the graph.

        Raises
        ------
        GraphError
            If an output is not a tensor of this builder, or nodes that share weights cannot.
        """
        for value in outputs:
            self.add(Output(), value, name="output")
        check_sizes_of(node.outputs for node in self._nodes.values())
        if self._shares:
            sharing(self._nodes.values())
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

    def _recorded(self, name: str, block: Callable[[Value], Value], x: Value) -> Block:
        """Return the operators that ``block`` adds in module ``name``, and remove them again."""
        start, module = len(self._nodes), self._inside(name)
        if not isinstance(x, Value) or x.node not in self._nodes:
            raise GraphError(f"module {module!r}: input {x!r} {_FOREIGN}")
        with self.module(name):
            taken = x._replace(node=self._name(Output(), "taken"))
            self._nodes[taken.node] = Node(taken.node, Output(), (), (), "", "")
            try:
                result = block(taken)
                if not isinstance(result, Value) or result.node not in self._nodes:
                    raise GraphError(f"module {module!r}: result {result!r} {_FOREIGN}")
            finally:
                _, *nodes = islice(self._nodes.values(), start, None)
                for added in (taken.node, *[node.name for node in nodes]):
                    del self._nodes[added]
        return Block(module, taken, nodes, result)

    def _enter(self, path: str) -> None:
        while path and path not in self._paths:
            self._paths.add(path)
            path = path.rpartition(".")[0]

    def _inside(self, name: str) -> str:
        return f"{self._module}.{name}" if self._module else name

    def _name(self, op: Op, name: str | None) -> str:
        stem = name or getattr(op, "kind", None) or _snake(type(op).__name__)
        full = self._inside(stem)
        if "." in stem:
            self._enter(full.rpartition(".")[0])
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
