"""ResNet."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.zoo.layers import Size, activation, add, classify, conv_bn, image, max_pool

DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
"""Whether the units are bottlenecks, and the units of each stage, by depth."""


def resnet(
    depth: int = 50,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    stride_on: str = "3x3",
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return ResNet of :cite:t:`he2016deep`.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
        Layers with weights.
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    stride_on : {"3x3", "1x1"}
        Which convolution of a bottleneck has the stride: the 3x3 as in torchvision, or the first
        1x1 as in the paper (3.86 G multiply-adds for 50 layers).
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(resnet(50)), cm.multiply_adds(resnet(50, stride_on="1x1"))
    (4089184256, 3857973248)
    """
    if depth not in DEPTHS:
        raise DataError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")
    if stride_on not in ("3x3", "1x1"):
        raise DataError(f"stride_on must be 3x3 or 1x1, got {stride_on!r}")
    bottleneck, repeats = DEPTHS[depth]
    b = Builder(f"resnet{depth}")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, 64, 7, 2)
    with b.module("maxpool"):
        x = max_pool(b, x)
    for number, times in enumerate(repeats):
        for i in range(times):
            stride = 2 if number > 0 and i == 0 else 1
            with b.module(f"layer{number + 1}"), b.module(str(i)):
                inner = 64 * 2**number
                if bottleneck:
                    x = _bottleneck(b, x, inner, stride, stride_on == "1x1")
                else:
                    x = _basic(b, x, inner, stride)
    return classify(b, x, classes)


def resnet18(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return ResNet-18 (see :func:`resnet`).

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(resnet18())
    11689512
    """
    return resnet(18, size, batch, classes, dtype=dtype)


def resnet50(
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    stride_on: str = "3x3",
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return ResNet-50 (see :func:`resnet`).

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(resnet50())
    25557032
    """
    return resnet(50, size, batch, classes, stride_on, dtype)


def _bottleneck(b: Builder, x: Value, inner: int, stride: int, early: bool) -> Value:
    y = conv_bn(b, x, inner, stride=stride if early else 1)
    y = conv_bn(b, y, inner, 3, stride=1 if early else stride)
    y = conv_bn(b, y, 4 * inner, act=None)
    return activation(b, add(b, y, _shortcut(b, x, 4 * inner, stride)))


def _basic(b: Builder, x: Value, out: int, stride: int) -> Value:
    y = conv_bn(b, x, out, 3, stride)
    y = conv_bn(b, y, out, 3, act=None)
    return activation(b, add(b, y, _shortcut(b, x, out, stride)))


def _shortcut(b: Builder, x: Value, out: int, stride: int) -> Value:
    if stride == 1 and x.shape[1] == out:
        return x
    with b.module("downsample"):
        return conv_bn(b, x, out, stride=stride, act=None)
