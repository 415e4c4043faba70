"""Ways to write activations and normalizations with simpler operators, and near misses."""

from __future__ import annotations

import math
from collections.abc import Callable

from costmodel.graph import Builder, Value
from costmodel.ops import (
    AdaptivePool,
    Cast,
    ChannelShuffle,
    Contiguous,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Op,
    Parameter,
    Reduce,
    Reshape,
    Transpose,
)

SHAPE = (2, 8, 4, 4)


class Writer:
    """Writes operators: ``w.mul(x, 0.5)``, ``w.erf(x)``; any other by ``w(op, x)``."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.made: dict[str, Value] = {}

    def __call__(self, op: Op, *inputs: Value) -> Value:
        value = self.builder.add(op, *inputs)
        self.made[value.node] = value
        return value

    def __getattr__(self, kind: str) -> Callable[..., Value]:
        def write(*operands: Value | float) -> Value:
            numbers = [x for x in operands if not isinstance(x, Value)]
            values = [x for x in operands if isinstance(x, Value)]
            return self(Elementwise(kind, *map(float, numbers)), *values)

        return write

    def learned(self, *shape: int) -> Value:
        return self(Parameter(shape))

    def mean(self, x: Value, *axes: int) -> Value:
        return self(Reduce("mean", axes, True), x)

    def reshaped(self, x: Value, *shape: int) -> Value:
        return self(Reshape(shape), x)


Form = Callable[[Writer, Value], Value]


def gelu(w: Writer, x: Value) -> Value:
    return w.mul(w.mul(x, w.add(w.erf(w.div(x, math.sqrt(2))), 1)), 0.5)


def gelu_half_first(w: Writer, x: Value) -> Value:
    return w.mul(w.mul(x, 0.5), w.add(w.erf(w.mul(x, math.sqrt(0.5))), 1))


def gelu_half_of_sum(w: Writer, x: Value) -> Value:
    return w.mul(w.mul(w.add(w.erf(w.div(x, 1.4142135)), 1), 0.5), x)


def gelu_over_two(w: Writer, x: Value) -> Value:
    return w.mul(w.add(w.erf(w.div(x, 1.41421)), 1), w.div(x, 2))


def tanh_gelu(w: Writer, x: Value) -> Value:
    cube = w.mul(w.mul(x, w.mul(x, x)), 0.044715)
    return w.mul(w.mul(x, w.add(w.tanh(w.mul(w.add(x, cube), 0.7978845608)), 1)), 0.5)


def tanh_gelu_of_power(w: Writer, x: Value) -> Value:
    cube = w.mul(w.pow(x, 3), 0.044715)
    return w.mul(x, w.mul(w.add(w.tanh(w.mul(w.add(cube, x), math.sqrt(2 / math.pi))), 1), 0.5))


def tanh_gelu_of_square(w: Writer, x: Value) -> Value:
    square = w.add(w.mul(w.square(x), 0.044715), 1)
    return w.mul(w.mul(x, 0.5), w.add(w.tanh(w.mul(w.mul(x, 0.7978846), square)), 1))


def softplus_of_large(w: Writer, x: Value) -> Value:
    return w.where(w.greater(x, 20), x, w.softplus(x))


def softplus_of_large_scaled(w: Writer, x: Value) -> Value:
    scaled = w.mul(x, 2)
    return w.where(w.greater(scaled, 20), x, w.div(w.softplus(scaled), 2))


def centred(w: Writer, x: Value, *axes: int) -> Value:
    return w.sub(x, w.mean(x, *axes))


def normalized(w: Writer, x: Value, *axes: int, eps: float = 1e-5) -> Value:
    return w.div(x, w.sqrt(w.add(w.mean(w.square(x), *axes), eps)))


def layer_norm(w: Writer, x: Value) -> Value:
    y = normalized(w, centred(w, x, 3), 3)
    return w.add(w.mul(y, w.learned(4)), w.learned(4))


def layer_norm_of_products(w: Writer, x: Value) -> Value:
    y = centred(w, x, -1)
    variance = w.mean(w.mul(y, y), -1)
    y = w.mul(w.reciprocal(w.sqrt(w.add(variance, 1e-6))), centred(w, x, -1))
    return w.add(w.learned(4), w.mul(w.learned(4), y))


def layer_norm_of_pixels(w: Writer, x: Value) -> Value:
    y = w.sub(x, w(AdaptivePool("avg", (1, 1)), x))
    variance = w(AdaptivePool("avg", (1, 1)), w.square(y))
    return w.mul(w.div(y, w.sqrt(w.add(variance, 1e-5))), w.learned(4, 4))


def rms_norm(w: Writer, x: Value) -> Value:
    root = w.rsqrt(w.add(w.mean(w.square(x), 2, 3), 1e-6))
    return w.mul(w.mul(x, root), w.learned(4, 4))


def rms_norm_of_power(w: Writer, x: Value) -> Value:
    return w.mul(x, w.pow(w.add(w.mean(w.square(x), 3), 1e-6), -0.5))


def rms_norm_in_double(w: Writer, x: Value) -> Value:
    y = w(Cast("float64"), x)
    return w(Cast("float32"), normalized(w, y, 3))


def group_norm(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(2, affine=False), w.reshaped(x, 2, 2, 64))
    y = w.mul(w.reshaped(y, *SHAPE), w.learned(8, 1, 1))
    return w.add(y, w.learned(8, 1, 1))


def group_norm_without_scale(w: Writer, x: Value) -> Value:
    y = w(GroupNorm(2, affine=False), w.reshaped(x, 2, 2, 64))
    return w.add(w.mul(w.reshaped(y, *SHAPE), 1), 0)


def shuffle(w: Writer, x: Value) -> Value:
    y = w(Transpose((0, 2, 1, 3, 4)), w.reshaped(x, 2, 4, 2, 4, 4))
    return w.reshaped(w(Contiguous(), y), *SHAPE)


def hard_sigmoid(w: Writer, x: Value) -> Value:
    return w.div(w.relu6(w.add(x, 3)), 6)


FORMS: dict[str, tuple[Form, Op]] = {
    "silu": (lambda w, x: w.mul(x, w.sigmoid(x)), Elementwise("silu")),
    "silu, turned": (lambda w, x: w.mul(w.sigmoid(x), x), Elementwise("silu")),
    "hard sigmoid": (hard_sigmoid, Elementwise("hard_sigmoid")),
    "hard sigmoid, product": (
        lambda w, x: w.mul(w.relu6(w.add(x, 3)), 1 / 6),
        Elementwise("hard_sigmoid"),
    ),
    "hard-swish": (lambda w, x: w.mul(x, w.hard_sigmoid(x)), Elementwise("hard_swish")),
    "hard-swish, apart": (lambda w, x: w.mul(hard_sigmoid(w, x), x), Elementwise("hard_swish")),
    "hard-swish, divided last": (
        lambda w, x: w.div(w.mul(x, w.relu6(w.add(x, 3))), 6),
        Elementwise("hard_swish"),
    ),
    "mish": (lambda w, x: w.mul(x, w.tanh(w.softplus(x))), Elementwise("mish")),
    "mish, softplus apart": (
        lambda w, x: w.mul(x, w.tanh(softplus_of_large(w, x))),
        Elementwise("mish"),
    ),
    "gelu": (gelu, Elementwise("gelu")),
    "gelu, half first": (gelu_half_first, Elementwise("gelu")),
    "gelu, half of the sum": (gelu_half_of_sum, Elementwise("gelu")),
    "gelu, over two": (gelu_over_two, Elementwise("gelu")),
    "tanh gelu": (tanh_gelu, Elementwise("gelu_tanh")),
    "tanh gelu, power": (tanh_gelu_of_power, Elementwise("gelu_tanh")),
    "tanh gelu, square": (tanh_gelu_of_square, Elementwise("gelu_tanh")),
    "softplus": (softplus_of_large, Elementwise("softplus")),
    "softplus, scaled": (softplus_of_large_scaled, Elementwise("softplus")),
    "softplus, scaled alone": (
        lambda w, x: w.mul(w.softplus(w.mul(x, 4)), 0.25),
        Elementwise("softplus"),
    ),
    "log of sigmoid": (lambda w, x: w.log(w.sigmoid(x)), Elementwise("softplus")),
    "layer norm": (layer_norm, LayerNorm()),
    "layer norm, products": (layer_norm_of_products, LayerNorm()),
    "layer norm, pixels": (layer_norm_of_pixels, LayerNorm(2, bias=False)),
    "layer norm, no scale": (
        lambda w, x: normalized(w, centred(w, x, 1, 2, 3), 1, 2, 3),
        LayerNorm(3, affine=False, bias=False),
    ),
    "RMS norm": (rms_norm, LayerNorm(2, rms=True, bias=False)),
    "RMS norm, power": (rms_norm_of_power, LayerNorm(affine=False, rms=True, bias=False)),
    "RMS norm, double": (rms_norm_in_double, LayerNorm(affine=False, rms=True, bias=False)),
    "group norm": (group_norm, GroupNorm(2)),
    "group norm, no scale": (group_norm_without_scale, GroupNorm(2, affine=False)),
    "channel shuffle": (shuffle, ChannelShuffle(4)),
}


SLOPED = ("softplus, scaled", "softplus, scaled alone", "log of sigmoid")
"""Forms of an operator that stands for all of its slopes and signs, which cost the same."""
