"""The reference of other operators: arithmetic, movement, norms, products of activations."""

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
)
from .reference_sizes import SIZES

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
    dims = [int(size) for size in str(args.params.get("dims", "")).split("x") if size]
    order = f"{args.get('order', 123):0{len(dims) or 4}d}"
    x = args.x.reshape(dims or args.x.shape)
    return [x.transpose([int(axis) for axis in order]).reshape(args.shapes[0])]


def _pad(args: Args) -> list[Array]:
    y = np.zeros(args.shapes[0])
    keys = ("begin", "begin_c", "begin_h", "begin_w")
    y[tuple(slice(b := args.get(k, 0), b + n) for k, n in zip(keys, args.x.shape, strict=True))] = (
        args.x
    )
    return [y]


def _lrn(args: Args) -> list[Array]:
    size, squares = args.get("inner", 1), args.x**2
    around = np.pad(squares, ((0, 0), (size // 2, (size - 1) // 2), (0, 0), (0, 0)))
    sums = sum(around[:, i : i + args.x.shape[1]] for i in range(size))
    return [args.x / (1 + 1e-4 / size * np.asarray(sums)) ** 0.75]


def _reduced(function: Callable[..., Array]) -> Callable[[Args], list[Array]]:
    return lambda args: [function(args.x, axis=1, keepdims=True)]


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
    return [float(np.float32(args.params.get("value", 1))) * (a @ b)]


def _attention(args: Args) -> list[Array]:
    q, k, v = args.inputs
    shared = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, shared, axis=1), np.repeat(v, shared, axis=1)
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[3])
    if args.get("causal", 0):
        scores = np.where(np.tri(*scores.shape[2:]) > 0, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=3, keepdims=True))
    return [powers / powers.sum(axis=3, keepdims=True) @ v]


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
    "pow_number": _number(np.power),
    "erf": _unary(lambda x: np.asarray(np.vectorize(math.erf)(x))),
    "floor": _unary(np.floor),
    "ceil": _unary(np.ceil),
    "round": _unary(np.round),
    "sign": _unary(np.sign),
    "clamp": _unary(lambda x: np.clip(x, 0, 1)),
    "mish": _unary(lambda x: x * np.tanh(np.logaddexp(0, x))),
    "softplus": _unary(lambda x: np.logaddexp(0, x)),
    "sin": _unary(np.sin),
    "cos": _unary(np.cos),
    "reduce_sum": _reduced(np.sum),
    "reduce_mean": _reduced(np.mean),
    "reduce_max": _reduced(np.max),
    "reduce_min": _reduced(np.min),
    "reduce_prod": _reduced(np.prod),
    "reduce_norm": _reduced(lambda x, **how: np.sqrt(np.sum(x**2, **how))),
    "reduce_var": _reduced(lambda x, **how: np.var(x, ddof=1, **how)),
    "cumsum": lambda args: [np.cumsum(args.x, axis=1)],
    "lrn": _lrn,
    "pad": _pad,
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
    **SIZES,
}
"""Kernel by name, beside those of :mod:`.reference`."""
