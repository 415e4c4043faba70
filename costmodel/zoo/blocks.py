"""The blocks of Tables 1-4 of the ShuffleNet v2 paper, which isolate its four guidelines.

All are stacks of plain convolutions: the paper states neither batch normalization nor, but for
Table 4, activations. Tables 1-3 state an input of 56 x 56; none states the batch (1 fits the
printed speeds).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import networkx as nx

from costmodel.algebra.later import is_expression
from costmodel.algebra.sizes import check_dim, taken
from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.zoo.layers import Size, activation, add, conv, pair

Structure: TypeAlias = Literal[
    "1-fragment",
    "2-fragment-series",
    "4-fragment-series",
    "2-fragment-parallel",
    "4-fragment-parallel",
]


def pointwise(h: Dim, w: Dim, c1: Dim, c2: Dim, groups: Dim = 1, batch: Dim = 1) -> nx.DiGraph:
    """Return a single 1x1 convolution, the subject of Eq. (1) and Eq. (2).

    Parameters
    ----------
    h, w : Dim
        Height and width of the input. [pixel]
    c1, c2 : Dim
        Input and output channels. [1]
    groups : Dim
        Groups. [1]
    batch : Dim
        Images. [1]

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(pointwise(*cm.symbols("h w c1 c2")))
    c1*c2 + h*w*(c1 + c2)
    """
    b = Builder("pointwise")
    x = b.input((batch, c1, h, w))
    return b.finish(conv(b, x, c2, groups=groups))


def g1_stack(
    c1: Dim, c2: Dim, size: Size = 56, batch: Dim = 1, blocks: int = 10, dtype: str = "float32"
) -> nx.DiGraph:
    """Return the network of Table 1: blocks of two 1x1 convolutions, c1 to c2 and back.

    Parameters
    ----------
    c1, c2 : Dim
        Channels of the block's input and between its convolutions. [1]
    size, batch, blocks, dtype
        Input, images, blocks, element type.

    Notes
    -----
    That the kernels are 1x1 is implied by the paper's section, not stated.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(g1_stack(128, 128))
    1027604480
    """
    b = Builder("g1_stack")
    x = b.input((batch, c1, *pair(size)), dtype)
    for i in range(blocks):
        with b.module(f"block{i}"):
            x = conv(b, conv(b, x, c2), c1)
    return b.finish(x)


def g2_stack(
    c: Dim, groups: Dim, size: Size = 56, batch: Dim = 1, layers: int = 10, dtype: str = "float32"
) -> nx.DiGraph:
    """Return the network of Table 2: 1x1 group convolutions of equal width.

    Parameters
    ----------
    c : Dim
        Channels everywhere. [1]
    groups : Dim
        Groups. [1]
    size, batch, layers, dtype
        Input, images, convolutions, element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(g2_stack(128, 1)), cm.multiply_adds(g2_stack(360, 8))
    (513802240, 508032000)
    """
    b = Builder("g2_stack")
    x = b.input((batch, c, *pair(size)), dtype)
    for i in range(layers):
        with b.module(f"layer{i}"):
            x = conv(b, x, c, groups=groups)
    return b.finish(x)


def g3_stack(
    structure: Structure,
    c: Dim,
    size: Size = 56,
    batch: Dim = 1,
    blocks: int = 10,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return the network of Table 3: blocks of one, two or four 1x1 convolutions (Appendix Fig. 1).

    Parameters
    ----------
    structure : str
        ``"1-fragment"``, ``"2-fragment-series"``, ``"4-fragment-parallel"``, ...
    c : Dim
        Channels of the 1-fragment structure, as in the table. [1]
    size, batch, blocks, dtype
        Input, images, blocks, element type.

    Notes
    -----
    The widths of the fragmented structures are not printed. Equal FLOPs and equal input and output
    mean ``c / sqrt(2)`` for two fragments and ``c / 2`` for four; two fragments take ``45 c / 64``
    here, which gives the 90, 180, 360 that Table 2 prints for the same quotient. The sum of four
    branches is three additions of two maps, as torch runs it.

    Examples
    --------
    >>> import costmodel as cm
    >>> a, b = g3_stack("1-fragment", 128), g3_stack("4-fragment-series", 128)
    >>> cm.multiply_adds(a) == cm.multiply_adds(b)
    True
    >>> cm.kernels_in_series(b)
    40
    """
    fragments, kind = _parse_structure(structure)
    width = taken(fragment_width(check_dim(c, "c"), fragments))
    b = Builder("g3_stack")
    x = b.input((batch, width, *pair(size)), dtype)
    for i in range(blocks):
        with b.module(f"block{i}"):
            x = _series(b, x, fragments) if kind == "series" else _parallel(b, x, fragments)
    return b.finish(x)


def fragment_width(c: Dim, fragments: int) -> Dim:
    """Return the channels of a structure of equal FLOPs in Table 3 (see :func:`g3_stack`).

    >>> [fragment_width(128, f) for f in (1, 2, 4)], fragment_width(512, 2)
    ([128, 90, 64], 360)
    """
    parts = {1: 64, 2: 45, 4: 32}[fragments]
    # Of a symbol the quotient, not its floor: the network is meant for multiples of 64.
    return c * parts / 64 if is_expression(c) else c * parts // 64


def g4_stack(
    c: Dim,
    relu: bool = True,
    shortcut: bool = True,
    size: Size = 56,
    batch: Dim = 1,
    blocks: int = 10,
    inner: Dim | None = None,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return the network of Table 4: ResNet bottleneck units with and without ReLU and shortcut.

    Parameters
    ----------
    c : Dim
        Channels at both ends of the unit. [1]
    relu, shortcut : bool
        Whether the unit has its ReLUs, its addition.
    size, batch, blocks, dtype
        Input, images, units, element type.
    inner : Dim, optional
        Channels inside the unit, by default a quarter of ``c`` as in ResNet. [1]

    Notes
    -----
    The paper states neither the input size nor what ``c`` counts nor the inner width; 56 x 56,
    ``c`` at both ends and a quarter of it inside fit the printed speeds best.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.work(g4_stack(128)) - cm.work(g4_stack(128, relu=False, shortcut=False))
    10035200
    """
    inner = taken(c // 4) if inner is None else inner
    b = Builder("g4_stack")
    x = b.input((batch, c, *pair(size)), dtype)
    for i in range(blocks):
        with b.module(f"unit{i}"):
            y = _act(b, conv(b, x, inner), relu)
            y = _act(b, conv(b, y, inner, 3), relu)
            y = conv(b, y, c)
            x = _act(b, add(b, x, y) if shortcut else y, relu)
    return b.finish(x)


def _act(b: Builder, x: Value, relu: bool) -> Value:
    return activation(b, x) if relu else x


def _series(b: Builder, x: Value, fragments: int) -> Value:
    for _ in range(fragments):
        x = conv(b, x, taken(x.shape[1]))
    return x


def _parallel(b: Builder, x: Value, fragments: int) -> Value:
    first, *others = [conv(b, x, taken(x.shape[1])) for _ in range(fragments)]
    for other in others:
        first = add(b, first, other)
    return first


_STRUCTURES: dict[str, tuple[int, str]] = {
    "1-fragment": (1, "series"),
    "2-fragment-series": (2, "series"),
    "4-fragment-series": (4, "series"),
    "2-fragment-parallel": (2, "parallel"),
    "4-fragment-parallel": (4, "parallel"),
}


def _parse_structure(structure: str) -> tuple[int, str]:
    if structure not in _STRUCTURES:
        raise DataError(f"structure must be one of {', '.join(_STRUCTURES)}, got {structure!r}")
    return _STRUCTURES[structure]
