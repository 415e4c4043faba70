"""Elements needed by elementwise operators and by normalizations along some axes."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, ceil_div, exact_div, minimum, product, same
from costmodel.counting.needs.base import Needs, Part, every_axis, needs_of
from costmodel.ops import (
    BatchNorm,
    Cast,
    ChannelShuffle,
    Contiguous,
    Elementwise,
    GroupNorm,
    Identity,
    LayerNorm,
    LocalResponseNorm,
    Op,
    PReLU,
    Reduce,
    Softmax,
)
from costmodel.ops.base import need_axis
from costmodel.ops.reduction import lower_triangle
from costmodel.ops.tensor import Tensor

Tensors = tuple[Tensor, ...]
Parts = tuple[Part, ...]


@needs_of.register(Cast)
@needs_of.register(ChannelShuffle)
@needs_of.register(Contiguous)
@needs_of.register(Elementwise)
@needs_of.register(Identity)
@needs_of.register(LocalResponseNorm)
def _alone(op: Op, inputs: Tensors, parts: Parts) -> Needs:
    """Need one element of every input per result; broadcast inputs share theirs."""
    (part,) = parts
    return Needs(tuple(_broadcast(x, part) for x in inputs))


def _broadcast(x: Tensor, part: Part) -> Part:
    box = every_axis(x.shape, part.box)
    return part if len(box) == len(part.box) and all(map(same, box, part.box)) else Part.of(*box)


@needs_of.register(BatchNorm)
@needs_of.register(PReLU)
def _by_channel(op: BatchNorm | PReLU, inputs: Tensors, parts: Parts) -> Needs:
    (part,) = parts
    channels = part.box[1]
    if isinstance(op, PReLU):
        return Needs((part,), 1 if op.shared else channels)
    return Needs((part,), (4 if op.affine else 2) * channels)


@needs_of.register
def _layer_norm(op: LayerNorm, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    learned = len(op.weights(x)) * product(part.box[-op.axes :])
    return Needs((Part.of(*part.box[: -op.axes], *x.shape[-op.axes :]),), learned)


@needs_of.register
def _group_norm(op: GroupNorm, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    images, channels, *_ = part.box
    taken = channels
    if not same(channels, x.shape[1]):
        size = exact_div(x.shape[1], op.groups)
        taken = ceil_div(channels, size) * size
    return Needs((Part.of(images, taken, *x.shape[2:]),), len(op.weights(x)) * channels)


@needs_of.register
def _softmax(op: Softmax, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    axis = need_axis(op, x, op.axis)
    if not op.causal:
        return Needs((Part.of(*part.box[:axis], x.shape[axis], *part.box[axis + 1 :]),))
    points = product(x.shape[:-2]) * lower_triangle(*x.shape[-2:])
    there = part.covers(points if part.seen else x.elements)
    return Needs((triangle(x.shape, points, there),))


def triangle(shape: tuple[Dim, ...], points: Dim, there: Dim) -> Part:
    """Return the part of a tensor that a causal mask keeps: a rectangle, and more."""
    *outer, rows, columns = shape
    above = rows // 2 if isinstance(rows, int) else 0
    below = rows - above
    box = (*outer, below, minimum(above + 1, columns))
    return Part(tuple(n * there for n in box), points * there, seen=True)


@needs_of.register
def _reduce(op: Reduce, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    if op.kind == "cumsum":
        return Needs((part,))
    axes = {need_axis(op, x, a) for a in op.axes}
    kept = [i for i in range(x.rank) if op.keepdims or i not in axes]
    wanted = dict(zip(kept, part.box, strict=True))
    return Needs((Part.of(*(n if i in axes else wanted[i] for i, n in enumerate(x.shape))),))
