"""Transposes and casts that engines put around operators for which they have no kernel."""

from __future__ import annotations

from contextlib import suppress

from costmodel.graph import Node, Source
from costmodel.ops import Cast, Input, Op, Output, Softmax, Transpose
from costmodel.ops.tensor import Tensor

_WIDER = "float32"


def with_transposes(nodes: list[Node]) -> list[Node]:
    """Return the nodes with transposes around every softmax over another axis than the last.

    The copies run where the runtime counts ``Transpose`` among its copies.
    """
    found: list[Node] = []
    alias: dict[Source, Source] = {}
    for original in nodes:
        node = original._replace(sources=tuple(alias.get(s, s) for s in original.sources))
        axis = _odd_axis(node)
        if axis is None:
            found.append(node)
            continue
        (x,) = node.inputs
        order = tuple(range(x.rank))
        order = (*order[:axis], order[-1], *order[axis + 1 : -1], axis)
        before = _added(f"{node.name}.before", Transpose(order), node, x, node.sources)
        (turned,) = before.outputs
        middle = _added(node.name, Softmax(), node, turned, ((before.name, 0),))
        after = _added(f"{node.name}.after", Transpose(order), node, turned, ((node.name, 0),))
        found += (before, middle, after)
        alias[node.name, 0] = (after.name, 0)
    return found


def merge_alike(nodes: list[Node]) -> list[Node]:
    """Return the nodes without those that compute what an earlier one has computed.

    A compiler finds the same operator on the same tensors, such as an activation of each branch.
    Operators with learned tensors, and those with arrays in their fields, are kept.
    """
    kept: list[Node] = []
    alias: dict[Source, Source] = {}
    first: dict[tuple[Op, tuple[Source, ...]], str] = {}
    for original in nodes:
        node = original
        if alias:
            node = node._replace(sources=tuple(alias.get(s, s) for s in node.sources))
        maker = node.name
        if node.sources and node.outputs:
            # Arrays cannot be hashed.
            with suppress(TypeError):
                maker = first.setdefault((node.op, node.sources), maker)
        if maker == node.name or node.op.weights(*node.inputs):
            kept.append(node)
        else:
            alias.update({(node.name, i): (maker, i) for i in range(len(node.outputs))})
    return kept


def _odd_axis(node: Node) -> int | None:
    """Return the axis of a softmax where it is not the last."""
    if not isinstance(node.op, Softmax):
        return None
    rank = node.inputs[0].rank
    axis = node.op.axis % rank
    return None if axis == rank - 1 else axis


def _added(name: str, op: Op, like: Node, x: Tensor, sources: tuple[Source, ...]) -> Node:
    return like._replace(name=name, op=op, inputs=(x,), outputs=op.infer(x), sources=sources)


def widened(nodes: list[Node], dtypes: tuple[str, ...]) -> list[Node]:
    """Return the nodes with tensors of ``dtypes`` in float32, cast where they come in and go out.

    Casts between two operators undo each other and are dropped.
    """
    if not any(t.dtype in dtypes for node in nodes for t in node.outputs):
        return nodes
    found: list[Node] = []
    alias: dict[Source, Source] = {}
    for node in nodes:
        wide = node._replace(
            sources=tuple(alias.get(s, s) for s in node.sources),
            inputs=tuple(_wide(t, dtypes) for t in node.inputs),
            outputs=tuple(_wide(t, dtypes) for t in node.outputs),
        )
        if isinstance(node.op, Input) and wide.outputs != node.outputs:
            cast = _added(f"{node.name}.cast", Cast(_WIDER), node, node.outputs[0], _first(node))
            found += (node, cast)
            alias[node.name, 0] = (cast.name, 0)
        elif isinstance(node.op, Output) and wide.inputs != node.inputs:
            (narrow,) = node.inputs
            cast = Node(
                f"{node.name}.cast",
                Cast(narrow.dtype),
                wide.inputs,
                node.inputs,
                node.module,
                f"{node.name}.cast",
                wide.sources,
            )
            found += (cast, node._replace(sources=((cast.name, 0),)))
        else:
            found.append(wide)
    return found


def _first(node: Node) -> tuple[Source, ...]:
    return ((node.name, 0),)


def _wide(tensor: Tensor, dtypes: tuple[str, ...]) -> Tensor:
    return Tensor(tensor.shape, _WIDER) if tensor.dtype in dtypes else tensor
