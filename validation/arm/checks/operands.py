"""Numbers and operands of the reference: the generator, and a call's parameters with defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bench.program import Shape

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

WEIGHT, BIAS, SCALE, SHIFT = range(4)


def uniform(seed: int, role: int, count: int) -> Float32:
    """Return the first ``count`` numbers of a stream, in (-1, 1): what ``src/random.c`` makes.

    >>> [float(x) for x in uniform(1, WEIGHT, 2)] == [float(x) for x in uniform(1, WEIGHT, 3)[:2]]
    True
    """
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
    x += np.uint32(((4 * seed + role) * 0x85EBCA6B + 0x01234567) & 0xFFFFFFFF)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    odd = (2 * (x >> np.uint32(8)) + np.uint32(1)).astype(np.int64) - (1 << 24)
    return (odd / (1 << 24)).astype(np.float32)


def weights(shape: Sequence[int], fan_in: int, seed: int) -> Array:
    """Weights with He's scale, in the order (cout, cin / groups, kh, kw)."""
    scale = np.sqrt(np.float32(6) / np.float32(fan_in))
    values = uniform(seed, WEIGHT, int(np.prod(shape))) * scale
    weighted: Array = values.reshape(shape).astype(np.float64)
    return weighted


@dataclass(frozen=True)
class Args:
    """Operands and parameters of one call, with the defaults of ``src/spec.c``."""

    inputs: list[Array]
    shapes: list[Shape]
    params: Mapping[str, Any]

    @property
    def x(self) -> Array:
        """The first input."""
        return self.inputs[0]

    def get(self, key: str, default: int) -> int:
        """Return a whole number among the parameters."""
        return int(self.params.get(key, default))

    def pair(self, both: str, first: str, second: str, default: int) -> tuple[int, int]:
        """Two numbers that one key may set together."""
        value = self.get(both, default)
        return self.get(first, value), self.get(second, value)

    @property
    def window(self) -> tuple[int, int]:
        """Kernel height and width."""
        return self.pair("k", "kh", "kw", 1)

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns from window to window."""
        return self.pair("stride", "stride", "stride_w", 1)

    @property
    def dilation(self) -> tuple[int, int]:
        """Rows and columns from tap to tap."""
        return self.pair("dilation", "dilation", "dilation_w", 1)

    @property
    def pad(self) -> tuple[int, int]:
        """Rows and columns added before the input."""
        return self.pair("pad", "ph", "pw", 0)

    @property
    def pad_end(self) -> tuple[int, int]:
        """Rows and columns added after the input."""
        ph, pw = self.pad
        return self.get("ph_end", ph), self.get("pw_end", pw)


def activate(args: Args, y: Array) -> Array:
    """Return ``y`` after the activation that is fused, if any."""
    match args.params.get("act", "none"):
        case "relu":
            return np.maximum(y, 0)
        case "relu6":
            return np.clip(y, 0, 6)
        case _:
            return y


def narrowed(args: Args, matrix: Array, x: Array) -> tuple[Array, Array]:
    """Return weights ``[..., rows, columns]`` and values as ``dtype`` rounds or quantizes them.

    Quantization is torch's of weights a channel (``quantize_per_channel``) and of activations
    (``quantize_per_tensor``), symmetric: a step is the largest value over 127.
    """
    match args.params.get("dtype", "float32"):
        case "float16":
            return _half(matrix), _half(x)
        case "int8":
            return _quantized(matrix, axis=-1), _quantized(x, largest=np.abs(args.x).max())
        case _:
            return matrix, x


def _half(x: Array) -> Array:
    return x.astype(np.float16).astype(np.float64)


def _quantized(x: Array, axis: int | None = None, largest: float | None = None) -> Array:
    """Quantize with a step for each row along ``axis``, or one for all."""
    if largest is None:
        top = np.abs(x).max(axis=axis, keepdims=True).astype(np.float32)
    else:
        top = np.full((1,) * x.ndim, largest, np.float32)
    step = np.where(top > 0, top / np.float32(127), np.float32(1)).astype(np.float32)
    counted = np.rint(x.astype(np.float32) * (np.float32(1) / step))
    quantized: Array = np.clip(counted, -127, 127).astype(np.float64) * step
    return quantized
