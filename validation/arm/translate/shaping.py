"""Rules for operators that move elements along any axis, as views if nothing must move."""

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
    Pad,
    PixelShuffle,
    Slice,
    Split,
    Transpose,
)

from ..bench.program import Call
from .axes import (
    MOST_AXES,
    along,
    around,
    channels,
    collapsed,
    last_of_four,
    merged,
)
from .state import Params, RefusedError, State, four_axes

_MOST_MOVED = 8


def shuffle(state: State, node: Node) -> None:
    """Write a channel shuffle."""
    op = node.op
    assert isinstance(op, ChannelShuffle)
    shape = channels(node.inputs[0])
    reads = [state.seen(state.inputs(node)[0], shape)]
    state.write(node, "shuffle", reads, {"groups": op.groups}, shape=shape)


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
    """Write a transpose, those axes that stay together taken as one."""
    op = node.op
    assert isinstance(op, Transpose)
    _permute(state, node, node.inputs[0].shape, op.order)


def _permute(state: State, node: Node, shape: Sequence[int], order: Sequence[int]) -> None:
    (whole,) = state.inputs(node)
    out = permuted(state, whole, shape, order, node.name)
    if out == whole:
        state.view(node, 0)
    else:
        state.put(node, out)


def permuted(
    state: State, number: int, shape: Sequence[int], order: Sequence[int], name: str
) -> int:
    """Write a tensor with its axes in another order; return it, or itself where nothing moves."""
    extents, places = merged(shape, order)
    if list(places) == list(range(len(places))):
        return number
    if len(extents) > _MOST_MOVED:
        raise RefusedError(f"of {len(extents)} axes that part; the kernel takes {_MOST_MOVED}")
    params: Params = {"order": "".join(map(str, places))}
    if len(extents) <= MOST_AXES:
        missing = MOST_AXES - len(extents)
        number = state.seen(number, last_of_four(extents))
        params["order"] = "".join(map(str, [*range(missing), *(p + missing for p in places)]))
        made = last_of_four([extents[axis] for axis in places])
    else:
        params["dims"] = "x".join(map(str, extents))
        *before, last = (extents[axis] for axis in places)
        made = (1, 1, math.prod(before), last)
    return state.made("transpose", [number], params, made, name)


def broadcast(state: State, node: Node) -> None:
    """Write a broadcast; a view where no element is repeated."""
    assert isinstance(node.op, BroadcastTo)
    (number,), (out,) = state.inputs(node), node.outputs
    made = expanded(state, number, node.inputs[0].shape, out.shape, node.name)
    if made == number:
        state.view(node, 0)
    else:
        state.put(node, made)


def expanded(state: State, number: int, shape: Sequence[int], out: Sequence[int], name: str) -> int:
    """Write a tensor broadcast to a shape; return it, or itself where no element is repeated."""
    (extents,), whole = collapsed([shape], out)
    if len(whole) <= MOST_AXES:
        if extents == whole:
            return number
        reads = [state.seen(number, last_of_four(extents))]
        return state.made("broadcast", reads, {}, last_of_four(whole), name)
    for axis, size in enumerate(whole):  # one axis after the other
        if extents[axis] != size:
            before, after = math.prod(extents[:axis]), math.prod(extents[axis + 1 :])
            reads = [state.seen(number, (1, before, 1, after))]
            number = state.made("broadcast", reads, {}, (1, before, size, after), name)
            extents = (*extents[:axis], size, *extents[axis + 1 :])
    return number


def pad(state: State, node: Node) -> None:
    """Write a border of zeros; a copy where there is none, as in torch."""
    op = node.op
    assert isinstance(op, Pad)
    pairs = [(int(before), int(after)) for before, after in op.padding]
    if not any(map(any, pairs)):
        state.write(node, "copy", state.inputs(node), {})
        return
    if any(min(pair) < 0 for pair in pairs):
        raise RefusedError("that cuts off")
    shape, (number,) = tuple(node.inputs[0].shape), state.inputs(node)
    axes = [axis for axis, pair in enumerate(pairs) if any(pair)]
    together = len(_bordered(shape, node.outputs[0].shape, shape)[0]) <= MOST_AXES
    for part in [axes] if together else [[axis] for axis in axes]:
        out = tuple(size + sum(pairs[a]) if a in part else size for a, size in enumerate(shape))
        before = [pairs[a][0] if a in part else 0 for a in range(len(shape))]
        inside, outside, first = _bordered(shape, out, before)
        keys = ("begin", "begin_c", "begin_h", "begin_w")[MOST_AXES - len(first) :]
        params: Params = {key: begin for key, begin in zip(keys, first, strict=True) if begin}
        reads = [state.seen(number, last_of_four(inside))]
        number = state.made("pad", reads, params, last_of_four(outside), node.name)
        shape = out
    state.put(node, number)


def _bordered(
    inside: Sequence[int], outside: Sequence[int], before: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Return the extents and the place of the first element, axes without a border as one."""
    found: tuple[list[int], list[int], list[int]] = ([], [], [])
    free = False
    for small, large, first in zip(inside, outside, before, strict=True):
        if small == large and free:
            found[0][-1] *= small
            found[1][-1] *= large
            continue
        for extents, value in zip(found, (small, large, first), strict=True):
            extents.append(value)
        free = small == large
    return found


def pixel_shuffle(state: State, node: Node) -> None:
    """Write channels to the places between pixels: a transpose of six axes."""
    op = node.op
    assert isinstance(op, PixelShuffle)
    n, _, h, w = node.inputs[0].shape
    f = int(op.factor)
    c = node.outputs[0].shape[1]
    _permute(state, node, (n, c, f, f, h, w), (0, 1, 4, 2, 5, 3))
