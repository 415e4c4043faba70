"""Convolutions on channels in blocks (nchwc), as ONNX Runtime saves them for one processor."""

from __future__ import annotations

from typing import Any

from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.convolutions import convolution, first_to_last
from costmodel.importers.onnx_file.handlers.pooling import pooled, pooled_whole
from costmodel.importers.onnx_file.handlers.products import activated
from costmodel.importers.onnx_file.handlers.resizing import resized
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Contiguous, Elementwise, Pad, Slice

_NCHWC = "com.microsoft.nchwc."


@HANDLERS.register(f"{_NCHWC}Conv")
def _conv(call: Call) -> Result:
    y = convolution(call, call.operand(0), call.operand(1), call.optional(2))
    if call.has(3):
        y = call.emit.add(Elementwise("add"), y, call.operand(3))
    return activated(call, y)


@HANDLERS.register(f"{_NCHWC}MaxPool", f"{_NCHWC}AveragePool")
def _pool(call: Call) -> Result:
    return pooled(call, call.operand())


@HANDLERS.register(f"{_NCHWC}GlobalMaxPool", f"{_NCHWC}GlobalAveragePool")
def _global_pool(call: Call) -> Result:
    return pooled_whole(call, call.operand())


@HANDLERS.register(f"{_NCHWC}Upsample")
def _upsample(call: Call) -> Result:
    x, scales = call.operand(), call.attribute("scales") or []
    if len(scales) != len(x.shape):
        raise UnsupportedFormError("no scales")
    return resized(call, x, [a * b for a, b in zip(x.shape, scales, strict=True)])


@HANDLERS.register(f"{_NCHWC}ReorderInput")
def _reorder_input(call: Call) -> Result:
    """Emit a copy in blocks; channels that fill up the last block are written as well."""
    x = call.operand()
    if call.attribute("channels_last", 0):
        x = first_to_last(call, x, back=True)
    missing = _padded_channels(call, call.node.output[0], x) - x.shape[1]
    if missing == 0:
        return call.emit.add(Contiguous(), x)
    return call.emit.add(Pad(((0, 0), (0, missing), *[(0, 0)] * (len(x.shape) - 2))), x)


def _padded_channels(call: Call, name: str, x: Operand) -> Any:
    """Return the channels that the convolution behind it takes."""
    taker = call.walk.first_taker(name)
    if taker is not None and taker.op_type == "Conv" and len(taker.input) > 1:
        weight = call.walk.operand(taker.input[1])
        groups = next((a.i for a in taker.attribute if a.name == "group"), 1)
        if weight.shape[1] * groups > x.shape[1]:
            return weight.shape[1] * groups
    return x.shape[1]


@HANDLERS.register(f"{_NCHWC}ReorderOutput")
def _reorder_output(call: Call) -> Result:
    """Emit a copy in the plain order, without the channels that filled up the last block."""
    x, channels = call.operand(), call.attribute("channels", 0)
    if 0 < channels < x.shape[1]:
        x = call.emit.add(Slice(1, 0, channels), x)
    y = call.emit.add(Contiguous(), x)
    return first_to_last(call, y) if call.attribute("channels_last", 0) else y
