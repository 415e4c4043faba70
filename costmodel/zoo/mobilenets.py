"""MobileNet v1 and v2."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, maximum, same
from costmodel.graph.builder import Builder, Value
from costmodel.zoo.layers import (
    Size,
    Width,
    add,
    classify,
    conv_bn,
    depthwise_bn,
    image,
    rounded,
    scaled,
    squeeze_excite,
)

V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    *[(512, 1)] * 5, (1024, 2), (1024, 1),
)  # fmt: skip
"""Output channels and stride of each block of MobileNet v1."""

V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks and stride of each stage of MobileNet v2."""


def mobilenet_v1(
    width: Width = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return MobileNet v1 of :cite:t:`howard2017mobilenets`.

    Parameters
    ----------
    width : Width
        Multiplier of all channels, rounded down. [1]
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> [round(cm.multiply_adds(mobilenet_v1(w)) / 1e6) for w in (0.25, 0.5, 0.75, 1.0)]
    [41, 149, 325, 569]
    """
    b = Builder("mobilenet_v1")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, scaled(32, width), 3, 2)
    for i, (out, stride) in enumerate(V1_BLOCKS):
        with b.module(f"block{i}"):
            x = depthwise_bn(b, x, stride=stride, act="relu")
            x = conv_bn(b, x, scaled(out, width))
    return classify(b, x, classes)


def mobilenet_v2(
    width: Width = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return MobileNet v2 of :cite:t:`sandler2018mobilenetv2`.

    Parameters
    ----------
    width : Width
        Multiplier of all channels, rounded to multiples of 8; the last convolution has at least
        1280. [1]
    size, batch, classes, dtype
        As in :func:`mobilenet_v1`.

    Notes
    -----
    With this rounding, that of the reference code, the ShuffleNet v2 paper's own implementations
    of 0.15, 0.4, 0.6, 0.75 and 1.4 are not reproduced; their rounding is unknown.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(mobilenet_v2())
    300774272
    """
    b = Builder("mobilenet_v2")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, rounded(32, width), 3, 2, act="relu6")
    number = 0
    for expansion, channels, repeats, stride in V2_STAGES:
        for i in range(repeats):
            with b.module(f"block{number}"):
                x = inverted_residual(
                    b, x, rounded(channels, width), expansion, 3, stride if i == 0 else 1, "relu6"
                )
            number += 1
    with b.module("conv_last"):
        x = conv_bn(b, x, rounded(1280, maximum(1, width)), act="relu6")
    return classify(b, x, classes)


def inverted_residual(
    b: Builder,
    x: Value,
    out: Dim,
    expansion: int,
    k: int,
    stride: int,
    act: str,
    se_neurons: Dim | None = None,
) -> Value:
    """Add an inverted residual: expansion, depthwise and projection; a shortcut where shapes agree.

    A shortcut is also taken only where the stride is 1, and squeeze-and-excitation, if any, sits
    after the depthwise convolution with the activation of the block.
    """
    y = x if expansion == 1 else conv_bn(b, x, x.shape[1] * expansion, act=act)
    y = depthwise_bn(b, y, k, stride, act)
    if se_neurons is not None:
        y = squeeze_excite(b, y, se_neurons, act)
    y = conv_bn(b, y, out, act=None)
    return add(b, x, y) if stride == 1 and same(x.shape[1], out) else y
