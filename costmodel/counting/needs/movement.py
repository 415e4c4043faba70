"""Elements needed by views and copies: the part of the input for a part of the output."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, maximum, minimum, product, same, total
from costmodel.counting.needs.base import Needs, Part, every_axis, largest, needs_of, some
from costmodel.ops import (
    BroadcastTo,
    Concat,
    Embedding,
    Gather,
    Output,
    Pad,
    PixelShuffle,
    Reshape,
    Slice,
    Split,
    Transpose,
)
from costmodel.ops.base import need_axis
from costmodel.ops.tensor import Tensor

Tensors = tuple[Tensor, ...]
Parts = tuple[Part, ...]


@needs_of.register
def _output(op: Output, inputs: Tensors, parts: Parts) -> Needs:
    return Needs(tuple(some(x, 1) for x in inputs))


@needs_of.register
def _transpose(op: Transpose, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    box: list[Dim] = [0] * x.rank
    for axis, n in zip(op.order, part.box, strict=True):
        box[axis % x.rank] = n
    return Needs((Part(tuple(box), part.elements),))


@needs_of.register
def _broadcast(op: BroadcastTo, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    return Needs((Part.of(*every_axis(x.shape, part.box)),))


@needs_of.register
def _slice(op: Slice, inputs: Tensors, parts: Parts) -> Needs:
    return Needs(parts)


@needs_of.register
def _split(op: Split, inputs: Tensors, parts: Parts) -> Needs:
    """Join parts that are whole except along the cut axis."""
    (x,) = inputs
    axis = need_axis(op, x, op.axis)
    along = []
    for part, y in zip(parts, op.infer(x), strict=True):
        others = Part.of(*part.box[:axis], *part.box[axis + 1 :])
        rest = product((*y.shape[:axis], *y.shape[axis + 1 :]))
        along.append(part.box[axis] * others.covers(rest))
    joined = Part.of(*x.shape[:axis], total(along), *x.shape[axis + 1 :])
    return Needs((largest([joined, *parts], x.elements),))


@needs_of.register
def _reshape(op: Reshape, inputs: Tensors, parts: Parts) -> Needs:
    """Keep the part of merged or split axes if it is whole, or if they were one axis."""
    (part,), (x,) = parts, inputs
    (y,) = op.infer(x)
    if same(part.elements, y.elements):
        return Needs((some(x, 1),))
    box: list[Dim] = []
    i = j = 0
    while i < x.rank or j < y.rank:
        ours, theirs, i, j = _group(x.shape, y.shape, i, j)
        wanted = part.box[j - len(theirs) : j]
        if len(ours) == 1:
            box.append(product(wanted))
        else:
            there = Part.of(*wanted).covers(product(theirs))
            box += [n * there for n in ours]
    return Needs((Part(tuple(box), maximum(product(box), part.elements)),))


def _group(
    x: tuple[Dim, ...], y: tuple[Dim, ...], i: int, j: int
) -> tuple[tuple[Dim, ...], tuple[Dim, ...], int, int]:
    """Return the next axes of ``x`` and ``y`` with equal numbers of elements, and their ends.

    These are the fewest axes for numbers, and all remaining ones if sizes cannot be compared.
    """
    ends = sorted(
        ((a, b) for a in range(i, len(x) + 1) for b in range(j, len(y) + 1) if a + b > i + j),
        key=sum,
    )
    for a, b in ends:
        if a > i and b > j and same(product(x[i:a]), product(y[j:b])):
            return x[i:a], y[j:b], a, b
    return x[i:], y[j:], len(x), len(y)


@needs_of.register
def _concat(op: Concat, inputs: Tensors, parts: Parts) -> Needs:
    (part,) = parts
    axis = need_axis(op, inputs[0], op.axis)
    length = total(x.shape[axis] for x in inputs)
    n = part.box[axis]
    found = []
    for x in inputs:
        size = x.shape[axis]
        here = size if same(n, length) else maximum(0, size - (length - n))
        found.append(Part.of(*part.box[:axis], here, *part.box[axis + 1 :]))
    return Needs(tuple(found))


@needs_of.register
def _pad(op: Pad, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    box = [
        size if same(n, size + before + after) else maximum(0, n - before - after)
        for n, size, (before, after) in zip(part.box, x.shape, op.padding, strict=True)
    ]
    return Needs((Part.of(*box),))


@needs_of.register
def _pixel_shuffle(op: PixelShuffle, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    there = part.covers(x.elements)
    return Needs((Part(tuple(n * there for n in x.shape), part.elements),))


@needs_of.register
def _embedding(op: Embedding, inputs: Tensors, parts: Parts) -> Needs:
    (part,) = parts
    *words, features = part.box
    return Needs((Part.of(*words),), minimum(op.rows, product(words)) * features)


@needs_of.register
def _gather(op: Gather, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x, indices) = parts, inputs
    axis = need_axis(op, x, op.axis)
    picks = part.box[axis : axis + indices.rank]
    picked = minimum(x.shape[axis], product(picks))
    rest = part.box[axis + indices.rank :]
    return Needs((Part.of(*part.box[:axis], picked, *rest), Part.of(*picks)))
