"""The reference of what is no convolution: arithmetic, movement, norms, products of activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .operands import (
    SCALE,
    SHIFT,
    WEIGHT,
    Args,
    Array,
    activate,
    uniform,
    weights,
)

_EPSILON = 1e-5
_Unary = Callable[[Array], Array]
_Binary = Callable[[Array, Array], Array]


def _unary(function: _Unary) -> Callable[[Args], list[Array]]:
    return lambda args: [function(args.x)]


def _binary(function: _Binary) -> Callable[[Args], list[Array]]:
    return lambda args: [activate(args, function(args.x, args.inputs[1]))]


def _number(function: _Binary) -> Callable[[Args], list[Array]]:
    def call(args: Args) -> list[Array]:
        number = np.full((1, 1, 1, 1), np.float32(args.params["value"]), dtype=np.float64)
        return [activate(args, function(args.x, number))]

    return call


def _gelu(x: Array) -> Array:
    erf: Array = np.vectorize(math.erf)(x / math.sqrt(2))
    return np.asarray(x / 2 * (1 + erf))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _axis(args: Args) -> int:
    return args.get("axis", 1)


def _concat(args: Args) -> list[Array]:
    return [np.concatenate(args.inputs, axis=_axis(args))]


def _split(args: Args) -> list[Array]:
    ends = np.cumsum([shape[_axis(args)] for shape in args.shapes])
    return list(np.split(args.x, ends[:-1], axis=_axis(args)))


def _slice(args: Args) -> list[Array]:
    count = args.shapes[0][_axis(args)]
    places = args.get("begin", 0) + args.get("step", 1) * np.arange(count)
    return [np.take(args.x, places, axis=_axis(args))]


def _gather(args: Args) -> list[Array]:
    count, extent = args.shapes[0][_axis(args)], args.x.shape[_axis(args)]
    shares = (uniform(args.get("seed", 0), WEIGHT, count).astype(np.float64) + 1) / 2
    return [np.take(args.x, (shares * extent).astype(np.int64), axis=_axis(args))]


def _transpose(args: Args) -> list[Array]:
    order = f"{args.get('order', 123):04d}"
    return [args.x.transpose([int(axis) for axis in order])]


def _affine(args: Args, count: int) -> tuple[Array, Array]:
    scale, shift = np.ones(count), np.zeros(count)
    if args.get("affine", 0):
        scale += 0.25 * uniform(args.get("seed", 0), SCALE, count).astype(np.float64)
        if args.get("bias", 0):
            shift += 0.125 * uniform(args.get("seed", 0), SHIFT, count).astype(np.float64)
    return scale, shift


def _normalized(rows: Array, rms: bool = False) -> Array:
    centred = rows if rms else rows - rows.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
    return np.asarray(centred / deviation)


def _layernorm(args: Args) -> list[Array]:
    rows = args.x.reshape(-1, args.get("inner", 1))
    scale, shift = _affine(args, rows.shape[1])
    y = _normalized(rows, bool(args.get("rms", 0))) * scale + shift
    return [y.reshape(args.x.shape)]


def _groupnorm(args: Args) -> list[Array]:
    n, c = args.x.shape[:2]
    params = {**args.params, "bias": 1}
    scale, shift = _affine(Args(args.inputs, args.shapes, params), c)
    y = _normalized(args.x.reshape(n, args.get("groups", 1), -1)).reshape(args.x.shape)
    return [y * scale[:, None, None] + shift[:, None, None]]


def _prelu(args: Args) -> list[Array]:
    slopes = 0.25 + 0.125 * uniform(args.get("seed", 0), SCALE, args.x.shape[1]).astype(np.float64)
    if args.get("groups", 1) != 1:
        slopes[:] = slopes[0]
    return [np.where(args.x > 0, args.x, args.x * slopes[:, None, None])]


def _matmul(args: Args) -> list[Array]:
    a, b = args.inputs
    a = a.swapaxes(2, 3) if args.get("swap_a", 0) else a
    b = b.swapaxes(2, 3) if args.get("swap_b", 0) else b
    return [a @ b]


def _attention(args: Args) -> list[Array]:
    q, k, v = args.inputs
    shared = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, shared, axis=1), np.repeat(v, shared, axis=1)
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[3])
    if args.get("causal", 0):
        scores = np.where(np.tri(*scores.shape[2:]) > 0, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=3, keepdims=True))
    return [powers / powers.sum(axis=3, keepdims=True) @ v]


def _adaptive(reduce: Callable[[Array], Array]) -> Callable[[Args], list[Array]]:
    def call(args: Args) -> list[Array]:
        (_, _, h, w), (_, _, oh, ow) = args.x.shape, args.shapes[0]
        y = np.empty(args.shapes[0])
        for i in range(oh):
            for j in range(ow):
                rows = slice(i * h // oh, -(-(i + 1) * h // oh))
                columns = slice(j * w // ow, -(-(j + 1) * w // ow))
                y[:, :, i, j] = reduce(args.x[:, :, rows, columns])
        return [y]

    return call


def _nearest(args: Args) -> list[Array]:
    (_, _, h, w), (_, _, oh, ow) = args.x.shape, args.shapes[0]
    return [args.x[:, :, np.arange(oh) * h // oh][:, :, :, np.arange(ow) * w // ow]]


def _bilinear(args: Args) -> list[Array]:
    y = args.x
    for axis in (2, 3):
        size, out = y.shape[axis], args.shapes[0][axis]
        at = np.maximum((np.arange(out) + 0.5) * size / out - 0.5, 0)
        low = np.minimum(at.astype(int), size - 1)
        high = np.minimum(low + 1, size - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        below, above = np.take(y, low, axis=axis), np.take(y, high, axis=axis)
        y = below + share * (above - below)
    return [y]


def _deconv(args: Args) -> list[Array]:
    (n, cin, h, w), (_, cout, oh, ow) = args.x.shape, args.shapes[0]
    groups, stride = args.get("groups", 1), args.get("stride", 1)
    (kh, kw), (ph, pw), dilation = args.window, args.pad, args.get("dilation", 1)
    mine = cout // groups
    kernel = weights((cin, mine, kh, kw), cin // groups * kh * kw, args.get("seed", 0))
    height = max((h - 1) * stride + dilation * (kh - 1) + 1, ph + oh)
    width = max((w - 1) * stride + dilation * (kw - 1) + 1, pw + ow)
    full = np.zeros((n, cout, height, width))
    for c in range(cin):
        first = c // (cin // groups) * mine
        for ky in range(kh):
            for kx in range(kw):
                rows = slice(ky * dilation, ky * dilation + (h - 1) * stride + 1, stride)
                columns = slice(kx * dilation, kx * dilation + (w - 1) * stride + 1, stride)
                part = args.x[:, c, None] * kernel[c, :, ky, kx][:, None, None]
                full[:, first : first + mine, rows, columns] += part
    bias = np.zeros(cout)
    if args.get("bias", 0):
        bias = 0.125 * uniform(args.get("seed", 0), 1, cout).astype(np.float64)
    return [full[:, :, ph : ph + oh, pw : pw + ow] + bias[:, None, None]]


_BINARY: dict[str, _Binary] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}
MORE: dict[str, Callable[[Args], list[Array]]] = {
    "gelu": _unary(_gelu),
    "gelu_tanh": _unary(_gelu_tanh),
    "leaky_relu": _unary(lambda x: np.where(x > 0, x, 0.01 * x)),
    "elu": _unary(lambda x: np.where(x > 0, x, np.expm1(x))),
    "exp": _unary(np.exp),
    "neg": _unary(np.negative),
    "abs": _unary(np.abs),
    "square": _unary(np.square),
    "sqrt": _unary(np.sqrt),
    "rsqrt": _unary(lambda x: 1 / np.sqrt(x)),
    "reciprocal": _unary(np.reciprocal),
    "hard_tanh": _unary(lambda x: np.clip(x, -1, 1)),
    **{name: _binary(function) for name, function in _BINARY.items()},
    **{f"{name}_number": _number(function) for name, function in _BINARY.items()},
    "broadcast": lambda args: [np.broadcast_to(args.x, args.shapes[0])],
    "concat": _concat,
    "split": _split,
    "slice": _slice,
    "gather": _gather,
    "transpose": _transpose,
    "layernorm": _layernorm,
    "groupnorm": _groupnorm,
    "prelu": _prelu,
    "matmul": _matmul,
    "attention": _attention,
    "adaptivemax": _adaptive(lambda x: x.max(axis=(2, 3))),
    "adaptiveavg": _adaptive(lambda x: x.mean(axis=(2, 3))),
    "nearest": _nearest,
    "bilinear": _bilinear,
    "deconv": _deconv,
}
"""Kernel by name, beside those of :mod:`.reference`."""
