"""ShuffleNet v2, its large models and its variants with squeeze-and-excitation and residuals."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import ChannelShuffle, Concat, Split
from costmodel.zoo.layers import (
    Channels,
    Size,
    activation,
    add,
    check_stages,
    classify,
    conv_bn,
    depthwise_bn,
    image,
    max_pool,
    squeeze_excite,
)

CHANNELS: dict[float, tuple[int, ...]] = {
    0.5: (24, 48, 96, 192, 1024),
    1.0: (24, 116, 232, 464, 1024),
    1.5: (24, 176, 352, 704, 1024),
    2.0: (24, 244, 488, 976, 2048),
}
"""Conv1, stages 2 to 4 and Conv5 of the four models of Table 5, by width."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Settings common to all units of a network."""

    se: bool = False
    residual: bool = False


def shufflenet_v2(
    width: float = 1.0,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    channels: Channels | None = None,
    se: bool = False,
    residual: bool = False,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return ShuffleNet v2 of :cite:t:`ma2018shufflenet`, Table 5.

    Parameters
    ----------
    width : {0.5, 1.0, 1.5, 2.0}
        Which model of Table 5.
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    channels : Channels, optional
        Conv1, stages 2 to 4 and Conv5 in place of a ``width``; symbols and arrays too. [1]
    se : bool
        Whether the main branches end in squeeze-and-excitation (Appendix Fig. 2b).
    residual : bool
        Whether the main branches of stride 1 have a shortcut (Appendix Fig. 2c).
    dtype : str
        Element type.

    Notes
    -----
    The paper leaves open how a stride-2 unit divides its output. As in the authors' code, the
    projection branch keeps the input channels and the main branch, with half of the output's
    channels inside, makes the rest: only that gives the printed 41, 146, 299 and 591 million
    multiply-adds (torchvision divides evenly). The neurons of squeeze-and-excitation are half the
    channels of the unit, as stated for the 164-layer network only: so the 2x model has 594 million
    where 597 are printed; its true number is unknown.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(shufflenet_v2(1.0))
    145814296
    """
    if channels is None:
        if width not in CHANNELS:
            known = ", ".join(map(str, CHANNELS))
            raise DataError(
                f"width must be one of {known}, got {width}; for others give channels="
                "(conv1, stage2, stage3, stage4, conv5)"
            )
        channels = CHANNELS[width]
    check_stages(channels, "conv1 stage2 stage3 stage4 conv5")
    stem, *stages, last = channels
    b = Builder("shufflenet_v2")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, stem, 3, 2)
    with b.module("maxpool"):
        x = max_pool(b, x)
    for number, (out, repeats) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        x = _stage(b, x, f"stage{number}", out, repeats, 2, _Unit(se, residual))
    return _head(b, x, "conv5", last, classes)


def shufflenet_v2_50(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return ShuffleNet v2-50 of :cite:t:`ma2018shufflenet`, Appendix Table 2.

    Parameters
    ----------
    size, batch, classes, dtype
        As in :func:`shufflenet_v2`.

    Notes
    -----
    The unit of conv2_1, where the size stays and the channels grow from 64 to 244, is not drawn;
    here it is the down-sampling unit with stride 1, which gives the printed 2.3 G multiply-adds.

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(shufflenet_v2_50()) / 1e9, 2)
    2.31
    """
    b = Builder("shufflenet_v2_50")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        x = conv_bn(b, x, 64, 3, 2)
    return _large(b, x, (244, 488, 976, 1952), (3, 4, 6, 3), _Unit(), classes)


def se_shufflenet_v2_164(
    size: Size = 224, batch: Dim = 1, classes: Dim = 1000, dtype: str = "float32"
) -> nx.DiGraph:
    """Return SE-ShuffleNet v2-164 of :cite:t:`ma2018shufflenet`, Appendix Table 2, as far as known.

    Parameters
    ----------
    size, batch, classes, dtype
        As in :func:`shufflenet_v2`.

    Notes
    -----
    Squeeze-and-excitation, of neurons half the unit's channels, sits right before the addition and
    ReLU; units that change the channels have it too here, with no addition, which is not stated.
    So built the network has 12.60 G multiply-adds where 12.7 are printed. The authors' later code
    has other widths and 3x3 convolutions of 8 groups.

    Examples
    --------
    >>> import costmodel as cm
    >>> round(cm.multiply_adds(se_shufflenet_v2_164()) / 1e9, 2)
    12.6
    """
    b = Builder("se_shufflenet_v2_164")
    x = image(b, size, batch, dtype)
    with b.module("conv1"):
        for out, stride in ((64, 2), (64, 1), (128, 1)):
            x = conv_bn(b, x, out, 3, stride)
    unit = _Unit(se=True, residual=True)
    return _large(b, x, (340, 680, 1360, 2720), (10, 10, 23, 10), unit, classes)


def _large(
    b: Builder,
    x: Value,
    widths: tuple[int, ...],
    repeats: tuple[int, ...],
    unit: _Unit,
    classes: Dim,
) -> nx.DiGraph:
    with b.module("maxpool"):
        x = max_pool(b, x)
    for number, (out, times) in enumerate(zip(widths, repeats, strict=True), start=2):
        x = _stage(b, x, f"conv{number}", out, times, 1 if number == 2 else 2, unit)
    return _head(b, x, "conv6", 2048, classes)


def _head(b: Builder, x: Value, name: str, out: Dim, classes: Dim) -> nx.DiGraph:
    with b.module(name):
        x = conv_bn(b, x, out)
    return classify(b, x, classes)


def _stage(
    b: Builder, x: Value, name: str, out: Dim, repeats: int, stride: int, unit: _Unit
) -> Value:
    with b.module(name):
        with b.module("0"):
            x = _down_unit(b, x, out, stride, unit)
        for i in range(1, repeats):
            with b.module(str(i)):
                x = _basic_unit(b, x, unit)
    return x


def _basic_unit(b: Builder, x: Value, unit: _Unit) -> Value:
    """Add the unit of Fig. 3c: half of the channels pass, half are convolved."""
    kept, y = b.add_many(Split(1, 2), x)
    shortcut = y if unit.residual else None
    with b.module("main"):
        y = _main(b, y, taken(y.shape[1]), 1, unit, block=x.shape[1], shortcut=shortcut)
    return _join(b, kept, y)


def _down_unit(b: Builder, x: Value, out: Dim, stride: int, unit: _Unit) -> Value:
    """Add the unit of Fig. 3d: both branches see all channels."""
    with b.module("proj"):
        y = depthwise_bn(b, x, stride=stride)
        y = conv_bn(b, y, taken(x.shape[1]))
    with b.module("main"):
        z = _main(b, x, taken(out - x.shape[1]), stride, unit, block=out)
    return _join(b, y, z)


def _main(
    b: Builder,
    x: Value,
    out: Dim,
    stride: int,
    unit: _Unit,
    block: Dim,
    shortcut: Value | None = None,
) -> Value:
    """Add a main branch of ``out`` channels, half the channels of the ``block`` inside."""
    half = taken(exact_div(block, 2, "channels of unit"))
    y = conv_bn(b, x, half)
    y = depthwise_bn(b, y, stride=stride)
    y = conv_bn(b, y, out, act=None if unit.residual else "relu")
    if unit.se:
        y = squeeze_excite(b, y, half)
    if shortcut is not None:
        y = add(b, y, shortcut)
    return activation(b, y) if unit.residual else y


def _join(b: Builder, x: Value, y: Value) -> Value:
    return b.add(ChannelShuffle(2), b.add(Concat(1), x, y))
