"""MobileNet v3."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, same
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import Linear
from costmodel.zoo.layers import (
    Size,
    Width,
    activation,
    add,
    conv_bn,
    depthwise_bn,
    image,
    pooled,
    rounded,
    squeeze_excite,
)

BLOCKS: dict[str, tuple[tuple[int, int, int, bool, str, int], ...]] = {
    "large": (
        (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1), (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hard_swish", 2), (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1), (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1), (3, 672, 112, True, "hard_swish", 1),
        (5, 672, 160, True, "hard_swish", 2), (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ),
    "small": (
        (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2),
        (3, 88, 24, False, "relu", 1), (5, 96, 40, True, "hard_swish", 2),
        (5, 240, 40, True, "hard_swish", 1), (5, 240, 40, True, "hard_swish", 1),
        (5, 120, 48, True, "hard_swish", 1), (5, 144, 48, True, "hard_swish", 1),
        (5, 288, 96, True, "hard_swish", 2), (5, 576, 96, True, "hard_swish", 1),
        (5, 576, 96, True, "hard_swish", 1),
    ),
}  # fmt: skip
"""Kernel, expanded and output channels, squeeze-and-excitation, activation, stride by block."""


def mobilenet_v3(
    variant: str = "large",
    width: Width = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return MobileNet v3 of :cite:t:`howard2019searching`.

    Parameters
    ----------
    variant : {"large", "small"}
        Which network.
    width : Width
        Multiplier of all channels, rounded to multiples of 8. [1]
    size, batch, classes, dtype
        As in :func:`~costmodel.zoo.mobilenet_v1`.

    Examples
    --------
    >>> import costmodel as cm
    >>> [round(cm.multiply_adds(mobilenet_v3(v)) / 1e6) for v in ("large", "small")]
    [217, 57]
    """
    if variant not in BLOCKS:
        raise DataError(f"variant must be large or small, got {variant!r}")
    b = Builder(f"mobilenet_v3_{variant}")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, rounded(16, width), 3, 2, act="hard_swish")
    for i, block in enumerate(BLOCKS[variant]):
        with b.module(f"block{i}"):
            x = _v3_block(b, x, *block, width)
    with b.module("conv_last"):
        x = conv_bn(b, x, 6 * x.shape[1], act="hard_swish")
    with b.module("classifier"):
        hidden = rounded(1280 if variant == "large" else 1024, width)
        y = activation(b, b.add(Linear(hidden), pooled(b, x)), "hard_swish")
        y = b.add(Linear(classes), y)
    return b.finish(y)


def _v3_block(
    b: Builder,
    x: Value,
    k: int,
    expanded: int,
    out: int,
    se: bool,
    act: str,
    stride: int,
    width: Width,
) -> Value:
    inner, last = rounded(expanded, width), rounded(out, width)
    y = x if same(inner, x.shape[1]) else conv_bn(b, x, inner, act=act)
    y = depthwise_bn(b, y, k, stride, act)
    if se:
        y = squeeze_excite(b, y, rounded(inner, 0.25), gate="hard_sigmoid")
    y = conv_bn(b, y, last, act=None)
    return add(b, x, y) if stride == 1 and same(x.shape[1], last) else y
