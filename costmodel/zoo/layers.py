"""Parts shared by the zoo's networks: images, convolutions with batch norm, heads, widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import networkx as nx
import numpy as np

from costmodel.algebra.arrays import as_floats, whole
from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.sizes import MAX_DIM, check_dim, taken
from costmodel.algebra.symbols import Dim, product
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Conv,
    Elementwise,
    Linear,
    Pool,
    Reshape,
)

Size: TypeAlias = Any
"""A size of an image or a window: one dimension for both axes, or (height, width)."""
Margin: TypeAlias = Any
"""A padding: a size, or ``"same"`` for outputs of ``ceil(size / stride)``."""
Width: TypeAlias = Any
"""A multiplier of channels: a positive number, an array of them, or a symbol (not rounded)."""
Shape: TypeAlias = tuple[Dim, ...]
"""The sizes of a tensor."""
Channels: TypeAlias = tuple[Dim, ...]
"""The output channels of each stage of a network."""


def pair(size: Size) -> tuple[Dim, Dim]:
    """Return height and width.

    >>> pair(224), pair((800, 1200))
    ((224, 224), (800, 1200))
    """
    if isinstance(size, tuple | list):
        if len(size) != 2:
            raise DataError(f"size must be one number or (height, width), got {size!r}")
        return size[0], size[1]
    return size, size


def image(b: Builder, size: Size, batch: Dim, dtype: str) -> Value:
    """Add an input of ``batch`` colour images."""
    return b.input((batch, 3, *pair(size)), dtype)


def half_up(k: Size) -> tuple[Dim, Dim]:
    """Return the padding of an odd window that keeps the size: ``k // 2`` per axis."""
    height, width = pair(k)
    return height // 2, width // 2


def margin(padding: Margin | None, k: Size) -> tuple[Dim, Dim] | str:
    """Return the padding of a window of ``k`` taps, by default :func:`half_up`.

    Examples
    --------
    >>> margin(None, 3), margin(2, 3), margin("same", 3)
    ((1, 1), (2, 2), 'same')
    """
    if isinstance(padding, str):
        return padding
    return half_up(k) if padding is None else pair(padding)


def conv(
    b: Builder, x: Value, out: Dim, k: int = 1, stride: int = 1, groups: Dim = 1, bias: bool = False
) -> Value:
    """Add a ``k`` x ``k`` convolution that keeps the size except for its stride."""
    return b.add(Conv(out, (k, k), stride, k // 2, groups=groups, bias=bias), x)


def conv_bn(
    b: Builder,
    x: Value,
    out: Dim,
    k: int = 1,
    stride: int = 1,
    groups: Dim = 1,
    act: str | None = "relu",
) -> Value:
    """Add convolution, batch normalization and, unless ``act`` is None, an activation."""
    y = b.add(BatchNorm(), conv(b, x, out, k, stride, groups))
    return y if act is None else activation(b, y, act)


def depthwise_bn(
    b: Builder, x: Value, k: int = 3, stride: int = 1, act: str | None = None
) -> Value:
    """Add a depthwise convolution, batch normalization and an activation."""
    channels = taken(x.shape[1])
    return conv_bn(b, x, channels, k, stride, groups=channels, act=act)


def norm_act(b: Builder, x: Value, act: str = "relu") -> Value:
    """Add batch normalization and an activation, in front of a convolution."""
    return activation(b, b.add(BatchNorm(), x), act)


def activation(b: Builder, x: Value, kind: str = "relu") -> Value:
    """Add an activation."""
    return b.add(Elementwise(kind), x)


def add(b: Builder, x: Value, y: Value) -> Value:
    """Add the elementwise sum of two maps."""
    return b.add(Elementwise("add"), x, y)


def max_pool(b: Builder, x: Value, k: int = 3, stride: int = 2, padding: int = 1) -> Value:
    """Add max pooling."""
    return b.add(Pool("max", (k, k), stride, padding), x)


def avg_pool(b: Builder, x: Value, k: int, stride: int, padding: int = 0) -> Value:
    """Add average pooling."""
    return b.add(Pool("avg", (k, k), stride, padding), x)


def squeeze_excite(
    b: Builder, x: Value, neurons: Dim, act: str = "relu", gate: str = "sigmoid"
) -> Value:
    """Add squeeze and excitation: global pooling, two 1x1 convolutions with bias, a product."""
    with b.module("se"):
        y = b.add(AdaptivePool("avg"), x)
        y = activation(b, conv(b, y, neurons, bias=True), act)
        y = activation(b, conv(b, y, taken(x.shape[1]), bias=True), gate)
        return b.add(Elementwise("mul"), x, y)


def flatten(b: Builder, x: Value) -> Value:
    """Add a view with one row per image."""
    return b.add(Reshape(taken((x.shape[0], product(x.shape[1:])))), x)


def pooled(b: Builder, x: Value) -> Value:
    """Add global average pooling, flattened."""
    return flatten(b, b.add(AdaptivePool("avg"), x))


def classify(b: Builder, x: Value, classes: Dim) -> nx.DiGraph:
    """Add global pooling and a linear layer, and return the finished graph."""
    with b.module("classifier"):
        x = b.add(Linear(classes), pooled(b, x))
    return b.finish(x)


def check_width(width: Width) -> None:
    """Raise ``DataError`` unless ``width`` is a positive size (a symbol counts as such)."""
    if is_expression(width):
        return
    if not np.all(np.asarray(width) > 0):
        raise DataError(f"width must be positive, got {width}")
    if not np.all(np.asarray(width) <= MAX_DIM):
        raise DataError(f"width must be at most {MAX_DIM}, got {width}")


def scaled(channels: int, width: Width) -> Dim:
    """Return ``channels * width``, rounded down; symbols are not rounded.

    >>> scaled(32, 0.75), scaled(32, np.array([0.5, 2.0])).tolist()
    (24, [16, 64])
    """
    check_width(width)
    wanted = channels * as_floats(width)
    if is_expression(wanted):
        return wanted
    return whole(wanted) if isinstance(wanted, np.ndarray) else int(wanted)


def rounded(channels: Dim, width: Width = 1.0, divisor: int = 8) -> Dim:
    """Return ``channels * width`` to the next multiple of ``divisor``, at least 90 % of it.

    The rule of MobileNet v2 and its successors: at least ``divisor``; symbols are not rounded.

    >>> rounded(24, 1.4), rounded(24, 0.35), rounded(24, np.array([0.5, 1.4])).tolist()
    (32, 8, [16, 32])
    """
    check_width(width)
    if is_expression(channels):
        width = sympy.nsimplify(width, rational=True)
    wanted = channels * as_floats(width)
    if is_expression(wanted):
        return wanted
    if isinstance(wanted, np.ndarray):
        near = np.maximum(np.floor((wanted + divisor / 2) / divisor) * divisor, divisor)
        return whole(np.where(near < 0.9 * wanted, near + divisor, near))
    nearest = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * wanted else nearest


def check_stages(channels: Sequence[Dim], names: str) -> None:
    """Raise an error unless there is one size in ``channels`` for each of ``names``."""
    if len(channels) != len(names.split()):
        raise DataError(
            f"channels must hold {len(names.split())} entries ({', '.join(names.split())}), "
            f"got {len(channels)}"
        )
    for size, name in zip(channels, names.split(), strict=True):
        check_dim(size, f"channels of {name}")
