"""Views, copies, look-ups, and the ends of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.loops import ORACLES, points, size_of


@ORACLES.register("Concat")
def concat(op: Any, *shapes: Shape) -> Count:
    axis = op.axis % len(shapes[0])
    out = list(shapes[0])
    out[axis] = 0
    count = Count(touched=[set() for _ in shapes])
    for touched, shape in zip(count.touched, shapes, strict=True):
        for index in points(shape):
            touched.add(index)
            count.written.add((*index[:axis], index[axis] + out[axis], *index[axis + 1 :]))
        out[axis] += shape[axis]
    count.outputs = [tuple(out)]
    return count


@ORACLES.register("Embedding")
def embedding(op: Any, x: Shape) -> Count:
    count = Count([(*x, op.features)], touched=[set()], weight_reads=0)
    for index in points(x):
        count.touched[0].add(index)
        for column in range(op.features):
            # Convention: a row that is looked up twice is read twice.
            count.weight_reads += 1
            count.written.add((*index, column))
    return count


@ORACLES.register("Gather")
def gather(op: Any, x: Shape, picks: Shape) -> Count:
    axis = op.axis % len(x)
    count = Count([(*x[:axis], *picks, *x[axis + 1 :])], reads=0)
    for index in points(count.outputs[0]):
        count.reads += 1  # convention: an element that is picked twice is read twice
        count.written.add(index)
    count.reads += size_of(picks)
    return count


def copy(shape: Callable[[Any, Shape], Shape]) -> Callable[..., Count]:
    """Return the oracle of an operator that reads everything and writes everything once."""

    def oracle(op: Any, x: Shape) -> Count:
        out = shape(op, x)
        return Count([out], touched=[set(points(x))], written=set(points(out)))

    return oracle


def view(shapes: Callable[[Any, Shape], list[Shape]]) -> Callable[..., Count]:
    """Return the oracle of an operator that only renames elements: nothing moves."""

    def oracle(op: Any, *inputs: Shape) -> Count:
        return Count(shapes(op, *inputs), reads=0, weight_reads=0, writes=0)

    return oracle


def reshaped(op: Any, x: Shape) -> list[Shape]:
    elements, free = size_of(x), [i for i, n in enumerate(op.shape) if n == -1]
    for guess in range(elements + 1):
        shape = tuple(guess if n == -1 else n for n in op.shape)
        if size_of(shape) == elements:
            return [shape]
    raise AssertionError(f"nothing fits {op.shape}, free {free}")


def split(op: Any, x: Shape) -> list[Shape]:
    axis = op.axis % len(x)
    sizes = (
        op.parts if isinstance(op.parts, tuple) else [len(range(x[axis])[:: op.parts])] * op.parts
    )
    return [(*x[:axis], n, *x[axis + 1 :]) for n in sizes]


def sliced(op: Any, x: Shape) -> list[Shape]:
    kept = range(x[op.axis])[op.start :: op.step][: op.size]
    return [(*x[: op.axis], len(kept), *x[op.axis + 1 :])]


def padded(op: Any, x: Shape) -> Shape:
    return tuple(len([0] * before + [1] * n + [0] * after)
                 for n, (before, after) in zip(x, op.padding, strict=True))  # fmt: skip


def pixel_shuffled(op: Any, x: Shape) -> Shape:
    n, c, h, w = x
    return (n, c // op.factor // op.factor, h * op.factor, w * op.factor)


ORACLES.register("ChannelShuffle")(copy(lambda op, x: x))
ORACLES.register("Contiguous")(copy(lambda op, x: x))
ORACLES.register("Pad")(copy(padded))
ORACLES.register("PixelShuffle")(copy(pixel_shuffled))

ORACLES.register("BroadcastTo")(view(lambda op, x: [op.shape]))
ORACLES.register("Constant")(view(lambda op: [op.shape]))
ORACLES.register("Identity")(view(lambda op, x: [x]))
ORACLES.register("Input")(view(lambda op: [op.shape]))
ORACLES.register("Merge")(view(lambda op, x, part: [x]))
ORACLES.register("Output")(view(lambda op, x: []))
ORACLES.register("Parameter")(view(lambda op: [op.shape]))
ORACLES.register("Reshape")(view(reshaped))
ORACLES.register("Slice")(view(sliced))
ORACLES.register("Split")(view(split))
ORACLES.register("Transpose")(view(lambda op, x: [tuple(x[a] for a in op.order)]))
