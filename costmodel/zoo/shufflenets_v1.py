"""ShuffleNet v1, its 50-layer model, and the Xception-like network."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import ChannelShuffle, Concat
from costmodel.zoo.layers import (
    Channels,
    Size,
    activation,
    add,
    avg_pool,
    check_stages,
    classify,
    conv_bn,
    depthwise_bn,
    image,
    max_pool,
)

STAGES: dict[int, tuple[int, int, int]] = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
"""Stages 2 to 4 at width 1 by groups."""


def shufflenet_v1(
    width: float = 1.0,
    groups: int = 3,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    channels: Channels | None = None,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return ShuffleNet v1 of :cite:t:`zhang2018shufflenet`.

    Parameters
    ----------
    width : {0.5, 1.0, 1.5, 2.0}
        Multiplier of the stages.
    groups : {1, 2, 3, 4, 8}
        Groups of the 1x1 convolutions, which decide the channels.
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    channels : Channels, optional
        Conv1 and stages 2 to 4 in place of ``width``; symbols and arrays too. [1]
    dtype : str
        Element type.

    Notes
    -----
    Bottlenecks are a quarter of the unit's output; the first 1x1 convolution of stage 2 has no
    groups. Conv1 has 24 channels, but 12 (16 for 8 groups) at 0.5x and 48 at 2x: the papers do not
    say so; it is in the authors' code and needed for the printed counts. Widths
    whose bottlenecks are not divisible by the groups are rejected (2 and 4 groups at 0.5x).

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(shufflenet_v1(1.0, groups=3))
    137460672
    """
    if channels is None:
        if groups not in STAGES:
            known = ", ".join(map(str, STAGES))
            raise DataError(
                f"groups must be one of {known}, got {groups}; for others give channels"
            )
        if width not in (0.5, 1.0, 1.5, 2.0):
            raise DataError(
                f"width must be one of 0.5, 1.0, 1.5, 2.0, got {width}; for others give channels"
            )
        channels = (_stem(width, groups), *(int(c * width) for c in STAGES[groups]))
    check_stages(channels, "conv1 stage2 stage3 stage4")
    stem, *stages = channels
    b = Builder("shufflenet_v1")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, stem, 3, 2)
    with b.module("maxpool"):
        x = max_pool(b, x)
    for number, (out, repeats) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        first = (1, groups) if number == 2 else (groups, groups)
        x = _stage(b, x, f"stage{number}", out, repeats, 2, groups, first, ratio=4)
    return classify(b, x, classes)


def shufflenet_v1_50(
    ratio: int = 2,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return ShuffleNet v1-50 (3 groups) of :cite:t:`ma2018shufflenet`, Appendix Table 2.

    Parameters
    ----------
    ratio : int
        Output channels of a unit over those of its bottleneck. [1]
    size, batch, classes, dtype
        As in :func:`shufflenet_v1`.

    Notes
    -----
    The appendix states a ratio of 4, which gives half of the printed 2.3 G multiply-adds; 2 is
    closer. The unit of conv2_1, of stride 1 with more output than input channels, is not drawn:
    here it is the down-sampling unit with stride 1, and without groups since 3 does not divide its
    360 - 64 channels. So built the network has 2.40 G.

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(shufflenet_v1_50()) / 1e9, 2)
    2.4
    """
    b = Builder("shufflenet_v1_50")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, 64, 3, 2)
    with b.module("maxpool"):
        x = max_pool(b, x)
    for number, out, repeats in ((2, 360, 3), (3, 720, 4), (4, 1440, 6), (5, 2880, 3)):
        first, stride = ((1, 1), 1) if number == 2 else ((3, 3), 2)
        x = _stage(b, x, f"conv{number}", out, repeats, stride, 3, first, ratio)
    return classify(b, x, classes)


def xception_like(
    width: float = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return an Xception-like network: ShuffleNet v1 units without groups.

    Parameters
    ----------
    width, size, batch, classes, dtype
        As in :func:`shufflenet_v1`.

    Notes
    -----
    The stages 144, 288, 576 are those of the small network of Light-Head R-CNN, from which the v2
    paper took its Xception; the inside of its blocks is unknown, and no tried variant gives the
    printed 40, 145, 305, 525 M multiply-adds at all four widths.

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(xception_like()) / 1e6)
    143
    """
    graph = shufflenet_v1(width, 1, size, batch, classes, dtype=dtype)
    graph.graph["name"] = "xception_like"
    return graph


def _stem(width: float, groups: int) -> int:
    if width == 0.5:
        return 16 if groups == 8 else 12
    return 48 if width == 2.0 else 24


def _stage(
    b: Builder,
    x: Value,
    name: str,
    out: Dim,
    repeats: int,
    stride: int,
    groups: int,
    first: tuple[int, int],
    ratio: int,
) -> Value:
    """Add a stage; ``first`` is the groups of both 1x1 convolutions of its first unit."""
    inner = taken(exact_div(out, ratio, "stage channels"))
    with b.module(name):
        with b.module("0"):
            x = _down_unit(b, x, out, inner, stride, first)
        for i in range(1, repeats):
            with b.module(str(i)):
                x = activation(b, add(b, x, _main(b, x, out, inner, 1, (groups, groups))))
    return x


def _down_unit(
    b: Builder, x: Value, out: Dim, inner: Dim, stride: int, groups: tuple[int, int]
) -> Value:
    with b.module("shortcut"):
        pooled = avg_pool(b, x, 3, stride, 1)
    y = _main(b, x, taken(out - x.shape[1]), inner, stride, groups)
    return b.add(Concat(1), pooled, activation(b, y))


def _main(
    b: Builder, x: Value, out: Dim, inner: Dim, stride: int, groups: tuple[int, int]
) -> Value:
    first, last = groups
    with b.module("main"):
        y = conv_bn(b, x, inner, groups=first)
        if last > 1:
            y = b.add(ChannelShuffle(last), y)
        y = depthwise_bn(b, y, stride=stride)
        return conv_bn(b, y, out, groups=last, act=None)
