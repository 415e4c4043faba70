"""Tensors of a graph under construction, and blocks that are repeated in it."""

from __future__ import annotations

from typing import NamedTuple

from costmodel.algebra.symbols import Dim, same
from costmodel.graph.schema import Node
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


class Block(NamedTuple):
    """Nodes behind a tensor that stands for the one that a block takes."""

    module: str
    taken: Value
    nodes: list[Node]
    result: Value

    @property
    def keeps_shape(self) -> bool:
        """Whether it returns a tensor like the one that it takes."""
        (_, output, x), y = self.taken, self.result
        alike = x.dtype == y.tensor.dtype and x.rank == y.tensor.rank
        return alike and output == y.output and all(map(same, x.shape, y.shape))

    def behind(self, x: Value, module: str) -> tuple[dict[str, Node], Value]:
        """Return the nodes by name and the result behind ``x``, in another module."""
        cut = len(self.module)
        names = {node.name: module + node.name[cut:] for node in self.nodes}
        names[self.taken.node] = x.node
        nodes = {}
        for name, op, inputs, outputs, within, weights, sources, _ in self.nodes:
            own = names[name]
            feeds = tuple([(names.get(source, source), output) for source, output in sources])
            learned = own if weights == name else weights
            within = module + within[cut:]
            nodes[own] = Node(own, op, inputs, outputs, within, learned, feeds)
        last, output, tensor = self.result
        return nodes, Value(names.get(last, last), output, tensor)
