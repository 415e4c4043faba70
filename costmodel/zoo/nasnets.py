"""NASNet-A and PNASNet-5: cells of many small operators, which guideline G3 is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.graph.builder import Builder, Value
from costmodel.ops import BatchNorm, Concat, Conv
from costmodel.zoo.layers import Size, activation, add, avg_pool, classify, conv, image, max_pool

Branch: TypeAlias = Callable[[Builder, Value, int, int], Value]
"""An operator of a cell: of an image, to some channels, with a stride."""


def nasnet_a(
    repeat: int = 4,
    filters: int = 1056,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return NASNet-A (``repeat`` @ ``filters``) of :cite:t:`zoph2018nasnet`; mobile is 4 @ 1056.

    Parameters
    ----------
    repeat : int
        Normal cells of each of the three stages. [1]
    filters : int
        Channels of the last cell, a multiple of 24. [1]
    size, batch, classes, dtype
        As in :func:`~costmodel.zoo.mobilenet_v1`.

    Notes
    -----
    Printed are 564 M multiply-adds and 5.3 M parameters. A normal cell has five separable
    convolutions, each of which is two in series, and three poolings: the 13 fragments of
    :cite:t:`ma2018shufflenet`.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(nasnet_a()) // 10**6
    563
    """
    chunk = filters // 24
    b = Builder("nasnet_a")
    x = image(b, size, batch, dtype)
    with b.module("stem"):
        previous = _first(b, x, 32)
        x = _reduction_a(b, previous, None, chunk // 4, stem=True)
        x, previous = _reduction_a(b, x, previous, chunk // 2), x
    for stage in range(3):
        channels = chunk * 2**stage
        with b.module(f"stage{stage}"):
            if stage:
                with b.module("reduction"):
                    x, previous = _reduction_a(b, x, previous, channels), x
            for i in range(repeat):
                with b.module(str(i)):
                    x, previous = _normal_a(b, x, previous, channels), x
    return classify(b, activation(b, x), classes)


def pnasnet5(
    repeat: int = 3,
    filters: int = 54,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return PNASNet-5 of :cite:t:`liu2018pnasnet`; the mobile one has 3 cells and 54 filters.

    Parameters
    ----------
    repeat : int
        Cells of each of the three stages, the one with stride 2 not counted in the first. [1]
    filters : int
        Channels of each branch in the first stage. [1]
    size, batch, classes, dtype
        As in :func:`~costmodel.zoo.mobilenet_v1`.

    Notes
    -----
    Printed are 588 M multiply-adds and 5.1 M parameters; how the stem rounds a quarter of 54
    channels is not known. All cells are alike; those that halve the
    image do so in every branch.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(pnasnet5()) // 10**6
    587
    """
    b = Builder("pnasnet5")
    x = image(b, size, batch, dtype)
    with b.module("stem"):
        previous = _first(b, x, 32)
        x = _cell_p(b, previous, previous, filters // 4, 2, stem=True)
        x, previous = _cell_p(b, x, previous, filters // 2, 2), x
    for stage in range(3):
        for i in range(repeat):
            with b.module(f"stage{stage}"), b.module(str(i)):
                stride = 2 if stage and i == 0 else 1
                x, previous = _cell_p(b, x, previous, filters * 2**stage, stride), x
    return classify(b, activation(b, x), classes)


def _first(b: Builder, x: Value, channels: int) -> Value:
    return b.add(BatchNorm(), b.add(Conv(channels, (3, 3), 2, 0, bias=False), x))


def _squeezed(b: Builder, x: Value, channels: int, stride: int = 1) -> Value:
    y = conv(b, activation(b, x), channels, 1, stride)
    return b.add(BatchNorm(), y)


def _fitted(b: Builder, previous: Value, x: Value, channels: int) -> Value:
    """Add what brings the last cell but one to the size of the last, by two shifted halves."""
    if previous.shape[-2:] == x.shape[-2:]:
        return _squeezed(b, previous, channels)
    y = activation(b, previous)
    sizes = (channels // 2, channels - channels // 2)
    halves = [conv(b, avg_pool(b, y, 1, 2), half) for half in sizes]
    return b.add(BatchNorm(), b.add(Concat(1), *halves))


def _separable(k: int, stem: bool = False) -> Branch:
    """Return a separable convolution, which is applied twice; the first has the stride."""

    def branch(b: Builder, x: Value, channels: int, stride: int) -> Value:
        middle = channels if stem else x.shape[1]
        for out, step in ((middle, stride), (channels, 1)):
            y = activation(b, x)
            y = conv(b, y, y.shape[1], k, step, groups=y.shape[1])
            x = b.add(BatchNorm(), conv(b, y, out))
        return x

    return branch


def _max(b: Builder, x: Value, channels: int, stride: int) -> Value:
    return max_pool(b, x, 3, stride, 1)


def _avg(b: Builder, x: Value, channels: int, stride: int) -> Value:
    return avg_pool(b, x, 3, stride, 1)


def _normal_a(b: Builder, last: Value, previous: Value, channels: int) -> Value:
    x = _squeezed(b, last, channels)
    p = _fitted(b, previous, last, channels)
    sep3, sep5 = _separable(3), _separable(5)
    nodes = [
        add(b, sep5(b, x, channels, 1), sep3(b, p, channels, 1)),
        add(b, sep5(b, p, channels, 1), sep3(b, p, channels, 1)),
        add(b, _avg(b, x, channels, 1), p),
        add(b, _avg(b, p, channels, 1), _avg(b, p, channels, 1)),
        add(b, sep3(b, x, channels, 1), x),
    ]
    return b.add(Concat(1), p, *nodes)


def _reduction_a(
    b: Builder, last: Value, previous: Value | None, channels: int, stem: bool = False
) -> Value:
    x = _squeezed(b, last, channels)
    p = last if previous is None else _fitted(b, previous, last, channels)
    sep3, sep5, sep7 = _separable(3), _separable(5, stem), _separable(7, stem)
    first = add(b, _separable(5)(b, x, channels, 2), sep7(b, p, channels, 2))
    second = add(b, _max(b, x, channels, 2), sep7(b, p, channels, 2))
    third = add(b, _avg(b, x, channels, 2), sep5(b, p, channels, 2))
    fourth = add(b, second, _avg(b, first, channels, 1))
    fifth = add(b, sep3(b, first, channels, 1), _max(b, x, channels, 2))
    return b.add(Concat(1), second, third, fourth, fifth)


def _cell_p(
    b: Builder, last: Value, previous: Value, channels: int, stride: int, stem: bool = False
) -> Value:
    x = _squeezed(b, last, channels)
    p = last if stem else _fitted(b, previous, last, channels)
    sep3, sep5, sep7 = _separable(3), _separable(5), _separable(7)
    pooled = _max(b, p, channels, stride)
    if stem:
        pooled = b.add(BatchNorm(), conv(b, pooled, channels))
    nodes = [
        add(b, _separable(5, stem)(b, p, channels, stride), pooled),
        add(b, sep7(b, x, channels, stride), _max(b, x, channels, stride)),
        add(b, sep5(b, x, channels, stride), sep3(b, x, channels, stride)),
    ]
    nodes.append(add(b, sep3(b, nodes[2], channels, 1), _max(b, x, channels, stride)))
    skip = x if stride == 1 else _squeezed(b, x, channels, stride)
    nodes.append(add(b, _separable(3, stem)(b, p, channels, stride), skip))
    return b.add(Concat(1), *nodes)
