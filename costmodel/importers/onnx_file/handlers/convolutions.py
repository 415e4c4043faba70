"""ONNX convolutions, plain and as ONNX Runtime fuses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.errors import ShapeError
from costmodel.importers.emitter import Operand
from costmodel.importers.learned import convolve
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.products import activated
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Conv, ConvTranspose, Elementwise


@HANDLERS.register("Conv", "com.microsoft.FusedConv")
def _conv(call: Call) -> Result:
    y: Operand = convolution(call, call.operand(0), call.operand(1), call.optional(2))
    if call.has(3):  # a sum that is fused into it
        y = call.emit.add(Elementwise("add"), y, call.operand(3))
    return activated(call, y)


def convolution(call: Call, x: Operand, weight: Operand, bias: Operand | None) -> Operand:
    """Emit the convolution that the attributes describe."""
    rank = len(weight.shape) - 2
    op = Conv(
        taken(weight.shape[0]),
        taken(weight.shape[2:]),
        stride=numbers(call, "strides", rank, 1),
        padding=padding(call, rank),
        dilation=numbers(call, "dilations", rank, 1),
        groups=call.attribute("group", 1),
    )
    return convolve(call.emit, op, x, weight, bias)


def numbers(call: Call, name: str, rank: int, default: int) -> tuple[int, ...]:
    """Return an attribute with one number per axis.

    Raises
    ------
    ShapeError
        If it holds more or less.
    """
    found = tuple(call.attribute(name) or [default] * rank)
    if len(found) != rank or rank < 1:
        raise ShapeError(f"{len(found)} numbers of {name} do not fit {rank} axes")
    return found


def padding(call: Call, rank: int) -> Any:
    """Return the padding that the attributes describe: (before, after) an axis, or "same"."""
    if call.attribute("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return "same"
    pads = numbers(call, "pads", 2 * rank, 0)
    return tuple((pads[i], pads[i + rank]) for i in range(rank))


@HANDLERS.register("ConvTranspose")
def _conv_transpose(call: Call) -> Result:
    x, weight = call.operand(0), call.operand(1)
    rank = len(weight.shape) - 2
    groups = call.attribute("group", 1)
    pads, extra = _cut_off(call, x.shape[2:], weight.shape[2:])
    op = ConvTranspose(
        taken(weight.shape[1] * groups),
        taken(weight.shape[2:]),
        stride=numbers(call, "strides", rank, 1),
        padding=pads,
        output_padding=extra,
        dilation=numbers(call, "dilations", rank, 1),
        groups=groups,
    )
    return convolve(call.emit, op, x, weight, call.optional(2))


def _cut_off(
    call: Call, sizes: Sequence[Dim], kernel: Sequence[Dim]
) -> tuple[tuple[tuple[Dim, Dim], ...], tuple[Dim, ...]]:
    """Return the padding and output padding of a transposed convolution."""
    rank = len(kernel)
    extra = numbers(call, "output_padding", rank, 0)
    stride, dilation = numbers(call, "strides", rank, 1), numbers(call, "dilations", rank, 1)
    wanted, mode = call.attribute("output_shape"), call.attribute("auto_pad", "NOTSET")
    if wanted is None and mode in ("NOTSET", "VALID"):
        pads = padding(call, rank)
        return pads, extra
    if not all(isinstance(size, int) for size in (*sizes, *kernel)):
        raise UnsupportedFormError("padding that follows from an output size of symbols")
    wanted = wanted[-rank:] if wanted else [i * s for i, s in zip(sizes, stride, strict=True)]
    pads, more = [], []
    for i in range(rank):
        full = stride[i] * (sizes[i] - 1) + extra[i] + (kernel[i] - 1) * dilation[i] + 1
        cut = full - wanted[i]
        less = max(cut, 0) // 2
        pads.append((less, max(cut, 0) - less))
        more.append(extra[i] + max(-cut, 0))
    return tuple(pads), tuple(more)


@HANDLERS.register("com.microsoft.NhwcConv", "com.microsoft.NhwcFusedConv")
def _nhwc_conv(call: Call) -> Result:
    x, weight = call.operand(0), call.operand(1)
    inside = first_to_last(call, weight, back=True)
    y = convolution(call, first_to_last(call, x, back=True), inside, call.optional(2))
    return activated(call, first_to_last(call, y))


def first_to_last(call: Call, x: Operand, back: bool = False) -> Operand:
    """Return a view of images with the channels last, or ``back`` with the channels first."""
    rank = len(x.shape)
    order = (0, rank - 1, *range(1, rank - 1)) if back else (0, *range(2, rank), 1)
    return call.emit.transpose(x, order)
