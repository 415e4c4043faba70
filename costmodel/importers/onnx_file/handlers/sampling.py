"""Samples at positions that the network computes: grids and deformable convolutions."""

from __future__ import annotations

from costmodel.importers.learned import convolve
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import DeformConv, GridSample

_INTERPOLATIONS = {
    "bilinear": "bilinear",
    "linear": "bilinear",
    "nearest": "nearest",
    "bicubic": "bicubic",
    "cubic": "bicubic",
}
"""ONNX's names of the interpolations of a grid, before and since opset 20."""


@HANDLERS.register("GridSample")
def _grid_sample(call: Call) -> Result:
    mode = call.attribute("mode", "bilinear")
    if mode not in _INTERPOLATIONS:
        raise UnsupportedFormError(f"mode {mode!r}")
    return call.emit.add(GridSample(_INTERPOLATIONS[mode]), call.operand(0), call.operand(1))


@HANDLERS.register("DeformConv")
def _deform_conv(call: Call) -> Result:
    x, weight, offset = (call.operand(slot) for slot in range(3))
    top, left, bottom, right = call.attribute("pads", [0, 0, 0, 0])
    op = DeformConv(
        weight.shape[0],
        weight.shape[2:],
        stride=tuple(call.attribute("strides", [1, 1])),
        padding=((top, bottom), (left, right)),
        dilation=tuple(call.attribute("dilations", [1, 1])),
        groups=call.attribute("group", 1),
        offset_groups=call.attribute("offset_group", 1),
        modulated=call.has(4),
    )
    others = [offset, *([call.operand(4)] if call.has(4) else [])]
    return convolve(call.emit, op, x, weight, call.optional(3), *others)
