"""Convolutions and pooling in torch, with padding that differs before and after."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from costmodel.graph import Node
from costmodel.ops import Conv, ConvTranspose, Pool

from ..errors import MeasuringError
from .torch_emitter import Emitter, Value

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
Pairs = list[tuple[int, int]]


def conv(e: Emitter, node: Node, x: Value) -> Value:
    """Add a convolution; padding that is not symmetric is an operator of its own, as in torch."""
    op: Conv = node.op  # type: ignore[assignment]
    pairs = _pairs(op, node.inputs[0].shape[2:])
    even = all(before == after for before, after in pairs)
    if not even:
        x = _pad(e, x, pairs, 0.0)
    return e.module(
        lambda: _CONV[len(op.kernel) - 1](
            node.inputs[0].shape[1],
            op.out_channels,
            op.kernel,
            stride=op.stride,
            padding=tuple(before for before, _ in pairs) if even else 0,
            dilation=op.dilation,
            groups=op.groups,
            bias=op.bias,
        ),
        x,
    )


def conv_transpose(e: Emitter, node: Node, x: Value) -> Value:
    """Add a transposed convolution; what torch cannot cut off evenly is cut off afterwards."""
    op: ConvTranspose = node.op  # type: ignore[assignment]
    even = all(before == after for before, after in op.padding)
    fits = all(
        extra < max(s, d)
        for extra, s, d in zip(op.output_padding, op.stride, op.dilation, strict=True)
    )
    native: dict[str, Any] = {}
    if even and fits:
        native["padding"] = tuple(before for before, _ in op.padding)
        native["output_padding"] = op.output_padding
    y = e.module(
        lambda: _TRANSPOSED[len(op.kernel) - 1](
            node.inputs[0].shape[1],
            op.out_channels,
            op.kernel,
            stride=op.stride,
            dilation=op.dilation,
            groups=op.groups,
            bias=op.bias,
            **native,
        ),
        x,
    )
    if native:
        return y
    cut = [
        (-before, extra - after)
        for (before, after), extra in zip(op.padding, op.output_padding, strict=True)
    ]
    return _pad(e, y, cut, 0.0)


def pool(e: Emitter, node: Node, x: Value) -> Value:
    """Add a pooling; padding that torch's pooling refuses is an operator of its own."""
    op: Pool = node.op  # type: ignore[assignment]
    pairs = _pairs(op, node.inputs[0].shape[2:])
    native = all(
        before == after and before <= k // 2
        for (before, after), k in zip(pairs, op.kernel, strict=True)
    )
    if not native:
        if op.kind == "avg" and not op.include_pad:
            return _share_of_inside(e, node, x, pairs)
        x = _pad(e, x, pairs, -math.inf if op.kind == "max" else 0.0)
    kwargs: dict[str, Any] = {
        "kernel_size": op.kernel,
        "stride": op.stride,
        "padding": tuple(before for before, _ in pairs) if native else 0,
        "ceil_mode": op.ceil_mode,
    }
    if op.kind == "max":
        kwargs["dilation"] = op.dilation
    elif any(d != 1 for d in op.dilation):
        raise MeasuringError(f"node {node.name!r}: torch has no average pooling with dilation")
    else:
        kwargs["count_include_pad"] = op.include_pad
    y = e.call(getattr(functional, f"{op.kind}_pool{len(op.kernel)}d"), x, **kwargs)
    if native or not op.ceil_mode:
        return y
    # A window that begins in the padding is none; torch takes padding of its own operator for data.
    return e.call(operator.getitem, y, (..., *(slice(n) for n in node.outputs[0].shape[2:])))


def _share_of_inside(e: Emitter, node: Node, x: Value, pairs: Pairs) -> Value:
    """Average what lies inside the image: of padded images, over the same of ones."""
    op: Pool = node.op  # type: ignore[assignment]
    if any(d != 1 for d in op.dilation):
        raise MeasuringError(f"node {node.name!r}: torch has no average pooling with dilation")
    function = getattr(functional, f"avg_pool{len(op.kernel)}d")
    kwargs = {"kernel_size": op.kernel, "stride": op.stride, "ceil_mode": op.ceil_mode}
    ones = e.call(torch.ones_like, x)
    sums, inside = (e.call(function, _pad(e, value, pairs, 0.0), **kwargs) for value in (x, ones))
    y = e.call(operator.truediv, sums, inside)
    return e.call(operator.getitem, y, (..., *(slice(n) for n in node.outputs[0].shape[2:])))


def _pad(e: Emitter, x: Value, pairs: Pairs, value: float) -> Value:
    return e.call(
        functional.pad, x, [size for pair in reversed(pairs) for size in pair], value=value
    )


def _pairs(op: Conv | Pool, sizes: tuple[int, ...]) -> Pairs:
    """Return the padding before and after along each axis; "same" puts the odd one after."""
    if op.padding != "same":
        return list(op.padding)
    totals = [
        max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
        for size, k, s, d in zip(sizes, op.kernel, op.stride, op.dilation, strict=True)
    ]
    return [(t // 2, t - t // 2) for t in totals]
