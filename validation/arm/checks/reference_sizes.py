"""The reference of other sizes: adaptive pooling, interpolation, transposed convolution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .operands import BIAS, Args, Array, uniform, weights


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


def _bicubic(args: Args) -> list[Array]:
    y = args.x
    for axis in (2, 3):
        size, out = y.shape[axis], args.shapes[0][axis]
        at = (np.arange(out) + 0.5) * size / out - 0.5
        first = np.floor(at).astype(int)
        parts = []
        for place in range(-1, 3):
            share = _keys(np.abs(at - first - place))
            taken = np.take(y, np.clip(first + place, 0, size - 1), axis=axis)
            parts.append(taken * share.reshape([-1 if i == axis else 1 for i in range(4)]))
        y = np.sum(parts, axis=0)
    return [y]


def _keys(far: Array, a: float = -0.75) -> Array:
    near = ((a + 2) * far - (a + 3)) * far**2 + 1
    return np.where(far <= 1, near, ((a * far - 5 * a) * far + 8 * a) * far - 4 * a)


def _deconv(args: Args) -> list[Array]:
    (n, cin, h, w), (_, cout, oh, ow) = args.x.shape, args.shapes[0]
    groups, (sy, sx), (dy, dx) = args.get("groups", 1), args.stride, args.dilation
    (kh, kw), (ph, pw) = args.window, args.pad
    mine = cout // groups
    kernel = weights((cin, mine, kh, kw), cin // groups * kh * kw, args.get("seed", 0))
    height = max((h - 1) * sy + dy * (kh - 1) + 1, ph + oh)
    width = max((w - 1) * sx + dx * (kw - 1) + 1, pw + ow)
    full = np.zeros((n, cout, height, width))
    for c in range(cin):
        first = c // (cin // groups) * mine
        for ky in range(kh):
            for kx in range(kw):
                rows = slice(ky * dy, ky * dy + (h - 1) * sy + 1, sy)
                columns = slice(kx * dx, kx * dx + (w - 1) * sx + 1, sx)
                part = args.x[:, c, None] * kernel[c, :, ky, kx][:, None, None]
                full[:, first : first + mine, rows, columns] += part
    bias = np.zeros(cout)
    if args.get("bias", 0):
        bias = 0.125 * uniform(args.get("seed", 0), BIAS, cout).astype(np.float64)
    return [full[:, :, ph : ph + oh, pw : pw + ow] + bias[:, None, None]]


SIZES: dict[str, Callable[[Args], list[Array]]] = {
    "adaptivemax": _adaptive(lambda x: x.max(axis=(2, 3))),
    "adaptiveavg": _adaptive(lambda x: x.mean(axis=(2, 3))),
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "deconv": _deconv,
}
"""Kernel by name."""
