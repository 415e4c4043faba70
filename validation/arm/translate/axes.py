"""Tensors of any rank as four axes, by merging axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from costmodel.ops.tensor import Tensor

from ..bench.program import Shape
from .state import RefusedError, four_axes

MOST_AXES = 4


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
    if tensor.rank <= MOST_AXES and axis % tensor.rank == 1:
        return four_axes(tensor)
    return around(tensor.shape, axis)


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


def collapsed(
    shapes: Sequence[Sequence[int]], out: Sequence[int]
) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Return shapes broadcast to ``out`` and ``out``, neighbours that are broadcast alike as one.

    Examples
    --------
    >>> collapsed([(1, 64, 3, 49, 49), (64, 1, 49, 49)], (1, 64, 3, 49, 49))
    ([(64, 3, 2401), (64, 1, 2401)], (64, 3, 2401))
    """
    full = [(1,) * (len(out) - len(shape)) + tuple(shape) for shape in shapes]
    patterns: list[tuple[bool, ...]] = []
    sizes: list[int] = []
    for axis, size in enumerate(out):
        pattern = tuple(shape[axis] != 1 for shape in full)
        if size == 1:
            continue
        if patterns and patterns[-1] == pattern:
            sizes[-1] *= size
        else:
            patterns.append(pattern)
            sizes.append(size)
    parts = [
        tuple(size if pattern[i] else 1 for pattern, size in zip(patterns, sizes, strict=True))
        for i in range(len(shapes))
    ]
    return parts, tuple(sizes)


def last_of_four(extents: Sequence[int]) -> Shape:
    """Return extents with ones before them up to four; refuse more.

    Examples
    --------
    >>> last_of_four((3, 5))
    (1, 1, 3, 5)
    """
    if len(extents) > MOST_AXES:
        raise RefusedError(f"{len(extents)} axes that differ; the kernels take {MOST_AXES}")
    a, b, c, d = ((1,) * MOST_AXES + tuple(extents))[-MOST_AXES:]
    return a, b, c, d


def channels(tensor: Tensor) -> Shape:
    """Return batch, channels and places; what has at most four axes stays as it is."""
    return four_axes(tensor) if tensor.rank <= MOST_AXES else around(tensor.shape, 1)
