"""The networks of NAS-Bench-201, from their architecture strings."""

from __future__ import annotations

import re
from functools import partial

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import BatchNorm, Elementwise, Identity
from costmodel.zoo.layers import (
    Size,
    activation,
    add,
    avg_pool,
    classify,
    conv,
    conv_bn,
    norm_act,
    pair,
)

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations of an edge in a cell."""

Cell = tuple[tuple[tuple[str, int], ...], ...]
"""For each node after the input: (operation, source node) of each edge into it."""


def nasbench201(
    arch_str: str,
    channels: Dim = 16,
    cells: int = 5,
    size: Size = 32,
    batch: Dim = 1,
    classes: Dim = 10,
    in_channels: Dim = 3,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return the network of NAS-Bench-201 :cite:p:`dong2020nasbench201` with a given cell.

    Parameters
    ----------
    arch_str : str
        The cell, such as
        ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|``.
    channels : Dim
        Channels of the first stage; they double twice. [1]
    cells : int
        Cells of each of the three stages.
    size : Size
        Input height and width. [pixel]
    batch, classes, in_channels : Dim
        Images, classes, channels of an image. [1]
    dtype : str
        Element type.

    Notes
    -----
    The graph follows the benchmark's torch code: an edge ``none`` multiplies its input by zero, a
    skip is the input itself, and a node adds its edges to the number 0 with Python's ``sum``, so
    that the first of them is an addition of zero. Runtimes that fold constants drop all of that.
    The multiply-adds are those of the benchmark but for the bias of the last layer, which it adds.

    Examples
    --------
    >>> import costmodel as cm
    >>> cell = "|{0}~0|+|{0}~0|{0}~1|+|{0}~0|{0}~1|{0}~2|"
    >>> cm.multiply_adds(nasbench201(cell.format("nor_conv_3x3")))
    220119680
    """
    cell = parse_arch(arch_str)
    b = Builder("nasbench201")
    x = b.input((batch, in_channels, *pair(size)), dtype)
    with b.module("stem"):
        x = conv_bn(b, x, channels, 3, act=None)
    for stage in range(3):
        if stage > 0:
            with b.module(f"reduction{stage}"):
                x = _reduction(b, x)
        with b.module(f"stage{stage}"):
            x = b.repeat(cells, partial(_cell, b, cell), x)
    with b.module("norm_last"):
        x = norm_act(b, x)
    return classify(b, x, classes)


def parse_arch(arch_str: str) -> Cell:
    """Return the edges into each node of a cell.

    Raises
    ------
    DataError
        If the text is not a cell of four nodes.

    Examples
    --------
    >>> parse_arch("|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|")[2]
    (('none', 0), ('none', 1), ('skip_connect', 2))
    """
    nodes = arch_str.strip().split("+")
    cell = tuple(tuple(_edge(e, arch_str) for e in n.strip("|").split("|")) for n in nodes)
    if [[source for _, source in edges] for edges in cell] != [[0], [0, 1], [0, 1, 2]]:
        raise DataError(
            f"arch_str {arch_str!r} must have edges from 0, from 0 and 1, and from 0, 1 and 2, "
            "as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
        )
    return cell


def _edge(text: str, arch_str: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\w+)~(\d)", text)
    if match is None or match[1] not in OPERATIONS:
        raise DataError(
            f"arch_str {arch_str!r}: edge {text!r} must be an operation and its source, as in "
            f"none~0; operations are {', '.join(OPERATIONS)}"
        )
    return match[1], int(match[2])


def _cell(b: Builder, cell: Cell, x: Value) -> Value:
    nodes = [x]
    for edges in cell:
        first, *others = [_operation(b, nodes[source], kind) for kind, source in edges]
        total = b.add(Elementwise("add", 0.0), first)
        for other in others:
            total = add(b, total, other)
        nodes.append(total)
    return nodes[-1]


def _operation(b: Builder, x: Value, kind: str) -> Value:
    match kind:
        case "none":
            return b.add(Elementwise("mul", 0.0), x, name="none")
        case "skip_connect":
            return b.add(Identity(), x)
        case "avg_pool_3x3":
            return avg_pool(b, x, 3, 1, 1)
    return _relu_conv_bn(b, x, x.shape[1], int(kind[-1]))


def _relu_conv_bn(b: Builder, x: Value, out: Dim, k: int, stride: int = 1) -> Value:
    return b.add(BatchNorm(), conv(b, activation(b, x), out, k, stride))


def _reduction(b: Builder, x: Value) -> Value:
    """Add the residual block between stages, which halves the size and doubles the channels."""
    out = 2 * x.shape[1]
    y = _relu_conv_bn(b, _relu_conv_bn(b, x, out, 3, 2), out, 3)
    with b.module("downsample"):
        shortcut = conv(b, avg_pool(b, x, 2, 2), out)
    return add(b, shortcut, y)
