"""Each operator of :mod:`costmodel.ops` as statements of a torch.fx graph."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from costmodel.graph import Node
from costmodel.ops import (
    AdaptivePool,
    Attention,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    BroadcastTo,
    Cast,
    ChannelShuffle,
    Concat,
    Contiguous,
    Conv,
    ConvTranspose,
    DeformConv,
    Elementwise,
    Embedding,
    Gather,
    GridSample,
    GroupNorm,
    Identity,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Merge,
    Op,
    Pad,
    PixelShuffle,
    Pool,
    PReLU,
    Recurrent,
    RecurrentSteps,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
    Transpose,
)

from ..errors import MeasuringError
from .torch_elementwise import BINARY_CALLS, UNARY_CALLS, with_number
from .torch_emitter import DTYPES, Emitter, Value
from .torch_modules import Deformed, StatisticsNorm, Steps
from .torch_selection import SELECTION
from .torch_windows import conv, conv_transpose, pool


def _view(e: Emitter, node: Node, x: Value) -> Value:
    return e.method("reshape", x, node.outputs[0].shape)


def _linear(e: Emitter, node: Node, x: Value) -> Value:
    op: Linear = node.op  # type: ignore[assignment]
    features = node.inputs[0].shape[-1]
    return e.module(lambda: nn.Linear(features, op.out_features, bias=op.bias), x)


def _matmul(e: Emitter, node: Node, a: Value, b: Value) -> Value:
    op: MatMul = node.op  # type: ignore[assignment]
    a = e.method("transpose", a, -2, -1) if op.transpose_a else a
    b = e.method("transpose", b, -2, -1) if op.transpose_b else b
    return e.call(torch.matmul, a, b)


def _attention(e: Emitter, node: Node, q: Value, k: Value, v: Value) -> Value:
    op: Attention = node.op  # type: ignore[assignment]
    grouped = node.inputs[0].shape[-3] != node.inputs[1].shape[-3]
    kwargs: dict[str, Any] = {"is_causal": True} if op.causal else {}
    if grouped:
        kwargs["enable_gqa"] = True
    return e.call(functional.scaled_dot_product_attention, q, k, v, **kwargs)


def _repeat_heads(e: Emitter, node: Node, x: Value) -> Value:
    repeat = node.inputs[0].shape[-3] // node.inputs[1].shape[-3]
    return x if repeat == 1 else e.call(torch.repeat_interleave, x, repeat, dim=-3)


def _scores(e: Emitter, node: Node, q: Value, k: Value) -> Value:
    keys = e.method("transpose", _repeat_heads(e, node, k), -2, -1)
    scaled = e.call(torch.mul, q, node.inputs[0].shape[-1] ** -0.5)
    return e.call(torch.matmul, scaled, keys)


def _mix(e: Emitter, node: Node, weights: Value, v: Value) -> Value:
    return e.call(torch.matmul, weights, _repeat_heads(e, node, v))


def _softmax(e: Emitter, node: Node, x: Value) -> Value:
    op: Softmax = node.op  # type: ignore[assignment]
    if op.causal:
        rows, columns = node.inputs[0].shape[-2:]
        above = torch.ones(rows, columns, dtype=torch.bool).triu(1)
        x = e.method("masked_fill", x, e.tensor(above), -math.inf)
    return e.call(functional.softmax, x, dim=op.axis)


def _embedding(e: Emitter, node: Node, indices: Value) -> Value:
    op: Embedding = node.op  # type: ignore[assignment]
    return e.module(lambda: nn.Embedding(op.rows, op.features), indices)


def _gather(e: Emitter, node: Node, x: Value, indices: Value) -> Value:
    op: Gather = node.op  # type: ignore[assignment]
    shape = node.inputs[1].shape
    if len(shape) == 1:
        return e.call(torch.index_select, x, op.axis, indices)
    flat = e.method("reshape", indices, (-1,))
    return e.method("reshape", e.call(torch.index_select, x, op.axis, flat), node.outputs[0].shape)


def _layer_norm(e: Emitter, node: Node, x: Value) -> Value:
    op: LayerNorm = node.op  # type: ignore[assignment]
    cls = nn.RMSNorm if op.rms else nn.LayerNorm
    shape = node.inputs[0].shape[-op.axes :]
    return e.module(lambda: cls(shape, eps=1e-5, elementwise_affine=op.affine), x)


def _group_norm(e: Emitter, node: Node, x: Value) -> Value:
    op: GroupNorm = node.op  # type: ignore[assignment]
    channels = node.inputs[0].shape[1]
    return e.module(lambda: nn.GroupNorm(op.groups, channels, affine=op.affine), x)


def _shuffle(e: Emitter, node: Node, x: Value) -> Value:
    op: ChannelShuffle = node.op  # type: ignore[assignment]
    n, c, *sizes = node.inputs[0].shape
    grouped = e.method("view", x, n, op.groups, c // op.groups, *sizes)
    turned = e.method("transpose", grouped, 1, 2)
    return e.method("reshape", turned, node.outputs[0].shape)


def _concat(e: Emitter, node: Node, *values: Value) -> Value:
    return e.call(torch.cat, tuple(values), dim=node.op.axis)  # type: ignore[attr-defined]


def _split(e: Emitter, node: Node, x: Value) -> tuple[Value, ...]:
    op: Split = node.op  # type: ignore[assignment]
    sizes = [y.shape[op.axis] for y in node.outputs]
    parts = e.call(torch.split, x, sizes, dim=op.axis)
    return tuple(e.call(operator.getitem, parts, i) for i in range(len(sizes)))


def _slice(e: Emitter, node: Node, x: Value) -> Value:
    op: Slice = node.op  # type: ignore[assignment]
    if op.step == 1:
        return e.call(torch.narrow, x, op.axis, op.start, op.size)
    end = op.start + (op.size - 1) * op.step + 1
    axis = op.axis % node.inputs[0].rank
    return e.call(operator.getitem, x, (*[slice(None)] * axis, slice(op.start, end, op.step)))


def _pad(e: Emitter, node: Node, x: Value) -> Value:
    pairs = node.op.padding  # type: ignore[attr-defined]
    return e.call(functional.pad, x, [size for pair in reversed(pairs) for size in pair])


def _adaptive_pool(e: Emitter, node: Node, x: Value) -> Value:
    op: AdaptivePool = node.op  # type: ignore[assignment]
    function = getattr(functional, f"adaptive_{op.kind}_pool{len(op.output)}d")
    return e.call(function, x, op.output)


def _resize(e: Emitter, node: Node, x: Value) -> Value:
    op: Resize = node.op  # type: ignore[assignment]
    linear = ("linear", "bilinear", "trilinear")[len(op.output) - 1]
    mode = linear if op.kind == "bilinear" else op.kind
    return e.call(functional.interpolate, x, size=op.output, mode=mode)


def _grid_sample(e: Emitter, node: Node, x: Value, grid: Value) -> Value:
    op: GridSample = node.op  # type: ignore[assignment]
    if node.inputs[0].rank == 3 or (node.inputs[0].rank == 5 and op.kind == "bicubic"):
        raise MeasuringError(
            f"node {node.name!r}: torch samples images, and volumes linearly, not {node.inputs[0]}"
        )
    return e.call(functional.grid_sample, x, grid, mode=op.kind, align_corners=False)


def _deform_conv(e: Emitter, node: Node, *inputs: Value) -> Value:
    op: DeformConv = node.op  # type: ignore[assignment]
    return e.module(lambda: Deformed(op, node.inputs[0].shape[1]), *inputs)


def _reduce(e: Emitter, node: Node, x: Value) -> Value:
    op: Reduce = node.op  # type: ignore[assignment]
    axes, keep = op.axes, {"keepdim": op.keepdims}
    several = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}
    several |= {"var": torch.var, "norm": torch.linalg.vector_norm, "all": torch.all}
    several |= {"any": torch.any}
    if op.kind in several:
        return e.call(several[op.kind], x, dim=axes, **keep)
    if op.kind in ("argmax", "argmin"):
        return _arg_reduce(e, node, x)
    function = {"cumsum": torch.cumsum, "prod": torch.prod}[op.kind]
    # torch takes one axis here: the others are done one after the other, the last axis first.
    for axis in sorted((a % node.inputs[0].rank for a in axes), reverse=True):
        x = e.call(function, x, axis, **({} if op.kind == "cumsum" else keep))
    return x


def _arg_reduce(e: Emitter, node: Node, x: Value) -> Value:
    op: Reduce = node.op  # type: ignore[assignment]
    rank = node.inputs[0].rank
    axes = sorted(a % rank for a in op.axes)
    if len(axes) == 1:
        return e.call(getattr(torch, op.kind), x, dim=axes[0], keepdim=op.keepdims)
    rest = [a for a in range(rank) if a not in axes]
    turned = e.method("permute", x, (*rest, *axes))
    flat = e.method("flatten", turned, len(rest))
    return _view(e, node, e.call(getattr(torch, op.kind), flat, dim=-1))


def _recurrent(e: Emitter, node: Node, x: Value) -> Value:
    op: Recurrent = node.op  # type: ignore[assignment]
    cls = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[op.kind]
    features = node.inputs[0].shape[-1]
    how: dict[str, Any] = {"bias": op.bias, "bidirectional": op.bidirectional}
    if op.projection:
        how["proj_size"] = op.projection
    made = e.module(lambda: cls(features, op.hidden, op.layers, **how), x)
    return e.call(operator.getitem, made, 0)


def _elementwise(e: Emitter, node: Node, *values: Value) -> Value:
    op: Elementwise = node.op  # type: ignore[assignment]
    if op.kind in UNARY_CALLS:
        function, kwargs = UNARY_CALLS[op.kind]
        return e.call(function, *values, **kwargs)
    if op.value is not None:
        return with_number(e, op.kind, values[0], op.value)
    if op.kind == "where" and node.inputs[0].dtype != "bool":
        values = (e.method("bool", values[0]), *values[1:])
    return e.call(BINARY_CALLS[op.kind], *values)


EMIT: dict[type[Op], Callable[..., Value | tuple[Value, ...]]] = {
    AdaptivePool: _adaptive_pool,
    Attention: _attention,
    AttentionMix: _mix,
    AttentionScores: _scores,
    BatchNorm: lambda e, node, x: e.module(
        lambda: StatisticsNorm(node.inputs[0].shape[1], affine=node.op.affine), x
    ),
    BroadcastTo: lambda e, node, x: e.method("expand", x, node.outputs[0].shape),
    Cast: lambda e, node, x: e.method("to", x, DTYPES[node.op.dtype]),
    ChannelShuffle: _shuffle,
    Concat: _concat,
    # `contiguous` would return a tensor that already is in order; the operator is a copy.
    Contiguous: lambda e, node, x: e.call(torch.clone, x, memory_format=torch.contiguous_format),
    Conv: conv,
    ConvTranspose: conv_transpose,
    Elementwise: _elementwise,
    DeformConv: _deform_conv,
    Embedding: _embedding,
    Gather: _gather,
    GroupNorm: _group_norm,
    Identity: lambda e, node, x: x,
    LayerNorm: _layer_norm,
    Linear: _linear,
    LocalResponseNorm: lambda e, node, x: e.module(lambda: nn.LocalResponseNorm(node.op.size), x),
    MatMul: _matmul,
    Merge: lambda e, node, x, part: x,
    PReLU: lambda e, node, x: e.module(
        lambda: nn.PReLU(1 if node.op.shared else node.inputs[0].shape[1]), x
    ),
    Pad: _pad,
    Pool: pool,
    Recurrent: _recurrent,
    RecurrentSteps: lambda e, node, x: e.module(
        lambda: Steps(node.op.kind, node.op.hidden, node.op.bias, node.op.projection), x
    ),
    PixelShuffle: lambda e, node, x: e.call(functional.pixel_shuffle, x, node.op.factor),
    Reduce: _reduce,
    Reshape: _view,
    GridSample: _grid_sample,
    Resize: _resize,
    Slice: _slice,
    Softmax: _softmax,
    Split: _split,
    Transpose: lambda e, node, x: e.method("permute", x, node.op.order),
    **SELECTION,
}
"""How each operator is written in torch; inputs, constants and outputs are no statements."""
