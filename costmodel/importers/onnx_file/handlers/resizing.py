"""ONNX operators that make images of another size."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div, same
from costmodel.errors import DataError, ShapeError
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result, an_axis
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Contiguous, PixelShuffle, Resize
from costmodel.ops.tensor import Tensor

_KINDS = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic", "bilinear": "bilinear"}
_FINEST = 10_000
"""Largest denominator of a scale beside a symbol."""


@HANDLERS.register("Resize", "Upsample")
def _resize(call: Call) -> Result:
    x = call.operand()
    resize = call.kind == "Resize"
    sizes = call.sizes(3) if resize and call.has(3) else None
    axes = _axes(call, len(x.shape))
    if sizes is not None:
        return resized(call, x, _with(x, axes, _kept_aspect(call, x, axes, sizes)))
    scales = call.known((2 if call.version > 10 else 1) if resize else 1, "scales")
    if scales is None or scales.size != len(axes):
        raise DataError(f"it needs sizes, or a scale for each of {len(axes)} axes")
    scaled = [_scaled(x.shape[axis], scale) for axis, scale in zip(axes, scales, strict=True)]
    return resized(call, x, _with(x, axes, scaled))


@DECLARED.register("Resize", "Upsample")
def _resize_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return resized(call, call.operand(), stated[0].shape)


def _axes(call: Call, rank: int) -> list[int]:
    given = call.attribute("axes")
    return list(range(rank)) if given is None else [an_axis(axis, rank) for axis in given]


def _with(x: Operand, axes: Sequence[int], sizes: Sequence[Dim]) -> list[Dim]:
    shape = list(x.shape)
    for axis, size in zip(axes, sizes, strict=True):
        shape[axis] = size
    return shape


def _scaled(size: Dim, scale: Any) -> Dim:
    if is_expression(size) or is_expression(scale):
        if not is_expression(scale):
            ratio = Fraction(float(scale)).limit_denominator(_FINEST)
            scale = sympy.Rational(ratio.numerator, ratio.denominator)
        return sympy.floor(size * scale)
    return int(size * float(scale))


def _kept_aspect(call: Call, x: Operand, axes: Sequence[int], sizes: list[Dim]) -> list[Dim]:
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return sizes
    before = [x.shape[axis] for axis in axes]
    if not all(isinstance(size, int) and size > 0 for size in (*before, *sizes)):
        raise UnsupportedFormError("aspect ratio of symbols")
    ratios = [Fraction(new, old) for new, old in zip(sizes, before, strict=True)]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [int(ratio * old + Fraction(1, 2)) for old in before]


def resized(call: Call, x: Operand, shape: Sequence[Dim]) -> Operand:
    """Emit ``x`` at the sizes of ``shape``, by the mode that the attributes say."""
    mode = call.attribute("mode", "nearest")
    if mode not in _KINDS:
        raise UnsupportedFormError(f"mode {mode!r}")
    if len(shape) != len(x.shape):
        raise ShapeError(f"{len(shape)} sizes do not fit {x.tensor}")
    image = len(shape) > 2 and all(map(same, shape[:2], x.shape[:2]))
    if image:
        return call.emit.add(Resize(taken(tuple(shape[2:])), _KINDS[mode]), x)
    # Batch or channels are resized as well: they are pixels like the others.
    flat = call.emit.reshape(x, (1, 1, *x.shape))
    y = call.emit.add(Resize(taken(tuple(shape)), _KINDS[mode]), flat)
    return call.emit.reshape(y, shape)


@HANDLERS.register("DepthToSpace")
def _depth_to_space(call: Call) -> Result:
    return call.emit.add(PixelShuffle(call.attribute("blocksize")), call.operand())


@HANDLERS.register("SpaceToDepth")
def _space_to_depth(call: Call) -> Result:
    x, block = call.operand(), call.attribute("blocksize")
    if len(x.shape) != 4 or not isinstance(block, int) or block < 1:
        raise ShapeError(f"blocks of {block} do not fit {x.tensor}")
    batch, channels, height, width = x.shape
    low, wide = exact_div(height, block), exact_div(width, block)
    apart = call.emit.reshape(x, (batch, channels, low, block, wide, block))
    moved = call.emit.add(Contiguous(), call.emit.transpose(apart, (0, 3, 5, 1, 2, 4)))
    return call.emit.reshape(moved, (batch, channels * block * block, low, wide))
