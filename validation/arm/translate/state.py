"""State and checks shared by the rules that turn operators into calls of kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx

from costmodel.errors import ShapeError
from costmodel.graph import Node, sources_of
from costmodel.ops import (
    AdaptivePool,
    Attention,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    BroadcastTo,
    ChannelShuffle,
    Concat,
    Constant,
    Contiguous,
    Conv,
    Elementwise,
    Embedding,
    Gather,
    GroupNorm,
    Identity,
    Input,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Merge,
    Output,
    Pad,
    Pool,
    PReLU,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
    Transpose,
)
from costmodel.ops.tensor import Tensor

from ..bench.program import Call, Shape, SpecBuilder

Source = tuple[str, int]
Products = Literal["float32", "int8"]
Params = dict[str, int | str]
_FUSED_ACTIVATIONS = ("relu", "relu6")


class RefusedError(Exception):
    """The operator has no kernel; the message says what of it has none."""


def check_tensors(node: Node) -> None:
    """Refuse tensors the kernels cannot take."""
    # an index is made by the kernel that reads it
    if isinstance(node.op, Constant | Input) and node.outputs[0].dtype in _INDEX:
        return
    values = {Gather: node.inputs[:1], Embedding: ()}.get(type(node.op), node.inputs)
    for tensor in (*values, *node.outputs):
        if tensor.dtype not in FLOATS:
            raise RefusedError(f"its tensors are {tensor.dtype}, the kernels take float32")
        if tensor.rank > 4 and type(node.op) not in ANY_RANK:
            raise RefusedError(f"a tensor of {tensor.rank} axes, the kernels take 4")
        if 0 in tensor.shape:
            raise RefusedError("a tensor without elements")
        if not all(isinstance(extent, int) for extent in tensor.shape):
            raise ShapeError(
                f"node {node.name!r} has the shape {tensor}: "
                "put numbers for its symbols with costmodel.at"
            )


FLOATS = ("float32", "float16")
"""Dtypes of tensors; they are stored in float32, and those in float16 multiplied in float16."""
_INDEX = ("int64", "int32")
ANY_RANK = frozenset(
    {
        *(Input, Output, Identity, Reshape, Merge, Contiguous, Transpose, Elementwise, Linear),
        *(Concat, Split, Slice, Gather, Softmax, Reduce, Embedding, LayerNorm, MatMul, Attention),
        *(BroadcastTo, Pad, Conv, Pool, AdaptivePool, Resize, BatchNorm, GroupNorm, PReLU),
        *(LocalResponseNorm, ChannelShuffle, AttentionScores, AttentionMix),
    }
)
"""Operators whose rules see a tensor of any rank as one of four axes."""


def four_axes(tensor: Tensor) -> Shape:
    """Return the shape with ones after it up to four axes, or the first of more taken as one."""
    extents: list[Any] = [*tensor.shape, 1, 1, 1, 1][: max(4, tensor.rank)]
    *first, c, h, w = extents
    return math.prod(first), c, h, w


def is_same(values: Any) -> bool:
    """Return whether a window has the same number along all axes."""
    return len(set(values)) == 1


@dataclass
class State:
    """What is known half way: tensors by the node and output they come from."""

    graph: nx.DiGraph
    fuse: bool
    stored: frozenset[str] = frozenset()
    products: Products = "float32"
    builder: SpecBuilder = field(default_factory=SpecBuilder)
    tensors: dict[Source, int] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    seeds: dict[str, int] = field(default_factory=dict)

    def seed(self, key: str) -> int:
        """Return a number for each set of weights, one for nodes that share them."""
        return self.seeds.setdefault(key, len(self.seeds) + 1)

    def inputs(self, node: Node) -> list[int]:
        """Tensors that a node reads, by slot; an index that is stored is none."""
        sources = sources_of(self.graph, node.name)
        for source, tensor in zip(sources, node.inputs, strict=True):
            known = source in self.tensors or tensor.dtype in _INDEX
            if source[0] in self.stored and not known:
                seed = self.seed("/".join(map(str, source)))
                self.tensors[source] = self.builder.tensor(four_axes(tensor), seed=seed)
        return [self.tensors[source] for source in sources if source in self.tensors]

    def is_computed(self, node: Node, slot: int) -> bool:
        """Return whether an input is made by the network, rather than stored with it."""
        name, _ = sources_of(self.graph, node.name)[slot]
        return name not in self.stored and not isinstance(self.graph.nodes[name]["op"], Input)

    def seen(self, number: int, shape: Shape) -> int:
        """Return a tensor under another shape of as many elements."""
        if self.builder.shape(number) == shape:
            return number
        return self.builder.view(number, shape)

    def apart(self, numbers: list[int]) -> list[int]:
        """Return as many tensors without a repetition: operands of their own, as views."""
        found: list[int] = []
        for number in numbers:
            again = number in found
            found.append(self.builder.view(number, self.builder.shape(number)) if again else number)
        return found

    def write(
        self,
        node: Node,
        kernel: str,
        inputs: list[int],
        params: Params,
        end: str = "",
        shape: Shape | None = None,
    ) -> None:
        """One operator with one output, known from now on as the output of node ``end``.

        ``shape``: as the kernel sees the output; by default as the node does.
        """
        made = self.made(kernel, inputs, params, shape or four_axes(node.outputs[0]), node.name)
        self.put(node, made, end)

    def made(self, kernel: str, inputs: list[int], params: Params, shape: Shape, name: str) -> int:
        """Write a call with one output of this shape; return the output."""
        out = self.builder.tensor(shape)
        self.written.add(name)
        self.builder.add(Call(kernel, tuple(inputs), (out,), params, name))
        return out

    def put(self, node: Node, made: int, end: str = "") -> None:
        """Know a tensor as the only output of a node, and of the node ``end``."""
        out = self.seen(made, four_axes(node.outputs[0]))
        self.tensors[end or node.name, 0] = out
        if end:
            self.tensors[node.name, 0] = out

    def view(self, node: Node, output: int, offset: int = 0) -> None:
        """Make an output a part of the node's only input."""
        (whole,) = self.inputs(node)
        shape = four_axes(node.outputs[output])
        self.tensors[node.name, output] = self.builder.view(whole, shape, offset)

    def narrow(self, node: Node) -> Params:
        """Return the parameter of a product in narrow numbers."""
        dtype = self.products if self.products != "float32" else node.inputs[0].dtype
        return {} if dtype == "float32" else {"dtype": dtype}

    def only_reader(self, name: str) -> Node | None:
        """Return the node that alone reads this one's single output."""
        readers = list(self.graph.successors(name))
        if len(readers) != 1 or len(self.graph.edges[name, readers[0]]["links"]) != 1:
            return None
        data = self.graph.nodes[readers[0]]
        return Node(
            readers[0], data["op"], (), data["outputs"], "", data.get("weights", readers[0])
        )

    def fused_tail(self, node: Node, fold_norm: bool) -> tuple[str, Params, bool]:
        """Nodes that go into this one: the last one's name, its activation, whether a norm was."""
        end, params, folded = node.name, Params(), False
        if not self.fuse:
            return end, params, folded
        after = self.only_reader(end)
        if fold_norm and after is not None and isinstance(after.op, BatchNorm):
            end, folded = after.name, True
            self.done.add(end)
            after = self.only_reader(end)
        if (
            after is not None
            and isinstance(after.op, Elementwise)
            and after.op.kind in _FUSED_ACTIVATIONS
        ):
            end = after.name
            params["act"] = after.op.kind
            self.done.add(end)
        return end, params, folded
