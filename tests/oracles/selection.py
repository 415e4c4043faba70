"""Sorting, searching, writing and Fourier transforms, step by step."""

from __future__ import annotations

from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.loops import ORACLES, points, size_of
from oracles.movement import view


def halvings(count: int) -> int:
    """Return how often a range is cut in two until it holds one element."""
    steps = 0
    while count > 1:
        count -= count // 2
        steps += 1
    return steps


@ORACLES.register("Sort")
def sort(op: Any, x: Shape) -> Count:
    axis = op.axis % len(x)
    out = (*x[:axis], op.keep, *x[axis + 1 :])
    count = Count([out, out], touched=[set(points(x))])
    for _ in points(x):
        count.elementwise += max(1, halvings(op.keep))  # down a heap of the best
    count.written = {(which, *index) for which in ("value", "place") for index in points(out)}
    return count


@ORACLES.register("NonZero")
def non_zero(op: Any, x: Shape) -> Count:
    out = (op.count, len(x))
    count = Count([out], touched=[set(points(x))], written=set(points(out)))
    for _ in points(x):
        count.elementwise += 1
    return count


@ORACLES.register("SearchSorted")
def search_sorted(op: Any, edges: Shape, values: Shape) -> Count:
    count = Count([values], touched=[set(), set(points(values))], written=set(points(values)))
    for _ in points(values):
        count.elementwise += halvings(edges[-1] + 1)
    return count


@ORACLES.register("NonMaxSuppression")
def non_max_suppression(op: Any, boxes: Shape, scores: Shape) -> Count:
    count = Count([(op.kept,)], written=set(points((op.kept,))))
    for _ in range(scores[0]):
        count.elementwise += halvings(scores[0])
        count.elementwise += len(["width", "height", "area"])
        for _kept in range(op.kept):
            count.elementwise += len(["left", "top", "right", "bottom", "width", "height"])
            count.elementwise += len(["at least 0", "at least 0", "overlap", "areas", "union"])
            count.elementwise += len(["limit of the union", "comparison"])
    return count


@ORACLES.register("EmbeddingBag")
def embedding_bag(op: Any, indices: Shape, *others: Shape) -> Count:
    count = Count([(op.bags, op.features)], weight_reads=0)
    for _ in points(indices):
        for _column in range(op.features):
            count.weight_reads += 1  # convention: a row that is looked up twice is read twice
            count.elementwise += len(["product", "sum"] if op.weighted else ["sum"])
    count.written = set(points(count.outputs[0]))
    count.elementwise += len(count.written) if op.mean else 0
    return count


@ORACLES.register("Scatter")
def scatter(op: Any, x: Shape, *others: Shape) -> Count:
    new = others[-1]
    count = Count([x], reads=sum(map(size_of, others)), writes=0)
    for _ in points(new):
        count.elementwise += op.accumulate
        count.writes += not op.copies
        count.reads += op.accumulate and not op.copies
    if op.copies:  # convention: what is there moves whole, also what is written over
        count.reads += size_of(x)
        count.writes += size_of(x)
    return count


@ORACLES.register("FourierTransform")
def fourier_transform(op: Any, x: Shape) -> Count:
    rank, signal = len(x), list(x)
    last = op.axes[-1] % rank
    half = list(x)
    if op.kind == "real":
        half[last] = len(range(x[last])[::2]) + (x[last] % 2 == 0)
    if op.kind == "inverse_real":
        signal[last] = op.length
    out = tuple(signal if op.kind == "inverse_real" else half)
    count = Count([out], touched=[set(points(x))], written=set(points(out)))
    for axis in op.axes:
        for _ in range(halvings(signal[axis % rank])):
            for _point in points(tuple(half)):
                # Two points of a butterfly: a complex product (4 and 2), two complex sums (2 each).
                count.elementwise += (4 + 2 + 2 * 2) // 2
    return count


def bitcast(op: Any, x: Shape) -> list[Shape]:
    # The strategies take complex numbers apart, put them together, and take floats into bytes.
    divided, times = {"float32": (1, 2), "complex64": (2, 1), "int8": (1, 4)}[op.dtype]
    return [(*x[:-1], len(range(x[-1])[::divided]) * times)]


ORACLES.register("Bitcast")(view(bitcast))
ORACLES.register("StridedView")(view(lambda op, x: [op.shape]))
