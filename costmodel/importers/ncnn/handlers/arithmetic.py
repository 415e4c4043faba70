"""ncnn layers that compute without weights."""

from __future__ import annotations

import math

from costmodel.importers.clip import clip_kind
from costmodel.importers.emitter import Operand
from costmodel.importers.ncnn.call import LAYERS, Blobs
from costmodel.importers.ncnn.handlers.movement import axis_of
from costmodel.importers.ncnn.parse import Layer
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import AdaptivePool, Elementwise, MatMul, Reduce, Softmax

_UNARY = {
    "AbsVal": "abs",
    "ELU": "elu",
    "Exp": "exp",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Sigmoid": "sigmoid",
    "Swish": "silu",
    "TanH": "tanh",
}
_BINARY = {0: "add", 1: "sub", 2: "mul", 3: "div", 4: "max", 5: "min", 6: "pow", 7: "sub", 8: "div"}
_REDUCTIONS = {0: "sum", 3: "mean", 4: "max", 5: "min", 6: "prod"}
_ELTWISE = {0: "mul", 1: "add", 2: "max"}


@LAYERS.register(*_UNARY)
def _unary(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(Elementwise(_UNARY[layer.kind]), *walk.inputs(layer))


@LAYERS.register("Clip")
def _clip(walk: Blobs, layer: Layer) -> Operand:
    low, high = layer.number(0, -math.inf), layer.number(1, math.inf)
    return walk.emit.add(Elementwise(clip_kind(low, high)), *walk.inputs(layer))


@LAYERS.register("GELU")
def _gelu(walk: Blobs, layer: Layer) -> Operand:
    # The fast form of the file is the one with a hyperbolic tangent.
    kind = "gelu_tanh" if layer.integer(0) else "gelu"
    return walk.emit.add(Elementwise(kind), *walk.inputs(layer))


@LAYERS.register("ReLU")
def _relu(walk: Blobs, layer: Layer) -> Operand:
    kind = "leaky_relu" if layer.number(0) else "relu"
    return walk.emit.add(Elementwise(kind), *walk.inputs(layer))


@LAYERS.register("BinaryOp")
def _binary(walk: Blobs, layer: Layer) -> Operand:
    kind = _BINARY.get(layer.integer(0))
    if kind is None:
        raise UnsupportedFormError(f"operation {layer.integer(0)}")
    inputs = walk.inputs(layer)
    if layer.integer(1):
        return walk.emit.add(Elementwise(kind, value=layer.number(2)), *inputs)
    return walk.emit.add(Elementwise(kind), *_aligned(walk, *inputs))


def _aligned(walk: Blobs, a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """Return the inputs with one rank: ncnn broadcasts a vector along the channels."""
    if len(a.shape) < len(b.shape):
        b, a = _aligned(walk, b, a)
        return a, b
    missing = len(a.shape) - len(b.shape)
    return a, walk.emit.reshape(b, (*b.shape, *([1] * missing)))


@LAYERS.register("Eltwise")
def _eltwise(walk: Blobs, layer: Layer) -> Operand:
    first, *others = walk.inputs(layer)
    for other in others:
        first = walk.emit.add(Elementwise(_ELTWISE[layer.integer(0)]), first, other)
    return first


@LAYERS.register("Softmax")
def _softmax(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    return walk.emit.add(Softmax(axis_of(layer.integer(0), x)), x)


@LAYERS.register("MatMul")
def _matmul(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(MatMul(transpose_b=bool(layer.integer(0))), *walk.inputs(layer))


@LAYERS.register("Reduction")
def _reduction(walk: Blobs, layer: Layer) -> Operand:
    kind = _REDUCTIONS.get(layer.integer(0))
    if kind is None:
        raise UnsupportedFormError(f"operation {layer.integer(0)}")
    (x,) = walk.inputs(layer)
    named = layer.array(3)
    axes = tuple(range(1, len(x.shape))) if named is None else tuple(axis_of(a, x) for a in named)
    keep = bool(layer.integer(4))
    if kind == "mean" and axes == (2, 3) and keep:
        return walk.emit.add(AdaptivePool("avg", (1, 1)), x)
    return walk.emit.add(Reduce(kind, axes, keep), x)
