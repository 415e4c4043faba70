"""Sorting, searching, writing, experts, boxes and Fourier transforms as statements of torch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from costmodel.graph import Node
from costmodel.ops import (
    Bitcast,
    EmbeddingBag,
    FourierTransform,
    GroupedLinear,
    NonMaxSuppression,
    NonZero,
    Op,
    RoiAlign,
    Scatter,
    SearchSorted,
    Sort,
    StridedView,
)

from ..errors import MeasuringError
from .torch_emitter import DTYPES, Emitter, Value


class Bags(nn.Module):  # type: ignore[misc]
    """Sums of rows of a table; where bags are given by their begins, the last holds all rows.

    Parameters
    ----------
    op : EmbeddingBag
        The operator.
    """

    def __init__(self, op: EmbeddingBag) -> None:
        super().__init__()
        mode = "mean" if op.mean else "sum"
        self.weighted = op.weighted
        self.bags = nn.EmbeddingBag(op.rows, op.features, mode=mode, dtype=DTYPES[op.dtype])

    def forward(self, indices: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Look up and sum."""
        weights = others[-1] if self.weighted else None
        begins = others[0] * 0 if indices.dim() == 1 else None
        return self.bags(indices, begins, per_sample_weights=weights)


class Experts(nn.Module):  # type: ignore[misc]
    """Rows times the matrices of experts, as equal shares of the rows as can be.

    Parameters
    ----------
    op : GroupedLinear
        The operator.
    features : int
        Features of a row.
    """

    def __init__(self, op: GroupedLinear, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(op.experts, features, op.out_features))

    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Multiply the rows of each expert."""
        parts = x.tensor_split(len(self.weight))
        return torch.cat([part @ w for part, w in zip(parts, self.weight, strict=True)])


class Suppression(nn.Module):  # type: ignore[misc]
    """Takes the best box and drops its score and those of boxes that overlap it, again and again.

    Parameters
    ----------
    kept : int
        How many boxes are taken.
    """

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the numbers of the boxes that are taken."""
        scores, taken = scores.clone(), scores.new_zeros(self.kept, dtype=torch.int64)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for i in range(self.kept):
            best = scores.argmax()
            low = torch.maximum(boxes[:, :2], boxes[best, :2])
            high = torch.minimum(boxes[:, 2:], boxes[best, 2:])
            overlap = (high - low).clamp(min=0).prod(1)
            scores = scores - 2 * (overlap > 0.5 * (areas + areas[best] - overlap))
            scores[best] -= 4
            taken[i] = best
        return taken


class Regions(nn.Module):  # type: ignore[misc]
    """Boxes of images at a fixed size, by ``grid_sample`` and a mean of the samples.

    Parameters
    ----------
    op : RoiAlign
        The operator.
    """

    def __init__(self, op: RoiAlign) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: torch.Tensor, boxes: torch.Tensor, *images: torch.Tensor) -> torch.Tensor:
        """Sample the boxes, all of them of the first image."""
        height, width = (size * self.op.samples for size in self.op.output)
        grid = x.new_zeros(len(boxes), height, width, 2) + boxes[:, None, None, -2:]
        image = x[:1].expand(len(boxes), *x.shape[1:])
        samples = functional.grid_sample(image, grid, align_corners=False)
        return functional.avg_pool2d(samples, self.op.samples)


def _parts(e: Emitter, made: Value, count: int) -> tuple[Value, ...]:
    return tuple(e.call(operator.getitem, made, i) for i in range(count))


def _sort(e: Emitter, node: Node, x: Value) -> tuple[Value, ...]:
    op: Sort = node.op  # type: ignore[assignment]
    if op.keep == node.inputs[0].shape[op.axis]:
        return _parts(e, e.call(torch.sort, x, dim=op.axis), 2)
    return _parts(e, e.call(torch.topk, x, op.keep, dim=op.axis), 2)


def _scatter(e: Emitter, node: Node, x: Value, *others: Value) -> Value:
    op: Scatter = node.op  # type: ignore[assignment]
    target, *rest = node.inputs
    new = rest[-1].shape
    if new[1:] != target.shape[1:] or any(index.shape != new[:1] for index in rest[:-1]):
        raise MeasuringError(f"node {node.name!r}: torch writes whole rows here, not {rest[-1]}")
    ending = "" if op.copies else "_"
    if len(others) > 1:
        return e.method(("index_add" if op.accumulate else "index_copy") + ending, x, 0, *others)
    there = e.call(torch.narrow, x, 0, 0, new[0])
    if op.copies:
        new_rows = e.call(torch.add, there, others[0]) if op.accumulate else others[0]
        return e.call(torch.slice_scatter, x, new_rows, 0, 0, new[0])
    e.method("add_" if op.accumulate else "copy_", there, others[0])
    return x


def _fourier(e: Emitter, node: Node, x: Value) -> Value:
    op: FourierTransform = node.op  # type: ignore[assignment]
    if op.kind == "inverse_real":
        sizes = [node.outputs[0].shape[axis] for axis in op.axes]
        return e.call(torch.fft.irfftn, x, s=sizes, dim=op.axes)
    function = torch.fft.rfftn if op.kind == "real" else torch.fft.fftn
    return e.call(function, x, dim=op.axes)


def _bags(e: Emitter, node: Node, *values: Value) -> Value:
    op: EmbeddingBag = node.op  # type: ignore[assignment]
    if op.mean and op.weighted:
        raise MeasuringError(f"node {node.name!r}: torch has no weighted mean of bags")
    return e.module(lambda: Bags(op), *values)


def _strided(e: Emitter, node: Node, x: Value) -> Value:
    shape = node.outputs[0].shape
    return e.call(torch.as_strided, x, shape, (0,) * len(shape))


SELECTION: dict[type[Op], Callable[..., Any]] = {
    Bitcast: lambda e, node, x: e.method("view", x, DTYPES[node.op.dtype]),
    EmbeddingBag: _bags,
    FourierTransform: _fourier,
    GroupedLinear: lambda e, node, *values: e.module(
        lambda: Experts(node.op, node.inputs[0].shape[1]), *values
    ),
    NonMaxSuppression: lambda e, node, *values: e.module(
        lambda: Suppression(node.op.kept), *values
    ),
    NonZero: lambda e, node, x: e.call(torch.nonzero_static, x, size=node.op.count),
    RoiAlign: lambda e, node, *values: e.module(lambda: Regions(node.op), *values),
    Scatter: _scatter,
    SearchSorted: lambda e, node, edges, values: e.call(torch.searchsorted, edges, values),
    Sort: _sort,
    StridedView: _strided,
}
"""How each of these operators is written in torch."""
