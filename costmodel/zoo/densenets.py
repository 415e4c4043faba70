"""DenseNet and CondenseNet."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import ChannelShuffle, Concat, Constant, Gather, Linear
from costmodel.zoo.layers import (
    Channels,
    Size,
    avg_pool,
    classify,
    conv,
    conv_bn,
    image,
    max_pool,
    norm_act,
    pooled,
)

CONDENSENET_STAGES = ((4, 8), (6, 16), (8, 32), (10, 64), (8, 128))
"""Layers and growth of each stage of CondenseNet-74."""
_MOST_LAYERS = 200


def densenet(
    layers: Channels = (6, 12, 24, 16),
    growth: Dim = 32,
    stem: Dim = 64,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return DenseNet-BC of :cite:t:`huang2017densely`, by default DenseNet-121.

    Parameters
    ----------
    layers : tuple of int
        Layers of each dense block.
    growth, stem : Dim
        Channels that a layer adds, channels of the first convolution. [1]
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    dtype : str
        Element type.

    Notes
    -----
    Each layer concatenates all previous maps again, as plain torch code does. The four DenseNets of
    the ShuffleNet v2 paper follow its Table 5 with growth rates that are not printed.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(densenet()), cm.params(densenet())
    (2834161664, 7978856)
    """
    if not all(isinstance(times, int) for times in layers):
        raise DataError(f"layers must be integers, got {layers}")
    if sum(layers) > _MOST_LAYERS:  # each takes all before it: edges grow with the square
        raise DataError(f"densenet has at most {_MOST_LAYERS} layers, got {sum(layers)}")
    b = Builder("densenet")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = max_pool(b, conv_bn(b, x, stem, 7, 2))
    for number, times in enumerate(layers):
        x = _dense_block(b, x, f"block{number}", times, growth)
        if number + 1 < len(layers):
            with b.module(f"transition{number}"):
                x = avg_pool(b, conv(b, norm_act(b, x), taken(x.shape[1] // 2)), 2, 2)
    with b.module("norm_last"):
        x = norm_act(b, x)
    return classify(b, x, classes)


def _dense_block(b: Builder, x: Value, name: str, layers: int, growth: Dim) -> Value:
    maps = [x]
    for i in range(layers):
        with b.module(name), b.module(str(i)):
            y = maps[0] if len(maps) == 1 else b.add(Concat(1), *maps)
            y = conv(b, norm_act(b, y), 4 * growth)
            maps.append(conv(b, norm_act(b, y), growth, 3))
    with b.module(name):
        return b.add(Concat(1), *maps)


def condensenet(
    groups: int = 4,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return CondenseNet-74 of :cite:t:`huang2018condensenet` in its converted form for inference.

    Parameters
    ----------
    groups : {4, 8}
        Groups of both convolutions and the condensation factor (``G = C``).
    size, batch, classes, dtype
        As in :func:`densenet`.

    Notes
    -----
    As in the authors' code, each 1x1 group convolution reads channels selected by a learned index,
    the linear layer the better half of its features. The printed 529 and 274 M (Table 8) count each
    ReLU, pooling tap and bias as one more: 516.6 and 261.5 M are multiply-adds.

    Examples
    --------
    >>> import costmodel as cm
    >>> [round(cm.multiply_adds(condensenet(g)) / 1e6) for g in (4, 8)]
    [517, 262]
    """
    b = Builder("condensenet")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv(b, x, 16, 3, 2)
    for number, (layers, growth) in enumerate(CONDENSENET_STAGES):
        for i in range(layers):
            with b.module(f"block{number}"), b.module(str(i)):
                y = norm_act(b, _picked(b, x, x.shape[1]))
                y = b.add(ChannelShuffle(groups), conv(b, y, 4 * growth, groups=groups))
                y = conv(b, norm_act(b, y), growth, 3, groups=groups)
                x = b.add(Concat(1), x, y)
        if number + 1 < len(CONDENSENET_STAGES):
            with b.module(f"transition{number}"):
                x = avg_pool(b, x, 2, 2)
    with b.module("classifier"):
        y = pooled(b, norm_act(b, x))
        y = _picked(b, y, y.shape[1] // 2)
        y = b.add(Linear(classes), y)
    return b.finish(y)


def _picked(b: Builder, x: Value, channels: Dim) -> Value:
    """Add the selection of ``channels`` channels by a fixed index."""
    return b.add(Gather(1), x, b.add(Constant((channels,), "int64"), name="index"))
