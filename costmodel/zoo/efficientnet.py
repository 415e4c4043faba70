"""EfficientNet-B0, EfficientNet-Lite0 and MnasNet."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, maximum
from costmodel.graph.builder import Builder, Value
from costmodel.zoo.layers import Size, Width, classify, conv_bn, depthwise_bn, image, rounded
from costmodel.zoo.mobilenets import inverted_residual

Stages = tuple[tuple[int, int, int, int, int], ...]

STAGES: Stages = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Expansion, kernel, output channels, blocks and stride of each stage of EfficientNet-B0."""

MNASNET_STAGES: Stages = (
    (3, 3, 24, 3, 2),
    (3, 5, 40, 3, 2),
    (6, 5, 80, 3, 2),
    (6, 3, 96, 2, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""The same of MnasNet-B1, after its first separable convolution."""


def efficientnet_b0(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return EfficientNet-B0 of :cite:t:`tan2019efficientnet`.

    Parameters
    ----------
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(efficientnet_b0())
    5288548
    """
    b = Builder("efficientnet_b0")
    return _efficientnet(b, image(b, size, batch, dtype), classes, "silu", se=True)


def efficientnet_lite0(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return EfficientNet-Lite0: B0 with ReLU6 and without squeeze-and-excitation.

    Parameters
    ----------
    size, batch, classes, dtype
        As in :func:`efficientnet_b0`.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(efficientnet_lite0())
    4652008
    """
    b = Builder("efficientnet_lite0")
    return _efficientnet(b, image(b, size, batch, dtype), classes, "relu6", se=False)


def _efficientnet(b: Builder, x: Value, classes: Dim, act: str, se: bool) -> nx.DiGraph:
    with b.module("conv1"):
        x = conv_bn(b, x, 32, 3, 2, act=act)
    x = _stages(b, x, STAGES, 1.0, act, se)
    return _head(b, x, 1280, act, classes)


def mnasnet(
    width: Width = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return MnasNet-B1 of :cite:t:`tan2019mnasnet`.

    Parameters
    ----------
    width : Width
        Multiplier of all channels but the last 1280, rounded to multiples of 8. [1]
    size, batch, classes, dtype
        As in :func:`efficientnet_b0`.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(mnasnet())
    4383312
    """
    b = Builder("mnasnet")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, rounded(32, width), 3, 2)
    with b.module("separable"):
        x = depthwise_bn(b, x, act="relu")
        x = conv_bn(b, x, rounded(16, width), act=None)
    x = _stages(b, x, MNASNET_STAGES, width, "relu", se=False)
    return _head(b, x, 1280, "relu", classes)


def _stages(b: Builder, x: Value, stages: Stages, width: Width, act: str, se: bool) -> Value:
    for number, (expansion, k, channels, repeats, stride) in enumerate(stages):
        out = rounded(channels, width)
        for i in range(repeats):
            with b.module(f"stage{number + 1}"), b.module(str(i)):
                neurons = maximum(1, x.shape[1] // 4) if se else None
                s = stride if i == 0 else 1
                x = inverted_residual(b, x, out, expansion, k, s, act, neurons)
    return x


def _head(b: Builder, x: Value, out: int, act: str, classes: Dim) -> nx.DiGraph:
    with b.module("conv_last"):
        x = conv_bn(b, x, out, act=act)
    return classify(b, x, classes)
