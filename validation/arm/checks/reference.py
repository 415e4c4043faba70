"""Every kernel in plain NumPy, which shares only the random generator with the C code.

Sums are made in float64, so the reference is exact to float32 for the sizes used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.errors import DataError, suggest

from ..bench.program import Call, Shape
from .operands import BIAS as BIAS
from .operands import SCALE, SHIFT, Args, Array, weights
from .operands import WEIGHT as WEIGHT
from .operands import Float32 as Float32
from .operands import activate as _activate
from .operands import narrowed as narrowed
from .operands import uniform as uniform
from .reference_more import MORE


def _bias(args: Args, channels: int) -> Array:
    if not args.get("bias", 0):
        return np.zeros(channels)
    return uniform(args.get("seed", 0), BIAS, channels).astype(np.float64) * 0.125


def _patches(args: Args, window: tuple[int, int], fill: float) -> Array:
    """Windows of the padded input: (n, c, kh, kw, oh, ow), as many as the output has places."""
    (kh, kw), (ph, pw) = window, args.pad
    (sy, sx), (dy, dx) = args.stride, args.dilation
    _, _, oh, ow = args.shapes[0]
    n, c, h, w = args.x.shape
    height = max((oh - 1) * sy + dy * (kh - 1) + 1, h + ph)
    width = max((ow - 1) * sx + dx * (kw - 1) + 1, w + pw)
    padded = np.full((n, c, height, width), fill)
    padded[:, :, ph : ph + h, pw : pw + w] = args.x
    patches = np.empty((n, c, kh, kw, oh, ow))
    for ky in range(kh):
        for kx in range(kw):
            y, x = ky * dy, kx * dx
            patches[:, :, ky, kx] = padded[
                :, :, y : y + (oh - 1) * sy + 1 : sy, x : x + (ow - 1) * sx + 1 : sx
            ]
    return patches


def _conv(args: Args, window: tuple[int, int], groups: int) -> list[Array]:
    cout, cin = args.shapes[0][1], args.x.shape[1] // groups
    kernel = weights(
        (groups, cout // groups, cin, *window), cin * window[0] * window[1], args.get("seed", 0)
    )
    patches = _patches(args, window, 0.0)
    n, _, kh, kw, oh, ow = patches.shape
    rows = patches.reshape(n, groups, cin * kh * kw, oh * ow)
    left, rows = narrowed(args, kernel.reshape(groups, cout // groups, -1), rows)
    product = left @ rows
    y = product.reshape(n, cout, oh, ow) + _bias(args, cout)[:, None, None]
    return [_activate(args, y)]


def _conv1x1(args: Args) -> list[Array]:
    return _conv(args, (1, 1), args.get("groups", 1))


def _conv3x3(args: Args) -> list[Array]:
    return _conv(args, (3, 3), 1)


def _conv_any(args: Args) -> list[Array]:
    return (
        _volume(args) if "depth" in args.params else _conv(args, args.window, args.get("groups", 1))
    )


def _volume(args: Args) -> list[Array]:
    """Convolve planes: every output plane is a sum over taps of the input planes around it."""
    depth, kd, groups = args.get("depth", 1), args.get("kd", 1), args.get("groups", 1)
    before, step, apart = args.get("pd", 0), args.get("stride_d", 1), args.get("dilation_d", 1)
    n, _, h, w = args.x.shape
    _, planes, oh, ow = args.shapes[0]
    deep = (depth + before + args.get("pd_end", before) - apart * (kd - 1) - 1) // step + 1
    cin, cout = args.x.shape[1] // depth, planes // deep
    shape = (groups, cout // groups, cin // groups, kd, *args.window)
    kernel = weights(shape, int(np.prod(shape[2:])), args.get("seed", 0))
    flat, _ = narrowed(args, kernel.reshape(groups, cout // groups, -1), args.x)
    kernel = flat.reshape(kernel.shape)
    x, y = args.x.reshape(n, cin, depth, h, w), np.zeros((n, cout, deep, oh, ow))
    for oz in range(deep):
        for kz in range(kd):
            iz = oz * step + kz * apart - before
            if 0 <= iz < depth:
                one = Args([x[:, :, iz]], [(n, cout, oh, ow)], args.params)
                rows = _patches(one, args.window, 0.0).reshape(n, groups, -1, oh * ow)
                taps = kernel[:, :, :, kz].reshape(groups, cout // groups, -1)
                _, rows = narrowed(args, taps, rows)
                y[:, :, oz] += (taps @ rows).reshape(n, cout, oh, ow)
    y += _bias(args, cout)[:, None, None, None]
    return [_activate(args, y.reshape(args.shapes[0]))]


def _depthwise(args: Args) -> list[Array]:
    return _conv(args, args.window, args.x.shape[1])


def _linear(args: Args) -> list[Array]:
    n, cout = args.x.shape[0], args.shapes[0][1]
    x = args.x.reshape(n, -1)
    matrix = weights((cout, x.shape[1]), x.shape[1], args.get("seed", 0))
    matrix, x = narrowed(args, matrix, x)
    y = x @ matrix.T + _bias(args, cout)
    return [_activate(args, y[:, :, None, None])]


def _maxpool(args: Args) -> list[Array]:
    return [_patches(args, args.window, -np.inf).max(axis=(2, 3))]


def _avgpool(args: Args) -> list[Array]:
    counts = np.ones_like(args.x)
    if args.get("include_pad", 1):
        (ph, pw), (ph_end, pw_end) = args.pad, args.pad_end
        counts = np.pad(counts, ((0, 0), (0, 0), (ph, ph_end), (pw, pw_end)), constant_values=1)
        unpadded = {k: v for k, v in args.params.items() if k not in {"pad", "ph", "pw"}}
        places = _patches(Args([counts], args.shapes, unpadded), args.window, 0.0)
    else:
        places = _patches(Args([counts], args.shapes, args.params), args.window, 0.0)
    return [_patches(args, args.window, 0.0).sum(axis=(2, 3)) / places.sum(axis=(2, 3))]


def _globalpool(args: Args) -> list[Array]:
    return [args.x.mean(axis=(2, 3), keepdims=True)]


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))  # exp(-x) would overflow


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _softmax(args: Args) -> list[Array]:
    x = args.x
    if args.get("causal", 0):
        rows = np.arange(x.shape[0]) % args.get("inner", 1)
        hidden = np.arange(x.shape[1])[None, :] > rows[:, None]
        x = np.where(hidden[:, :, None, None], -np.inf, x)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return [powers / powers.sum(axis=1, keepdims=True)]


def _batchnorm(args: Args) -> list[Array]:
    seed, channels = args.get("seed", 0), args.x.shape[1]
    scale = np.float32(1) + np.float32(0.25) * uniform(seed, SCALE, channels)
    shift = np.float32(0.125) * uniform(seed, SHIFT, channels)
    y = args.x * scale.astype(np.float64)[:, None, None] + shift.astype(np.float64)[:, None, None]
    return [_activate(args, y)]


def _add_bias(args: Args) -> list[Array]:
    shift = 0.125 * uniform(args.get("seed", 0), BIAS, args.x.shape[1]).astype(np.float64)
    return [_activate(args, args.x + shift[:, None, None])]


def _shuffle(args: Args) -> list[Array]:
    n, c, h, w = args.x.shape
    groups = args.get("groups", 1)
    split = args.x.reshape(n, groups, c // groups, h, w)
    return [split.transpose(0, 2, 1, 3, 4).reshape(n, c, h, w)]


KERNELS: dict[str, Callable[[Args], list[Array]]] = {
    "conv1x1": _conv1x1,
    "conv3x3": _conv3x3,
    "winograd3x3": _conv3x3,
    "conv": _conv_any,
    "depthwise": _depthwise,
    "linear": _linear,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "globalpool": _globalpool,
    "relu": lambda args: [np.maximum(args.x, 0)],
    "relu6": lambda args: [np.clip(args.x, 0, 6)],
    "sigmoid": lambda args: [_sigmoid(args.x)],
    "silu": lambda args: [args.x * _sigmoid(args.x)],
    "hsigmoid": lambda args: [_hard_sigmoid(args.x)],
    "hswish": lambda args: [args.x * _hard_sigmoid(args.x)],
    "tanh": lambda args: [np.tanh(args.x)],
    "softmax": _softmax,
    "batchnorm": _batchnorm,
    "bias": _add_bias,
    "shuffle": _shuffle,
    "copy": lambda args: [args.x.reshape(args.shapes[0])],
    **MORE,
}


def call_kernel(call: Call, inputs: Sequence[NDArray[Any]], shapes: Sequence[Shape]) -> list[Array]:
    """Return the outputs of one call, given its inputs and the shapes of its outputs."""
    if call.kernel not in KERNELS:
        raise DataError(f"no kernel is called {call.kernel!r}; {suggest(call.kernel, KERNELS)}")
    wide = [np.asarray(x, dtype=np.float64) for x in inputs]
    return KERNELS[call.kernel](Args(wide, list(shapes), call.params))
