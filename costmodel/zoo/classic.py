"""AlexNet, VGG-16, SqueezeNet and GoogLeNet."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import AdaptivePool, Concat, Conv, Linear, Pool
from costmodel.zoo.layers import (
    Size,
    activation,
    classify,
    conv,
    conv_bn,
    flatten,
    image,
    max_pool,
)

INCEPTIONS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""1x1; 3x3 reduced, out; 5x5 reduced, out; pooled: the channels of each block of GoogLeNet."""

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Squeezed and expanded channels of each fire module of SqueezeNet."""


def alexnet(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return AlexNet in its one-tower form :cite:p:`krizhevsky2014one`, as in torchvision.

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
    >>> cm.params(alexnet())
    61100840
    """
    b = Builder("alexnet")
    x = image(b, size, batch, dtype)
    with b.module("features"):
        x = activation(b, b.add(Conv(64, (11, 11), 4, 2, bias=True), x))
        x = _conv_relu(b, max_pool(b, x, padding=0), 192, 5)
        x = _conv_relu(b, max_pool(b, x, padding=0), 384, 3)
        x = _conv_relu(b, x, 256, 3)
        x = max_pool(b, _conv_relu(b, x, 256, 3), padding=0)
    return _dense_head(b, x, 6, classes)


def vgg16(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return VGG-16 of :cite:t:`simonyan2015very`, without batch normalization.

    Parameters
    ----------
    size, batch, classes, dtype
        As in :func:`alexnet`.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(vgg16()), cm.params(vgg16())
    (15470264320, 138357544)
    """
    b = Builder("vgg16")
    x = image(b, size, batch, dtype)
    for number, (out, times) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        with b.module(f"block{number}"):
            for _ in range(times):
                x = _conv_relu(b, x, out, 3)
            x = max_pool(b, x, 2, 2, 0)
    return _dense_head(b, x, 7, classes)


def squeezenet(
    version: str = "1.0",
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return SqueezeNet of :cite:t:`iandola2016squeezenet`.

    Parameters
    ----------
    version : {"1.0", "1.1"}
        1.1 pools earlier and takes about 2.4 times fewer multiply-adds.
    size, batch, classes, dtype
        As in :func:`alexnet`.

    Examples
    --------
    >>> import costmodel as cm
    >>> [cm.params(squeezenet(v)) for v in ("1.0", "1.1")]
    [1248424, 1235496]
    """
    if version not in ("1.0", "1.1"):
        raise DataError(f"version must be 1.0 or 1.1, got {version!r}")
    out, k, pools = (96, 7, (2, 6)) if version == "1.0" else (64, 3, (1, 3))
    b = Builder("squeezenet")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = b.add(Conv(out, (k, k), 2, bias=True), x)
        x = _pool_up(b, activation(b, x))
    for i, (squeezed, expanded) in enumerate(FIRES):
        with b.module(f"fire{i + 2}"):
            x = _fire(b, x, squeezed, expanded)
            if i in pools:
                x = _pool_up(b, x)
    with b.module("classifier"):
        x = _conv_relu(b, x, classes, 1)
        x = flatten(b, b.add(AdaptivePool("avg"), x))
    return b.finish(x)


def googlenet(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return GoogLeNet (Inception v1) of :cite:t:`szegedy2015going` with batch normalization.

    Parameters
    ----------
    size, batch, classes, dtype
        As in :func:`alexnet`.

    Notes
    -----
    The 5x5 convolutions are 5x5 as in the paper (torchvision has 3x3 there); batch normalization in
    place of local response normalization; the auxiliary heads are for training only.

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(googlenet()) / 1e9, 2)
    1.58
    """
    b = Builder("googlenet")
    x = image(b, size, batch, dtype)
    with b.module("stem"):
        x = _pool_up(b, conv_bn(b, x, 64, 7, 2))
        x = _pool_up(b, conv_bn(b, conv_bn(b, x, 64), 192, 3))
    for name, channels in INCEPTIONS.items():
        with b.module(f"inception{name}"):
            x = _inception(b, x, channels)
            if name in ("3b", "4e"):
                x = _pool_up(b, x)
    return classify(b, x, classes)


def _conv_relu(b: Builder, x: Value, out: Dim, k: int) -> Value:
    return activation(b, conv(b, x, out, k, bias=True))


def _pool_up(b: Builder, x: Value) -> Value:
    """Add 3x3 max pooling of stride 2 that rounds the size up."""
    return b.add(Pool("max", (3, 3), 2, ceil_mode=True), x)


def _dense_head(b: Builder, x: Value, output: int, classes: Dim) -> nx.DiGraph:
    with b.module("classifier"):
        x = flatten(b, b.add(AdaptivePool("avg", (output, output)), x))
        for _ in range(2):
            x = activation(b, b.add(Linear(4096), x))
        x = b.add(Linear(classes), x)
    return b.finish(x)


def _fire(b: Builder, x: Value, squeezed: int, expanded: int) -> Value:
    x = _conv_relu(b, x, squeezed, 1)
    return b.add(Concat(1), _conv_relu(b, x, expanded, 1), _conv_relu(b, x, expanded, 3))


def _inception(b: Builder, x: Value, channels: tuple[int, int, int, int, int, int]) -> Value:
    one, three_in, three, five_in, five, pool = channels
    branches = (
        conv_bn(b, x, one),
        conv_bn(b, conv_bn(b, x, three_in), three, 3),
        conv_bn(b, conv_bn(b, x, five_in), five, 5),
        conv_bn(b, b.add(Pool("max", (3, 3), 1, 1, ceil_mode=True), x), pool),
    )
    return b.add(Concat(1), *branches)
