"""Rules for operators that move elements: along any axis, as views where nothing has to move."""

from __future__ import annotations

import math
from collections.abc import Sequence

from costmodel.graph import Node
from costmodel.ops import (
    BroadcastTo,
    ChannelShuffle,
    Concat,
    Embedding,
    Gather,
    Slice,
    Split,
    Transpose,
)
from costmodel.ops.tensor import Tensor

from ..bench.program import Call, Shape
from .state import Params, RefusedError, State, four_axes

_AXES = 4


def around(extents: Sequence[int], axis: int) -> Shape:
    """Return the shape in four axes whose second is ``axis``: before, it, after, 1.

    Examples
    --------
    >>> around((2, 3, 4, 5), 2)
    (6, 4, 5, 1)
    """
    axis %= len(extents)
    return math.prod(extents[:axis]), extents[axis], math.prod(extents[axis + 1 :]), 1


def along(tensor: Tensor, axis: int) -> Shape:
    """Return the shape in four axes whose second is ``axis``; channels of images stay so."""
    if tensor.rank <= _AXES and axis % tensor.rank == 1:
        return four_axes(tensor)
    return around(tensor.shape, axis)


def shuffle(state: State, node: Node) -> None:
    """Write a channel shuffle."""
    op = node.op
    assert isinstance(op, ChannelShuffle)
    state.write(node, "shuffle", state.inputs(node), {"groups": op.groups})


def concat(state: State, node: Node) -> None:
    """Write a concatenation along any axis."""
    op = node.op
    assert isinstance(op, Concat)
    reads = [
        state.seen(number, along(tensor, op.axis))
        for number, tensor in zip(state.inputs(node), node.inputs, strict=True)
    ]
    state.write(node, "concat", reads, {}, shape=along(node.outputs[0], op.axis))


def split(state: State, node: Node) -> None:
    """Write a split along any axis; along the first that has more than one place, views."""
    op = node.op
    assert isinstance(op, Split)
    shapes = [along(tensor, op.axis) for tensor in node.outputs]
    if shapes[0][0] == 1:  # the parts lie one after the other
        offset = 0
        for output, shape in enumerate(shapes):
            state.view(node, output, offset)
            offset += math.prod(shape)
        return
    (whole,) = state.inputs(node)
    outs = [state.builder.tensor(shape) for shape in shapes]
    reads = (state.seen(whole, along(node.inputs[0], op.axis)),)
    state.builder.add(Call("split", reads, tuple(outs), {}, node.name))
    for output, number in enumerate(outs):
        shape = four_axes(node.outputs[output])
        state.tensors[node.name, output] = state.seen(number, shape)


def slice_(state: State, node: Node) -> None:
    """Write a slice along any axis; a view where the places lie together."""
    op = node.op
    assert isinstance(op, Slice)
    before, _, after, _ = around(node.inputs[0].shape, op.axis)
    if op.step < 1:
        raise RefusedError(f"a step of {op.step}")
    if before == 1 and op.step == 1:
        state.view(node, 0, op.start * after)
        return
    step: Params = {"step": op.step} if op.step != 1 else {}
    reads = [state.seen(state.inputs(node)[0], along(node.inputs[0], op.axis))]
    shape = along(node.outputs[0], op.axis)
    state.write(node, "slice", reads, {"begin": op.start, **step}, shape=shape)


def gather(state: State, node: Node) -> None:
    """Write a gather by an index that is stored with the network."""
    op = node.op
    assert isinstance(op, Gather)
    if state.is_computed(node, 1):
        raise RefusedError("by an index that is computed")
    whole = around(node.inputs[0].shape, op.axis)
    before, _, after, _ = whole
    count = math.prod(node.inputs[1].shape)
    reads = [state.seen(state.inputs(node)[0], whole)]
    params: Params = {"axis": 1, "seed": state.seed(node.name)}
    state.write(node, "gather", reads, params, shape=(before, count, after, 1))


def embedding(state: State, node: Node) -> None:
    """Write a look-up of rows; which rows makes no difference to the time."""
    op = node.op
    assert isinstance(op, Embedding)
    if state.is_computed(node, 0):
        raise RefusedError("by an index that is computed")
    count, seed = math.prod(node.inputs[0].shape), state.seed(node.weights)
    table = state.builder.tensor((1, int(op.rows), int(op.features), 1), seed=seed)
    shape = (1, count, int(op.features), 1)
    state.write(node, "gather", [table], {"axis": 1, "seed": state.seed(node.name)}, shape=shape)


def transpose(state: State, node: Node) -> None:
    """Write a transpose of at most four axes, those that stay together taken as one."""
    op = node.op
    assert isinstance(op, Transpose)
    extents, order = merged(node.inputs[0].shape, op.order)
    if list(order) == list(range(len(order))):
        state.view(node, 0)
        return
    if len(extents) > _AXES:
        raise RefusedError(f"of {len(extents)} axes that part; the kernel takes {_AXES}")
    missing = _AXES - len(extents)
    reads = [state.seen(state.inputs(node)[0], _four((1,) * missing + extents))]
    places = [*range(missing), *(axis + missing for axis in order)]
    shape = _four((1,) * missing + tuple(extents[axis] for axis in order))
    word = "".join(map(str, places))
    state.write(node, "transpose", reads, {"order": word}, shape=shape)


def merged(shape: Sequence[int], order: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the extents and the order of a transpose without axes of one, neighbours together.

    Examples
    --------
    >>> merged((1, 8, 7, 8, 7, 96), (0, 1, 3, 2, 4, 5))
    ((8, 7, 8, 672), (0, 2, 1, 3))
    """
    kept = [axis % len(shape) for axis in order if shape[axis] != 1]
    groups: list[list[int]] = []
    present = sorted(kept)
    for axis in kept:
        after = groups and present.index(axis) == present.index(groups[-1][-1]) + 1
        if after:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ranked = sorted(groups)
    extents = tuple(math.prod(shape[axis] for axis in group) for group in ranked)
    return extents, tuple(ranked.index(group) for group in groups)


def broadcast(state: State, node: Node) -> None:
    """Write a broadcast; a view where no element is repeated."""
    assert isinstance(node.op, BroadcastTo)
    (tensor,), (out,) = node.inputs, node.outputs
    if math.prod(tensor.shape) == math.prod(out.shape):
        state.view(node, 0)
        return
    reads = [state.seen(state.inputs(node)[0], aligned(tensor.shape, out.rank))]
    state.write(node, "broadcast", reads, {})


def aligned(shape: Sequence[int], rank: int) -> Shape:
    """Return a shape as it is broadcast to ``rank`` axes, in four.

    Examples
    --------
    >>> aligned((192,), 3)
    (1, 1, 192, 1)
    """
    return _four((1,) * (rank - len(shape)) + tuple(shape))


def _four(extents: tuple[int, ...]) -> Shape:
    if len(extents) > _AXES:
        raise RefusedError(f"{len(extents)} axes; the kernels take {_AXES}")
    a, b, c, d = (*extents, 1, 1, 1, 1)[:_AXES]
    return a, b, c, d
