"""ncnn layers with weights, pooling and normalizations."""

from __future__ import annotations

from typing import Any

from costmodel.algebra.symbols import exact_div, product
from costmodel.importers.clip import clip_kind
from costmodel.importers.emitter import Operand
from costmodel.importers.ncnn.call import LAYERS, Blobs
from costmodel.importers.ncnn.parse import Layer
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    AdaptivePool,
    Attention,
    BatchNorm,
    Cast,
    Conv,
    ConvTranspose,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Op,
    Pool,
    PReLU,
)

_SAME = (-233, -234)  # written for "as much padding as keeps the size"
_ACTIVATIONS = {
    1: "relu",
    2: "leaky_relu",
    4: "sigmoid",
    5: "mish",
    6: "hard_swish",
}
_REQUANTIZES = 100  # int8_scale_term above it: the layer hands on int8


@LAYERS.register("Convolution", "ConvolutionDepthWise", "Convolution1D", "ConvolutionDepthWise1D")
def _convolution(walk: Blobs, layer: Layer) -> Operand:
    rank = 1 if layer.kind.endswith("1D") else 2
    groups = layer.integer(7, 1) if "DepthWise" in layer.kind else 1
    op = Conv(
        layer.integer(0),
        _pair(layer, 1, rank=rank),
        stride=_pair(layer, 3, 1, rank),
        padding=_padding(layer, 4, rank),
        dilation=_pair(layer, 2, 1, rank),
        groups=groups,
        bias=bool(layer.integer(5)),
    )
    (x,) = walk.inputs(layer)
    y = _weighted(walk, layer, op, x)
    _check_weights(layer, op.weights(x.tensor)[0].elements)
    return y


@LAYERS.register("Deconvolution", "DeconvolutionDepthWise")
def _deconvolution(walk: Blobs, layer: Layer) -> Operand:
    groups = layer.integer(7, 1) if "DepthWise" in layer.kind else 1
    op = ConvTranspose(
        layer.integer(0),
        _pair(layer, 1),
        stride=_pair(layer, 3, 1),
        padding=_padding(layer, 4),
        output_padding=(layer.integer(19, layer.integer(18)), layer.integer(18)),
        dilation=_pair(layer, 2, 1),
        groups=groups,
        bias=bool(layer.integer(5)),
    )
    (x,) = walk.inputs(layer)
    y = _weighted(walk, layer, op, x)
    _check_weights(layer, op.weights(x.tensor)[0].elements)
    return y


@LAYERS.register("InnerProduct")
def _inner_product(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    features = exact_div(layer.integer(2), layer.integer(0), "InnerProduct weights")
    if x.shape[-1] != features:
        x = walk.emit.reshape(x, (x.shape[0], product(x.shape[1:])))
    y = _weighted(walk, layer, Linear(layer.integer(0), bool(layer.integer(1))), x)
    _check_weights(layer, layer.integer(0) * x.shape[-1])
    return y


def _weighted(walk: Blobs, layer: Layer, op: Op, x: Operand) -> Operand:
    """Emit ``op`` in the precision of the layer, then the activation fused into it."""
    term = layer.integer(8)
    if not term:
        return _activated(walk, layer, walk.emit.add(op, x))
    if x.tensor.dtype != "int8":
        x = walk.emit.add(Cast("int8"), x)
    y = _activated(walk, layer, walk.emit.add(op, x))
    return y if term > _REQUANTIZES else walk.emit.add(Cast("float32"), y)


def _activated(walk: Blobs, layer: Layer, x: Operand) -> Operand:
    """Emit the activation that is fused into ``layer``."""
    kind = layer.integer(9)
    if kind == 0:
        return x
    if kind == 3:
        limits = layer.params.get(10)
        low, high = limits if isinstance(limits, tuple) else (None, None)
        return walk.emit.add(Elementwise(clip_kind(low, high)), x)
    return walk.emit.add(Elementwise(_ACTIVATIONS[kind]), x)


@LAYERS.register("Gemm")
def _gemm(walk: Blobs, layer: Layer) -> Operand:
    (x, *others) = walk.inputs(layer)
    if others or layer.integer(2) or not layer.integer(5):
        raise UnsupportedFormError("of two activations")
    return walk.emit.add(Linear(layer.integer(8), bias=bool(layer.integer(6))), x)


@LAYERS.register("MultiHeadAttention")
def _multi_head_attention(walk: Blobs, layer: Layer) -> Operand:
    """Emit projections, attention and the last projection; queries alone attend to themselves."""
    inputs = walk.inputs(layer)
    width, heads = layer.integer(0), layer.integer(1)
    depth = exact_div(width, heads, "MultiHeadAttention width")
    projected = []
    for x in (inputs * 3)[:3] if len(inputs) == 1 else inputs[:3]:
        y: Operand = walk.emit.add(Linear(width), x)
        y = walk.emit.reshape(y, (*y.shape[:-1], heads, depth))
        projected.append(walk.emit.transpose(y, (0, 2, 1, 3)))
    mixed = walk.emit.transpose(walk.emit.add(Attention(), *projected), (0, 2, 1, 3))
    return walk.emit.add(Linear(width), walk.emit.reshape(mixed, (*mixed.shape[:2], width)))


@LAYERS.register("BatchNorm")
def _batch_norm(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(BatchNorm(), *walk.inputs(layer))


@LAYERS.register("Scale")
def _scale(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(BatchNorm(), walk.inputs(layer)[0])


@LAYERS.register("LayerNorm")
def _layer_norm(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    axes = next((n for n in range(1, len(x.shape)) if product(x.shape[-n:]) == layer.integer(0)), 1)
    return walk.emit.add(LayerNorm(axes, affine=bool(layer.integer(2, 1))), x)


@LAYERS.register("GroupNorm")
def _group_norm(walk: Blobs, layer: Layer) -> Operand:
    op = GroupNorm(layer.integer(0, 1), affine=bool(layer.integer(3, 1)))
    return walk.emit.add(op, *walk.inputs(layer))


@LAYERS.register("LRN")
def _local_response_norm(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(LocalResponseNorm(layer.integer(1, 5)), *walk.inputs(layer))


@LAYERS.register("PReLU")
def _prelu(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(PReLU(shared=layer.integer(0) == 1), *walk.inputs(layer))


@LAYERS.register("Pooling")
def _pooling(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    kind = "avg" if layer.integer(0) else "max"
    if layer.integer(4):
        # Global pooling returns one number per channel, without spatial axes.
        y: Operand = walk.emit.add(AdaptivePool(kind, (1, 1)), x)
        return walk.emit.reshape(y, y.shape[:2])
    if layer.integer(7):
        width = layer.integer(8)
        return walk.emit.add(AdaptivePool(kind, (layer.integer(18, width), width)), x)
    mode = layer.integer(5)
    padding = "same" if mode in (2, 3) else _padding(layer, 3)
    op = Pool(kind, _pair(layer, 1), _pair(layer, 2, 1), padding, ceil_mode=mode == 0)
    return walk.emit.add(op, x)


def _pair(layer: Layer, key: int, default: int = 0, rank: int = 2) -> tuple[int, ...]:
    """Return (height, width) of a parameter that gives the width, and the height 10 further on."""
    width = layer.integer(key, default)
    return (width,) if rank == 1 else (layer.integer(key + 10, width), width)


def _padding(layer: Layer, left_key: int, rank: int = 2) -> Any:
    left = layer.integer(left_key)
    if left in _SAME:
        return "same"
    right = layer.integer(15 if left_key == 4 else 14, left)
    if rank == 1:
        return ((left, right),)
    top = layer.integer(left_key + 10, left)
    bottom = layer.integer(16 if left_key == 4 else 15, top)
    return ((top, bottom), (left, right))


def _check_weights(layer: Layer, counted: object) -> None:
    """Compare the weights that follow from the shapes to the number that the file gives."""
    key = 2 if layer.kind == "InnerProduct" else 6
    given = layer.integer(key)
    if given and isinstance(counted, int) and counted != given:
        raise UnsupportedFormError(f"{given} weights where the shapes need {counted}")
