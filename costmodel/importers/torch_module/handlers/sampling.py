"""Samples at positions that the network computes: grids and deformable convolutions."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.importers.learned import convolve
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import DeformConv, GridSample, RoiAlign

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
"""Torch's numbers of the interpolations of a grid (``GridSamplerInterpolation``)."""


@ATEN.register("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler")
def _grid_sample(call: Call) -> Result:
    kind = _INTERPOLATIONS[call.get("interpolation_mode", 0)]
    return call.emit.add(GridSample(kind), call.operand("input", "self"), call.operand("grid"))


@ATEN.register("torchvision.deform_conv2d")
def _deform_conv(call: Call) -> Result:
    weight, modulated = call.operand("weight"), bool(call.get("use_mask", False))
    pairs = {name: (call.size(f"{name}_h"), call.size(f"{name}_w")) for name in _PAIRS}
    op = DeformConv(
        weight.shape[0],
        weight.shape[2:],
        stride=pairs["stride"],
        padding=pairs["pad"],
        dilation=pairs["dilation"],
        groups=call.size("groups"),
        offset_groups=call.size("offset_groups"),
        modulated=modulated,
    )
    others = [call.operand("offset"), *([call.operand("mask")] if modulated else [])]
    return convolve(call.emit, op, call.operand("input"), weight, call.optional("bias"), *others)


@ATEN.register("torchvision.roi_align")
def _roi_align(call: Call) -> Result:
    """Emit samples of boxes; two per axis where torchvision adapts them to the box size."""
    ratio = call.get("sampling_ratio", -1)
    size = (call.size("pooled_height"), call.size("pooled_width"))
    op = RoiAlign(taken(size), ratio if ratio > 0 else 2)
    return call.emit.add(op, call.operand("input"), call.operand("rois"))


_PAIRS = ("stride", "pad", "dilation")
