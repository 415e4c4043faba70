"""Index sets that the counting loops visit, and the table of the loops."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as indices
from typing import Any

from costmodel.testing import OperatorTable
from costmodel.testing.counting import Oracle, Shape

ORACLES: OperatorTable[Oracle] = OperatorTable("counting loop", "tests/oracles, beside its family")


def size_of(shape: Shape) -> int:
    return sum(1 for _ in points(shape))


def points(shape: Shape) -> Iterator[Shape]:
    return indices(*(range(n) for n in shape))


def windows(size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int) -> list[int]:
    """Return the first tap of every window that fits into the padded axis, found by sliding."""
    first, starts = -pads[0], []
    while first + dilation * (kernel - 1) <= size - 1 + pads[1]:
        starts.append(first)
        first += stride
    return starts


def window_starts(op: Any, sizes: Shape) -> list[list[int]]:
    if op.padding == "same":
        # As many windows as ceil(size / stride): one for each stride that begins inside.
        return [list(range(0, n, s)) for n, s in zip(sizes, op.stride, strict=True)]
    return [
        windows(n, k, s, p, d)
        for n, k, s, p, d in zip(sizes, op.kernel, op.stride, op.padding, op.dilation, strict=True)
    ]


def broadcast(index: Shape, shape: Shape) -> Shape:
    """Return the element of a tensor of ``shape`` that broadcasting takes for ``index``."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True))


def joint_shape(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded, strict=True))
