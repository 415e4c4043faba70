"""IGCV3."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.graph.builder import Builder, Value
from costmodel.ops import ChannelShuffle
from costmodel.zoo.layers import (
    Size,
    add,
    check_width,
    classify,
    conv_bn,
    depthwise_bn,
    image,
)

IGCV3_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 4, 2),
    (6, 32, 6, 2),
    (6, 64, 8, 2),
    (6, 96, 6, 1),
    (6, 160, 6, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks and stride of each stage of IGCV3-D."""


def igcv3(
    width: float = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return IGCV3-D of :cite:t:`sun2018igcv3`, by its authors' code.

    Parameters
    ----------
    width : float
        Multiplier of all channels, rounded to even numbers: 0.7, 1.0 or 1.4. [1]
    size, batch, classes, dtype
        As in :func:`~costmodel.zoo.mobilenet_v1`.

    Notes
    -----
    Both 1x1 convolutions have two groups, with a permutation of channels after each; ReLU6 only
    after the depthwise convolution. The last convolution has 1280 channels, more above width 1.
    The paper prints 210, 318 and 610 M: at width 1 that is 313 M multiply-adds and 5 M ReLU6. The
    meaning of 0.7 and 1.4 could not be recovered (175 and 590 M here).

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(igcv3()) / 1e6)
    313
    """
    b = Builder("igcv3")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, _even(32, width), 3, 2, act="relu6")
    number = 0
    for expansion, channels, repeats, stride in IGCV3_STAGES:
        for i in range(repeats):
            with b.module(f"block{number}"):
                y = _igcv3_main(b, x, _even(channels, width), expansion, stride if i == 0 else 1)
                x = y if i == 0 else add(b, x, y)
            number += 1
    with b.module("conv_last"):
        x = conv_bn(b, x, int(1280 * max(1.0, width)), act="relu6")
    return classify(b, x, classes)


def _igcv3_main(b: Builder, x: Value, out: int, expansion: int, stride: int) -> Value:
    y = conv_bn(b, x, expansion * x.shape[1], groups=2, act=None)
    y = b.add(ChannelShuffle(2), y)
    y = depthwise_bn(b, y, stride=stride, act="relu6")
    y = conv_bn(b, y, out, groups=2, act=None)
    return b.add(ChannelShuffle(out // 2), y)


def _even(channels: int, width: float) -> int:
    check_width(width)
    near = round(channels * width)
    return near + near % 2
